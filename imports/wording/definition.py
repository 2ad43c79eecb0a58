"""A definition's facts in plain words."""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import Any

from django.db.models import OuterRef, QuerySet, Subquery
from django.utils import dateformat, timezone

from imports.models import Account, ImportDefinition, ImportRun
from imports.models.definition import STRIP_LENGTH
from imports.wording.formats import middle_html
from imports.wording.status import SUCCESSFUL

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
HEADING = ("Name", "Description")
MAPPINGS = {
    "inferfromcolumnheadings": "by column headings",
    "mapbyordinal": "by position",
    "manualmap": "by hand",
}
YES_NO = {"true": "yes", "false": "no"}
ERRORS = {"true": "left out, the rest is loaded", "false": "stop the import"}
WORDS = {"AllowErrors": ERRORS, "FieldMappingType": MAPPINGS}


def update_type_word(update_type: str) -> str:
    """The update type as Marketing Cloud's own pages call it."""
    word, _ = HOW.get(update_type.casefold(), (update_type, ""))
    return word


def tolerates_errors(definition: ImportDefinition) -> bool | None:
    """Whether row errors let the import go on; None where it is not known."""
    known = {"true": True, "false": False}
    return known.get(str(definition.facts.get("AllowErrors", "")).casefold())


@dataclass(frozen=True, kw_only=True, slots=True)
class Destination:
    """What a definition loads into: "data extension", "list" or another kind, and
    its name; empty as far as Marketing Cloud did not tell.
    """

    kind: str
    name: str

    def __str__(self) -> str:
        kind = self.kind[:1].upper() + self.kind[1:]
        if self.name.isdecimal():
            return f"{kind} {self.name}".strip()
        return self.name or kind or "–"

    @property
    def in_words(self) -> str:
        """For the middle of a sentence: "the data extension price_list"."""
        if self.name:
            return f"the {self.kind} {self.name}" if self.kind else self.name
        return f"a {self.kind}" if self.kind else ""


KINDS = {"data extensions": "data extension", "subscriber list": "list"}
GUID = re.compile(r"[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}", re.IGNORECASE)


def with_destination(
    definitions: QuerySet[ImportDefinition],
) -> QuerySet[ImportDefinition]:
    """`definitions` with what their latest result says of the destination.

    A definition gives an id that no person knows; a result gives the key.
    """
    told = ImportRun.objects.filter(definition=OuterRef("pk")).exclude(import_type="")
    latest = told.latest_first()
    return definitions.annotate(
        result_destination=Subquery(latest.values("destination_id")[:1]),
        result_type=Subquery(latest.values("import_type")[:1]),
    )


def destination_of(definition: ImportDefinition) -> Destination:
    """What `definition` loads into; one query unless `with_destination` was used."""
    if not hasattr(definition, "result_type"):
        found = with_destination(ImportDefinition.objects.filter(pk=definition.pk))
        definition = found.get()
    kind = getattr(definition, "result_type", None) or ""
    kind = KINDS.get(kind.casefold(), kind) or _kind_by_id(definition.destination)
    names = (getattr(definition, "result_destination", None), definition.destination)
    known = [name for name in names if name and not GUID.fullmatch(name)]
    return Destination(kind=kind, name=known[0] if known else "")


def _kind_by_id(destination: str) -> str:
    if GUID.fullmatch(destination):
        return "data extension"
    return "list" if destination.isdecimal() else ""


def facts_of(definition: ImportDefinition) -> list[tuple[str, str]]:
    """Every retrieved fact under a readable name, in the order of the list above;
    without its name and its description, which head every page about it.
    """
    order = {name: position for position, name in enumerate(NAMES)}
    told = [name for name in definition.facts if name not in HEADING]
    names = sorted(told, key=lambda n: (order.get(n, len(order)), n))
    return [
        (NAMES.get(name, name), fact_text(name, definition.facts[name]))
        for name in names
    ]


def fact_text(name: str, value: Any) -> str:
    """A fact as people read it; a dash for what is empty."""
    text = "" if value is None else str(value)
    if name == "UpdateType":
        return update_type_word(text) or "–"
    words = WORDS.get(name, YES_NO)
    return words.get(text.casefold(), text) or "–"


NOT_READABLE = "not readable"


def changes(
    old: dict[str, Any], new: dict[str, Any], account: Account
) -> list[tuple[str, Any, Any]]:
    """What differs between two versions: name, before, after. What a version lacks
    since `account` did not let us read it is not said to be empty.
    """

    def text(name: str, facts: dict[str, Any]) -> str:
        if name not in facts and account.refuses_property("ImportDefinition", name):
            return NOT_READABLE
        return fact_text(name, facts.get(name))

    names = [name for name in {**old, **new} if old.get(name) != new.get(name)]
    return [(NAMES.get(n, n), text(n, old), text(n, new)) for n in sorted(names)]


