"""A run in words: why it stands as it does and what to check, Marketing Cloud's details
of it, and how it compares with the run before.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from datetime import timezone as offset_zone
from string import Formatter

from django.utils import timezone
from django.utils.text import capfirst

from imports.models import FINISHED, GIVEN_UP, ImportRun, RunStatus
from imports.reasons import VENDOR_CODES
from imports.usecases.resolve import grace_ends_at
from imports.wording.causes import TABLE, Cause
from imports.wording.definition import (
    error_mail,
    fact,
    max_file_age,
    source_of,
    tolerates_errors,
)
from imports.wording.formats import (
    UNKNOWN,
    clock_name,
    clock_text,
    count_text,
    duration_text,
    problem_text,
    rows_text,
    share_text,
)

LONGEST_WORDS = 240
ALIKE_WITHIN = 0.05
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
AT_RISK = (
    "Check the destination before you use it: this import replaces every row, and may "
    "have left fewer, or none."
)
FORMAT = "%Y-%m-%d %H:%M:%S"
# What their support asks for first: said even where it is not known.
IDS = ("Request", "TaskResultID", "Customer key")
NOT_KNOWN = "not known"
COUNTS = (
    ("total_rows", "Rows"),
    ("successful", "Loaded"),
    ("duplicated", "Duplicates"),
    ("errors", "Errors"),
)
# Every {name} of the table of causes; None where it is not known.
Facts = dict[str, str | None]


@dataclass(frozen=True, kw_only=True, slots=True)
class Advice:
    """What is known about a run, Marketing Cloud's words verbatim, and what to check,
    the likeliest first.
    """

    cause: str
    title: str
    known: tuple[str, ...]
    words: str
    check: tuple[str, ...]


@dataclass(frozen=True, kw_only=True, slots=True)
class Surroundings:
    """What is known beside the run itself: how many tasks the last look found that it
    may be, the run before it, whether somebody looks at the run at all, whether the
    reader can say that it did not start, and who said so.
    """

    candidates: int = 0
    previous: ImportRun | None = None
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
    return next(
        (
            row
            for row in TABLE
            if row.status == run.status
            and row.reason in (None, run.reason)
            and all(traits[name] for name in row.traits)
        ),
        None,
    )


def cause(run: ImportRun, *, candidates: int = 0) -> str:
    """How the run stands, in one sentence; Marketing Cloud's words are quoted once."""
    around = Surroundings(candidates=candidates)
    row = cause_of(run, around)
    if row is None:
        return ""
    title, words = _fill(row.headline, _facts(run, around)), run.vendor_message
    if not row.says_words or not words:
        return title
    cut = words if len(words) <= LONGEST_WORDS else f"{words[:LONGEST_WORDS]}…"
    return f"{title.removesuffix('.')}: “{cut}”"


def is_to_be_mended(run: ImportRun) -> bool:
    """Whether something must be put right first for another start to end better."""
    row = cause_of(run, Surroundings())
    return row is not None and row.is_mended_first


def advice(run: ImportRun, around: Surroundings) -> Advice | None:
    """What the run's page says about it; None where there is nothing to explain."""
    row = cause_of(run, around)
    if row is None:
        return None
    facts = _facts(run, around)
    title = _fill(row.headline, facts)
    known = [_fill(text, facts) for text in (*row.known, "{code}")]
    check = [_fill(text, facts) for text in row.check]
    return Advice(
        cause=row.name,
        title=title,
        known=tuple(text for text in known if text and text != title),
        words=run.vendor_message,
        check=tuple(text for text in check if text),
    )


def _fill(sentence: str, facts: Facts) -> str:
    """The sentence with its facts; empty where one of them is not known."""
    names = {name for _, name, _, _ in Formatter().parse(sentence) if name}
    # better no sentence than one with a gap
    if any(facts[name] is None for name in names):
        return ""
    return sentence.format_map(facts)


