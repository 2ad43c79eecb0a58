"""A definition in plain words: its facts, what changed, what a start of it would do."""

from __future__ import annotations

import re
from typing import Any, NamedTuple

from django.utils.text import capfirst

from imports.models import Account, ImportDefinition, ImportRun
from imports.wording.formats import UNKNOWN, day_text, middle_html

# The vendor's update types: the word of Marketing Cloud's own pages, how rows are
# loaded, and what a start does.
UPDATE_TYPES = {
    "addandupdate": (
        "Add and update",
        "adding new rows and updating existing ones",
        "adds new rows to {goal} and updates existing ones",
    ),
    "addanddonotupdate": (
        "Add only",
        "adding new rows without changing existing ones",
        "adds new rows to {goal}; existing rows aren’t changed",
    ),
    "updatebutdonotadd": (
        "Update only",
        "updating existing rows and adding none",
        "updates existing rows of {goal} and adds none",
    ),
    "overwrite": ("Overwrite", "replacing all rows", "replaces every row of {goal}"),
    "merge": ("Merge", "merging rows", "merges rows into {goal}"),
    "columnbased": (
        "Column based",
        "doing what a column of the file says, per row",
        "adds, updates or deletes each row of {goal} as a column of the file says",
    ),
}
# The vendor's names of facts as people read them, in the order of the page.
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
YES_NO = {"true": "yes", "false": "no"}
VALUES = {
    "AllowErrors": {"true": "left out, the rest is loaded", "false": "stop the import"},
    "FieldMappingType": {
        "inferfromcolumnheadings": "by column headings",
        "mapbyordinal": "by position",
        "manualmap": "by hand",
    },
    "UpdateType": {name: word for name, (word, _, _) in UPDATE_TYPES.items()},
}
KINDS = {"data extensions": "data extension", "subscriber list": "list"}
GUID = re.compile(r"[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}", re.IGNORECASE)


# Facts


def facts_of(definition: ImportDefinition) -> list[tuple[str, str]]:
    """Every fact under a readable name, in the order of NAMES."""
    facts = definition.facts
    names = [name for name in NAMES if name in facts]
    # but for those that head every page about a definition
    names += sorted(set(facts) - {*NAMES, "Name", "Description"})
    return [(NAMES.get(name, name), _fact_text(name, facts[name])) for name in names]


def _fact_text(name: str, value: Any) -> str:
    text = "" if value is None else str(value)
    return VALUES.get(name, YES_NO).get(text.casefold(), text) or UNKNOWN


def changes(
    old: dict[str, Any], new: dict[str, Any], account: Account
) -> list[tuple[str, Any, Any]]:
    """What differs between two versions: name, before, after."""

    def text(name: str, facts: dict[str, Any]) -> str:
        # what the account did not let us read is not said to be empty
        if name not in facts and account.refuses_property("ImportDefinition", name):
            return "not readable"
        return _fact_text(name, facts.get(name))

    names = [name for name in {**old, **new} if old.get(name) != new.get(name)]
    return [(NAMES.get(n, n), text(n, old), text(n, new)) for n in sorted(names)]


def fact(run: ImportRun, name: str) -> str:
    """A fact of the run's definition by the vendor's name; empty if not known."""
    return str(run.definition.facts.get(name, "")) if run.definition else ""


def tolerates_errors(definition: ImportDefinition) -> bool | None:
    """Whether row errors let the import go on; None where it is not known."""
    allowed = str(definition.facts.get("AllowErrors", "")).casefold()
    return allowed == "true" if allowed in YES_NO else None


def update_type_word(update_type: str) -> str:
    """The update type as Marketing Cloud's own pages call it."""
    return UPDATE_TYPES.get(update_type.casefold(), (update_type,))[0]


# From where, and into what


class Destination(NamedTuple):
    """What a definition loads into; empty as far as Marketing Cloud didn't say."""

    kind: str  # "data extension", "list" or another
    name: str

    def __str__(self) -> str:
        kind = capfirst(self.kind)
        if self.name.isdecimal():
            return f"{kind} {self.name}".strip()
        return self.name or kind or UNKNOWN

    @property
    def in_words(self) -> str:
        """For the middle of a sentence: "the data extension price_list"."""
        if self.name:
            return f"the {self.kind} {self.name}" if self.kind else self.name
        return f"a {self.kind}" if self.kind else ""


def destination_of(definition: ImportDefinition) -> Destination:
    """What `definition`, read by `with_destination()`, loads into."""
    by_definition = definition.destination
    kind = definition.result_type or ""  # type: ignore[attr-defined]  # annotated
    kind = KINDS.get(kind.casefold(), kind)
    # no result has told it yet: only a data extension has a GUID, a list a number
    if not kind and GUID.fullmatch(by_definition):
        kind = "data extension"
    elif not kind and by_definition.isdecimal():
        kind = "list"
    names = (definition.result_destination, by_definition)  # type: ignore[attr-defined]  # annotated
    # a GUID tells a reader nothing
    known = [name for name in names if name and not GUID.fullmatch(name)]
    return Destination(kind, known[0] if known else "")


def source_of(definition: ImportDefinition) -> str:
    """Where the file is looked for, by name; empty where there is only an id."""
    location = _location(definition)
    return "" if GUID.fullmatch(location) else location


def _location(definition: ImportDefinition) -> str:
    names = ("CustomerKey", "ObjectID")
    values = [definition.facts.get(f"RetrieveFileTransferLocation.{n}") for n in names]
    return str(next(filter(None, values), ""))


# What a start would do


class Effect(NamedTuple):
    """What the dialog says that a start does, and whether to take care."""

    sentence: str
    detail: str
    is_careful: bool


def effect(definition: ImportDefinition, last: ImportRun | None) -> Effect:
    """What starting `definition` does; `last` is its last successful run."""
    goal = destination_of(definition).in_words or "its destination"
    kind = definition.update_type
    # an update type that we don't know can do anything to its rows
    other = (kind or "Update type not known", "", "changes rows of {goal}")
    word, _, does = UPDATE_TYPES.get(kind.casefold(), other)
    detail = ""
    if last and last.total_rows is not None:
        when = day_text(last.began_at)
        detail = f"Last successful run: {last.total_rows:,} rows, {when}."
    elif definition.replaces_rows:
        detail = "Row count unknown: there’s no successful run on record."
    sentence = f"{word}: {does.format(goal=goal)}."
    return Effect(sentence, detail, is_careful=definition.replaces_rows)


def facts_in_short(definition: ImportDefinition) -> list[tuple[str, str]]:
    """The five facts that tell what is loaded, from where, into what and how."""
    location = _location(definition)
    if GUID.fullmatch(location):  # an id of theirs, which has no name here
        location = f"File location {location[:8]}…"
    on_errors = {True: "Tolerated", False: "Stop the import", None: ""}
    return [
        ("Loads", middle_html(definition.file_spec, 34)),
        ("From", location),
        ("Into", str(destination_of(definition))),
        ("How", update_type_word(definition.update_type)),
        ("Row errors", on_errors[tolerates_errors(definition)]),
    ]
