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
    def on(cls, *, database: str, folder: Path) -> Self:
        return cls(folder=folder, extra=SHORT | {"DATABASE_URL": database})

    def hire(
        self,
        *doom: object,
        ahead_seconds: int = 0,
        newer: bool = False,
        deaf: bool = False,
    ) -> Part:
        """A worker that has given a sign of life; its clock is wrong by
        `ahead_seconds`; `newer`: of a later release, which knows a column more; `deaf`:
        it does not listen again once it was cut off.
        """
        before = self.workers_heard()
        options = [f"--ahead={ahead_seconds}", *(["--newer"] if newer else [])]
        options += ["--deaf"] if deaf else []
        part = self.start_module(WORKER, *options, *doom)

        def is_alive() -> bool:
            if part.process.poll() is not None:
                raise AssertionError(part.said)
            return self.workers_heard() > before

        wait_until(is_alive, "the worker's heartbeat", seconds=60)
        return part

    def held(self, names: str) -> dict[str, int]:
        """The leases whose names are like that, with the process ids of the workers
        that hold them now.
        """
        sql = (
            f"SELECT name, holder FROM imports_lease WHERE name LIKE '{names}'"
            " AND expires_at > now()"
        )
        return {name: int(holder.split(":")[1]) for name, holder in self.ask(sql)}

    def wait_for_rest(self, seconds: float = 120) -> None:
        """Until no run of ours is active."""
        active = {"queued", "starting", "running", "unknown"}
        wait_until(
            lambda: not active.intersection(self.statuses()),
            "the end of every run",
            seconds=seconds,
            every_seconds=0.2,
        )
