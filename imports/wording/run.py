"""How a run stands in plain words: the table of causes, filled in for one run."""

from __future__ import annotations

import re
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from datetime import timezone as offset_zone
from string import Formatter

from django.utils import timezone
from django.utils.text import capfirst

from imports.models import FINISHED, Counts, ErrorKind, ImportRun, RunStatus
from imports.usecases.resolve import grace_ends_at
from imports.wording.causes import ENDINGS, MEND_FIRST, STARTS, Cause
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

TABLE: tuple[Cause, ...] = (*STARTS, *ENDINGS)
LONGEST_WORDS = 240
ALIKE_WITHIN = 0.05
# What Marketing Cloud's documented error codes mean.
CODES = {
    "2": "something broke on its side",
    "4": "no access to the account",
    "5": "not possible for this kind of object",
    "8": "not possible for this kind of object",
    "9": "in maintenance",
    "11": "not authorized",
    "43000": "no customer key was given",
    "43010": "definition not found",
    "43020": "not possible for this kind of object",
    "43030": "it exists already",
    "43040": "it could not be added",
    "43050": "it could not be changed",
    "43060": "the definition is not valid",
}
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
    "Look into what it loads into before you use that: this import replaces every "
    "row, and may have left fewer, or none."
)
THEIRS = re.compile(r"^Marketing Cloud.*?“(.*)”", re.DOTALL)
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
    may be, the run before it, whether somebody looks at the run at all, and whether
    the reader may say that it did not start.
    """

    candidates: int = 0
    previous: ImportRun | None = None
    can_declare: bool = False
    is_followed: bool = True


def cause_of(run: ImportRun, around: Surroundings) -> Cause | None:
    """The first row of the table that fits; None where nothing is to be explained."""
    traits = _traits(run, around)
    message = run.message.casefold()
    return next((row for row in TABLE if _fits(row, run, traits, message)), None)


def _fits(row: Cause, run: ImportRun, traits: set[str], message: str) -> bool:
    is_its_kind = row.kind is None or row.kind == run.error_kind
    named = not (row.codes or row.words) or (
        run.error_code in row.codes or any(word in message for word in row.words)
    )
    fits_traits = traits.issuperset(row.traits)
    return row.status == run.status and is_its_kind and named and fits_traits


def _traits(run: ImportRun, around: Surroundings) -> set[str]:
    total, errors = run.total_rows, run.errors
    told = {
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
    return {name for name, is_so in told.items() if is_so}


def their_words(run: ImportRun) -> str:
    """What Marketing Cloud itself said, without the quotes that our message put
    around it; empty where the message is all ours.
    """
    found = THEIRS.search(run.message)
    return found[1] if found else ""


def cause(run: ImportRun, *, candidates: int = 0) -> str:
    """How the run stands, in one sentence; Marketing Cloud's words are quoted once."""
    around = Surroundings(candidates=candidates)
    row = cause_of(run, around)
    if row is None:
        return ""
    title, words = _fill(row.headline, _facts(run, around)), their_words(run)
    if not row.says_words or not words:
        return title
    cut = words if len(words) <= LONGEST_WORDS else f"{words[:LONGEST_WORDS]}…"
    return f"{title.removesuffix('.')}: “{cut}”"


def is_to_be_mended(run: ImportRun) -> bool:
    """Whether something must be put right first for another start to end better."""
    row = cause_of(run, Surroundings())
    return row is not None and row.name in MEND_FIRST


def advice(run: ImportRun, around: Surroundings) -> Advice | None:
    """What the run's page says about it; None where there is nothing to explain."""
    row = cause_of(run, around)
    if row is None:
        return None
    facts = _facts(run, around)
    title = _fill(row.headline, facts)
    known = [*(_fill(text, facts) for text in row.known), _code(run)]
    check = [_fill(text, facts) for text in row.check]
    return Advice(
        cause=row.name,
        title=title,
        known=tuple(text for text in known if text and text not in title),
        words=their_words(run),
        check=tuple(text for text in check if text),
    )