def _facts(run: ImportRun, around: Surroundings) -> Facts:
    code = run.error_code
    meaning = f", {VENDOR_CODES[code].meaning}" if code in VENDOR_CODES else ""
    definition = run.definition
    pattern = definition.file_spec if definition else ""
    kind = str(fact(run, "UpdateType") or (definition and definition.update_type) or "")
    kind = kind.casefold()
    return {
        **_count_facts(run),
        **_waiting_facts(run, around),
        **_previous_facts(run, around.previous),
        "candidates": count_text(around.candidates),
        "code": f"Marketing Cloud’s error code is {code[:80]}{meaning}."
        if code
        else None,
        "declared_by": around.declared_by or None,
        "mail": error_mail(run) or None,
        "file": f"a file that fits {pattern}" if pattern else "its file",
        "place": (definition and source_of(definition)) or "its file location",
        "age": max_file_age(run) or None,
        "repeat": REPEAT.get(kind, ""),
        "leaves_rows": "" if kind in LEAVES_ROWS else None,
        "goal_at_risk": AT_RISK if kind == "overwrite" else None,
        "looks": str(run.looks),
        # with Marketing Cloud's words, which are shown, ours would say them twice
        "message": run.message if run.message and not run.vendor_message else None,
        "phase": run.phase or "not reported",
        "task": run.task_id or "–",
    }


def _count_facts(run: ImportRun) -> Facts:
    tolerant = tolerates_errors(run.definition) if run.definition else None
    counted = None
    if run.total_rows is not None:
        counts = {
            "loaded": run.successful,
            "duplicates": run.duplicated,
            "with errors": run.errors,
            "unaccounted for": run.unaccounted_rows or None,
        }
        told = [f"{n:,} {word}" for word, n in counts.items() if n is not None]
        parts = f": {', '.join(told)}" if told else ""
        counted = f"It counted {rows_text(run.total_rows)}{parts}."
    # what became of the rows that were not rejected; empty where that is not known
    unaccounted, rest = run.counts.unaccounted, ""
    if unaccounted == 0:
        rest = f"; the rest is loaded{' or duplicate' if run.duplicated else ''}"
    elif unaccounted:
        rest = f"; {rows_text(unaccounted)} unaccounted for"
    return {
        "rows": count_text(run.total_rows),
        "errors": count_text(run.errors),
        "share": share_text(run.errors, run.total_rows),
        "counted": counted,
        "problem": capfirst(problem_text(run.counts)) or None,
        "rest": rest,
        "tolerance": TOLERANCE[tolerant] if tolerant is not None else None,
    }


def _waiting_facts(run: ImportRun, around: Surroundings) -> Facts:
    is_unknown = run.status == RunStatus.UNKNOWN
    settles = grace_ends_at(run) if is_unknown else None
    is_waiting = settles is not None and settles > timezone.now()
    looked = run.last_checked_at if is_unknown and not around.candidates else None
    late = None
    if run.reason in GIVEN_UP:
        late = (
            "If a result appears within 24 hours, it’s added to this run."
            if run.customer_key
            else "If it ran after all, it enters the history as started outside."
        )
    return {
        "sent_at": clock_text(run.sent_at),
        "settles_at": clock_text(settles) if is_waiting else None,
        "overdue": "" if is_unknown and not is_waiting else None,
        "by_itself": "" if around.is_followed else None,
        "may_say": "" if around.can_declare else None,
        "last_look": f"mcdash last looked for it at {clock_text(looked)} and found "
        "no trace."
        if looked
        else None,
        "late_result": late,
    }


def _previous_facts(run: ImportRun, previous: ImportRun | None) -> Facts:
    if previous is None:
        return {"length": None, "values": "", "changed": None}
    length = changed = None
    this, that = run.total_rows, previous.total_rows
    # only where they are so alike that it tells something
    if this and that and abs(this - that) <= ALIKE_WITHIN * that:
        alike = f"about as long as the previous one ({this - that:+,} rows)"
        length = "exactly as long as the previous one" if this == that else alike
    versions = {run.definition_version_id, previous.definition_version_id}
    if None not in versions and len(versions) > 1:
        began = clock_text(previous.began_at)
        changed = f"The definition was changed after the previous run, that of {began}."
    return {
        "length": length,
        "values": "" if length is None else None,
        "changed": changed,
    }