def bars_of(definition: ImportDefinition) -> list[dict[str, Any]]:
    """The strip of `definition`: its last ends, then the run that is under way."""
    last = definition.last_run
    under_way = [last.as_bar()] if last and last.is_active else []
    return [*definition.strip, *under_way][-STRIP_LENGTH:]


# What a start would do, in words that name object and effect.


__all__ = [
    "Effect",
    "effect",
    "error_mail",
    "fact",
    "facts_in_short",
    "last_good_run",
    "max_file_age",
    "source_of",
    "tolerates_errors",
]

# By update type: what is done to the destination.
DOES = {
    "addandupdate": "adds new rows to {goal} and updates known ones",
    "addanddonotupdate": "adds new rows to {goal} and leaves known ones alone",
    "updatebutdonotadd": "updates known rows of {goal} and adds none",
    "overwrite": "replaces every row of {goal}",
    "merge": "merges rows into {goal}",
    "columnbased": "adds, updates or deletes each row of {goal} as a column of the "
    "file says",
}
PATTERN_LENGTH = 34
ON_ERRORS = {True: "Tolerated", False: "Stop the import"}


@dataclass(frozen=True, kw_only=True, slots=True)
class Effect:
    """The dialog's sentence, how much it replaces, and whether to take care."""

    sentence: str
    detail: str
    is_careful: bool


def fact(run: ImportRun, name: str) -> str:
    """A fact of the run's definition by the vendor's name; empty if not known."""
    return str(run.definition.facts.get(name, "")) if run.definition else ""


def error_mail(run: ImportRun) -> str:
    """Where Marketing Cloud mails the end of the import to, if it does."""
    return fact(run, "Notification.ResponseAddress")


def max_file_age(run: ImportRun) -> str:
    """The oldest file (hours) that the definition takes; empty if any."""
    age = fact(run, "MaxFileAge")
    return age if age.isdecimal() and int(age) else ""


def last_good_run(definition: ImportDefinition) -> ImportRun | None:
    """The last run that ended well and counted its rows."""
    counted = definition.runs.filter(status__in=SUCCESSFUL).exclude(total_rows=None)
    return counted.latest_first().first()


def effect(definition: ImportDefinition, last: ImportRun | None) -> Effect:
    """What starting `definition` does to its destination; `last` is its last run
    that ended well.
    """
    goal = destination_of(definition).in_words or "its destination"
    word = update_type_word(definition.update_type) or "Update type not known"
    does = DOES.get(definition.update_type.casefold(), "changes rows of {goal}")
    return Effect(
        sentence=f"{word}: {does.format(goal=goal)}.",
        detail=_last_rows(last, is_careful=definition.replaces_rows),
        is_careful=definition.replaces_rows,
    )


def _last_rows(last: ImportRun | None, *, is_careful: bool) -> str:
    if last is None or last.total_rows is None:
        unknown = "How many rows that is, is not known: no good run is in the history."
        return unknown if is_careful else ""
    began = timezone.localtime(last.began_at)
    today = timezone.localdate()
    day = {0: "today", 1: "yesterday"}.get((today - began.date()).days)
    at = f"{day} {began:%H:%M}" if day else dateformat.format(began, "D j M, H:i")
    return f"{last.total_rows:,} rows at the last good run, {at}."


def facts_in_short(definition: ImportDefinition) -> list[tuple[str, str]]:
    """The five facts that tell what is loaded, from where, into what and how."""
    tolerated = tolerates_errors(definition)
    return [
        ("Loads", middle_html(definition.file_spec, PATTERN_LENGTH)),
        ("From", _source(definition)),
        ("Into", str(destination_of(definition))),
        ("How", update_type_word(definition.update_type)),
        ("Row errors", ON_ERRORS[tolerated] if tolerated is not None else ""),
    ]


def _source(definition: ImportDefinition) -> str:
    """The file location; an id of MC's own is given as such, it has no name here."""
    found = _location(definition)
    return f"File location {found[:8]}…" if GUID.fullmatch(found) else found


def source_of(definition: ImportDefinition) -> str:
    """Where the file is looked for, by name; empty where there is only an id."""
    found = _location(definition)
    return "" if GUID.fullmatch(found) else found


def _location(definition: ImportDefinition) -> str:
    key = definition.facts.get("RetrieveFileTransferLocation.CustomerKey")
    return str(
        key or definition.facts.get("RetrieveFileTransferLocation.ObjectID") or ""
    )
