"""Reads answers: SOAP envelopes into messages, their rows into records.

Strict about an answer's form, so that a broken one is an error and never fewer
rows; tolerant of its content. The one place where vendor names become ours.
"""

from __future__ import annotations

import logging
import re
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from functools import lru_cache
from typing import Generic, TypeVar

from lxml import etree

from imports.marketingcloud import errors
from imports.marketingcloud.http import Answer
from imports.marketingcloud.records import DefinitionRecord, ImportResult
from imports.reasons import Reason, refusal_reason

logger = logging.getLogger(__name__)

T = TypeVar("T")
Elements = Iterable[etree._Element]

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

    `fault` is what a fault that stands beside it proves: such an answer contradicts
    itself and proves nothing but what a task id proves.
    """

    element: etree._Element
    status: int
    fault: errors.MarketingCloudError | None = None


def read_message(answer: Answer, name: str) -> Message:
    """The message called `name` (a local name) out of a SOAP answer.

    Raises what `fault_error` says for a fault; RequestRefusedError for an HTTP 4xx
    (but 408) without a readable message; OutcomeUnknownError for all else.
    """
    if answer.broken is not None:
        error = errors.status_error(answer.status, answer.broken)
        raise error from (None if error is answer.broken else answer.broken)
    root = _root(answer)
    bodies = list(children(root, "Body")) if local(root) == "Envelope" else []
    if not bodies:
        raise _unreadable(answer, "is not a SOAP message")
    # should there be several bodies, none is passed over
    parts = [part for body in bodies for part in body]
    fault, element = child(parts, "Fault"), child(parts, name)
    refusal = _fault_error(fault) if fault is not None else None
    if element is None:
        raise refusal or _unreadable(answer, "does not contain what was asked for")
    return Message(element=element, status=answer.status, fault=refusal)


def local(element: etree._Element) -> str:
    """An element's name without its namespace."""
    return element.tag.rpartition("}")[2]


def children(parent: Elements, name: str) -> Iterator[etree._Element]:
    """The direct children with that local name."""
    return (node for node in parent if local(node) == name)


def child(parent: Elements | None, name: str) -> etree._Element | None:
    """The first direct child with that local name."""
    return None if parent is None else next(children(parent, name), None)


def overall_status(message: Message, *others: str) -> str:
    """The message's OverallStatus in lower case, which is "ok" or one of `others`.

    Raises OutcomeUnknownError where a fault stands beside the message or nobody
    documented the status, RequestRefusedError for any other.
    """
    if message.fault:
        raise errors.OutcomeUnknownError(
            f"Marketing Cloud's answer contradicts itself. {message.fault}",
            vendor_message=message.fault.vendor_message,
        )
    status = text(message.element, "OverallStatus")
    request_id = text(message.element, "RequestID")
    known = status.casefold()
    if known in ("ok", *others):
        return known
    if not known.startswith(("error", "has errors", "api permission failed")):
        raise errors.OutcomeUnknownError(
            "Marketing Cloud's answer has an unknown status",
            quoted=status,
            request_id=request_id,
        )
    words = status
    if known in ("error", "has errors"):
        words = text(message.element, "OverallStatusMessage") or status
    raise errors.permission_error(words, request_id) or errors.QuestionRefusedError(
        "Marketing Cloud refused the request",
        quoted=words,
        reason=refusal_reason("", words),
        request_id=request_id,
    )


def is_nil(element: etree._Element) -> bool:
    """True where `xsi:nil` says that there is no value."""
    return element.get(_NIL) in ("true", "1")


def text(element: etree._Element | None, name: str) -> str:
    """A child's text without the blanks around it; empty where it is absent."""
    node = child(element, name)
    if node is None or is_nil(node):
        return ""
    return (node.text or "").strip()


