"""Any number of workers on one database, each with a clock of its own."""

from __future__ import annotations

from pathlib import Path
from typing import Self

from tests.at_most_once.crashing import SHORT, CrashSite
from tests.e2e.site import Part, wait_until

WORKER = "tests.engines.worker"


class Fleet(CrashSite):
    """A site whose workers run side by side."""

    @classmethod
    def on(cls, *, database: str, queue: str, folder: Path) -> Self:
        engines = {"DATABASE_URL": database, "MCDASH_QUEUE_URL": queue}
        return cls(folder=folder, extra=SHORT | engines)

    def hire(self, *doom: object, ahead_seconds: int = 0, newer: bool = False) -> Part:
        """A worker that has given a sign of life; its clock is wrong by
        `ahead_seconds`; `newer`: of a later release, which knows a column more.
        """
        before = self.beats()
        options = [f"--ahead={ahead_seconds}", *(["--newer"] if newer else [])]
        part = self.start_module(WORKER, *options, *doom)

        def is_alive() -> bool:
            if part.process.poll() is not None:
                raise AssertionError(part.said)
            return self.beats() > before

        wait_until(is_alive, "the worker's heartbeat", seconds=60)
        return part

    def holder_of(self, lease: str) -> int | None:
        """The process id of the worker that holds `lease` now."""
        sql = (
            f"SELECT holder FROM imports_lease WHERE name = '{lease}'"
            " AND expires_at > now()"
        )
        rows = self.ask(sql)
        return int(rows[0][0].split(":")[1]) if rows else None

    def wait_for_rest(self, seconds: float = 120) -> None:
        """Until no run of ours is active."""
        active = {"queued", "starting", "running", "unknown"}
        wait_until(
            lambda: not active.intersection(self.statuses()),
            "the end of every run",
            seconds=seconds,
            every_seconds=0.2,
        )
