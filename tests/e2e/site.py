"""mcdash as it is run: commands, worker and sandbox as processes of their own.

A `Site` has a data folder, keys and ports that nobody else uses; leaving it ends
every process that it started, each by its own id.
"""

from __future__ import annotations

import json
import os
import re
import secrets
import signal
import sqlite3
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import closing, contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Self
from urllib.request import Request, urlopen

import psycopg
from cryptography.fernet import Fernet

from imports.sandbox.nordlicht import DE

ROOT = Path(__file__).resolve().parents[2]
PYTHON = sys.executable
DATABASE = "mcdash.sqlite3"
# What would lead a process of ours to somebody else's data.
FOREIGN = ("DATABASE_URL", "MCDASH_PROXY_URL")


class TooLateError(AssertionError):
    """What was waited for did not happen in time."""


def wait_until(
    is_so: Callable[[], Any],
    what: str,
    *,
    seconds: float = 30,
    every_seconds: float = 0.02,
) -> Any:
    """The first true value of `is_so()`; raises `TooLateError` after `seconds`."""
    until = time.monotonic() + seconds
    while not (found := is_so()):
        if time.monotonic() > until:
            raise TooLateError(f"{what}: not within {seconds:g} s")
        time.sleep(every_seconds)
    return found


@dataclass(kw_only=True)
class Part:
    """A process, and the file that takes all that it prints."""

    process: subprocess.Popen[bytes]
    log: Path

    @property
    def said(self) -> str:
        return self.log.read_text(errors="replace")

    def kill(self) -> None:
        """SIGKILL: no goodbye, as when the machine loses power."""
        self.process.kill()
        self.process.wait()

    def interrupt(self) -> None:
        """What Ctrl-C sends."""
        self.process.send_signal(signal.SIGINT)

    def wait(self, seconds: float = 60) -> int:
        """The exit status, once it has ended."""
        return self.process.wait(timeout=seconds)