def _fill(sentence: str, facts: Facts) -> str:
    """The sentence with its facts; empty where one of them is not known."""
    names = {name for _, name, _, _ in Formatter().parse(sentence) if name}
    if any(facts[name] is None for name in names):
        return ""
    return sentence.format_map(facts)


def _code(run: ImportRun) -> str:
    code = run.error_code
    if not code:
        return ""
    meaning = f", {CODES[code]}" if code in CODES else ""
    return f"Marketing Cloud’s error code is {code[:80]}{meaning}."


def _facts(run: ImportRun, around: Surroundings) -> Facts:
    """Every {name} of the table; None where it is not known."""
    return {
        **_count_facts(run),
        **_file_facts(run),
        **_waiting_facts(run, around),
        **_previous_facts(run, around.previous),
        "candidates": count_text(around.candidates),
        "message": run.message if not their_words(run) else None,
        "phase": run.phase or "not told",
        "task": run.task_id or "–",
    }


def _count_facts(run: ImportRun) -> Facts:
    tolerant = tolerates_errors(run.definition) if run.definition else None
    return {
        "rows": count_text(run.total_rows),
        "errors": count_text(run.errors),
        "share": share_text(run.errors, run.total_rows),
        "counted": _counted(run),
        "problem": capfirst(problem_text(run.counts)) or None,
        "rest": _rest(run.counts),
        "tolerance": TOLERANCE[tolerant] if tolerant is not None else None,
    }


def _counted(run: ImportRun) -> str | None:
    if run.total_rows is None:
        return None
    counts = {
        "loaded": run.successful,
        "duplicates": run.duplicated,
        "with errors": run.errors,
        "unaccounted for": run.unaccounted_rows or None,
    }
    told = [f"{n:,} {word}" for word, n in counts.items() if n is not None]
    rows = f"It counted {rows_text(run.total_rows)}"
    return f"{rows}: {', '.join(told)}." if told else f"{rows}."


def _rest(counts: Counts) -> str:
    """What became of the rows that were not refused; empty where that is not known."""
    if counts.unaccounted is None:
        return ""
    if not counts.unaccounted:
        return f"; the rest is loaded{' or duplicate' if counts.duplicated else ''}"
    return f"; {rows_text(counts.unaccounted)} unaccounted for"


def _file_facts(run: ImportRun) -> Facts:
    pattern = run.definition.file_spec if run.definition else ""
    kind = fact(run, "UpdateType") or (run.definition and run.definition.update_type)
    kind = str(kind or "").casefold()
    return {
        "mail": error_mail(run) or None,
        "file": f"a file that fits {pattern}" if pattern else "its file",
        "place": (run.definition and source_of(run.definition)) or "its file location",
        "age": max_file_age(run) or None,
        "repeat": REPEAT.get(kind, ""),
        "leaves_rows": "" if kind in LEAVES_ROWS else None,
        "goal_at_risk": AT_RISK if kind == "overwrite" else None,
    }


def _waiting_facts(run: ImportRun, around: Surroundings) -> Facts:
    is_unknown = run.status == RunStatus.UNKNOWN
    settles = grace_ends_at(run) if is_unknown else None
    is_waiting = settles is not None and settles > timezone.now()
    found_none = is_unknown and not around.candidates
    looked = run.last_checked_at if found_none else None
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
        "late_result": _late_result(run),
    }


def _late_result(run: ImportRun) -> str | None:
    if run.error_kind != ErrorKind.NO_TRACE:
        return None
    if not run.customer_key:
        return "If it ran after all, it enters the history as started outside."
    return "If a result of it turns up within 24 hours after that, this run takes it."


def _previous_facts(run: ImportRun, previous: ImportRun | None) -> Facts:
    length = _length(run, previous)
    return {
        "length": length,
        "values": "" if length is None else None,
        "changed": _changed(run, previous),
    }


