"""Answers Retrieve: filters, properties and pages of definitions and summaries."""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Collection, Iterator, Mapping
from dataclasses import dataclass, replace
from datetime import datetime, timedelta, timezone
from threading import Lock
from typing import NamedTuple

from lxml import etree

from imports.sandbox.catalogue import ENHANCED_FTP, Definition, made_id
from imports.sandbox.control import Call, Switches
from imports.sandbox.envelopes import FilterError, passes, text_of, texts_of
from imports.sandbox.responses import NIL, TYPE, add, message, retrieve_message, tag
from imports.sandbox.tasks import Summary, Task
from imports.sandbox.world import World

PAGE_SIZE = 2500
RESTS_REMEMBERED = 500
VENDOR_ZONE = timezone(timedelta(hours=-6))
"""The system's clock: Central Standard Time without daylight saving."""

Facts = Mapping[str, str | int | bool | None]

# fmt: off
DEFINITION_PROPERTIES = (
    "Client.ID", "Client.ClientID1", "PartnerKey", "ObjectID", "CustomerKey", "Name",
    "Description", "AllowErrors", "DestinationObject.ID", "DestinationObject.ObjectID",
    "FieldMappingType", "FileSpec", "FileType", "Notification.ResponseType",
    "Notification.ResponseAddress", "RetrieveFileTransferLocation.ObjectID",
    "RetrieveFileTransferLocation.CustomerKey", "UpdateType", "MaxFileAge",
    "MaxFileAgeScheduleOffset", "MaxImportFrequency", "Delimiter", "HeaderLines",
    "EndOfLineRepresentation", "NullRepresentation", "StandardQuotedStrings",
    "DateFormattingLocale.LocaleCode",
)
"""What ImportDefinition gives, in the schema's order."""

SUMMARY_PROPERTIES = (
    "Client.ID", "PartnerKey", "ID", "ObjectID", "ImportDefinitionCustomerKey",
    "StartDate", "EndDate", "DestinationID", "NumberSuccessful", "NumberDuplicated",
    "NumberErrors", "TotalRows", "ImportType", "ImportStatus", "TaskResultID",
)
"""What ImportResultsSummary gives, in the schema's order."""
# fmt: on

PROPERTIES: Mapping[str, tuple[str, ...]] = {
    "ImportDefinition": DEFINITION_PROPERTIES,
    "ImportResultsSummary": SUMMARY_PROPERTIES,
}
LAST_OF_BASE = {"ImportDefinition": "CustomerKey", "ImportResultsSummary": "ObjectID"}
"""The last property of the schema's base type APIObject; IsPlatformObject follows."""
PLAIN_TYPES = ("Client", "Notification")
"""Nested elements that are no API objects: they have no nil keys of their own."""


class RetrieveError(Exception):
    """What the server answers in OverallStatus, with HTTP 200."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Rest:
    """The rows that ContinueRequest with an answer's RequestID still fetches."""

    object_type: str
    properties: tuple[str, ...]
    rows: tuple[Facts, ...]


class Query(NamedTuple):
    """What is asked for: `part` is the filter, `refused` what it may not use."""

    call: Call
    part: etree._Element | None
    mids: tuple[int, ...]
    refused: frozenset[str]


