"""Retrieved rows into records: the one place where vendor names become ours."""

from __future__ import annotations

import logging
import re
from collections.abc import Callable
from dataclasses import dataclass
from typing import Generic, TypeVar

from lxml import etree

from imports.marketingcloud.answers import is_nil, local, type_name
from imports.marketingcloud.records import DefinitionRecord, ImportResult

logger = logging.getLogger(__name__)

T = TypeVar("T")

DEFINITION_PROPERTIES = (
    # Every one was seen working, all in one request of somebody's program.
    "Name",
    "ObjectID",
    "CustomerKey",
    "Description",
    "Client.ClientID1",
    "FileSpec",
    "AllowErrors",
    "FieldMappingType",
    "FileType",
    "UpdateType",
    "MaxFileAge",
    "MaxFileAgeScheduleOffset",
    "MaxImportFrequency",
    "DestinationObject.ID",
    "DestinationObject.ObjectID",
    "Notification.ResponseType",
    "Notification.ResponseAddress",
    "RetrieveFileTransferLocation.ObjectID",
    "Delimiter",
    "HeaderLines",
    "EndOfLineRepresentation",
    "NullRepresentation",
    "StandardQuotedStrings",
    "DateFormattingLocale.LocaleCode",
)
RESULT_PROPERTIES = (
    "ImportDefinitionCustomerKey",
    "TaskResultID",
    "ImportStatus",
    "StartDate",
    "EndDate",
    "DestinationID",
    "NumberSuccessful",
    "NumberDuplicated",
    "NumberErrors",
    "TotalRows",
    "ImportType",
    "ObjectID",
    "ID",
)
# The property is asked for as Client.ClientID1; which element answers differs.
_ANSWERS_TO = {
    **{name: name for name in DEFINITION_PROPERTIES},
    "Client.ID": "Client.ClientID1",
    "Client.ClientID": "Client.ClientID1",
}
_MOST_NAMES = 1024
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


def read_definition(row: etree._Element) -> DefinitionRecord | None:
    """The definition in a row; None where it has neither key nor ObjectID."""
    facts, destination = _facts(row)
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
        destination=_destination(facts, destination),
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


class _Names(dict[str, str | None]):
    """The property that an element answers, by its tag; None where there is none.

    `whole` is what the element is a part of. Worked out once for each tag, since an
    answer has few of them and a great many elements; should one bring endless tags,
    not all are remembered.
    """

    def __init__(self, whole: str = "") -> None:
        super().__init__()
        self._before = whole and f"{whole}."

    def __missing__(self, tag: str) -> str | None:
        name = _ANSWERS_TO.get(self._before + tag.rpartition("}")[2])
        if len(self) < _MOST_NAMES:
            self[tag] = name
        return name


_NAMES = _Names()
_PARTS = {
    whole: _Names(whole)
    for whole in (path.rpartition(".")[0] for path in _ANSWERS_TO)
    if whole
}


def _facts(row: etree._Element) -> tuple[dict[str, str], str]:
    """What a row says, and the type of its destination.

    Thousands of rows with dozens of elements come here: no call for each of them.
    """
    facts: dict[str, str] = {}
    destination_type = ""
    for node in row:
        name = _NAMES[node.tag]
        if name is None:
            if len(node):
                destination_type = _part_facts(facts, node) or destination_type
        elif name not in facts and len(node) == 0:
            text = node.text
            if text or not is_nil(node):
                facts[name] = text or ""
    return facts, destination_type


def _part_facts(facts: dict[str, str], whole: etree._Element) -> str:
    """Adds what the parts of `whole` say; gives the type of a DestinationObject."""
    names = _PARTS.get(local(whole))
    if names is None:
        return ""
    for node in whole:
        name = names[node.tag]
        if name is not None and name not in facts:
            text = node.text
            if text or not is_nil(node):
                facts[name] = text or ""
    return type_name(whole) if local(whole) == "DestinationObject" else ""


def _destination(facts: dict[str, str], kind: str) -> str:
    number = facts.get("DestinationObject.ID", "")
    guid = facts.get("DestinationObject.ObjectID", "")
    number = "" if number == "0" else number
    return (number or guid) if kind == "List" else (guid or number)


def _identity(text: str | None) -> str | None:
    """None for what is no identity: nothing, or more than an index can hold."""
    return text if text and len(text) <= _LONGEST_IDENTITY else None


def _count(text: str | None) -> int | None:
    text = (text or "").strip()
    if _COUNT.fullmatch(text) is None:
        return None
    count = int(text)
    return count if count <= _LARGEST_COUNT else None
