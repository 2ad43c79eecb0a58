"""The sandbox's state: what was started, how far it has got, and the journal of it."""

from __future__ import annotations

import json
import os
from collections.abc import Callable, Iterable
from datetime import UTC, date, datetime, timedelta
from pathlib import Path
from threading import Lock, RLock
from typing import Any

from imports.sandbox.catalogue import Behaviour, Catalogue, Definition
from imports.sandbox.nordlicht import nordlicht
from imports.sandbox.tasks import (
    Summary,
    Task,
    first_task_id,
    plan_for,
    scheduled_tasks,
    summary_at,
)

Clock = Callable[[], datetime]
SLOW_FACTOR = 10
USUAL_ROW_DELAY_SHARE = 0.06
"""Of the pace: 0.7 s at the usual 12 s; the row is then seen as New."""
LINE_START = b'{"task_id"'


def utc_now() -> datetime:
    """The real clock."""
    return datetime.now(UTC)


class UnknownDefinitionError(Exception):
    """No such definition in that account."""


class JournalError(Exception):
    """The journal's file cannot be read or written."""


class Journal:
    """One JSON line for each task started while the sandbox was running.

    Lines are kept in memory and, given a path, in a file. They are written before the
    answer leaves and read again at the next start, so that a restarted sandbox still
    knows its tasks and a test can ask what was performed.
    """

    def __init__(self, path: Path | None = None) -> None:
        """Read what the file holds; raise JournalError where it is no journal."""
        self._path = path
        self._lock = Lock()
        self._entries: list[dict[str, Any]] = []
        if path is None or not path.exists():
            return
        complete, _, torn = path.read_bytes().rpartition(b"\n")
        if torn and not torn.startswith(LINE_START):
            raise JournalError(f"{path} is not a journal: it ends in a strange line.")
        if torn:  # the sandbox was killed while writing it: it was never answered
            os.truncate(path, len(complete) + 1 if complete else 0)
        try:
            lines = [line for line in complete.splitlines() if line.strip()]
            self._entries = [json.loads(line) for line in lines]
        except ValueError as exc:
            raise JournalError(f"{path} is not a journal: {exc}") from exc

    @property
    def entries(self) -> list[dict[str, Any]]:
        """A copy of all lines, oldest first."""
        with self._lock:
            return list(self._entries)

    def append(self, entry: dict[str, Any]) -> None:
        """Write the line through to the disk, then remember it."""
        with self._lock:
            if self._path:
                with self._path.open("a", encoding="utf-8") as file:
                    file.write(json.dumps(entry, ensure_ascii=False) + "\n")
                    file.flush()
                    os.fsync(file.fileno())
            self._entries.append(entry)


