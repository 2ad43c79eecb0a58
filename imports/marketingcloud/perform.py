"""Reading Perform's answer: was an import queued, refused, or can nobody tell?"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator

from lxml import etree

from imports.marketingcloud import errors
from imports.marketingcloud.errors import quote
from imports.marketingcloud.parse import Message, child, children, text
from imports.marketingcloud.records import StartedImport
from imports.reasons import Reason, refusal_reason

_MOST_CODE = 100
_TASK_ID = re.compile(r"\d{1,19}", re.ASCII)
# where an answer names its task in words only: "… performed AsyncID:129159023"
_ASYNC_ID = re.compile(r"\bAsyncID:\s*(\d{1,19})\b", re.ASCII | re.IGNORECASE)


class _Result:
    """One Result of a PerformResponseMsg, in texts; `tasks` are the ids it names."""

    def __init__(self, node: etree._Element) -> None:
        self.status_code = text(node, "StatusCode")[:_MOST_CODE]
        self.status_message = text(node, "StatusMessage")
        self.error_code = text(node, "ErrorCode")[:_MOST_CODE]
        self.customer_key = text(child(node, "Object"), "CustomerKey")
        self.tasks = _task_ids(children(node, "Task"), [self.status_message])

    @property
    def is_refusal(self) -> bool:
        """Whether it proves that nothing was started."""
        return (
            self.status_code.casefold() == "error"
            and not errors.is_general_exception(self.error_code, self.status_message)
        )


def read_started(message: Message, *, customer_key: str) -> StartedImport:
    """The import that Perform queued for the definition with `customer_key`.

    A task id makes it a start, whatever else the answer says. Raises
    RequestRefusedError for a refusal in words, OutcomeUnknownError otherwise.
    """
    element = message.element
    results = [_Result(node) for node in _everywhere(element, "Result")]
    started = next((result for result in results if result.tasks), None)
    if started is None:
        raise _not_started(message, results)
    return StartedImport(
        task_id=started.tasks[0],
        request_id=text(element, "RequestID")[:_MOST_CODE] or None,
        status_code=started.status_code,
        status_message=started.status_message,
        error_code=started.error_code or None,
        contradiction=_contradiction(message, started, len(results), customer_key),
    )


def _everywhere(element: etree._Element, name: str) -> Iterator[etree._Element]:
    """In the whole answer: a task id is not overlooked for standing in an odd place."""
    return element.getroottree().getroot().iter(f"{{*}}{name}")


def _task_ids(tasks: Iterable[etree._Element], words: Iterable[str]) -> list[str]:
    """The ids that elements and words name, each once."""
    numbers = [
        *((node.text or "").strip() for task in tasks for node in children(task, "ID")),
        *(number for text in words for number in _ASYNC_ID.findall(text)),
    ]
    # an ID of 0 is how the vendor's samples say that there is none
    real = [n for n in numbers if _TASK_ID.fullmatch(n) and n.strip("0")]
    return list(dict.fromkeys(real))


def _contradiction(
    message: Message, started: _Result, results: int, customer_key: str
) -> str | None:
    """What the answer says against the start that it names, for the timeline."""
    overall = text(message.element, "OverallStatus")
    echoed, has_code = started.customer_key, started.error_code not in ("", "0")
    is_other = echoed.casefold() != customer_key.strip().casefold()
    is_ok = started.status_code.casefold() == "ok"
    said = [
        f"HTTP {message.status}" if not 200 <= message.status < 300 else "",
        str(message.fault or ""),
        f"{results} results for one definition" if results > 1 else "",
        *(f"task {number}" for number in started.tasks[1:]),
        f"StatusCode {quote(started.status_code)}" if not is_ok else "",
        f"StatusMessage {quote(started.status_message)}" if not is_ok else "",
        f"ErrorCode {quote(started.error_code)}" if has_code else "",
        f"OverallStatus {quote(overall)}" if overall.casefold() != "ok" else "",
        f"CustomerKey {quote(echoed)}" if echoed and customer_key and is_other else "",
    ]
    return ", ".join(part for part in said if part) or None


def _not_started(
    message: Message, results: list[_Result]
) -> errors.MarketingCloudError:
    """The error that an answer without a result that names a task proves."""
    element, fault = message.element, message.fault
    texts = (node.text or "" for node in _everywhere(element, "*"))
    # an id of a task anywhere at all: something may have been started
    if fault or _task_ids(_everywhere(element, "Task"), texts):
        return errors.OutcomeUnknownError(
            "Marketing Cloud's answer contradicts itself, so nobody can tell whether"
            f" the import was started. {fault or ''}".rstrip(),
            vendor_message=fault.vendor_message if fault else "",
        )
    if not 200 <= message.status < 300:
        return errors.status_error(
            message.status,
            errors.OutcomeUnknownError(
                f"Marketing Cloud answered without a task id (HTTP {message.status}).",
                reason=Reason.OUTAGE if message.status >= 500 else None,
            ),
        )
    request_id = text(element, "RequestID")
    if not results:
        overall = text(element, "OverallStatus")
        said = f"{overall} {text(element, 'OverallStatusMessage')}"
        return errors.permission_error(said, request_id) or errors.OutcomeUnknownError(
            "Marketing Cloud's answer does not say whether the import was started",
            quoted=said,
            request_id=request_id,
        )
    # one that proves nothing outweighs those that prove a refusal
    result = next((one for one in results if not one.is_refusal), results[0])
    words = result.status_message or result.status_code
    if result.is_refusal:
        return errors.RequestRefusedError(
            "Marketing Cloud refused to start the import",
            quoted=words,
            reason=refusal_reason(result.error_code, words),
            code=result.error_code,
            request_id=request_id,
        )
    return errors.OutcomeUnknownError(
        "Marketing Cloud answered without a task id, so nobody can tell whether the"
        " import was started",
        quoted=words,
        code=result.error_code,
        request_id=request_id,
    )
