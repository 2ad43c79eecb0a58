"""What Retrieve can be asked for, which rows pass its filter, and how a row looks."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from itertools import groupby

from lxml import etree

from imports.sandbox.catalogue import Facts
from imports.sandbox.envelopes import text_of, texts_of, type_of

# What each type gives, in the schema's order.
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
SUMMARY_PROPERTIES = (
    "Client.ID", "PartnerKey", "ID", "ObjectID", "ImportDefinitionCustomerKey",
    "StartDate", "EndDate", "DestinationID", "NumberSuccessful", "NumberDuplicated",
    "NumberErrors", "TotalRows", "ImportType", "ImportStatus", "TaskResultID",
)
# fmt: on

PROPERTIES: Mapping[str, tuple[str, ...]] = {
    "ImportDefinition": DEFINITION_PROPERTIES,
    "ImportResultsSummary": SUMMARY_PROPERTIES,
}
FILTERS = {
    "ImportDefinition": ("CustomerKey", "ObjectID", "Name"),
    "ImportResultsSummary": ("TaskResultID", "ImportDefinitionCustomerKey"),
}
# what comes from the schema's base type APIObject; IsPlatformObject follows
BASE = ("Client", "PartnerKey", "ID", "ObjectID", "CustomerKey")


class RetrieveError(Exception):
    """What the server answers in OverallStatus, with HTTP 200."""


def check_properties(
    object_type: str, properties: list[str], refused: Collection[str]
) -> None:
    """Raise RetrieveError unless all of them can be asked for."""
    if object_type not in PROPERTIES:
        raise RetrieveError(
            f"Error: Unable to find a handler for object type: {object_type}. "
            "Object types are case-sensitive, check spelling."
        )
    known = set(PROPERTIES[object_type]).difference(refused)
    wrong = [name for name in properties if name not in known]
    if wrong or not properties:
        raise RetrieveError(
            f"Error: The Request Property(s) {', '.join(wrong)} do not match with "
            f"the fields of {object_type} retrieve"
        )


def read_filter(
    part: etree._Element | None, object_type: str, operators: Collection[str]
) -> tuple[str, list[str]] | None:
    """The property that is filtered by and the values that pass; None for no filter.

    `operators` are those of equals and IN that are allowed. Raises RetrieveError.
    """
    if part is None:
        return None
    if type_of(part) != "SimpleFilterPart":
        raise RetrieveError("Error: The filter has no usable type.")
    name, operator = text_of(part, "Property") or "", text_of(part, "SimpleOperator")
    if name not in FILTERS[object_type]:
        raise RetrieveError(f"Error: Invalid column name '{name}'.")
    if operator not in operators:
        raise RetrieveError(f"Error: The operator {operator} is not supported here.")
    values = texts_of(part, "Value")
    if not values or (operator == "equals" and len(values) != 1):
        raise RetrieveError(f"Error: The operator {operator} has a wrong value.")
    return name, values


def row_content(
    object_type: str, facts: Facts, properties: Collection[str]
) -> dict[str, object]:
    """One Results element with what was asked for, in the schema's order.

    ObjectID and PartnerKey are nil where they were not asked for; anything else
    unknown is left out. Real answers have `IsPlatformObject`, though no WSDL has.
    """
    row: dict[str, object] = {"@type": object_type}
    groups = groupby(PROPERTIES[object_type], lambda name: name.partition(".")[0])
    for outer, names in groups:
        if outer not in BASE:
            row.setdefault("IsPlatformObject", False)
        asked = {name: facts.get(name) for name in names if name in properties}
        if outer in PROPERTIES[object_type]:
            row[outer] = asked.get(outer)
            continue
        values = {name.partition(".")[2]: value for name, value in asked.items()}
        if outer == "Client":  # asked for as ClientID1, answered as ID
            values = {"ID": next(iter(values.values()), None)}
        xsi_type = facts.get(outer) if asked else None
        if xsi_type is None and all(value is None for value in values.values()):
            continue
        if outer not in ("Client", "Notification"):  # an API object, with keys
            keys = {"PartnerKey": None, "ID": values.pop("ID", None), "ObjectID": None}
            values = {"@type": xsi_type, **keys, **values}
        row[outer] = values
    return row
