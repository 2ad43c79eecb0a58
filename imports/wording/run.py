"""A run in words: its cause and what to check, its details, and the run before."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from datetime import timezone as offset_zone
from functools import partial
from string import Formatter
from typing import Any, NamedTuple

from django.utils import timezone
from django.utils.text import capfirst

from imports.models import FINISHED, GIVEN_UP, ImportRun, RunStatus
from imports.reasons import VENDOR_CODES
from imports.usecases.resolve import grace_ends_at
from imports.wording import formats
from imports.wording.causes import MENDED_FIRST, REFUSED, TABLE, Cause
from imports.wording.definition import fact, source_of, tolerates_errors
from imports.wording.formats import clock_name, clock_text, count_text, rows_text

LONGEST_WORDS = 240
TOLERANCE = {
    True: "The definition tolerates row errors: Marketing Cloud leaves out what it "
    "cannot accept and loads the rest.",
    False: "The definition does not tolerate row errors: it stops at the first one.",
}
REPEAT = {
    "overwrite": " It replaces every row.",
    "addandupdate": " Rows that are loaded already are updated, not doubled.",
    "addanddonotupdate": " Rows that are loaded already are left alone.",
}
LEAVES_ROWS = ("addanddonotupdate", "updatebutdonotadd")
# Every {name} of the table of causes; None where it is not known.
Facts = dict[str, str | None]


class Advice(NamedTuple):
    """What a run's page says about it; `words` are Marketing Cloud's, verbatim."""

    cause: str
    title: str
    known: tuple[str, ...]
    words: str
    check: tuple[str, ...]


@dataclass(frozen=True, kw_only=True, slots=True)
class Surroundings:
    """What is known beside the run itself."""

    # tasks that the last look found and that it may be
    candidates: int = 0
    previous: ImportRun | None = None
    # whether the reader can say that it did not start, and who said so
    can_declare: bool = False
    declared_by: str = ""
    is_followed: bool = True


def cause_of(run: ImportRun, around: Surroundings) -> Cause | None:
    """The first row of the table that fits; None where nothing is to be explained."""
    total, errors = run.total_rows, run.errors
    traits = {
        "counted": bool(total),
        "zero_rows": total == 0,
        "all_errors": bool(total and errors and errors >= total),
        "some_errors": bool(total and errors),
        "none_loaded": bool(total) and run.successful == 0,
        "open_counts": run.are_counts_open,
        "rows_unaccounted": bool(run.unaccounted_rows),
        "no_phase": not run.phase,
        "keyless": not run.customer_key,
        "several": around.candidates > 1,
    }
    for row in TABLE:
        is_of_run = row.status == run.status and row.reason in (None, run.reason)
        if is_of_run and all(traits[name] for name in row.traits):
            return row
    return None


def cause(run: ImportRun, *, candidates: int = 0) -> str:
    """How the run stands, in one sentence; Marketing Cloud's words are quoted once."""
    around = Surroundings(candidates=candidates)
    row = cause_of(run, around)
    if row is None:
        return ""
    title, words = _fill(row.headline, _facts(run, around)), run.vendor_message
    if row.reason not in REFUSED or not words:
        return title
    cut = words if len(words) <= LONGEST_WORDS else f"{words[:LONGEST_WORDS]}…"
    return f"{title.removesuffix('.')}: “{cut}”"


def is_to_be_mended(run: ImportRun) -> bool:
    """Whether something must be put right first for another start to end better."""
    row = cause_of(run, Surroundings())
    return row is not None and row.name in MENDED_FIRST


def advice(run: ImportRun, around: Surroundings) -> Advice | None:
    """What the run's page says about it; None where there is nothing to explain."""
    row = cause_of(run, around)
    if row is None:
        return None
    filled = partial(_fill, facts=_facts(run, around))
    title = filled(row.headline)
    known = tuple(map(filled, (*row.known, "{code}")))
    return Advice(
        cause=row.name,
        title=title,
        known=tuple(text for text in known if text not in ("", title)),
        words=run.vendor_message,
        check=tuple(filter(None, map(filled, row.check))),
    )


def _fill(sentence: str, facts: Facts) -> str:
    """The sentence with its facts; empty where one of them is not known."""
    names = [name for _, name, _, _ in Formatter().parse(sentence) if name]
    # better no sentence than one with a gap
    has_gap = any(facts[name] is None for name in names)
    return "" if has_gap else sentence.format_map(facts)


