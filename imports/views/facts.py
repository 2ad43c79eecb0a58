"""A definition's facts in plain words."""

from __future__ import annotations

from typing import Any

from imports.models import ImportDefinition

HOW = {
    "addandupdate": ("Add and update", "adding new rows and updating known ones"),
    "addanddonotupdate": ("Add only", "adding new rows and leaving known ones alone"),
    "updatebutdonotadd": ("Update only", "updating known rows and adding none"),
    "overwrite": ("Overwrite", "replacing all rows"),
    "merge": ("Merge", "merging rows"),
    "columnbased": ("Column based", "doing what a column of the file says, per row"),
}
NAMES = {
    "ObjectID": "Object ID",
    "CustomerKey": "Customer key",
    "Client.ClientID1": "Business unit (MID)",
    "FileSpec": "File pattern",
    "FileType": "File type",
    "HeaderLines": "Header lines",
    "AllowErrors": "Row errors",
    "FieldMappingType": "Field mapping",
    "UpdateType": "Update type",
    "MaxFileAge": "Oldest file (hours)",
    "MaxFileAgeScheduleOffset": "Oldest file, schedule offset (hours)",
    "MaxImportFrequency": "Shortest time between imports (hours)",
    "DestinationObject.ID": "Destination list",
    "DestinationObject.ObjectID": "Destination data extension",
    "Notification.ResponseType": "Notification",
    "Notification.ResponseAddress": "Notification goes to",
    "RetrieveFileTransferLocation.ObjectID": "File location",
    "EndOfLineRepresentation": "Line break inside a field",
    "NullRepresentation": "Empty value",
    "StandardQuotedStrings": "Double quotes qualify texts",
    "DateFormattingLocale.LocaleCode": "Date format",
}


def update_type_word(update_type: str) -> str:
    """The update type as Marketing Cloud's own pages call it."""
    word, _ = HOW.get(update_type.casefold(), (update_type, ""))
    return word


def tolerates_errors(definition: ImportDefinition) -> bool | None:
    """Whether row errors let the import go on; None where it is not known."""
    known = {"true": True, "false": False}
    return known.get(str(definition.facts.get("AllowErrors", "")).casefold())


def definition_in_words(definition: ImportDefinition) -> list[str]:
    """What it does, in sentences."""
    _, how = HOW.get(definition.update_type.casefold(), ("", ""))
    source = definition.file_spec or "a file whose pattern is not known"
    goal = f" into {definition.destination}" if definition.destination else ""
    sentences = [f"Loads {source}{goal}{', ' + how if how else ''}."]
    match tolerates_errors(definition):
        case True:
            sentences.append("Rows with errors are left out and the rest is loaded.")
        case False:
            sentences.append("It stops at the first row with an error.")
    return sentences


def facts_of(definition: ImportDefinition) -> list[tuple[str, Any]]:
    """Every retrieved fact under a readable name, in the order of the list above."""
    order = {name: position for position, name in enumerate(NAMES)}
    names = sorted(definition.facts, key=lambda n: (order.get(n, len(order)), n))
    return [(NAMES.get(name, name), definition.facts[name]) for name in names]


def changes(old: dict[str, Any], new: dict[str, Any]) -> list[tuple[str, Any, Any]]:
    """What differs between two versions: name, before, after."""
    names = [name for name in {**old, **new} if old.get(name) != new.get(name)]
    return [(NAMES.get(n, n), old.get(n), new.get(n)) for n in sorted(names)]
