"""mcdash as it is run, with database, data folder and logs where a test puts them."""

from __future__ import annotations

import json
import re
import secrets
import socket
import sqlite3
import subprocess
from collections.abc import Iterator
from contextlib import closing, contextmanager
from pathlib import Path
from typing import Any
from urllib.error import HTTPError
from urllib.request import urlopen

from tests.e2e.browsing import Browser
from tests.e2e.site import PYTHON, ROOT, Part, Site, wait_until

# A worker that hangs on the wire gives up soon, and its claim ends soon after.
SHORT = {"MCDASH_CALL_DEADLINE_SECONDS": "8", "MCDASH_START_LEASE_SECONDS": "9"}
PERSON = "ana"
KEY = "newsletter-subscribers-daily"


class DiskSite(Site):
    """A site whose parts lie on different disks. The sandbox's journal and what tests
    themselves write stay in `folder`, which is never full.
    """

    web_url = ""

    @classmethod
    def on(
        cls, folder: Path, *, data: Path, database: Path | str, **extra: str
    ) -> DiskSite:
        """`database`: a folder for SQLite's file, or PostgreSQL's address."""
        url = database
        if isinstance(database, Path):
            url = f"sqlite:///{database / 'mcdash.sqlite3'}"
        places = {"MCDASH_DATA_DIR": str(data), "DATABASE_URL": str(url)}
        return cls(folder=folder, extra=SHORT | places | extra)

    def set_up(self, *, pace: str = "1") -> None:
        """Tables, an account, its definitions, somebody who can start there."""
        self.start_sandbox("--pace", pace)
        self.password = secrets.token_urlsafe(9)
        done = subprocess.run(
            [PYTHON, "-m", "tests.disks.prepare", self.sandbox_url, PERSON],
            input=self.password,
            cwd=ROOT,
            env=self.env,
            capture_output=True,
            text=True,
            timeout=120,
            check=False,
        )
        if done.returncode:
            raise AssertionError(f"{done.stdout}{done.stderr}")

    def start_web(self, *, log: Path | None = None) -> Part:
        """gunicorn, once it serves. Its port is in a log, which may be on a full disk:
        so the port is chosen here.
        """
        port = free_port()
        log = log or self.folder / f"{len(self.parts)}-web.log"
        part = self.start_program(
            log,
            *("-m", "gunicorn", "-c", "python:mcdash.gunicorn", "mcdash.wsgi"),
            *("--bind", f"127.0.0.1:{port}", "--threads", "4", "--workers", "1"),
        )
        self.web_url = f"http://127.0.0.1:{port}"
        wait_until(lambda: self.fetch("/healthz")[0], "the web side", seconds=30)
        return part

    def start_program(self, log: Path, *arguments: str) -> Part:
        """Start Python with `arguments` and go on."""
        with log.open("ab") as output:
            process = subprocess.Popen(
                [PYTHON, *arguments],
                cwd=ROOT,
                env=self.env | {"MCDASH_ACCESS_LOG": "1"},
                stdin=subprocess.DEVNULL,
                stdout=output,
                stderr=subprocess.STDOUT,
            )
        self.parts.append(Part(process=process, log=log))
        return self.parts[-1]

    def __exit__(self, *error: object) -> None:
        """gunicorn is asked, so that it ends its own children; the others are not."""
        for part in self.parts:
            if "gunicorn" in str(part.process.args) and part.process.poll() is None:
                part.process.terminate()
                try:
                    part.wait(10)
                except subprocess.TimeoutExpired:
                    part.kill()
        super().__exit__(*error)

    def fetch(self, path: str) -> tuple[int, str]:
        """Status and text of an answer; 0 where there was none."""
        try:
            with urlopen(f"{self.web_url}{path}", timeout=30) as answer:
                return answer.status, answer.read().decode()
        except HTTPError as error:
            with error:
                return error.code, error.read().decode()
        except OSError:
            return 0, ""

    def health(self) -> dict[str, str]:
        """What /healthz says; empty where it says nothing in JSON."""
        status, text = self.fetch("/healthz")
        told: dict[str, str] = json.loads(text) if status == 200 else {}
        return told

    def measure(self, name: str) -> float:
        """The sum of a measure's samples."""
        found = re.findall(
            rf"^{name}(?:{{.*}})? (\S+)$", self.fetch("/metrics")[1], re.M
        )
        return sum(map(float, found))

    def browser(self) -> Browser:
        """Somebody who has signed in."""
        browser = Browser(base=self.web_url)
        browser.post("/login/", {"username": PERSON, "password": self.password})
        return browser

    @contextmanager
    def _database(self) -> Iterator[Any]:
        scheme, _, rest = self.extra["DATABASE_URL"].partition(":///")
        if scheme != "sqlite":
            with super()._database() as database:
                yield database
            return
        with closing(sqlite3.connect(rest, timeout=20)) as database:
            yield database


def free_port() -> int:
    with socket.socket() as attempt:
        attempt.bind(("127.0.0.1", 0))
        port: int = attempt.getsockname()[1]
    return port