def _facts(run: ImportRun, around: Surroundings) -> Facts:
    code, definition, message = run.error_code, run.definition, run.message
    meaning = f", {VENDOR_CODES[code].meaning}" if code in VENDOR_CODES else ""
    pattern = definition.file_spec if definition else ""
    kind = fact(run, "UpdateType") or (definition.update_type if definition else "")
    kind, age = kind.casefold(), fact(run, "MaxFileAge")
    return {
        **_count_facts(run),
        **_waiting_facts(run, around),
        **_previous_facts(run, around.previous),
        "candidates": count_text(around.candidates),
        "code": code and f"Marketing Cloud’s error code is {code[:80]}{meaning}.",
        "declared_by": around.declared_by or None,
        "mail": fact(run, "Notification.ResponseAddress") or None,
        "file": f"a file that fits {pattern}" if pattern else "its file",
        "place": (definition and source_of(definition)) or "its file location",
        # 0: a file of any age
        "age": age if age.isdecimal() and int(age) else None,
        "repeat": REPEAT.get(kind, ""),
        "leaves_rows": "" if kind in LEAVES_ROWS else None,
        "replaces": "" if kind == "overwrite" else None,
        "looks": str(run.looks),
        # with Marketing Cloud's words, which are shown, ours would say them twice
        "message": message if message and not run.vendor_message else None,
        "phase": run.phase or "not reported",
        "task": run.task_id or "–",
    }


def _count_facts(run: ImportRun) -> Facts:
    tolerant = tolerates_errors(run.definition) if run.definition else None
    counted = None
    if run.total_rows is not None:
        parts = ", ".join(formats.counted(run, "with errors"))
        counted = f"It counted {rows_text(run.total_rows)}{parts and ': '}{parts}."
    # what became of the rows that were not rejected; empty where that is not known
    unaccounted, rest = run.counts.unaccounted, ""
    if unaccounted == 0:
        rest = f"; the rest is loaded{' or duplicate' if run.duplicated else ''}"
    elif unaccounted:
        rest = f"; {rows_text(unaccounted)} unaccounted for"
    return {
        "rows": count_text(run.total_rows),
        "errors": count_text(run.errors),
        "share": formats.share_text(run.errors, run.total_rows),
        "counted": counted,
        "problem": capfirst(formats.problem_text(run.counts)) or None,
        "rest": rest,
        "tolerance": None if tolerant is None else TOLERANCE[tolerant],
    }


def _waiting_facts(run: ImportRun, around: Surroundings) -> Facts:
    facts: Facts = dict.fromkeys(("settles_at", "overdue", "last_look", "late_result"))
    if run.status == RunStatus.UNKNOWN:
        settles_at, looked_at = grace_ends_at(run), run.last_checked_at
        if settles_at > timezone.now():
            facts["settles_at"] = clock_text(settles_at)
        else:
            facts["overdue"] = ""
        if looked_at and not around.candidates:
            looked = f"mcdash last looked for it at {clock_text(looked_at)}"
            facts["last_look"] = f"{looked} and found no trace."
    elif run.reason in GIVEN_UP:
        facts["late_result"] = (
            "If a result appears within 24 hours, it’s added to this run."
            if run.customer_key
            else "If it ran after all, it enters the history as started outside."
        )
    return facts | {
        "sent_at": clock_text(run.sent_at),
        "by_itself": "" if around.is_followed else None,
        "may_say": "" if around.can_declare else None,
    }


def _previous_facts(run: ImportRun, previous: ImportRun | None) -> Facts:
    length = changed = None
    if previous is not None:
        this, that = run.total_rows, previous.total_rows
        # only where they are so alike that it tells something
        if this and that and abs(this - that) <= 0.05 * that:
            alike = f"about as long as the previous one ({this - that:+,} rows)"
            length = "exactly as long as the previous one" if this == that else alike
        versions = {run.definition_version_id, previous.definition_version_id}
        if None not in versions and len(versions) > 1:
            began = f"that of {clock_text(previous.began_at)}"
            changed = f"The definition was changed after the previous run, {began}."
    values = None if length else ""
    return {"length": length, "values": values, "changed": changed}