class World:
    """Definitions and tasks of all accounts, at the time an injected clock (UTC) tells.

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
        self.row_delay_seconds = (
            pace_seconds * USUAL_ROW_DELAY_SHARE
            if row_delay_seconds is None
            else row_delay_seconds
        )
        self.history_days = history_days
        self.alive = alive
        self.journal = journal or Journal()
        self.began_at = clock()
        self._lock = RLock()
        self._days: dict[date, list[Task]] = {}
        by_id = {each.object_id: each for each in self.catalogue.definitions}
        self._tasks = [
            _task_of(line, by_id[line["object_id"]])
            for line in self.journal.entries
            if line["object_id"] in by_id
        ]
        self._last_task_id = max((task.task_id for task in self._tasks), default=0)

    def definitions(self, mids: Iterable[int]) -> list[Definition]:
        """The definitions of those accounts, in no meaningful order."""
        within = set(mids)
        matching = [d for d in self.catalogue.definitions if d.mid in within]
        return sorted(matching, key=lambda definition: definition.object_id)

    def find(
        self,
        mid: int,
        *,
        customer_key: str | None = None,
        object_id: str | None = None,
    ) -> Definition | None:
        """The account's definition by key, else by ObjectID; None if unknown."""
        definitions = [d for d in self.catalogue.definitions if d.mid == mid]
        if customer_key:
            matching = (d for d in definitions if d.customer_key == customer_key)
        else:
            lowered = (object_id or "").lower()
            matching = (d for d in definitions if d.object_id == lowered)
        return next(matching, None)

    def start(
        self,
        definition: Definition,
        origin: str,
        row_delay_seconds: float | None,
        **details: Any,
    ) -> Task:
        """Start the definition and write it into the journal.

        `details` go into the journal's line: how a Perform identified it, by which
        connection and request.
        """
        account = self.catalogue.account_named(definition.mid)
        is_slow = definition.behaviour is Behaviour.SLOW
        with self._lock:
            now = self.clock()
            line = {
                "task_id": self._next_task_id(now),
                "origin": origin,
                "account": account.name if account else None,
                "mid": definition.mid,
                "customer_key": definition.customer_key,
                "object_id": definition.object_id,
                "at": now.isoformat(),
                "length_seconds": self.pace_seconds * (SLOW_FACTOR if is_slow else 1),
                "row_delay_seconds": row_delay_seconds,
            }
            self.journal.append({**line, **details})
            task = _task_of(line, definition)
            self._tasks.append(task)
            self._last_task_id = task.task_id
            return task

    def start_outside(self, account: str | int, customer_key: str) -> Task:
        """Start a definition as if Automation Studio did it.

        Raises UnknownDefinitionError.
        """
        owner = self.catalogue.account_named(account)
        definition = owner and self.find(owner.mid, customer_key=customer_key)
        if not definition:
            raise UnknownDefinitionError(
                f"No definition {customer_key!r} in account {account!r}."
            )
        return self.start(definition, "outside", self.row_delay_seconds)

    def tasks(self, mids: Iterable[int]) -> list[Task]:
        """Every task of those accounts that has started, in no meaningful order."""
        within, now = set(mids), self.clock()
        oldest = now - timedelta(days=self.history_days)
        days = [now.date() - timedelta(days=n) for n in range(self.history_days + 1)]
        with self._lock:
            tasks = list(self._tasks)
            for day in days if self.history_days else ():
                for task in self._of_day(day):
                    has_ended = task.ends_at <= self.began_at
                    is_past = task.started_at <= now if self.alive else has_ended
                    if is_past and task.started_at >= oldest:
                        tasks.append(task)
        matching = [task for task in tasks if task.definition.mid in within]
        return sorted(matching, key=lambda task: str(task.task_id)[::-1])

    def summary(self, task: Task) -> Summary | None:
        """The task's row now; None while there is none."""
        return summary_at(task, self.clock())

    def performed(self, origin: str | None = "perform") -> list[dict[str, Any]]:
        """The journal's lines of that origin; None means all."""
        lines = self.journal.entries
        return [line for line in lines if origin in (None, line["origin"])]

    def _next_task_id(self, now: datetime) -> int:
        """Above all others, and none that a schedule will use."""
        days = (now.date(), (now + timedelta(days=1)).date())
        scheduled = {task.task_id for day in days for task in self._of_day(day)}
        task_id = max(self._last_task_id + 1, first_task_id(now))
        while task_id in scheduled:
            task_id += 1
        return task_id

    def _of_day(self, day: date) -> list[Task]:
        with self._lock:
            if day not in self._days:
                self._days[day] = scheduled_tasks(self.catalogue.definitions, day)
            return self._days[day]


def _task_of(line: dict[str, Any], definition: Definition) -> Task:
    """The task that a line of the journal tells of."""
    started_at = datetime.fromisoformat(line["at"])
    return Task(
        task_id=line["task_id"],
        definition=definition,
        started_at=started_at,
        plan=plan_for(definition, started_at, line["length_seconds"]),
        origin=line["origin"],
        row_delay_seconds=line["row_delay_seconds"],
    )