def _root(answer: Answer) -> etree._Element:
    start = answer.body[:200]
    for mark in _BYTE_ORDER_MARKS:
        start = start.removeprefix(mark)
    start = start.lstrip(b"\x00 \t\r\n").lower()
    if not start:
        raise _unreadable(answer, "is empty")
    if start.startswith((b"<html", b"<!doctype html")):
        raise _unreadable(answer, "is a web page, not a SOAP message")
    if not start.startswith(b"<"):
        kind = answer.content_type.partition(";")[0].strip()[:50]
        but = f" but {kind}" if kind and "xml" not in kind else ""
        raise _unreadable(answer, f"is not XML{but}")
    if b"<!DOCTYPE" in answer.body:
        raise _unreadable(answer, "brings a DTD, which is not allowed")
    # before parsing: a parsed element takes hundreds of bytes for its three
    if (
        answer.body.count(b"<") > _MOST_TAGS
        or answer.body.count(b"=") > _MOST_EQUALS_SIGNS
    ):
        raise _unreadable(answer, "has far more elements than any real one")
    # Recovery would make fewer rows of an answer that was cut off; entities and DTDs
    # may read files, reach other hosts or grow without end.
    parser = etree.XMLParser(
        recover=False,
        resolve_entities=False,
        load_dtd=False,
        no_network=True,
        huge_tree=False,
        remove_comments=True,
        remove_pis=True,
    )
    try:
        root = etree.fromstring(answer.body, parser)
    except (etree.XMLSyntaxError, ValueError) as exc:
        raise _unreadable(answer, "is broken XML, perhaps cut off") from exc
    if root.getroottree().docinfo.internalDTD is not None:
        raise _unreadable(answer, "brings a DTD, which is not allowed")
    return root


def _unreadable(answer: Answer, what: str) -> errors.MarketingCloudError:
    unknown = errors.OutcomeUnknownError(
        f"Marketing Cloud's answer (HTTP {answer.status}) {what}.",
        reason=Reason.OUTAGE if answer.status >= 500 else None,
    )
    return errors.status_error(answer.status, unknown)


def _fault_error(element: etree._Element) -> errors.MarketingCloudError:
    code, words = text(element, "faultcode"), text(element, "faultstring")
    if not code:  # SOAP 1.2
        code = text(child(element, "Code"), "Value")
        words = words or text(child(element, "Reason"), "Text")
    details = (node for node in element if local(node) in ("detail", "Detail"))
    detail = next(details, None)
    detail_words = _anywhere(detail, "Message")
    return errors.fault_error(
        code.rpartition(":")[2].partition(".")[0],
        words or detail_words,
        _anywhere(detail, "Code"),
        detail_words,
    )


def _anywhere(element: etree._Element | None, name: str) -> str:
    nodes = () if element is None else element.iter()
    return next((node.text or "" for node in nodes if local(node) == name), "").strip()


# fmt: off
DEFINITION_PROPERTIES = (
    # Every one was seen working, all in one request of somebody's program.
    "Name", "ObjectID", "CustomerKey", "Description", "Client.ClientID1", "FileSpec",
    "AllowErrors", "FieldMappingType", "FileType", "UpdateType", "MaxFileAge",
    "MaxFileAgeScheduleOffset", "MaxImportFrequency", "DestinationObject.ID",
    "DestinationObject.ObjectID", "Notification.ResponseType",
    "Notification.ResponseAddress", "RetrieveFileTransferLocation.ObjectID",
    "Delimiter", "HeaderLines", "EndOfLineRepresentation", "NullRepresentation",
    "StandardQuotedStrings", "DateFormattingLocale.LocaleCode",
)
RESULT_PROPERTIES = (
    "ImportDefinitionCustomerKey", "TaskResultID", "ImportStatus", "StartDate",
    "EndDate", "DestinationID", "NumberSuccessful", "NumberDuplicated", "NumberErrors",
    "TotalRows", "ImportType", "ObjectID", "ID",
)
# fmt: on
# The property is asked for as Client.ClientID1; which element answers differs.
_ANSWERS_TO = {
    **{name: name for name in DEFINITION_PROPERTIES},
    "Client.ID": "Client.ClientID1",
    "Client.ClientID": "Client.ClientID1",
}
_LONGEST_IDENTITY = 200  # a task's is a number, an ObjectID has 36 characters
_COUNT = re.compile(r"\d{1,10}", re.ASCII)
_LARGEST_COUNT = 2**31 - 1  # xsd:int