class Retriever:
    """Answers Retrieve and remembers what is left of each answer."""

    def __init__(self, world: World, switches: Switches, page_size: int) -> None:
        self._world = world
        self._switches = switches
        self._page_size = page_size
        self._lock = Lock()
        self._rests: OrderedDict[str, Rest] = OrderedDict()

    def answer(
        self,
        request_id: str,
        call: Call,
        request: etree._Element,
        mids: tuple[int, ...],
    ) -> etree._Element:
        """RetrieveResponseMsg with one page; errors in OverallStatus."""
        try:
            rest = self._rest(call, request, mids)
        except (RetrieveError, FilterError) as exc:
            return retrieve_message(str(exc), request_id)
        size = self._page_size
        batch_size = request.findtext(f"{tag('Options')}/{tag('BatchSize')}")
        if batch_size and int(batch_size) > 0:
            size = min(int(batch_size), size)
        page, left = rest.rows[:size], rest.rows[size:]
        if left:
            with self._lock:
                self._rests[request_id] = replace(rest, rows=left)
                while len(self._rests) > RESTS_REMEMBERED:
                    self._rests.popitem(last=False)
        rows = [result(rest.object_type, facts, rest.properties) for facts in page]
        status = "MoreDataAvailable" if left else "OK"
        return retrieve_message(status, request_id, rows)

    def _rest(self, call: Call, request: etree._Element, mids: tuple[int, ...]) -> Rest:
        continued = text_of(request, "ContinueRequest")
        if continued:
            with self._lock:
                rest = self._rests.get(continued)
            if rest is None:
                raise RetrieveError(f"Error: ContinueRequest {continued} is not known.")
            return rest
        object_type = text_of(request, "ObjectType") or ""
        properties = texts_of(request, "Properties")
        self._check_properties(call, object_type, properties)
        part = request.find(tag("Filter"))
        refused = frozenset[str]()
        has_in = part is not None and text_of(part, "SimpleOperator") == "IN"
        if has_in and self._switches.take("within", call, "in_refused"):
            refused = frozenset({"IN"})
        is_definition = object_type == "ImportDefinition"
        rows_of = self._definition_rows if is_definition else self._summary_rows
        rows = tuple(rows_of(Query(call, part, mids, refused)))
        return Rest(object_type=object_type, properties=tuple(properties), rows=rows)

    def _check_properties(
        self, call: Call, object_type: str, properties: list[str]
    ) -> None:
        """Raise RetrieveError unless all of them can be asked for."""
        if object_type not in PROPERTIES:
            raise RetrieveError(
                f"Error: Unable to find a handler for object type: {object_type}. "
                "Object types are case-sensitive, check spelling."
            )
        rules = self._switches.options_of("property_refused", call)
        refused = {options["property"] for options in rules}
        known = set(PROPERTIES[object_type]) - refused
        wrong = [name for name in properties if name not in known]
        if wrong or not properties:
            raise RetrieveError(
                f"Error: The Request Property(s) {', '.join(wrong)} do not match with "
                f"the fields of {object_type} retrieve"
            )

    def _definition_rows(self, query: Query) -> Iterator[Facts]:
        unlisted = set()
        if query.part is None:
            rules = self._switches.options_of("not_listed", query.call)
            unlisted = {options["key"] for options in rules}
        for definition in self._world.definitions(query.mids):
            values = {
                "CustomerKey": definition.customer_key,
                "ObjectID": definition.object_id,
                "Name": definition.name,
            }
            is_listed = definition.customer_key not in unlisted
            if passes(query.part, values, query.refused) and is_listed:
                yield definition_facts(definition)

    def _summary_rows(self, query: Query) -> Iterator[Facts]:
        for task in self._tasks(query):
            summary = self._world.summary(task)
            if summary is None:
                continue
            facts = summary_facts(summary)
            # A rule matches the row's definition, whichever was asked about.
            key = task.definition.customer_key
            about = replace(query.call, customer_keys=[key] if key else [])
            for options in self._switches.options_of("rows_say", about):
                facts = {**facts, **options["properties"]}
            yield facts

    def _tasks(self, query: Query) -> list[Task]:
        tasks = []
        for task in self._world.tasks(query.mids):
            values = {
                "TaskResultID": str(task.task_id),
                "ImportDefinitionCustomerKey": task.definition.customer_key,
            }
            if passes(query.part, values, query.refused):
                tasks.append(task)
        return tasks


