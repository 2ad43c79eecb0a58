"""The past that nobody of ours started: what Automation Studio ran every day.

A day's tasks depend on the definition and the date alone, so every sandbox, today
or tomorrow, tells the same past with the same task ids.
"""

from __future__ import annotations

from collections.abc import Iterable
from datetime import UTC, date, datetime, timedelta

from imports.sandbox.catalogue import Behaviour, Definition
from imports.sandbox.tasks import Plan, Task, chance, plan_for

ID_BASE = 1_000_000_000
ID_EPOCH = datetime(2024, 1, 1, tzinfo=UTC)
INCIDENT_FAILS = 0.012
INCIDENT_ERRORS = 0.05


def first_task_id(at: datetime) -> int:
    """The smallest task id of that second: ids grow with time, in 31 bits."""
    return ID_BASE + int((at - ID_EPOCH).total_seconds())


def tasks_of_day(definitions: Iterable[Definition], day: date) -> list[Task]:
    """Every scheduled task of that UTC day."""
    return [
        _task(definition, minute + timedelta(seconds=definition.number))
        for definition in definitions
        for minute in definition.schedule.starts_on(day)
    ]


def _task(definition: Definition, started_at: datetime) -> Task:
    return Task(
        task_id=first_task_id(started_at),
        definition=definition,
        started_at=started_at,
        plan=_plan(definition, started_at),
        origin="schedule",
    )


def _plan(definition: Definition, started_at: datetime) -> Plan:
    """By the definition's behaviour, with a rare incident of its own."""
    seed = (definition.object_id, started_at.isoformat())
    length = _length_seconds(definition, chance("length", *seed))
    plan = plan_for(definition, started_at, length)
    incident = chance("incident", *seed)
    if incident < INCIDENT_FAILS:
        return Plan(length_seconds=length / 3, fails=True)
    if incident < INCIDENT_ERRORS and plan.total:
        return _with_errors(plan, plan.total, chance("how bad", *seed))
    return plan


def _with_errors(plan: Plan, total: int, bad: float) -> Plan:
    return Plan(
        length_seconds=plan.length_seconds,
        total=total,
        duplicated=plan.duplicated,
        errors=max(1, round(total * 0.12 * bad)),
    )


def _length_seconds(definition: Definition, luck: float) -> float:
    """Some seconds for the file, then about 1,500 rows a second."""
    slow = 4 if definition.behaviour is Behaviour.SLOW else 1
    return round(slow * (8 + definition.rows / 1500) * (0.8 + 0.6 * luck), 3)
