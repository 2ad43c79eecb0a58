"""What a start would do, in words that name object and effect."""

from __future__ import annotations

from dataclasses import dataclass

from django.utils import dateformat, timezone

from imports.models import ImportDefinition, ImportRun, RunStatus
from imports.templatetags.texts import middle_html
from imports.views.facts import GUID, destination_of, tolerates_errors, update_type_word

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
    good = (RunStatus.COMPLETED, RunStatus.COMPLETED_WITH_ERRORS)
    counted = definition.runs.filter(status__in=good).exclude(total_rows=None)
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
