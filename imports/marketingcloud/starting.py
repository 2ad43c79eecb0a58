"""Reading Perform's answer: was an import queued, refused, or can nobody tell?"""

from __future__ import annotations

import re
from dataclasses import dataclass

from lxml import etree

from imports.marketingcloud.answers import Message, child, children, text
from imports.marketingcloud.errors import (
    MarketingCloudError,
    OutcomeUnknownError,
    RequestRefusedError,
)
from imports.marketingcloud.records import StartedImport
from imports.marketingcloud.refusals import (
    is_general_exception,
    is_permission,
    quote,
    status_error,
)

_MOST_CODE = 100
_TASK_ID = re.compile(r"\d{1,19}", re.ASCII)
_ASYNC_ID = re.compile(r"\bAsyncID:\s*(\d{1,19})\b", re.ASCII | re.IGNORECASE)


@dataclass(frozen=True, kw_only=True, slots=True)
class _Result:
    """One Result of a PerformResponseMsg, in texts."""

    task_id: str
    status_code: str
    status_message: str
    error_code: str
    customer_key: str

    @property
    def is_ok(self) -> bool:
        return self.status_code.casefold() == "ok"


def read_started(message: Message, *, customer_key: str) -> StartedImport:
    """The import that Perform queued for the definition with `customer_key`.

    A task id makes it a start, whatever else the answer says. Raises
    RequestRefusedError for a refusal in words, OutcomeUnknownError otherwise.
    """
    element = message.element
    results = [_result(node) for node in children(_results(element), "Result")]
    started = next((result for result in results if result.task_id), None)
    if started is None:
        raise _not_started(message, results)
    return StartedImport(
        task_id=started.task_id,
        request_id=_request_id(element),
        status_code=started.status_code,
        status_message=started.status_message,
        error_code=started.error_code or None,
        contradiction=_contradiction(message, started, len(results), customer_key),
    )


def _results(element: etree._Element) -> etree._Element:
    around = child(element, "Results")
    return element if around is None else around


def _result(node: etree._Element) -> _Result:
    task = child(node, "Task")
    words = text(node, "StatusMessage")
    return _Result(
        task_id=_task_id(text(task, "ID") if task is not None else "", words),
        status_code=text(node, "StatusCode")[:_MOST_CODE],
        status_message=words,
        error_code=text(node, "ErrorCode")[:_MOST_CODE],
        customer_key=_echoed_key(node),
    )


def _echoed_key(node: etree._Element) -> str:
    definition = child(node, "Object")
    return text(definition, "CustomerKey") if definition is not None else ""


def _task_id(number: str, words: str) -> str:
    if _TASK_ID.fullmatch(number) and number.strip("0"):
        return number
    found = _ASYNC_ID.search(words)
    return found.group(1) if found and found.group(1).strip("0") else ""


def _request_id(element: etree._Element) -> str | None:
    return text(element, "RequestID")[:_MOST_CODE] or None


def _contradiction(
    message: Message, started: _Result, results: int, customer_key: str
) -> str | None:
    overall = text(message.element, "OverallStatus")
    said = [
        f"HTTP {message.status}" if not 200 <= message.status < 300 else "",
        f"{results} results for one definition" if results > 1 else "",
        f"StatusCode {quote(started.status_code)}" if not started.is_ok else "",
        f"StatusMessage {quote(started.status_message)}" if not started.is_ok else "",
        f"ErrorCode {quote(started.error_code)}" if _is_code(started) else "",
        f"OverallStatus {quote(overall)}" if overall.casefold() != "ok" else "",
        _other_definition(started.customer_key, customer_key),
    ]
    return ", ".join(part for part in said if part) or None


def _is_code(result: _Result) -> bool:
    return result.error_code not in ("", "0")


def _other_definition(echoed: str, asked: str) -> str:
    if not echoed or not asked or echoed.casefold() == asked.strip().casefold():
        return ""
    return f"CustomerKey {quote(echoed)}"


def _not_started(message: Message, results: list[_Result]) -> MarketingCloudError:
    if not 200 <= message.status < 300:
        return status_error(
            message.status,
            OutcomeUnknownError(
                f"Marketing Cloud answered without a task id (HTTP {message.status})."
            ),
        )
    if not results:
        return _without_results(message.element)
    return _refused_or_unknown(message.element, results)


def _without_results(element: etree._Element) -> MarketingCloudError:
    said = f"{text(element, 'OverallStatus')} {text(element, 'OverallStatusMessage')}"
    if is_permission(said):
        return RequestRefusedError(
            "Marketing Cloud says that the account's package or user lacks a"
            f" permission: {quote(said)}.",
            request_id=_request_id(element),
        )
    return OutcomeUnknownError(
        "Marketing Cloud's answer does not say whether the import was started:"
        f" {quote(said)}.",
        request_id=_request_id(element),
    )


def _refused_or_unknown(
    element: etree._Element, results: list[_Result]
) -> MarketingCloudError:
    result = next((one for one in results if not _is_refusal(one)), results[0])
    code, request_id = result.error_code or None, _request_id(element)
    if _is_refusal(result):
        return RequestRefusedError(
            "Marketing Cloud refused to start the import:"
            f" {quote(result.status_message or result.status_code)}.",
            code=code,
            request_id=request_id,
        )
    words = result.status_message or result.status_code
    return OutcomeUnknownError(
        "Marketing Cloud answered without a task id, so nobody can tell whether the"
        f" import was started: {quote(words)}.",
        code=code,
        request_id=request_id,
    )


def _is_refusal(result: _Result) -> bool:
    return result.status_code.casefold() == "error" and not is_general_exception(
        result.error_code, result.status_message
    )
