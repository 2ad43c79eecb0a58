"""A site whose workers die, and what its history and the journal say afterwards."""

from __future__ import annotations

import json
import os
import signal
import subprocess
from collections import Counter
from contextlib import ExitStack
from dataclasses import dataclass
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any, Self

from imports.sandbox.catalogue import Behaviour
from imports.sandbox.nordlicht import nordlicht
from tests.at_most_once.doomed_worker import NURSERY
from tests.e2e.site import PYTHON, ROOT, Part, Site, wait_until

DEADLINE_SECONDS, LEASE_SECONDS, GRACE_SECONDS = 3, 4, 5
SHORT = {
    "MCDASH_CONNECT_TIMEOUT_SECONDS": "2",
    "MCDASH_CALL_DEADLINE_SECONDS": str(DEADLINE_SECONDS),
    "MCDASH_START_LEASE_SECONDS": str(LEASE_SECONDS),
    "MCDASH_UNKNOWN_GRACE_SECONDS": str(GRACE_SECONDS),
}
PACE_SECONDS = "0.5"
DOOMED, CLERK = "tests.at_most_once.doomed_worker", "tests.at_most_once.clerk"
# From the claim to the Perform's arrival at the sandbox.
# Why a start was given up where nothing was sent.
NOTHING_SENT = {"held_up", "unreachable", "no_token", "account_busy"}
LONGEST_WAY = timedelta(seconds=5 + DEADLINE_SECONDS)
OUTCOMES = {
    Behaviour.FAILS: "failed",
    Behaviour.ENDS_WITH_ERRORS: "completed_with_errors",
    Behaviour.LEAVES_ROWS_OPEN: "completed_with_errors",
}
RUNS = """
    SELECT run.id, account.name, run.customer_key, run.status, run.task_id,
        run.reason, run.sent_at
    FROM imports_importrun run JOIN imports_account account
        ON account.id = run.account_id
    WHERE run.origin != 'outside' ORDER BY run.id
"""


@dataclass(frozen=True, kw_only=True)
class Ended:
    """A run of ours as the database has it."""

    pk: int
    account: str
    key: str
    status: str
    task_id: str | None
    reason: str
    sent_at: datetime | None

    @property
    def definition(self) -> tuple[str, str]:
        return self.account, self.key


class CrashSite(Site):
    """Both accounts of the sandbox, a clerk who starts, workers that die."""

    def prepare_all(self) -> None:
        """Sandbox, accounts, definitions, history; a clerk, a nursery of workers."""
        self.start_sandbox("--pace", PACE_SECONDS, "--quiet")
        self.clerk = self._open(CLERK, self.sandbox_url.rpartition(":")[2])
        self.nursery = self._open(DOOMED, NURSERY)
        self.top_up(0)

    def _open(self, module: str, *arguments: str) -> subprocess.Popen[str]:
        """A process that waits for our lines."""
        log = self.folder / f"{module}.log"
        with log.open("wb") as errors:
            process = subprocess.Popen(
                [PYTHON, "-m", module, *arguments],
                cwd=ROOT,
                env=self.env,
                stdin=subprocess.PIPE,
                stdout=subprocess.PIPE,
                stderr=errors,
                text=True,
            )
        self.ending.callback(process.wait, 10)
        for pipe in (process.stdout, process.stdin):
            assert pipe
            self.ending.callback(pipe.close)
        return process

    def __enter__(self) -> Self:
        self.ending = ExitStack()
        return super().__enter__()

    def __exit__(self, *_: object) -> None:
        super().__exit__()
        self.ending.close()

    def top_up(self, wanted: int, names: str = "") -> list[int]:
        """Let `wanted` runs wait in the accounts' queue; the ids of those new."""
        begun: list[int] = json.loads(_ask(self.clerk, f"{wanted} {names}"))
        return begun

    def start_doomed(self, *doom: object) -> Part:
        """A worker that will come to its end at `point`, at the nth time."""
        return self.start_module(DOOMED, *doom)

    def start_module(self, module: str, *arguments: object) -> Part:
        """A worker that is started by a module of the tests."""
        log = self.folder / f"{len(self.parts)}-worker.log"
        with log.open("wb") as output:
            process = subprocess.Popen(
                [PYTHON, "-m", module, *map(str, arguments)],
                cwd=ROOT,
                env=self.env,
                stdin=subprocess.DEVNULL,
                stdout=output,
                stderr=subprocess.STDOUT,
            )
        self.parts.append(Part(process=process, log=log))
        return self.parts[-1]

    def let_one_die(self, *doom: object, seconds: float = 60) -> None:
        """A worker's whole life, which must end by SIGKILL."""
        log = self.folder / "doomed.log"
        status = int(_ask(self.nursery, json.dumps([str(log), seconds, doom])))
        assert status == -signal.SIGKILL, f"{doom}: {status}\n{log.read_text()}"

    def settle(self, seconds: float = 120) -> None:
        """A worker whom nobody kills, until no run of ours is active."""
        self.start_doomed()
        active = {"queued", "starting", "running", "unknown"}
        wait_until(
            lambda: not active.intersection(self.statuses()),
            "the end of every run",
            seconds=seconds,
            every_seconds=0.2,
        )

    def ended(self) -> list[Ended]:
        return [
            Ended(
                pk=row[0],
                account=row[1],
                key=row[2],
                status=row[3],
                task_id=row[4],
                reason=row[5],
                sent_at=_moment(row[6]),
            )
            for row in self.ask(RUNS)
        ]

    def is_frozen(self, part: Part) -> bool:
        """Whether the process was stopped by SIGSTOP."""
        stat = Path(f"/proc/{part.process.pid}/stat").read_text()
        return stat.rpartition(")")[2].split()[0] == "T"

    def thaw(self, part: Part) -> None:
        os.kill(part.process.pid, signal.SIGCONT)


