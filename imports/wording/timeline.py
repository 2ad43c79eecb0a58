"""What happened to a run, step by step, in words and to scale."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass, replace
from datetime import datetime

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

MOST_EVENTS = 300
LONGEST_WORDS = 300
ORIGINS = {
    Origin.DASHBOARD: "from the dashboard",
    Origin.COMMAND: "by a command",
    Origin.SCHEDULE: "by a schedule",
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
SETTLING = {
    EventKind.ENDED,
    EventKind.NOT_STARTED,
    EventKind.UNANSWERED,
    EventKind.LOST,
    EventKind.CANCELLED,
}


def zone_name() -> str:
    """The reader's zone as people call it: "London" of "Europe/London"."""
    return timezone.get_current_timezone_name().split("/")[-1].replace("_", " ")


@dataclass(frozen=True, kw_only=True, slots=True)
class Step:
    """One line of the timeline. `seconds` is how long it lasted and `lane_start`
    when it began after the first one, None where no length is drawn. `day` is set
    where it is another than that of the step before.
    """

    at: datetime
    words: str
    more: str = ""
    hue: str = ""
    status: str = ""
    day: str = ""
    seconds: float | None = None
    lane_start: float | None = None
    times: int = 1


@dataclass(frozen=True, kw_only=True, slots=True)
class Timeline:
    """All steps, and how many seconds the longest lane spans."""

    steps: list[Step]
    total: float

    @property
    def first_at(self) -> datetime | None:
        return self.steps[0].at if self.steps else None


def timeline(run: ImportRun, *, is_followed: bool = True) -> Timeline:
    """The run's events, repeated looks as one, with how long each step lasted; a
    running run's last one lasts until now, or as far as somebody looked.
    """
    events = list(run.events.all()[:MOST_EVENTS])
    steps = sorted(
        [*_theirs(run), *_repeats_as_one(_step(event) for event in events)],
        key=lambda step: step.at,
    )
    open_until = timezone.now() if is_followed else run.last_checked_at
    return _measured(steps, open_until=open_until if run.is_active else None)


def _theirs(run: ImportRun) -> list[Step]:
    """What Marketing Cloud's own clock tells of a run that we did not follow."""
    if run.origin != Origin.OUTSIDE:
        return []
    steps = []
    if run.started_at:
        began = Step(at=run.started_at, words="Started outside mcdash", hue="blue")
        steps.append(began)
    if run.finished_at and run.has_ended:
        ended = Step(at=run.finished_at, words=f"Ended: {run.phase}", more=_counts(run))
        steps.append(replace(ended, status=run.status))
    return steps


def _counts(run: ImportRun) -> str:
    return _count_words(run.counts, run.status)


def _count_words(counts: Counts, status: str) -> str:
    rows = counts.total_rows
    words = rows_text(rows) if rows is not None else "no rows counted"
    is_completed = status in (RunStatus.COMPLETED, RunStatus.COMPLETED_WITH_ERRORS)
    more = problem_text(counts) if is_completed else errors_text(counts)
    if counts.are_absent:
        return more if is_completed else words
    return f"{words}, {more}" if more else words


def _step(event: RunEvent) -> Step:
    kind = EventKind(event.kind)
    words, more = WORDS[kind](event)
    status = event.to_status if kind in SETTLING else ""
    return Step(
        at=event.at,
        words=words[:LONGEST_WORDS],
        more=more[:LONGEST_WORDS],
        hue=HUES.get(kind, ""),
        status=status,
    )


def _repeats_as_one(steps: Iterable[Step]) -> list[Step]:
    shown: list[Step] = []
    for step in steps:
        last = shown[-1] if shown else None
        if last and (last.words, last.more) == (step.words, step.more):
            shown[-1] = replace(last, times=last.times + 1)
        else:
            shown.append(step)
    return [_with_times(step) for step in shown]


def _with_times(step: Step) -> Step:
    if step.times == 1:
        return step
    return replace(step, more=f"{step.more} · {step.times} times".lstrip(" ·"))


