"""The sandbox's state: who may do what, what was started, how far it has got."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from datetime import UTC, date, datetime, timedelta
from threading import RLock
from typing import Any

from imports.sandbox.catalogue import Catalogue, Definition
from imports.sandbox.history import first_task_id, tasks_of_day
from imports.sandbox.journal import Journal
from imports.sandbox.nordlicht import nordlicht
from imports.sandbox.tasks import Summary, Task, length_of, plan_for, summary_at

Clock = Callable[[], datetime]
USUAL_ROW_DELAY_SHARE = 0.06
"""Of the pace: 0.7 s at the usual 12 s; the row is then seen as New."""


def utc_now() -> datetime:
    """The real clock."""
    return datetime.now(UTC)


class UnknownDefinitionError(Exception):
    """No such definition in that account."""


class World:
    """Definitions and tasks of all accounts, seen by an injected clock (UTC).

    `pace_seconds` is the length of an ordinary import. The past covers
    `history_days` and holds what had ended when the world began, so that nothing
    happens unasked; with `alive` the schedules go on starting imports.
    """

    def __init__(
        self,
        *,
        catalogue: Catalogue | None = None,
        clock: Clock = utc_now,
        pace_seconds: float = 12.0,
        row_delay_seconds: float | None = None,
        history_days: int = 30,
        alive: bool = False,
        journal: Journal | None = None,
    ) -> None:
        self.catalogue = catalogue or nordlicht()
        self.clock = clock
        self.pace_seconds = pace_seconds
        self.row_delay_seconds = _row_delay(row_delay_seconds, pace_seconds)
        self.history_days = history_days
        self.alive = alive
        self.journal = journal or Journal()
        self.began_at = clock()
        self._lock = RLock()
        self._days: dict[date, list[Task]] = {}
        self._tasks = self._remembered()
        self._last_task_id = max((task.task_id for task in self._tasks), default=0)

    def definitions(self, mids: Iterable[int]) -> list[Definition]:
        """The definitions of those accounts, in no telling order."""
        wanted = set(mids)
        found = [one for one in self.catalogue.definitions if one.mid in wanted]
        return sorted(found, key=lambda one: one.object_id)

    def find(
        self,
        mid: int,
        *,
        customer_key: str | None = None,
        object_id: str | None = None,
    ) -> Definition | None:
        """The account's definition by key, else by ObjectID; None if unknown."""
        for one in self.catalogue.definitions:
            if one.mid != mid:
                continue
            if customer_key and one.customer_key == customer_key:
                return one
            if not customer_key and object_id and one.object_id == object_id.lower():
                return one
        return None

    def perform(
        self,
        definition: Definition,
        *,
        row_delay_seconds: float | None,
        **how: Any,
    ) -> Task:
        """Start the definition for the API and write it into the journal.

        `how` goes into the journal's line: how it was identified, by which
        connection and request.
        """
        return self._start(definition, "perform", row_delay_seconds, how)

    def start_outside(self, account: str | int, customer_key: str, **how: Any) -> Task:
        """Start a definition as if Automation Studio did it.

        Raises UnknownDefinitionError.
        """
        found = self.catalogue.account_named(account)
        definition = found and self.find(found.mid, customer_key=customer_key)
        if not definition:
            raise UnknownDefinitionError(
                f"No definition {customer_key!r} in account {account!r}."
            )
        return self._start(definition, "outside", self.row_delay_seconds, how)

    def tasks(self, mids: Iterable[int]) -> list[Task]:
        """Every task of those accounts that has started, in no telling order."""
        wanted = set(mids)
        with self._lock:
            everything = [*self._past(), *self._tasks]
        found = [task for task in everything if task.definition.mid in wanted]
        return sorted(found, key=lambda task: str(task.task_id)[::-1])

    def summary(self, task: Task) -> Summary | None:
        """The task's row now; None while there is none."""
        return summary_at(task, self.clock())

    def performed(self, origin: str | None = "perform") -> list[dict[str, Any]]:
        """The journal's lines of that origin; None means all."""
        lines = self.journal.entries
        return [line for line in lines if origin in (None, line["origin"])]

    def _start(
        self,
        definition: Definition,
        origin: str,
        row_delay_seconds: float | None,
        how: dict[str, Any],
    ) -> Task:
        with self._lock:
            now = self.clock()
            length = length_of(definition, self.pace_seconds)
            task = Task(
                task_id=self._next_task_id(now),
                definition=definition,
                started_at=now,
                plan=plan_for(definition, now, length),
                origin=origin,
                row_delay_seconds=row_delay_seconds,
            )
            self.journal.append({**self._line(task), **how})
            self._tasks.append(task)
            self._last_task_id = task.task_id
            return task

    def _line(self, task: Task) -> dict[str, Any]:
        account = self.catalogue.account_of(task.definition.mid)
        return {
            "task_id": task.task_id,
            "origin": task.origin,
            "account": account.name if account else None,
            "mid": task.definition.mid,
            "customer_key": task.definition.customer_key,
            "object_id": task.definition.object_id,
            "at": task.started_at.isoformat(),
            "length_seconds": task.plan.length_seconds,
            "row_delay_seconds": task.row_delay_seconds,
        }

    def _remembered(self) -> list[Task]:
        by_id = {one.object_id: one for one in self.catalogue.definitions}
        return [
            _task_of(line, by_id[line["object_id"]])
            for line in self.journal.entries
            if line["object_id"] in by_id
        ]

    def _next_task_id(self, now: datetime) -> int:
        """Above all others, and none that a schedule will use."""
        taken = {task.task_id for day in _around(now) for task in self._of_day(day)}
        task_id = max(self._last_task_id + 1, first_task_id(now))
        while task_id in taken:
            task_id += 1
        return task_id

    def _past(self) -> list[Task]:
        now = self.clock()
        today = now.date()
        days = [today - timedelta(days=n) for n in range(self.history_days + 1)]
        oldest = now - timedelta(days=self.history_days)
        return [
            task
            for day in days
            if self.history_days
            for task in self._of_day(day)
            if task.started_at >= oldest and self._has_been(task, now)
        ]

    def _has_been(self, task: Task, now: datetime) -> bool:
        if self.alive:
            return task.started_at <= now
        return task.ends_at <= self.began_at

    def _of_day(self, day: date) -> list[Task]:
        with self._lock:
            if day not in self._days:
                self._days[day] = tasks_of_day(self.catalogue.definitions, day)
            return self._days[day]


def _row_delay(wanted: float | None, pace_seconds: float) -> float:
    if wanted is not None:
        return wanted
    return pace_seconds * USUAL_ROW_DELAY_SHARE


def _around(now: datetime) -> tuple[date, date]:
    return now.date(), (now + timedelta(days=1)).date()


def _task_of(line: dict[str, Any], definition: Definition) -> Task:
    started_at = datetime.fromisoformat(line["at"])
    return Task(
        task_id=line["task_id"],
        definition=definition,
        started_at=started_at,
        plan=plan_for(definition, started_at, line["length_seconds"]),
        origin=line["origin"],
        row_delay_seconds=line["row_delay_seconds"],
    )