def details_of(run: ImportRun) -> list[tuple[str, str]]:
    """What Marketing Cloud said, verbatim, by its own names."""
    clock = clock_name(run.account.clock_offset_minutes)

    def dated(text: str, moment: datetime | None) -> str:
        """Its date, and where mcdash does not go by it, that."""
        unused = "" if moment else " (not used: unreadable or not possible)"
        return f"{text} {clock}{unused}" if text else ""

    facts = (
        ("ImportStatus", run.phase),
        ("TaskResultID", run.task_id or ""),
        ("Customer key", run.customer_key),
        ("Request", run.request_id),
        ("StartDate", dated(run.start_text, run.started_at)),
        ("EndDate", dated(run.end_text, run.finished_at)),
        ("ImportType", run.import_type),
        ("DestinationID", run.destination_id),
        ("Error code", run.error_code),
        ("Message", run.vendor_message),
    )
    return [(name, value) for name, value in facts if value]


def support_text(run: ImportRun) -> str:
    """All that Marketing Cloud's support asks for, times on both clocks."""
    form, not_known = "%Y-%m-%d %H:%M:%S", "not known"
    offset = run.account.clock_offset_minutes
    # their support reads their own clock, our logs are in UTC
    theirs = offset_zone(timedelta(minutes=offset))
    moments = {
        "Queued": run.queued_at,
        "Sent": run.sent_at,
        "Answered": run.answered_at,
        "Started": run.started_at,
        "Ended": run.finished_at,
    }
    facts = {
        "Business unit (MID)": run.account.known_mid or not_known,
        "Run in mcdash": f"{run.pk}, {run.get_status_display().lower()}",
        # asked for first, so said even where it is not known
        **dict.fromkeys(("Request", "TaskResultID", "Customer key"), not_known),
        **dict(details_of(run)),
        **{
            name: f"{at.astimezone(UTC):{form}} UTC "
            f"({at.astimezone(theirs):{form}} {clock_name(offset)})"
            for name, at in moments.items()
            if at
        },
    }
    return "\n".join(f"{name}: {value}" for name, value in facts.items())


class Row(NamedTuple):
    """One figure of both runs, and what changed between them."""

    label: str
    this: str
    previous: str
    change: str
    is_worse: bool


def compare(run: ImportRun, previous: ImportRun) -> list[Row]:
    """A run beside the previous one; what either doesn't know has no change."""
    now = timezone.now()

    def share(run: ImportRun) -> float | None:
        if run.errors is None or not run.total_rows or run.are_counts_open:
            return None
        return 100 * run.errors / run.total_rows

    def took(run: ImportRun) -> int | None:
        is_over = run.status in FINISHED
        return int(run.elapsed(now).total_seconds()) if is_over else None

    errors = _row("Errors", run.errors, previous.errors, worse=1)
    # fewer rows may only be a shorter file
    worse = -1 if errors.is_worse else 0
    rows = [
        _row("Rows", run.total_rows, previous.total_rows),
        _row("Loaded", run.successful, previous.successful, worse=worse),
        _row("Duplicates", run.duplicated, previous.duplicated),
        errors,
    ]
    unaccounted = (run.unaccounted_rows, previous.unaccounted_rows)
    if any(unaccounted):
        rows.append(_row("Unaccounted for", *unaccounted, worse=1))
    percent, points = partial(formats.share_text, whole=100), "{:.1f} pts".format
    shares = (share(run), share(previous))
    rows.append(_row("Error share", *shares, percent, points, worse=1))
    duration = formats.duration_text
    return [*rows, _row("Took", took(run), took(previous), duration, duration)]


def _row(
    label: str,
    this: float | None,
    that: float | None,
    text: Callable[[Any], str] = count_text,
    change_text: Callable[[Any], str] = count_text,
    worse: int = 0,  # 1: more is worse, -1: less is
) -> Row:
    if this is None or that is None:
        return Row(label, text(this), text(that), formats.UNKNOWN, is_worse=False)
    change = round(this - that, 1)
    sign = "+" if change > 0 else "−" if change < 0 else ""
    changed = f"{sign}{change_text(abs(change))}"
    return Row(label, text(this), text(that), changed, is_worse=change * worse > 0)
