"""A run in Marketing Cloud's own words, and the same as text for its support."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta, timezone

from imports.models import ImportRun
from imports.templatetags.times import clock_name
from imports.views.advice import their_words

FORMAT = "%Y-%m-%d %H:%M:%S"
# What their support asks for first: said even where it is not known.
IDS = ("Request", "TaskResultID", "Customer key")
NOT_KNOWN = "not known"


def details_of(run: ImportRun) -> list[tuple[str, str]]:
    """What Marketing Cloud said, verbatim, by its own names; what it did not say is
    left out.
    """
    clock = clock_name(run.account.clock_offset_minutes)
    facts = (
        ("ImportStatus", run.phase),
        ("TaskResultID", run.task_id or ""),
        ("Customer key", run.customer_key),
        ("Request", run.request_id),
        ("StartDate", _date(run.start_text, run.started_at, clock)),
        ("EndDate", _date(run.end_text, run.finished_at, clock)),
        ("ImportType", run.import_type),
        ("DestinationID", run.destination_id),
        ("Error code", run.error_code),
        ("Message", their_words(run)),
    )
    return [(name, value) for name, value in facts if value]


def _date(text: str, moment: datetime | None, clock: str) -> str:
    """Marketing Cloud's date, and where mcdash does not go by it, that."""
    if not text:
        return ""
    return (
        f"{text} {clock}{'' if moment else ' (not used: unreadable or not possible)'}"
    )


def support_text(run: ImportRun) -> str:
    """All that Marketing Cloud's support asks for, times on both clocks."""
    moments = (
        ("Queued", run.queued_at),
        ("Sent", run.sent_at),
        ("Answered", run.answered_at),
        ("Started", run.started_at),
        ("Ended", run.finished_at),
    )
    head = [
        ("Business unit (MID)", run.account.known_mid or NOT_KNOWN),
        ("Run in mcdash", f"{run.pk}, {run.get_status_display().lower()}"),
        *(dict.fromkeys(IDS, NOT_KNOWN) | dict(details_of(run))).items(),
    ]
    offset = run.account.clock_offset_minutes
    times = [(name, _both_clocks(at, offset)) for name, at in moments if at]
    return "\n".join(f"{name}: {value}" for name, value in [*head, *times] if value)


def _both_clocks(moment: datetime, offset_minutes: int) -> str:
    theirs = moment.astimezone(timezone(timedelta(minutes=offset_minutes)))
    return (
        f"{moment.astimezone(UTC):{FORMAT}} UTC "
        f"({theirs:{FORMAT}} {clock_name(offset_minutes)})"
    )