def _measured(steps: list[Step], *, open_until: datetime | None) -> Timeline:
    if not steps:
        return Timeline(steps=[], total=0)
    first, last = steps[0].at, steps[-1].at
    end = max(last, open_until or last)
    ends = [*(step.at for step in steps[1:]), end]
    dated = _with_days(steps)
    measured = [
        _lasting(step, first, until) for step, until in zip(dated, ends, strict=True)
    ]
    lanes = [(s.lane_start or 0) + s.seconds for s in measured if s.seconds]
    return Timeline(steps=measured, total=max(lanes, default=0))


def _with_days(steps: list[Step]) -> list[Step]:
    """Where a step falls on another day than the one before it, it says so."""
    days = [timezone.localtime(step.at).date() for step in steps]
    return [
        step if day == before else replace(step, day=f"{day.day} {day:%B}")
        for step, day, before in zip(steps, days, [days[0], *days], strict=False)
    ]


def _lasting(step: Step, first: datetime, until: datetime) -> Step:
    seconds = (until - step.at).total_seconds()
    if not step.hue or not seconds:
        return step
    start = (step.at - first).total_seconds()
    return replace(step, seconds=seconds, lane_start=start)


Words = tuple[str, str]


def _by(event: RunEvent) -> str:
    return f" by {event.actor_name}" if event.actor_name else ""


def _queued(event: RunEvent) -> Words:
    origin = event.details.get("origin", "")
    return f"Queued{_by(event)}", ORIGINS.get(origin, "")


def _accepted(event: RunEvent) -> Words:
    return f"Accepted as task {event.details.get('task_id', '–')}", ""


def _looked(event: RunEvent) -> Words:
    if error := event.details.get("error"):
        return "Looked for it in Marketing Cloud", f"it did not answer: {error}"
    found = len(event.details.get("candidates", []))
    more = f"{found} runs could be it" if found > 1 else "no trace so far"
    return "Looked for it in Marketing Cloud", "one found" if found == 1 else more


def _phase(event: RunEvent) -> Words:
    rows = event.details.get("total_rows")
    return event.details.get("phase") or "No phase", f"{rows:,} rows" if rows else ""


def _found(event: RunEvent) -> Words:
    words, more = _phase(event)
    return f"Found: {words}", more


def _ended(event: RunEvent) -> Words:
    counts = Counts.read(event.details)
    label = label_of(event.to_status, counts.errors) if event.to_status else "Ended"
    return label, _count_words(counts, event.to_status)


def _chosen(event: RunEvent) -> Words:
    if task := event.details.get("task_id"):
        return f"Task {task} chosen{_by(event)}", ""
    return f"“None of these” chosen{_by(event)}", ""


def _not_started(event: RunEvent) -> Words:
    if event.details.get("why") == Reason.DECLARED:
        return f"Not started, said{_by(event)}", "nothing of it is in Marketing Cloud"
    return "Not started", _why(event)


def _why(event: RunEvent) -> str:
    reason, message = (event.details.get(name, "") for name in ("why", "message"))
    return message_of(reason, message)


def _plain(label: str, more: str = "") -> Callable[[RunEvent], Words]:
    return lambda event: (f"{label}{_by(event)}", more)


WORDS: dict[EventKind, Callable[[RunEvent], Words]] = {
    EventKind.QUEUED: _queued,
    EventKind.CANCELLED: _plain("Cancelled", "nothing was sent"),
    EventKind.CLAIMED: _plain("Start sent to Marketing Cloud", "Perform, one time"),
    EventKind.ACCEPTED: _accepted,
    EventKind.CONTRADICTED: lambda event: (
        "The answer contradicted itself",
        event.details.get("words", ""),
    ),
    EventKind.NOT_STARTED: _not_started,
    EventKind.UNANSWERED: lambda event: ("No readable answer", _why(event)),
    EventKind.LOOKED: _looked,
    EventKind.FOUND: _found,
    EventKind.PHASE: _phase,
    EventKind.ENDED: _ended,
    EventKind.LOST: _plain("Lost", "no final phase for 24 hours"),
    EventKind.CHECKED_AGAIN: _plain("Checked again"),
    EventKind.ADOPTED: _plain("Seen by mcdash", "it was started outside"),
    EventKind.MERGED: _plain("Merged with the run seen in Marketing Cloud"),
    EventKind.CHOSEN: _chosen,
}
