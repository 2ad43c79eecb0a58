"""A run's timeline: what happened to it, step by step, in words and to scale."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass, replace
from datetime import datetime
from itertools import groupby
from typing import Any, NamedTuple

from django.utils import timezone

from imports.models import Counts, ImportRun, Origin, Reason, RunEvent, RunStatus
from imports.models import EventKind as K
from imports.models.status import label_of, message_of
from imports.wording.formats import errors_text, problem_text, rows_text

# Messages of Marketing Cloud can be as long as a page.
LONGEST_WORDS = 300
ORIGINS = {Origin.DASHBOARD: "from the dashboard", Origin.COMMAND: "by a command"}
# What each step says, and more of it.
WORDS: dict[K, tuple[str, str]] = {
    K.QUEUED: ("Queued{by}", "{origin}"),
    K.CANCELLED: ("Cancelled{by}", "nothing was sent"),
    K.CLAIMED: ("Start sent to Marketing Cloud{by}", "one Perform request"),
    K.ACCEPTED: ("Accepted as task {task}", ""),
    K.CONTRADICTED: ("The answer contradicted itself", "{words}"),
    K.NOT_STARTED: ("Not started", "{message}"),
    K.UNANSWERED: ("No readable answer", "{message}"),
    K.LOOKED: ("Looked for it in Marketing Cloud", "{looked}"),
    K.FOUND: ("Found: {phase}", "{rows}"),
    K.PHASE: ("{phase}", "{rows}"),
    K.ENDED: ("{label}", "{counts}"),
    K.LOST: ("Lost{by}", "no final phase for 24 hours"),
    K.CHECKED_AGAIN: ("Checked again{by}", ""),
    K.ADOPTED: ("Seen by mcdash{by}", "it was started outside"),
    K.MERGED: ("Merged with the run seen in Marketing Cloud{by}", ""),
    K.CHOSEN: ("{choice} chosen{by}", ""),
}
DECLARED = ("Marked as not started{by}", "nothing of it is in Marketing Cloud")
# What a step's lane is drawn in; a step without a hue has no lane.
HUES = {
    **dict.fromkeys((K.QUEUED, K.CLAIMED, K.ACCEPTED), "grey"),
    **dict.fromkeys((K.PHASE, K.FOUND, K.CHOSEN), "blue"),
}
# They end in a status, whose icon the step carries.
SETTLING = {K.ENDED, K.NOT_STARTED, K.UNANSWERED, K.LOST, K.CANCELLED}


@dataclass(kw_only=True, slots=True)
class Step:
    """One line of the timeline."""

    at: datetime
    words: str
    more: str = ""
    hue: str = ""
    status: str = ""
    # where it isn't that of the step before
    day: str = ""
    # how long it lasted, and after the first step it began, where that is drawn
    seconds: float | None = None
    lane_start: float | None = None


class Timeline(NamedTuple):
    """All steps, and how many seconds they span as far as they are drawn."""

    steps: list[Step]
    total: float


def timeline(
    run: ImportRun, events: Iterable[RunEvent], *, is_followed: bool = True
) -> Timeline:
    """The run's `events`, with how long each step lasted; the last step of a run that
    is active lasts until now, or until it was last checked.
    """
    steps = []
    # mcdash saw neither the start nor the end of these: Marketing Cloud's clock tells
    if run.origin == Origin.OUTSIDE and run.started_at:
        words = "Started outside mcdash"
        steps.append(Step(at=run.started_at, words=words, hue="blue"))
    if run.origin == Origin.OUTSIDE and run.finished_at and run.has_ended:
        status, counts = run.status, _counts_text(run.counts, run.status)
        words = f"Ended: {run.phase}"
        steps.append(Step(at=run.finished_at, words=words, more=counts, status=status))
    steps = sorted([*steps, *_steps(events)], key=lambda step: step.at)
    if not steps:
        return Timeline([], 0)
    seen_until = timezone.now() if is_followed else run.last_checked_at
    first, last = steps[0].at, steps[-1].at
    # an event may be newer than the last look, or the clocks may differ
    end = max((seen_until if run.is_active else None) or last, last)
    ends = [*(step.at for step in steps[1:]), end]
    day = timezone.localtime(first).date()
    total = 0.0
    for step, until in zip(steps, ends, strict=True):
        date = timezone.localtime(step.at).date()
        if date != day:
            day, step.day = date, f"{date.day} {date:%B}"
        seconds = (until - step.at).total_seconds()
        # what happened in a moment has no length to draw
        if step.hue and seconds:
            step.seconds, step.lane_start = seconds, (step.at - first).total_seconds()
            total = max(total, step.lane_start + seconds)
    return Timeline(steps, total)


def _steps(events: Iterable[RunEvent]) -> Iterator[Step]:
    """A step for each event. Those that say the same one after another become the
    first of them, with how often: a run is looked for every minute.
    """
    steps = map(_step, events)
    for _, alike in groupby(steps, key=lambda step: (step.words, step.more)):
        first, *others = alike
        more = f"{first.more} · {len(others) + 1} times".lstrip(" ·")
        yield replace(first, more=more) if others else first


def _counts_text(counts: Counts, status: str) -> str:
    rows = counts.total_rows
    words = rows_text(rows) if rows is not None else "no rows counted"
    is_completed = status in (RunStatus.COMPLETED, RunStatus.COMPLETED_WITH_ERRORS)
    more = problem_text(counts) if is_completed else errors_text(counts)
    if counts.are_absent:
        return more if is_completed else words
    return f"{words}, {more}" if more else words


def _step(event: RunEvent) -> Step:
    kind, details = K(event.kind), event.details
    reason, rows = details.get("why", ""), details.get("total_rows")
    task, status = details.get("task_id"), event.to_status
    facts = {
        "by": f" by {event.actor_name}" if event.actor_name else "",
        "origin": ORIGINS.get(details.get("origin", ""), ""),
        "task": task or "–",
        "choice": f"Task {task}" if task else "“None of these”",
        "words": details.get("words", ""),
        "message": message_of(reason, details.get("message", "")),
        "looked": _looked(details),
        "phase": details.get("phase") or "No phase",
        "rows": rows_text(rows) if rows else "",
    }
    if kind == K.ENDED:
        counts = Counts.read(details)
        facts["label"] = label_of(status, counts.errors) if status else "Ended"
        facts["counts"] = _counts_text(counts, status)
    words, more = WORDS[kind]
    if kind == K.NOT_STARTED and reason == Reason.DECLARED:
        words, more = DECLARED
    # their full stop ends our sentence too
    more = more.format_map(facts).replace(".”.", ".”")
    return Step(
        at=event.at,
        words=words.format_map(facts)[:LONGEST_WORDS],
        more=more[:LONGEST_WORDS],
        hue=HUES.get(kind, ""),
        status=status if kind in SETTLING else "",
    )


def _looked(details: dict[str, Any]) -> str:
    if error := details.get("error"):
        return f"no response: {error}"
    n = len(details.get("candidates", []))
    return {0: "no trace so far", 1: "one found"}.get(n, f"{n} runs could be it")
