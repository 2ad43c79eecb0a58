"""Tasks: New, Processing, IOWork, then Completed or Error, and the past ones.

What a task looks like is a pure function of its plan, its start and the time it is
looked at. Nothing is stored while it runs, so after a restart the sandbox continues
where time has got to. Past tasks are made the same way: a day's depend on the
definition and the date alone, so every sandbox shows the same history.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, replace
from datetime import UTC, date, datetime, timedelta, timezone
from hashlib import sha256

from imports.sandbox.catalogue import Behaviour, Definition, Facts, made_id

# shares of a task's length: New until the first, IOWork from the second on
NEW_UNTIL, WORK_FROM = 0.15, 0.6
ID_BASE = 1_000_000_000
ID_EPOCH = datetime(2024, 1, 1, tzinfo=UTC)
INCIDENT_FAILS = 0.012
INCIDENT_ERRORS = 0.05
# the system's clock: Central Standard Time without daylight saving
VENDOR_ZONE = timezone(timedelta(hours=-6))


@dataclass(frozen=True, kw_only=True, slots=True)
class Task:
    """One execution of a definition, and how it will end.

    `row_delay_seconds` is how long after the start its row appears; None means never.
    Counts are None where Marketing Cloud will never give them. `uncounted` rows are in
    the total and in no other count.
    """

    task_id: int
    definition: Definition
    started_at: datetime
    length_seconds: float
    row_delay_seconds: float | None = 0.0
    fails: bool = False
    total: int | None = None
    duplicated: int | None = None
    errors: int | None = None
    uncounted: int = 0

    @property
    def ends_at(self) -> datetime:
        return self.started_at + timedelta(seconds=self.length_seconds)

    def chance(self, what: str) -> float:
        """A number from 0 up to 1 that depends on definition, start and `what` only."""
        seed = f"{what}|{self.definition.object_id}|{self.started_at.isoformat()}"
        return int.from_bytes(sha256(seed.encode()).digest()[:6], "big") / 2**48

    def planned(self) -> Task:
        """The same with an end, by its definition's behaviour."""
        behaviour = self.definition.behaviour
        if behaviour is Behaviour.FAILS:
            return replace(self, fails=True)
        total = round(self.definition.rows * (0.97 + 0.06 * self.chance("total")))
        errors: int | None = 0
        if behaviour is Behaviour.ENDS_WITH_ERRORS:
            errors = max(1, round(total * (0.002 + 0.03 * self.chance("errors"))))
        is_open = behaviour is Behaviour.LEAVES_ROWS_OPEN
        return replace(
            self,
            total=total,
            duplicated=round(total * 0.004 * self.chance("duplicated")),
            errors=None if is_open else errors,
            uncounted=round(total * 0.12) if is_open else 0,
        )


def summary_at(task: Task, now: datetime) -> Facts | None:
    """What ImportResultsSummary says of the task then; None while it has no row."""
    elapsed = (now - task.started_at).total_seconds()
    if task.row_delay_seconds is None or elapsed < task.row_delay_seconds:
        return None
    share = elapsed / task.length_seconds
    phase = "Processing" if share < WORK_FROM else "IOWork"
    if share < NEW_UNTIL:
        phase = "New"
    elif share >= 1:
        phase = "Error" if task.fails else "Completed"
    # Rows are read until IOWork begins, and counted as good or bad until the end.
    read = min(1.0, (share - NEW_UNTIL) / (WORK_FROM - NEW_UNTIL))
    counted = min(1.0, (share - NEW_UNTIL) / (1 - NEW_UNTIL))
    successful = None
    if task.total is not None:
        rejected = (task.duplicated or 0) + (task.errors or 0)
        successful = task.total - rejected - task.uncounted
    definition = task.definition
    return {
        "Client.ID": definition.mid,
        "ObjectID": made_id("summary", task.task_id),
        "ImportDefinitionCustomerKey": definition.customer_key,
        "StartDate": _vendor_text(task.started_at),
        "EndDate": _vendor_text(task.ends_at) if share >= 1 else None,
        "DestinationID": definition.destination_id,
        "ImportType": definition.import_type,
        "ImportStatus": phase,
        "TaskResultID": task.task_id,
        "TotalRows": _part(task.total, read),
        "NumberSuccessful": _part(successful, counted),
        "NumberDuplicated": _part(task.duplicated, counted),
        "NumberErrors": _part(task.errors, counted),
    }


def _vendor_text(at: datetime) -> str:
    """US style text in the vendor's zone: 10/27/2009 12:27:51 PM."""
    local = at.astimezone(VENDOR_ZONE)
    clock = local.strftime("%I:%M:%S %p").removeprefix("0")
    return f"{local.month}/{local.day}/{local.year} {clock}"


def _part(count: int | None, share: float) -> int | None:
    """So much of the count; None where there is none, and in phase New."""
    return None if count is None or share < 0 else int(count * share)


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
    task = Task(
        task_id=first_task_id(started_at),
        definition=definition,
        started_at=started_at,
        length_seconds=0.0,
    )
    # Some seconds for the file, then about 1,500 rows a second.
    slow = 4 if definition.behaviour is Behaviour.SLOW else 1
    luck = 0.8 + 0.6 * task.chance("length")
    length = round(slow * (8 + definition.rows / 1500) * luck, 3)
    incident = task.chance("incident")
    if incident < INCIDENT_FAILS:
        return replace(task, length_seconds=length / 3, fails=True)
    task = replace(task, length_seconds=length).planned()
    if incident < INCIDENT_ERRORS and task.total:
        errors = max(1, round(task.total * 0.12 * task.chance("how bad")))
        return replace(task, errors=errors, uncounted=0)
    return task
