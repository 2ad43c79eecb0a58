"""A run's timeline: what happened to it, step by step, in words and to scale."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass, replace
from datetime import datetime
from itertools import groupby

from django.utils import timezone

from imports.models import (
    Counts,
    EventKind,
    ImportRun,
    Origin,
    Reason,
    RunEvent,
    RunStatus,
    message_of,
)
from imports.models.status import label_of
from imports.wording.formats import errors_text, problem_text, rows_text

# Messages of Marketing Cloud can be as long as a page.
LONGEST_WORDS = 300
ORIGINS = {
    Origin.DASHBOARD: "from the dashboard",
    Origin.COMMAND: "by a command",
}
# What a step's lane is drawn in; a step without a hue has no lane.
HUES = {
    EventKind.QUEUED: "grey",
    EventKind.CLAIMED: "grey",
    EventKind.ACCEPTED: "grey",
    EventKind.PHASE: "blue",
    EventKind.FOUND: "blue",
    EventKind.CHOSEN: "blue",
}
# They end in a status, whose icon the step carries.
SETTLING = {
    EventKind.ENDED,
    EventKind.NOT_STARTED,
    EventKind.UNANSWERED,
    EventKind.LOST,
    EventKind.CANCELLED,
}


@dataclass(frozen=True, kw_only=True, slots=True)
class Step:
    """One line of the timeline. `seconds` is how long it lasted, `lane_start` how long
    after the first step it began; both are None where no length is drawn. `day` is set
    where it isn't that of the step before.
    """

    at: datetime
    words: str
    more: str = ""
    hue: str = ""
    status: str = ""
    day: str = ""
    seconds: float | None = None
    lane_start: float | None = None


@dataclass(frozen=True, kw_only=True, slots=True)
class Timeline:
    """All steps, and how many seconds the longest lane spans."""

    steps: list[Step]
    total: float

    @property
    def first_at(self) -> datetime | None:
        return self.steps[0].at if self.steps else None


def timeline(
    run: ImportRun, events: Iterable[RunEvent], *, is_followed: bool = True
) -> Timeline:
    """The run's `events`, repeated searches as one, with how long each step lasted. The
    last step of a run that is active lasts until now, or until it was last checked.
    """
    steps: list[Step] = []
    if run.origin == Origin.OUTSIDE:
        # mcdash saw neither its start nor its end: Marketing Cloud's clock tells them
        if run.started_at:
            words = "Started outside mcdash"
            steps.append(Step(at=run.started_at, words=words, hue="blue"))
        if run.finished_at and run.has_ended:
            steps.append(
                Step(
                    at=run.finished_at,
                    words=f"Ended: {run.phase}",
                    more=_counts_text(run.counts, run.status),
                    status=run.status,
                )
            )
    steps = sorted([*steps, *_steps(events)], key=lambda step: step.at)
    if not steps:
        return Timeline(steps=[], total=0)
    seen_until = timezone.now() if is_followed else run.last_checked_at
    # an event may be newer than the last look, or the clocks may differ
    end = (seen_until if run.is_active else None) or steps[-1].at
    return _measured(steps, end=max(end, steps[-1].at))


def _counts_text(counts: Counts, status: str) -> str:
    rows = counts.total_rows
    words = rows_text(rows) if rows is not None else "no rows counted"
    is_completed = status in (RunStatus.COMPLETED, RunStatus.COMPLETED_WITH_ERRORS)
    more = problem_text(counts) if is_completed else errors_text(counts)
    if counts.are_absent:
        return more if is_completed else words
    return f"{words}, {more}" if more else words


def _steps(events: Iterable[RunEvent]) -> list[Step]:
    """A step for each event. Those that say the same one after another become the
    first of them, with how often: a run is looked for every minute.
    """
    steps = []
    for event in events:
        kind = EventKind(event.kind)
        words, more = WORDS[kind](event)
        step = Step(
            at=event.at,
            words=words[:LONGEST_WORDS],
            more=more[:LONGEST_WORDS],
            hue=HUES.get(kind, ""),
            status=event.to_status if kind in SETTLING else "",
        )
        steps.append(step)
    merged = []
    for _, alike in groupby(steps, key=lambda step: (step.words, step.more)):
        first, *others = alike
        if others:
            more = f"{first.more} · {len(others) + 1} times".lstrip(" ·")
            first = replace(first, more=more)
        merged.append(first)
    return merged


def _measured(steps: list[Step], *, end: datetime) -> Timeline:
    """The steps with how long each lasted until the next, and the last until `end`."""
    first = steps[0].at
    day = timezone.localtime(first).date()
    measured, total = [], 0.0
    for step, until in zip(steps, [*(step.at for step in steps[1:]), end], strict=True):
        date = timezone.localtime(step.at).date()
        if date != day:
            day = date
            step = replace(step, day=f"{day.day} {day:%B}")
        seconds = (until - step.at).total_seconds()
        # what happened in a moment has no length to draw
        if step.hue and seconds:
            start = (step.at - first).total_seconds()
            step = replace(step, seconds=seconds, lane_start=start)
            total = max(total, start + seconds)
        measured.append(step)
    return Timeline(steps=measured, total=total)


Words = tuple[str, str]


def _by(event: RunEvent) -> str:
    return f" by {event.actor_name}" if event.actor_name else ""


def _looked(event: RunEvent) -> Words:
    looked = "Looked for it in Marketing Cloud"
    if error := event.details.get("error"):
        return looked, f"no response: {error}"
    found = len(event.details.get("candidates", []))
    if found > 1:
        return looked, f"{found} runs could be it"
    return looked, "one found" if found else "no trace so far"


def _phase(event: RunEvent, before: str = "") -> Words:
    rows = event.details.get("total_rows")
    phase = event.details.get("phase") or "No phase"
    return f"{before}{phase}", rows_text(rows) if rows else ""


def _ended(event: RunEvent) -> Words:
    counts = Counts.read(event.details)
    label = label_of(event.to_status, counts.errors) if event.to_status else "Ended"
    return label, _counts_text(counts, event.to_status)


def _chosen(event: RunEvent) -> Words:
    if task := event.details.get("task_id"):
        return f"Task {task} chosen{_by(event)}", ""
    return f"“None of these” chosen{_by(event)}", ""


def _not_started(event: RunEvent) -> Words:
    reason, message = (event.details.get(name, "") for name in ("why", "message"))
    if reason == Reason.DECLARED:
        return (
            f"Marked as not started{_by(event)}",
            "nothing of it is in Marketing Cloud",
        )
    return "Not started", message_of(reason, message)


def _plain(label: str, more: str = "") -> Callable[[RunEvent], Words]:
    return lambda event: (f"{label}{_by(event)}", more)


WORDS: dict[EventKind, Callable[[RunEvent], Words]] = {
    EventKind.QUEUED: lambda event: (
        f"Queued{_by(event)}",
        ORIGINS.get(event.details.get("origin", ""), ""),
    ),
    EventKind.CANCELLED: _plain("Cancelled", "nothing was sent"),
    EventKind.CLAIMED: _plain("Start sent to Marketing Cloud", "one Perform request"),
    EventKind.ACCEPTED: lambda event: (
        f"Accepted as task {event.details.get('task_id', '–')}",
        "",
    ),
    EventKind.CONTRADICTED: lambda event: (
        "The answer contradicted itself",
        event.details.get("words", ""),
    ),
    EventKind.NOT_STARTED: _not_started,
    EventKind.UNANSWERED: lambda event: (
        "No readable answer",
        message_of(event.details.get("why", ""), event.details.get("message", "")),
    ),
    EventKind.LOOKED: _looked,
    EventKind.FOUND: lambda event: _phase(event, "Found: "),
    EventKind.PHASE: _phase,
    EventKind.ENDED: _ended,
    EventKind.LOST: _plain("Lost", "no final phase for 24 hours"),
    EventKind.CHECKED_AGAIN: _plain("Checked again"),
    EventKind.ADOPTED: _plain("Seen by mcdash", "it was started outside"),
    EventKind.MERGED: _plain("Merged with the run seen in Marketing Cloud"),
    EventKind.CHOSEN: _chosen,
}
