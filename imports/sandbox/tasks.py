"""How a task walks: New, Processing, IOWork, then Completed or Error.

What a task looks like is a pure function of its plan, its start and the moment it
is looked at; nothing is stored while it runs, so a restarted sandbox goes on where
time has got to.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime, timedelta
from hashlib import sha256

from imports.sandbox.catalogue import Behaviour, Definition

NEW_UNTIL = 0.15
"""Share of the length after which a task leaves New."""
WORK_FROM = 0.6
"""Share of the length after which a task is in IOWork."""
SLOW_FACTOR = 10


@dataclass(frozen=True, kw_only=True, slots=True)
class Plan:
    """How a task will end and what it will have counted.

    The counts are None where Marketing Cloud will never give them. `uncounted` rows
    are in the total and in no other count.
    """

    length_seconds: float
    fails: bool = False
    total: int | None = None
    duplicated: int | None = None
    errors: int | None = None
    uncounted: int = 0


@dataclass(frozen=True, kw_only=True, slots=True)
class Task:
    """One go of a definition.

    `origin` is `perform` (the API's Perform), `outside` (a test or person said so)
    or `schedule` (the believable past). `row_delay_seconds` is how long after the
    start its summary row appears; None means never.
    """

    task_id: int
    definition: Definition
    started_at: datetime
    plan: Plan
    origin: str
    row_delay_seconds: float | None = 0.0

    @property
    def ends_at(self) -> datetime:
        """The moment of its final phase."""
        return self.started_at + timedelta(seconds=self.plan.length_seconds)


@dataclass(frozen=True, kw_only=True, slots=True)
class Summary:
    """What ImportResultsSummary says of a task at one moment; None is unknown."""

    task: Task
    phase: str
    finished_at: datetime | None = None
    total: int | None = None
    successful: int | None = None
    duplicated: int | None = None
    errors: int | None = None


def chance(*parts: object) -> float:
    """A number from 0 up to 1 that depends on nothing but its parts."""
    text = "|".join(map(str, parts)).encode()
    return int.from_bytes(sha256(text).digest()[:6], "big") / 2**48


def plan_for(
    definition: Definition, started_at: datetime, length_seconds: float
) -> Plan:
    """The plan of a start of that definition, by its behaviour."""
    if definition.behaviour is Behaviour.FAILS:
        return Plan(length_seconds=length_seconds, fails=True)
    seed = (definition.object_id, started_at.isoformat())
    total = round(definition.rows * (0.97 + 0.06 * chance("total", *seed)))
    bad = definition.behaviour is Behaviour.ENDS_WITH_ERRORS
    share = 0.002 + 0.03 * chance("errors", *seed) if bad else 0.0
    is_open = definition.behaviour is Behaviour.LEAVES_ROWS_OPEN
    return Plan(
        length_seconds=length_seconds,
        total=total,
        duplicated=round(total * 0.004 * chance("duplicated", *seed)),
        errors=None if is_open else max(1, round(total * share)) if bad else 0,
        uncounted=round(total * 0.12) if is_open else 0,
    )


def length_of(definition: Definition, pace_seconds: float) -> float:
    """How long a start of that definition takes, in seconds."""
    if definition.behaviour is Behaviour.SLOW:
        return pace_seconds * SLOW_FACTOR
    return pace_seconds


def summary_at(task: Task, now: datetime) -> Summary | None:
    """The task's row at that moment; None while it has not appeared."""
    elapsed = (now - task.started_at).total_seconds()
    if task.row_delay_seconds is None or elapsed < task.row_delay_seconds:
        return None
    share = elapsed / task.plan.length_seconds
    if share < NEW_UNTIL:
        return Summary(task=task, phase="New")
    if share >= 1:
        return _final(task)
    return _working(task, (share - NEW_UNTIL) / (1 - NEW_UNTIL), share)


def _final(task: Task) -> Summary:
    plan = task.plan
    return Summary(
        task=task,
        phase="Error" if plan.fails else "Completed",
        finished_at=task.ends_at,
        total=plan.total,
        successful=_successful(plan),
        duplicated=plan.duplicated,
        errors=plan.errors,
    )


def _successful(plan: Plan) -> int | None:
    if plan.total is None:
        return None
    return plan.total - (plan.duplicated or 0) - (plan.errors or 0) - plan.uncounted


def _working(task: Task, done: float, share: float) -> Summary:
    """Rows are read until IOWork begins, and counted as good or bad until the end."""
    plan = task.plan
    read = min(1.0, (share - NEW_UNTIL) / (WORK_FROM - NEW_UNTIL))
    return Summary(
        task=task,
        phase="Processing" if share < WORK_FROM else "IOWork",
        total=_part(plan.total, max(read, done)),
        successful=_part(_successful(plan), done),
        duplicated=_part(plan.duplicated, done),
        errors=_part(plan.errors, done),
    )


def _part(count: int | None, share: float) -> int | None:
    return None if count is None else int(count * share)