@dataclass(kw_only=True)
class Site:
    """One mcdash with its own data. `extra` are settings beside the usual ones, `root`
    is the checkout that is run.
    """

    folder: Path
    root: Path = ROOT
    extra: dict[str, str] = field(default_factory=dict)
    parts: list[Part] = field(default_factory=list)
    sandbox_url: str = ""

    def __post_init__(self) -> None:
        own = {
            "DJANGO_SETTINGS_MODULE": "mcdash.settings",
            "MCDASH_DATA_DIR": str(self.folder),
            "MCDASH_SECRET_KEY": secrets.token_urlsafe(48),
            "MCDASH_FIELD_KEYS": Fernet.generate_key().decode(),
            "MCDASH_ALLOW_LOOPBACK": "1",
            "MCDASH_CLIENT_SECRET": DE.client_secret,
            "PYTHONUNBUFFERED": "1",
        }
        usual = {k: v for k, v in os.environ.items() if k not in FOREIGN}
        self.env = usual | own | self.extra

    def __enter__(self) -> Self:
        self.folder.mkdir(parents=True, exist_ok=True)
        return self

    def __exit__(self, *_: object) -> None:
        for part in reversed(self.parts):
            if part.process.poll() is None:
                part.kill()

    # commands

    def manage(self, *arguments: str) -> subprocess.CompletedProcess[str]:
        """Run `manage.py arguments…` to its end."""
        return subprocess.run(
            [PYTHON, "manage.py", *arguments],
            cwd=self.root,
            env=self.env,
            stdin=subprocess.DEVNULL,
            capture_output=True,
            text=True,
            timeout=120,
            check=False,
        )

    def must(self, *arguments: str) -> str:
        """The stdout of a command that has to succeed."""
        done = self.manage(*arguments)
        if done.returncode:
            raise AssertionError(f"{arguments}: {done.stdout}{done.stderr}")
        return done.stdout

    def start(self, *arguments: str) -> Part:
        """Start `manage.py arguments…` and go on."""
        return self.start_command(PYTHON, "manage.py", *arguments, name=arguments[0])

    def start_command(self, *command: str, name: str = "") -> Part:
        """Start any program and go on."""
        log = self.folder / f"{len(self.parts)}-{name or Path(command[0]).name}.log"
        with log.open("wb") as output:
            process = subprocess.Popen(
                command,
                cwd=self.root,
                env=self.env,
                stdin=subprocess.DEVNULL,
                stdout=output,
                stderr=subprocess.STDOUT,
            )
        self.parts.append(Part(process=process, log=log))
        return self.parts[-1]

    # the sandbox

    def start_sandbox(self, *options: str) -> Part:
        """A sandbox on a free port, once it serves; its journal is kept in a file."""
        part = self.start(
            *("run_sandbox", "--port", "0", "--journal", str(self.journal_file)),
            *("--history-days", "2", *options),
        )

        def address() -> re.Match[str] | None:
            if part.process.poll() is not None:
                raise AssertionError(part.said)
            return re.search(r"Sandbox at (http://127\.0\.0\.1:\d+):", part.said)

        self.sandbox_url = wait_until(address, "the sandbox's address")[1]
        return part

    @property
    def journal_file(self) -> Path:
        return self.folder / "journal.jsonl"

    def performed(self) -> list[dict[str, Any]]:
        """The journal's lines, one for each Perform that was carried out."""
        if not self.journal_file.exists():
            return []
        lines = self.journal_file.read_text().splitlines()
        return [json.loads(line) for line in lines]

    def order(self, **order: Any) -> None:
        """Give an order to the sandbox's control route."""
        request = Request(
            f"{self.sandbox_url}/control",
            data=json.dumps(order).encode(),
            headers={"Content-Type": "application/json"},
        )
        with urlopen(request, timeout=10) as answer:
            answer.read()

    def end_hanging(self) -> None:
        """All is well again in the sandbox; whoever hangs is let go."""
        request = Request(f"{self.sandbox_url}/control", method="DELETE")
        with urlopen(request, timeout=10) as answer:
            answer.read()

    def calls(self, operation: str) -> int:
        """How many requests of that operation the sandbox has met so far."""
        with urlopen(f"{self.sandbox_url}/control", timeout=10) as answer:
            count: int = json.load(answer)["counts"].get(operation, 0)
        return count

    # mcdash

    def prepare(self) -> None:
        """A database with the account Nordlicht DE and its definitions."""
        if "DATABASE_URL" in self.extra or not (self.folder / DATABASE).exists():
            self.must("migrate", "--verbosity", "0")
        self.must(
            *("add_account", DE.name, "--mid", str(DE.mid)),
            *("--client-id", DE.client_id, "--auth-url", self.sandbox_url),
            *("--soap-url", f"{self.sandbox_url}/Service.asmx"),
        )

    def start_worker(self) -> Part:
        """A worker, once it has given its first sign of life."""
        before = self.workers_heard()
        part = self.start("run_worker")

        def is_alive() -> bool:
            if part.process.poll() is not None:
                raise AssertionError(part.said)
            return self.workers_heard() > before

        wait_until(is_alive, "the worker's heartbeat")
        return part

    def workers_heard(self) -> int:
        """How many workers were ever heard of."""
        count: int = self.ask("SELECT count(*) FROM imports_worker")[0][0]
        return count

    def runs(self) -> list[dict[str, Any]]:
        """The history as `list_runs` tells it."""
        found: list[dict[str, Any]] = json.loads(self.must("list_runs", "--json"))
        return found

    def ours(self) -> list[dict[str, Any]]:
        """The runs of the history that mcdash started."""
        return [run for run in self.runs() if run["origin"] != "outside"]

    def ask(self, sql: str) -> list[tuple[Any, ...]]:
        """Rows straight from the database: a command would take half a second."""
        with self._database() as database:
            rows: list[tuple[Any, ...]] = database.execute(sql).fetchall()
        return rows

    def change(self, sql: str) -> None:
        """Change rows as a crash or another program might."""
        with self._database() as database:
            database.execute(sql)
            database.commit()

    def statuses(self) -> list[str]:
        """The status of each run of ours."""
        sql = "SELECT status FROM imports_importrun WHERE origin != 'outside'"
        return [row[0] for row in self.ask(sql)]

    def events(self) -> list[str]:
        """The timeline of our only run: the kind of each event."""
        sql = """
            SELECT event.kind FROM imports_runevent event
            JOIN imports_importrun run ON run.id = event.run_id
            WHERE run.origin != 'outside' ORDER BY event.at, event.id
        """
        return [row[0] for row in self.ask(sql)]

    @contextmanager
    def _database(self) -> Iterator[Any]:
        database: Any = (
            psycopg.connect(url, autocommit=True)
            if (url := self.extra.get("DATABASE_URL"))
            else sqlite3.connect(self.folder / DATABASE, timeout=20)
        )
        with closing(database):
            yield database