@dataclass(frozen=True, kw_only=True, slots=True)
class Kind(Generic[T]):
    """An object type that we retrieve: what is asked for and how a row is read.

    `essential` properties identify a row and cannot be done without; `read` gives
    None for a row that nothing could be done with; `identity` is what a row is of.
    """

    object_type: str
    properties: tuple[str, ...]
    essential: frozenset[str]
    read: Callable[[etree._Element], T | None]
    identity: Callable[[T], object]


# Worked out once for each tag, since an answer has few of them and a great many
# elements; should one bring endless tags, not all are remembered.
@lru_cache(maxsize=1024)
def _property(tag: str, whole: str = "") -> str | None:
    """The property that an element answers, by its tag and what it is a part of."""
    name = tag.rpartition("}")[2]
    return _ANSWERS_TO.get(f"{whole}.{name}" if whole else name)


def read_definition(row: etree._Element) -> DefinitionRecord | None:
    """The definition in a row; None where it has neither key nor ObjectID.

    Thousands of rows with dozens of elements come here: no call for each of them.
    """
    facts: dict[str, str] = {}
    kind = ""
    for node in row:
        whole = ""
        parts: Elements = (node,)
        if len(node):
            whole, parts = local(node), node
            if whole == "DestinationObject":
                kind = (node.get(_TYPE) or "").rpartition(":")[2] or kind
        for part in parts:
            name = _property(part.tag, whole)
            if name is not None and name not in facts:
                words = part.text
                if words or not is_nil(part):
                    facts[name] = words or ""
    # a list is known by its number, a data extension by its GUID; "0" stands for none
    number = facts.get("DestinationObject.ID", "")
    list_id = "" if number == "0" else number
    guid = facts.get("DestinationObject.ObjectID", "")
    key, object_id = facts.get("CustomerKey", ""), _identity(facts.get("ObjectID"))
    if not key and object_id is None:
        logger.warning("Left out an import definition without CustomerKey and ObjectID")
        return None
    return DefinitionRecord(
        object_id=object_id,
        customer_key=key,
        name=facts.get("Name", ""),
        description=facts.get("Description", ""),
        file_spec=facts.get("FileSpec", ""),
        update_type=facts.get("UpdateType", ""),
        destination=list_id or guid if kind == "List" else guid or list_id,
        facts=facts,
    )


def read_result(row: etree._Element) -> ImportResult | None:
    """The task's result in a row; None where the row names no task."""
    texts = {local(node): node.text or "" for node in row if not is_nil(node)}
    task_id = _identity(texts.get("TaskResultID", "").strip())
    if task_id is None:
        logger.warning("Left out an import result without TaskResultID")
        return None
    return ImportResult(
        task_id=task_id,
        customer_key=texts.get("ImportDefinitionCustomerKey", ""),
        phase=texts.get("ImportStatus", ""),
        import_type=texts.get("ImportType", ""),
        destination_id=texts.get("DestinationID", ""),
        object_id=texts.get("ObjectID") or None,
        start_text=texts.get("StartDate", ""),
        end_text=texts.get("EndDate", ""),
        total_rows=_count(texts.get("TotalRows")),
        successful=_count(texts.get("NumberSuccessful")),
        duplicated=_count(texts.get("NumberDuplicated")),
        errors=_count(texts.get("NumberErrors")),
    )


DEFINITIONS = Kind(
    object_type="ImportDefinition",
    properties=DEFINITION_PROPERTIES,
    essential=frozenset({"CustomerKey", "ObjectID"}),
    read=read_definition,
    identity=lambda row: row.object_id or row.customer_key,
)
RESULTS = Kind(
    object_type="ImportResultsSummary",
    properties=RESULT_PROPERTIES,
    essential=frozenset({"TaskResultID", "ImportDefinitionCustomerKey", "ObjectID"}),
    read=read_result,
    identity=lambda row: row.task_id,
)


def _identity(text: str | None) -> str | None:
    """None for what is no identity: nothing, or more than an index can hold."""
    return text if text and len(text) <= _LONGEST_IDENTITY else None


def _count(text: str | None) -> int | None:
    text = (text or "").strip()
    if _COUNT.fullmatch(text) is None:
        return None
    count = int(text)
    return count if count <= _LARGEST_COUNT else None