def definition_facts(definition: Definition) -> Facts:
    """Every property of a definition by its requested name."""
    destination = definition.destination
    facts: dict[str, str | int | bool | None] = {
        "Client.ID": definition.mid,
        "Client.ClientID1": definition.mid,
        "ObjectID": definition.object_id,
        "CustomerKey": definition.customer_key,
        "Name": definition.name,
        "Description": definition.description,
        "FileSpec": definition.file_spec,
        "FileType": definition.file_type,
        "Delimiter": definition.delimiter,
        "HeaderLines": 1,
        "StandardQuotedStrings": True,
        "EndOfLineRepresentation": None,
        "NullRepresentation": None,
        "RetrieveFileTransferLocation.ObjectID": made_id(definition.mid, "location"),
        "RetrieveFileTransferLocation.CustomerKey": ENHANCED_FTP,
        "AllowErrors": definition.allow_errors,
        "FieldMappingType": definition.field_mapping,
        "UpdateType": definition.update_type,
        "Notification.ResponseType": "email" if definition.notify else "None",
        "Notification.ResponseAddress": definition.notify or "",
        "MaxFileAge": definition.max_file_age_hours,
        "MaxFileAgeScheduleOffset": 0,
        "MaxImportFrequency": 0,
        "DateFormattingLocale.LocaleCode": definition.locale,
    }
    if destination:
        facts["DestinationObject"] = destination.kind
        facts["DestinationObject.ID"] = destination.list_id
        facts["DestinationObject.ObjectID"] = destination.object_id
    return facts


def summary_facts(summary: Summary) -> Facts:
    """Every property of a summary; counts and dates it has not are None."""
    task = summary.task
    definition, destination = task.definition, task.definition.destination
    return {
        "Client.ID": definition.mid,
        "ObjectID": made_id("summary", task.task_id),
        "ImportDefinitionCustomerKey": definition.customer_key,
        "StartDate": vendor_text(task.started_at),
        "EndDate": vendor_text(summary.finished_at),
        "DestinationID": (destination.key or destination.list_id)
        if destination
        else None,
        "ImportType": definition.import_type,
        "ImportStatus": summary.phase,
        "TaskResultID": task.task_id,
        "TotalRows": summary.total,
        "NumberSuccessful": summary.successful,
        "NumberDuplicated": summary.duplicated,
        "NumberErrors": summary.errors,
    }


def vendor_text(at: datetime | None) -> str | None:
    """US style text in the vendor's zone: 10/27/2009 12:27:51 PM."""
    if at is None:
        return None
    local = at.astimezone(VENDOR_ZONE)
    clock = local.strftime("%I:%M:%S %p").removeprefix("0")
    return f"{local.month}/{local.day}/{local.year} {clock}"


def result(
    object_type: str, facts: Facts, properties: Collection[str]
) -> etree._Element:
    """One Results element with what was asked for, in the schema's order.

    ObjectID and PartnerKey are nil where they were not asked for or are unknown;
    anything else unknown is left out. `IsPlatformObject` is in no WSDL, and real
    answers of other types have it all the same.
    """
    element = message("Results")
    element.set(TYPE, object_type)
    for name in PROPERTIES[object_type]:
        value = facts.get(name) if name in properties else None
        outer, dot, inner = name.rpartition(".")
        if dot:
            if name in properties:
                _add_nested(element, outer, inner, value, facts.get(outer))
        elif value is not None:
            add(element, name, value)
        elif name in ("ObjectID", "PartnerKey"):
            add(element, name).set(NIL, "true")
        if name == LAST_OF_BASE[object_type]:
            add(element, "IsPlatformObject", False)
    return element


def _add_nested(
    element: etree._Element,
    outer: str,
    inner: str,
    value: str | int | bool | None,
    xsi_type: str | int | bool | None,
) -> None:
    """Set the inner value where the schema has its place, in a nest made for it."""
    if value is None and xsi_type is None:
        return
    nest = element.find(tag(outer))
    if nest is None:
        nest = add(element, outer)
        if xsi_type is not None:
            nest.set(TYPE, str(xsi_type))
        if outer not in PLAIN_TYPES:
            add(nest, "PartnerKey").set(NIL, "true")
            add(nest, "ObjectID").set(NIL, "true")
    if value is None:
        return
    name = "ID" if outer == "Client" else inner
    child = nest.find(tag(name))
    if child is not None:
        child.attrib.pop(NIL, "")
        child.text = str(value)
        return
    child = add(nest, name, value)
    if name == "ID" and outer not in PLAIN_TYPES:
        nest.insert(1, child)  # between PartnerKey and ObjectID
