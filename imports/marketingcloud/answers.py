"""Reading an answer: strict about its form, tolerant of its content.

lxml reads it without recovery, so that a truncated answer is an error and never
fewer rows; elements are found by their local names, wherever their namespace,
order or `xsi:type` may have gone, and unknown ones are passed over.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from functools import lru_cache
from typing import NoReturn

from lxml import etree

from imports.marketingcloud.errors import MarketingCloudError, OutcomeUnknownError
from imports.marketingcloud.refusals import Fault, fault_error, status_error
from imports.marketingcloud.wire import Answer

_NIL = "{http://www.w3.org/2001/XMLSchema-instance}nil"
_TYPE = "{http://www.w3.org/2001/XMLSchema-instance}type"
# Tags and attributes cost memory that their bytes do not show. A full page of 2,500
# rows has some 160,000 tags and few attributes, a bomb many millions.
_MOST_TAGS = 320_000
_MOST_EQUALS_SIGNS = 200_000
_BYTE_ORDER_MARKS = (b"\xef\xbb\xbf", b"\xff\xfe", b"\xfe\xff")


@dataclass(frozen=True, kw_only=True, slots=True)
class Message:
    """The message in an envelope's Body, and the HTTP status it came with.

    `fault` is a fault that stands beside it, in words: such an answer contradicts
    itself and proves nothing but what a task id proves.
    """

    element: etree._Element
    status: int
    fault: str = ""


def read_message(answer: Answer, name: str) -> Message:
    """The message called `name` (a local name) out of a SOAP answer.

    Raises what `fault_error` says for a fault; RequestRefusedError for an HTTP 4xx
    (but 408) without a readable message; OutcomeUnknownError for all else.
    """
    parts = [part for body in _bodies(answer) for part in body]
    fault, element = _first(parts, "Fault"), _first(parts, name)
    error = fault_error(_fault(fault)) if fault is not None else None
    if element is None:
        raise error or _unreadable(answer, "does not contain what was asked for")
    return Message(
        element=element, status=answer.status, fault=error.message if error else ""
    )


def local(element: etree._Element) -> str:
    """An element's name without its namespace."""
    return _local(element.tag)


def children(element: etree._Element, name: str) -> Iterator[etree._Element]:
    """The direct children with that local name."""
    return (node for node in element if _local(node.tag) == name)


def child(element: etree._Element | None, name: str) -> etree._Element | None:
    """The first direct child with that local name."""
    return None if element is None else next(children(element, name), None)


def refuse_contradiction(message: Message) -> None:
    """Raises OutcomeUnknownError where a fault stands beside the message."""
    if message.fault:
        raise OutcomeUnknownError(
            f"Marketing Cloud's answer contradicts itself. {message.fault}"
        )


def is_nil(element: etree._Element) -> bool:
    """True where `xsi:nil` says that there is no value."""
    return element.get(_NIL) in ("true", "1")


def type_name(element: etree._Element) -> str:
    """The local name in `xsi:type`, or an empty text."""
    return (element.get(_TYPE) or "").rpartition(":")[2]


def text(element: etree._Element | None, name: str) -> str:
    """A child's text without the blanks around it; empty where it is absent."""
    node = child(element, name)
    if node is None or is_nil(node):
        return ""
    return (node.text or "").strip()


@lru_cache(maxsize=1024)  # an answer has few names and a great many elements
def _local(tag: str) -> str:
    return tag.rpartition("}")[2]


def _bodies(answer: Answer) -> list[etree._Element]:
    """The envelope's Body; should it have several, none is passed over."""
    if answer.broken is not None:
        _raise_broken(answer.status, answer.broken)
    root = _root(answer)
    bodies = list(children(root, "Body")) if local(root) == "Envelope" else []
    if not bodies:
        raise _unreadable(answer, "is not a SOAP message")
    return bodies


def _first(parts: list[etree._Element], name: str) -> etree._Element | None:
    return next((part for part in parts if local(part) == name), None)


def _raise_broken(status: int, broken: OutcomeUnknownError) -> NoReturn:
    error = status_error(status, broken)
    if error is broken:
        raise broken
    raise error from broken


def _root(answer: Answer) -> etree._Element:
    _look_before_parsing(answer)
    try:
        root = etree.fromstring(answer.body, _parser())
    except (etree.XMLSyntaxError, ValueError) as exc:
        raise _unreadable(answer, "is broken XML, perhaps cut off") from exc
    if root.getroottree().docinfo.internalDTD is not None:
        raise _unreadable(answer, "brings a DTD, which is not allowed")
    return root


def _parser() -> etree.XMLParser:
    return etree.XMLParser(
        recover=False,
        resolve_entities=False,
        load_dtd=False,
        no_network=True,
        huge_tree=False,
        remove_comments=True,
        remove_pis=True,
    )


def _look_before_parsing(answer: Answer) -> None:
    start = _start(answer.body)
    if not start:
        raise _unreadable(answer, "is empty")
    if start.startswith((b"<html", b"<!doctype html")):
        raise _unreadable(answer, "is a web page, not a SOAP message")
    if not start.startswith(b"<"):
        raise _unreadable(answer, f"is not XML{_said_to_be(answer)}")
    if b"<!DOCTYPE" in answer.body:
        raise _unreadable(answer, "brings a DTD, which is not allowed")
    if _is_bomb(answer.body):
        raise _unreadable(answer, "has far more elements than any real one")


def _is_bomb(body: bytes) -> bool:
    return body.count(b"<") > _MOST_TAGS or body.count(b"=") > _MOST_EQUALS_SIGNS


def _start(body: bytes) -> bytes:
    start = body[:200]
    for mark in _BYTE_ORDER_MARKS:
        start = start.removeprefix(mark)
    return start.lstrip(b"\x00 \t\r\n").lower()


def _said_to_be(answer: Answer) -> str:
    kind = answer.content_type.partition(";")[0].strip()[:50]
    return f" but {kind}" if kind and "xml" not in kind else ""


def _unreadable(answer: Answer, what: str) -> MarketingCloudError:
    unknown = OutcomeUnknownError(
        f"Marketing Cloud's answer (HTTP {answer.status}) {what}."
    )
    return status_error(answer.status, unknown)


def _fault(element: etree._Element) -> Fault:
    code, words = text(element, "faultcode"), text(element, "faultstring")
    if not code:  # SOAP 1.2
        code = text(child(element, "Code"), "Value")
        words = words or text(child(element, "Reason"), "Text")
    detail = child(element, "detail")
    if detail is None:
        detail = child(element, "Detail")
    return Fault(
        code=code.rpartition(":")[2].partition(".")[0],
        words=words or _anywhere(detail, "Message"),
        detail_code=_anywhere(detail, "Code"),
        detail_words=_anywhere(detail, "Message"),
    )


def _anywhere(element: etree._Element | None, name: str) -> str:
    if element is None:
        return ""
    found = (node.text or "" for node in element.iter() if local(node) == name)
    return next(found, "").strip()