def details_of(run: ImportRun) -> list[tuple[str, str]]:
    """What Marketing Cloud said, verbatim, by its own names; what it did not say is
    left out.
    """
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
    moments = (
        ("Queued", run.queued_at),
        ("Sent", run.sent_at),
        ("Answered", run.answered_at),
        ("Started", run.started_at),
        ("Ended", run.finished_at),
    )
    offset = run.account.clock_offset_minutes
    # their support reads their own clock, our logs are in UTC
    theirs = offset_zone(timedelta(minutes=offset))
    times = [
        (
            name,
            f"{at.astimezone(UTC):{FORMAT}} UTC "
            f"({at.astimezone(theirs):{FORMAT}} {clock_name(offset)})",
        )
        for name, at in moments
        if at
    ]
    lines = [
        ("Business unit (MID)", run.account.known_mid or NOT_KNOWN),
        ("Run in mcdash", f"{run.pk}, {run.get_status_display().lower()}"),
        *(dict.fromkeys(IDS, NOT_KNOWN) | dict(details_of(run))).items(),
        *times,
    ]
    return "\n".join(f"{name}: {value}" for name, value in lines if value)


@dataclass(frozen=True, kw_only=True, slots=True)
class Row:
    """One figure of both runs, and what changed between them."""

    label: str
    this: str
    previous: str
    change: str
    is_worse: bool = False


def compare(run: ImportRun, previous: ImportRun) -> list[Row]:
    """A run beside the previous one of its definition, number by number.

    What is not known of either run is a dash, and so is its change. More errors are
    worse; fewer rows loaded are, where errors took them.
    """

    def change_in(name: str) -> int | None:
        this, that = getattr(run, name), getattr(previous, name)
        return None if this is None or that is None else int(this - that)

    def row(name: str, label: str, *, is_worse: bool) -> Row:
        change = change_in(name)
        return Row(
            label=label,
            this=count_text(getattr(run, name)),
            previous=count_text(getattr(previous, name)),
            change=UNKNOWN
            if change is None
            else signed(change, count_text(abs(change))),
            is_worse=is_worse,
        )

    has_more_errors = (change_in("errors") or 0) > 0
    # fewer rows may only be a shorter file
    worse = {
        "errors": has_more_errors,
        "successful": has_more_errors and (change_in("successful") or 0) < 0,
    }
    rows = [row(name, label, is_worse=worse.get(name, False)) for name, label in COUNTS]
    if run.unaccounted_rows or previous.unaccounted_rows:
        is_worse = (change_in("unaccounted_rows") or 0) > 0
        rows.append(row("unaccounted_rows", "Unaccounted for", is_worse=is_worse))
    return [*rows, _share_row(run, previous), _took_row(run, previous)]


def signed(value: float, text: str) -> str:
    return f"+{text}" if value > 0 else f"−{text}" if value < 0 else text


def _share_row(run: ImportRun, previous: ImportRun) -> Row:
    shares, texts = [], []
    for each in (run, previous):
        share = None
        if each.errors is not None and each.total_rows and not each.are_counts_open:
            share = 100 * each.errors / each.total_rows
        shares.append(share)
        texts.append(
            UNKNOWN if share is None else share_text(each.errors, each.total_rows)
        )
    this, that = shares
    change = None if this is None or that is None else round(this - that, 1)
    return Row(
        label="Error share",
        this=texts[0],
        previous=texts[1],
        change=UNKNOWN if change is None else signed(change, f"{abs(change):.1f} pts"),
        is_worse=(change or 0) > 0,
    )


def _took_row(run: ImportRun, previous: ImportRun) -> Row:
    now = timezone.now()
    this, that = (
        one.elapsed(now) if one.status in FINISHED else None for one in (run, previous)
    )
    change = UNKNOWN
    if this is not None and that is not None:
        seconds = int(this.total_seconds()) - int(that.total_seconds())
        change = signed(seconds, duration_text(abs(seconds)))
    return Row(
        label="Took",
        this=duration_text(this),
        previous=duration_text(that),
        change=change,
    )