def _length(run: ImportRun, previous: ImportRun | None) -> str | None:
    """How the file's length compares, where it is so alike that it tells something."""
    this, that = run.total_rows, previous.total_rows if previous else None
    if not this or not that or abs(this - that) > ALIKE_WITHIN * that:
        return None
    if this == that:
        return "exactly as long as the previous one"
    return f"about as long as the previous one ({this - that:+,} rows)"


def _changed(run: ImportRun, previous: ImportRun | None) -> str | None:
    versions = {run.definition_version_id, previous and previous.definition_version_id}
    if previous is None or None in versions or len(versions) == 1:
        return None
    began = clock_text(previous.began_at)
    return f"The definition was changed after the previous run, that of {began}."


# A run in Marketing Cloud's own words, and the same as text for its support.


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
    theirs = moment.astimezone(offset_zone(timedelta(minutes=offset_minutes)))
    return (
        f"{moment.astimezone(UTC):{FORMAT}} UTC "
        f"({theirs:{FORMAT}} {clock_name(offset_minutes)})"
    )


# A run beside the previous one of its definition, number by number.


COUNTS = (
    ("total_rows", "Rows"),
    ("successful", "Loaded"),
    ("duplicated", "Duplicates"),
    ("errors", "Errors"),
)


@dataclass(frozen=True, kw_only=True, slots=True)
class Row:
    """One figure of both runs, and what changed between them."""

    label: str
    this: str
    previous: str
    change: str
    is_worse: bool = False


def compare(run: ImportRun, previous: ImportRun) -> list[Row]:
    """What is not known of either run is a dash, and so is its change.

    More errors are worse; fewer rows loaded are, where errors took them.
    """
    changes = {name: _change(run, previous, name) for name, _ in COUNTS}
    has_more_errors = (changes["errors"] or 0) > 0
    worse = {
        "errors": has_more_errors,
        "successful": has_more_errors and (changes["successful"] or 0) < 0,
    }
    counts = [
        Row(
            label=label,
            this=count_text(getattr(run, name)),
            previous=count_text(getattr(previous, name)),
            change=_change_text(changes[name]),
            is_worse=worse.get(name, False),
        )
        for name, label in COUNTS
    ]
    if run.unaccounted_rows or previous.unaccounted_rows:
        counts.append(_unaccounted_row(run, previous))
    return [*counts, _share_row(run, previous), _took_row(run, previous)]


def _unaccounted_row(run: ImportRun, previous: ImportRun) -> Row:
    change = _change(run, previous, "unaccounted_rows")
    return Row(
        label="Unaccounted for",
        this=count_text(run.unaccounted_rows),
        previous=count_text(previous.unaccounted_rows),
        change=_change_text(change),
        is_worse=(change or 0) > 0,
    )


def _change(run: ImportRun, previous: ImportRun, name: str) -> int | None:
    this: int | None = getattr(run, name)
    that: int | None = getattr(previous, name)
    return None if this is None or that is None else this - that


def _change_text(change: int | None) -> str:
    return UNKNOWN if change is None else signed(change, count_text(abs(change)))


def signed(value: float, text: str) -> str:
    return f"+{text}" if value > 0 else f"−{text}" if value < 0 else text


def _share(run: ImportRun) -> float | None:
    if run.errors is None or not run.total_rows or run.are_counts_open:
        return None
    return 100 * run.errors / run.total_rows


def _share_text(run: ImportRun) -> str:
    is_known = _share(run) is not None
    return share_text(run.errors, run.total_rows) if is_known else UNKNOWN


def _share_row(run: ImportRun, previous: ImportRun) -> Row:
    this, that = _share(run), _share(previous)
    known = this is not None and that is not None
    change = round((this or 0) - (that or 0), 1) if known else 0.0
    return Row(
        label="Error share",
        this=_share_text(run),
        previous=_share_text(previous),
        change=signed(change, f"{abs(change):.1f} pts") if known else UNKNOWN,
        is_worse=change > 0,
    )


def _took(run: ImportRun) -> timedelta | None:
    return run.elapsed(timezone.now()) if run.status in FINISHED else None


def _took_row(run: ImportRun, previous: ImportRun) -> Row:
    this, that = _took(run), _took(previous)
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
