"""Tasks: New, Processing, IOWork, then Completed or Error, and the past ones.

What a task looks like is a pure function of its plan, its start and the time it is
looked at. Nothing is stored while it runs, so after a restart the sandbox continues
where time has got to. Past tasks are made the same way: a day's depend on the
definition and the date alone, so every sandbox shows the same history.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from datetime import UTC, date, datetime, timedelta
from hashlib import sha256

from imports.sandbox.catalogue import Behaviour, Definition

NEW_UNTIL = 0.15
"""Share of the length after which a task leaves New."""
WORK_FROM = 0.6
"""Share of the length after which a task is in IOWork."""
ID_BASE = 1_000_000_000
ID_EPOCH = datetime(2024, 1, 1, tzinfo=UTC)
INCIDENT_FAILS = 0.012
INCIDENT_ERRORS = 0.05


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
    """One execution of a definition.

    `origin` is `perform` (the API's Perform), `outside` (somebody asked /control for
    it) or `schedule`. `row_delay_seconds` is how long after the start its summary row
    appears; None means never.
    """

    task_id: int
    definition: Definition
    started_at: datetime
    plan: Plan
    origin: str
    row_delay_seconds: float | None = 0.0

    @property
    def ends_at(self) -> datetime:
        """When it reaches its final phase."""
        return self.started_at + timedelta(seconds=self.plan.length_seconds)


@dataclass(frozen=True, kw_only=True, slots=True)
class Summary:
    """What ImportResultsSummary says of a task at one time; None is unknown."""

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
    errors: int | None = 0
    if definition.behaviour is Behaviour.ENDS_WITH_ERRORS:
        errors = max(1, round(total * (0.002 + 0.03 * chance("errors", *seed))))
    is_open = definition.behaviour is Behaviour.LEAVES_ROWS_OPEN
    return Plan(
        length_seconds=length_seconds,
        total=total,
        duplicated=round(total * 0.004 * chance("duplicated", *seed)),
        errors=None if is_open else errors,
        uncounted=round(total * 0.12) if is_open else 0,
    )


def summary_at(task: Task, now: datetime) -> Summary | None:
    """The task's row at that time; None while it has not appeared."""
    plan, elapsed = task.plan, (now - task.started_at).total_seconds()
    if task.row_delay_seconds is None or elapsed < task.row_delay_seconds:
        return None
    share = elapsed / plan.length_seconds
    if share < NEW_UNTIL:
        return Summary(task=task, phase="New")
    has_ended = share >= 1
    phase = "Processing" if share < WORK_FROM else "IOWork"
    if has_ended:
        phase = "Error" if plan.fails else "Completed"
    # Rows are read until IOWork begins, and counted as good or bad until the end.
    read = min(1.0, (share - NEW_UNTIL) / (WORK_FROM - NEW_UNTIL))
    counted = min(1.0, (share - NEW_UNTIL) / (1 - NEW_UNTIL))
    successful = None
    if plan.total is not None:
        rejected = (plan.duplicated or 0) + (plan.errors or 0)
        successful = plan.total - rejected - plan.uncounted
    return Summary(
        task=task,
        phase=phase,
        finished_at=task.ends_at if has_ended else None,
        total=_part(plan.total, read),
        successful=_part(successful, counted),
        duplicated=_part(plan.duplicated, counted),
        errors=_part(plan.errors, counted),
    )


def _part(count: int | None, share: float) -> int | None:
    return None if count is None else int(count * share)


def first_task_id(at: datetime) -> int:
    """The smallest task id of that second: ids grow with time, in 31 bits."""
    return ID_BASE + int((at - ID_EPOCH).total_seconds())


def scheduled_tasks(definitions: Iterable[Definition], day: date) -> list[Task]:
    """What Automation Studio started on that UTC day."""
    return [
        _scheduled(definition, minute + timedelta(seconds=definition.number))
        for definition in definitions
        for minute in definition.schedule.starts_on(day)
    ]


def _scheduled(definition: Definition, started_at: datetime) -> Task:
    """Planned by the definition's behaviour, with a rare incident of its own."""
    seed = (definition.object_id, started_at.isoformat())
    # Some seconds for the file, then about 1,500 rows a second.
    slow = 4 if definition.behaviour is Behaviour.SLOW else 1
    luck = 0.8 + 0.6 * chance("length", *seed)
    length = round(slow * (8 + definition.rows / 1500) * luck, 3)
    plan = plan_for(definition, started_at, length)
    incident = chance("incident", *seed)
    if incident < INCIDENT_FAILS:
        plan = Plan(length_seconds=length / 3, fails=True)
    elif incident < INCIDENT_ERRORS and plan.total:
        plan = Plan(
            length_seconds=length,
            total=plan.total,
            duplicated=plan.duplicated,
            errors=max(1, round(plan.total * 0.12 * chance("how bad", *seed))),
        )
    return Task(
        task_id=first_task_id(started_at),
        definition=definition,
        started_at=started_at,
        plan=plan,
        origin="schedule",
    )
