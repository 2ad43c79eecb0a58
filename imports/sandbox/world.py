"""The sandbox's state: what was started, how far it has got, and the journal of it."""

from __future__ import annotations

import json
import os
from collections.abc import Callable, Iterable
from datetime import UTC, datetime, timedelta
from functools import cache, partial
from pathlib import Path
from threading import Lock
from typing import Any

from imports.sandbox.catalogue import Behaviour, Catalogue, Definition
from imports.sandbox.nordlicht import nordlicht
from imports.sandbox.tasks import Task, first_task_id, scheduled_tasks

Clock = Callable[[], datetime]
SLOW_FACTOR = 10
USUAL_ROW_DELAY_SHARE = 0.06  # of the pace; the row is then seen as New
LINE_START = b'{"task_id"'


def utc_now() -> datetime:
    return datetime.now(UTC)


class UnknownDefinitionError(Exception):
    """No such definition in that account."""


class JournalError(Exception):
    """The journal's file cannot be read or written."""


class Journal:
    """One JSON line for each task started while the sandbox was running.

    Lines are kept in memory and, given a path, in a file: written before the answer
    leaves, and read again at the next start.
    """

    def __init__(self, path: Path | None = None) -> None:
        """Read what the file holds; raise JournalError where it is no journal."""
        self._path = path
        self.entries: list[dict[str, Any]] = []
        if path is None or not path.exists():
            return
        complete, _, torn = path.read_bytes().rpartition(b"\n")
        if torn and not torn.startswith(LINE_START):
            raise JournalError(f"{path} is not a journal: it ends in a strange line.")
        if torn:  # the sandbox was killed while writing it: it was never answered
            os.truncate(path, len(complete) + 1 if complete else 0)
        try:
            lines = [line for line in complete.splitlines() if line.strip()]
            self.entries = [json.loads(line) for line in lines]
        except ValueError as exc:
            raise JournalError(f"{path} is not a journal: {exc}") from exc

    def append(self, entry: dict[str, Any]) -> None:
        """Write the line through to the disk, then remember it; one at a time."""
        if self._path:
            with self._path.open("a", encoding="utf-8") as file:
                file.write(json.dumps(entry, ensure_ascii=False) + "\n")
                file.flush()
                os.fsync(file.fileno())
        self.entries.append(entry)


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
        history_days: int = 30,
        alive: bool = False,
        journal: Journal | None = None,
    ) -> None:
        self.catalogue = catalogue or nordlicht()
        self.clock = clock
        self.pace_seconds = pace_seconds
        self.row_delay_seconds = pace_seconds * USUAL_ROW_DELAY_SHARE
        self.history_days = history_days
        self.alive = alive
        self.journal = journal or Journal()
        self.began_at = clock()
        self._lock = Lock()
        self._of_day = cache(partial(scheduled_tasks, self.catalogue.definitions))
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
        self, mid: int, *, customer_key: str | None, object_id: str | None = None
    ) -> Definition | None:
        """The account's definition by key, else by ObjectID; None if unknown."""
        of_account = (d for d in self.catalogue.definitions if d.mid == mid)
        if customer_key:
            matching = (d for d in of_account if d.customer_key == customer_key)
        else:
            object_id = (object_id or "").lower()
            matching = (d for d in of_account if d.object_id == object_id)
        return next(matching, None)

    def start(
        self,
        definition: Definition,
        origin: str,
        row_delay_seconds: float | None,
        **details: Any,
    ) -> Task:
        """Start the definition and write it, with the details, into the journal."""
        account = self.catalogue.account_named(definition.mid)
        is_slow = definition.behaviour is Behaviour.SLOW
        with self._lock:
            now = self.clock()
            # above all others, and none that a schedule will use
            days = (now.date(), (now + timedelta(days=1)).date())
            scheduled = {task.task_id for day in days for task in self._of_day(day)}
            task_id = max(self._last_task_id + 1, first_task_id(now))
            while task_id in scheduled:
                task_id += 1
            line = {
                "task_id": task_id,
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
            self._last_task_id = task_id
            return task

    def start_outside(self, account: str | int, customer_key: str) -> Task:
        """Start it as if Automation Studio did; raises UnknownDefinitionError."""
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
        tasks = list(self._tasks)
        for days_ago in range(self.history_days + 1):
            for task in self._of_day(now.date() - timedelta(days=days_ago)):
                has_ended = task.ends_at <= self.began_at
                is_past = task.started_at <= now if self.alive else has_ended
                if is_past and task.started_at >= oldest:
                    tasks.append(task)
        matching = [task for task in tasks if task.definition.mid in within]
        return sorted(matching, key=lambda task: str(task.task_id)[::-1])

    def performed(self, origin: str | None = "perform") -> list[dict[str, Any]]:
        """The journal's lines of that origin; None means all."""
        lines = list(self.journal.entries)
        return [line for line in lines if origin in (None, line["origin"])]


def _task_of(line: dict[str, Any], definition: Definition) -> Task:
    """The task that a line of the journal tells of."""
    return Task(
        task_id=line["task_id"],
        definition=definition,
        started_at=datetime.fromisoformat(line["at"]),
        length_seconds=line["length_seconds"],
        row_delay_seconds=line["row_delay_seconds"],
    ).planned()