def _ask(process: subprocess.Popen[str], line: str) -> str:
    assert process.stdin
    assert process.stdout
    process.stdin.write(f"{line}\n")
    process.stdin.flush()
    answer = process.stdout.readline()
    assert answer, f"{process.args!r} has ended"
    return answer


def _moment(found: str | datetime | None) -> datetime | None:
    """As SQLite writes it down, or PostgreSQL gives it."""
    if isinstance(found, datetime):
        return found
    return datetime.fromisoformat(f"{found}+00:00") if found else None


def judge(runs: list[Ended], journal: list[dict[str, Any]]) -> Counter[str]:
    """Hold the history against the journal; how many runs ended in which state.

    Raises `AssertionError` for a run in a wrong state, a definition performed more
    often than runs of it were sent, a task without its run.
    """
    lines = {str(line["task_id"]): line for line in journal}
    tasks = Counter(run.task_id for run in runs if run.task_id)
    assert len(lines) == len(journal)
    assert set(tasks) == set(lines), "every task has its run, and no run another's"
    assert set(tasks.values()) <= {1}
    done = Counter((line["account"], line["customer_key"]) for line in journal)
    sent = Counter(run.definition for run in runs if run.sent_at)
    assert not done - sent, "performed more often than sent"
    for run in runs:
        _judge_one(run, lines.get(run.task_id or ""))
    return Counter(f"{run.status} {run.reason}".strip() for run in runs)


def _judge_one(run: Ended, line: dict[str, Any] | None) -> None:
    behaviour = BEHAVIOURS[run.definition]
    if line is None:
        assert run.status == "not_started", run
        assert run.reason in {"no_trace", *NOTHING_SENT} or (
            behaviour is Behaviour.REFUSED and run.reason == "not_valid"
        ), run
        return
    assert run.status == OUTCOMES.get(behaviour, "completed"), run
    assert (line["account"], line["customer_key"]) == run.definition
    assert run.sent_at
    way = datetime.fromisoformat(line["at"]) - run.sent_at
    assert timedelta(0) <= way <= LONGEST_WAY, f"{run} was sent at another time"


_WORLD = nordlicht()
BEHAVIOURS = {
    (_WORLD.account_named(one.mid).name, one.customer_key): one.behaviour  # type: ignore[union-attr]  # it is there
    for one in _WORLD.definitions
}
