"""Reading Perform's answer: was an import queued, refused, or can nobody tell?"""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass
from itertools import chain

from lxml import etree

from imports.marketingcloud.errors import (
    MarketingCloudError,
    OutcomeUnknownError,
    RequestRefusedError,
    is_general_exception,
    is_permission,
    quote,
    status_error,
)
from imports.marketingcloud.parse import Message, child, children, text
from imports.marketingcloud.records import StartedImport

_MOST_CODE = 100
_TASK_ID = re.compile(r"\d{1,19}", re.ASCII)
_ASYNC_ID = re.compile(r"\bAsyncID:\s*(\d{1,19})\b", re.ASCII | re.IGNORECASE)


@dataclass(frozen=True, kw_only=True, slots=True)
class _Result:
    """One Result of a PerformResponseMsg, in texts."""

    task_id: str
    other_tasks: tuple[str, ...]
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
    results = [_result(node) for node in _everywhere(element, "Result")]
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


def _everywhere(element: etree._Element, name: str) -> Iterator[etree._Element]:
    """In the whole answer: a task id is not overlooked for standing in an odd place."""
    return element.getroottree().getroot().iter(f"{{*}}{name}")


def _names_a_task(element: etree._Element) -> bool:
    """True where an id of a task stands anywhere at all."""
    in_tasks = (n for task in _everywhere(element, "Task") for n in _ids(task))
    texts = (node.text or "" for node in _everywhere(element, "*"))
    in_words = (n for words in texts for n in _ASYNC_ID.findall(words))
    return any(map(_is_task_id, chain(in_tasks, in_words)))


def _result(node: etree._Element) -> _Result:
    words = text(node, "StatusMessage")
    numbers = (number for task in children(node, "Task") for number in _ids(task))
    named = [*numbers, *_ASYNC_ID.findall(words)]
    tasks = [number for number in named if _is_task_id(number)]
    return _Result(
        task_id=tasks[0] if tasks else "",
        other_tasks=tuple(n for n in dict.fromkeys(tasks) if n != tasks[0]),
        status_code=text(node, "StatusCode")[:_MOST_CODE],
        status_message=words,
        error_code=text(node, "ErrorCode")[:_MOST_CODE],
        customer_key=_echoed_key(node),
    )


def _echoed_key(node: etree._Element) -> str:
    definition = child(node, "Object")
    return text(definition, "CustomerKey") if definition is not None else ""


def _ids(task: etree._Element) -> Iterator[str]:
    return ((number.text or "").strip() for number in children(task, "ID"))


def _is_task_id(number: str) -> bool:
    return bool(_TASK_ID.fullmatch(number) and number.strip("0"))


def _request_id(element: etree._Element) -> str | None:
    return text(element, "RequestID")[:_MOST_CODE] or None


def _contradiction(
    message: Message, started: _Result, results: int, customer_key: str
) -> str | None:
    overall = text(message.element, "OverallStatus")
    said = [
        f"HTTP {message.status}" if not 200 <= message.status < 300 else "",
        message.fault,
        f"{results} results for one definition" if results > 1 else "",
        *(f"task {number}" for number in started.other_tasks),
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
    if message.fault or _names_a_task(message.element):
        return OutcomeUnknownError(
            "Marketing Cloud's answer contradicts itself, so nobody can tell whether"
            f" the import was started. {message.fault}".rstrip()
        )
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
