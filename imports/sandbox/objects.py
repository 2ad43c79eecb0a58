"""Definitions and summaries as API objects: which properties, in which order."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from datetime import datetime, timedelta, timezone

from lxml import etree

from imports.sandbox.catalogue import ENHANCED_FTP, Definition, made_id
from imports.sandbox.responses import NIL, TYPE, add, message
from imports.sandbox.tasks import Summary

VENDOR_ZONE = timezone(timedelta(hours=-6))
"""The system's clock: Central Standard Time without daylight saving."""

Facts = Mapping[str, str | int | bool | None]

DEFINITION_PROPERTIES = (
    "Client.ID",
    "Client.ClientID1",
    "PartnerKey",
    "ObjectID",
    "CustomerKey",
    "Name",
    "Description",
    "AllowErrors",
    "DestinationObject.ID",
    "DestinationObject.ObjectID",
    "FieldMappingType",
    "FileSpec",
    "FileType",
    "Notification.ResponseType",
    "Notification.ResponseAddress",
    "RetrieveFileTransferLocation.ObjectID",
    "RetrieveFileTransferLocation.CustomerKey",
    "UpdateType",
    "MaxFileAge",
    "MaxFileAgeScheduleOffset",
    "MaxImportFrequency",
    "Delimiter",
    "HeaderLines",
    "EndOfLineRepresentation",
    "NullRepresentation",
    "StandardQuotedStrings",
    "DateFormattingLocale.LocaleCode",
)
"""What ImportDefinition gives, in the schema's order."""

SUMMARY_PROPERTIES = (
    "Client.ID",
    "PartnerKey",
    "ID",
    "ObjectID",
    "ImportDefinitionCustomerKey",
    "StartDate",
    "EndDate",
    "DestinationID",
    "NumberSuccessful",
    "NumberDuplicated",
    "NumberErrors",
    "TotalRows",
    "ImportType",
    "ImportStatus",
    "TaskResultID",
)
"""What ImportResultsSummary gives, in the schema's order."""

PROPERTIES: Mapping[str, tuple[str, ...]] = {
    "ImportDefinition": DEFINITION_PROPERTIES,
    "ImportResultsSummary": SUMMARY_PROPERTIES,
}
_PLAIN_TYPES = ("Client", "Notification")
"""Nested elements that are no API objects: they have no nil keys of their own."""


def definition_facts(definition: Definition) -> Facts:
    """Every property of a definition by its requested name."""
    return {
        **_identity(definition),
        **_file(definition),
        **_destination(definition),
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


def _identity(definition: Definition) -> Facts:
    return {
        "Client.ID": definition.mid,
        "Client.ClientID1": definition.mid,
        "ObjectID": definition.object_id,
        "CustomerKey": definition.customer_key,
        "Name": definition.name,
        "Description": definition.description,
    }


def _file(definition: Definition) -> Facts:
    return {
        "FileSpec": definition.file_spec,
        "FileType": definition.file_type,
        "Delimiter": definition.delimiter,
        "HeaderLines": 1,
        "StandardQuotedStrings": True,
        "EndOfLineRepresentation": None,
        "NullRepresentation": None,
        "RetrieveFileTransferLocation.ObjectID": made_id(definition.mid, "location"),
        "RetrieveFileTransferLocation.CustomerKey": ENHANCED_FTP,
    }


def _destination(definition: Definition) -> Facts:
    destination = definition.destination
    if destination is None:
        return {}
    return {
        "DestinationObject": destination.kind,
        "DestinationObject.ID": destination.list_id,
        "DestinationObject.ObjectID": destination.object_id,
    }


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
        **_counts(summary),
    }


def _counts(summary: Summary) -> Facts:
    return {
        "TotalRows": summary.total,
        "NumberSuccessful": summary.successful,
        "NumberDuplicated": summary.duplicated,
        "NumberErrors": summary.errors,
    }


def vendor_text(moment: datetime | None) -> str | None:
    """US style text in the vendor's zone: 10/27/2009 12:27:51 PM."""
    if moment is None:
        return None
    local = moment.astimezone(VENDOR_ZONE)
    clock = local.strftime("%I:%M:%S %p").removeprefix("0")
    return f"{local.month}/{local.day}/{local.year} {clock}"


def result(object_type: str, facts: Facts, asked: Collection[str]) -> etree._Element:
    """One Results element with what was asked for, in the schema's order.

    ObjectID and PartnerKey are nil where they were not asked for or are unknown;
    anything else unknown is left out. `IsPlatformObject` is in no WSDL, and real
    answers of other types have it all the same.
    """
    wanted = {"ObjectID", "PartnerKey", *asked}
    element = message("Results")
    element.set(TYPE, object_type)
    for name in PROPERTIES[object_type]:
        if name in wanted:
            value = facts.get(name) if name in asked else None
            _place(element, name, value, facts)
        if name == _LAST_OF_BASE[object_type]:
            add(element, "IsPlatformObject", False)
    return element


_LAST_OF_BASE = {"ImportDefinition": "CustomerKey", "ImportResultsSummary": "ObjectID"}


def _place(
    element: etree._Element, name: str, value: str | int | bool | None, facts: Facts
) -> None:
    outer, dot, inner = name.rpartition(".")
    if dot:
        _place_inside(element, outer, inner, value, facts)
    elif value is not None:
        add(element, name, value)
    elif name in ("ObjectID", "PartnerKey"):
        add(element, name).set(NIL, "true")


def _place_inside(
    element: etree._Element,
    outer: str,
    inner: str,
    value: str | int | bool | None,
    facts: Facts,
) -> None:
    if value is None and facts.get(outer) is None:
        return
    nest = element.find(f"{{*}}{outer}")
    if nest is None:
        nest = _nest(element, outer, facts.get(outer))
    _fill(nest, "ID" if outer == "Client" else inner, value)


def _nest(
    element: etree._Element, outer: str, xsi_type: str | int | bool | None
) -> etree._Element:
    nest = add(element, outer)
    if xsi_type is not None:
        nest.set(TYPE, str(xsi_type))
    if outer not in _PLAIN_TYPES:
        add(nest, "PartnerKey").set(NIL, "true")
        add(nest, "ObjectID").set(NIL, "true")
    return nest


def _fill(nest: etree._Element, inner: str, value: str | int | bool | None) -> None:
    """Set the inner value where the schema has its place."""
    if value is None:
        return
    present = nest.find(f"{{*}}{inner}")
    if present is not None:
        present.attrib.pop(NIL, "")
        present.text = str(value)
        return
    before_object_id = inner == "ID" and len(nest) > 1
    child = add(nest, inner, value)
    if before_object_id:
        nest.insert(1, child)
