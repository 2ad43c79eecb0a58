"""Crowded sandboxes, as seen from the benchmark's process."""

from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any
from urllib.request import Request, urlopen

from tests.bench.here import ROOT


@dataclass(frozen=True)
class Sandbox:
    """One that serves at `url`."""

    url: str

    def set_latency(self, milliseconds: int) -> None:
        """How long every answer takes beside the making of it."""
        body = json.dumps({"latency_ms": milliseconds}).encode()
        headers = {"Content-Type": "application/json"}
        with urlopen(Request(f"{self.url}/control", body, headers), timeout=60) as done:
            done.read()

    def counts(self) -> dict[str, int]:
        """Requests so far, by operation."""
        return self._get("/control")["counts"]  # type: ignore[no-any-return]  # JSON

    def tasks(self) -> list[dict[str, Any]]:
        """Every task that was started here, by Perform or outside."""
        return self._get("/journal?origin=all")  # type: ignore[no-any-return]  # JSON

    def _get(self, path: str) -> Any:
        with urlopen(f"{self.url}{path}", timeout=60) as answer:
            return json.load(answer)


@contextmanager
def crowded_sandbox(**options: object) -> Iterator[Sandbox]:
    """A sandbox process with the options of `crowded_sandbox.py`."""
    given = [
        word for name, value in options.items() for word in (f"--{name}", str(value))
    ]
    process = subprocess.Popen(
        [sys.executable, "-m", "tests.bench.crowded_sandbox", *given],
        cwd=ROOT,
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        text=True,
    )
    try:
        assert process.stdout
        url = process.stdout.readline().strip()
        if not url:
            raise RuntimeError("The crowded sandbox did not start.")
        yield Sandbox(url)
    finally:
        process.kill()
        process.communicate()


def add_accounts(sandbox: Sandbox, count: int, *, settled: bool = False) -> None:
    """The sandbox's first `count` accounts, with their definitions unknown; `settled`
    ones were just synced and adopted, so that the worker leaves them alone.
    """
    from django.utils import timezone

    from imports.models import Account
    from tests.bench.crowded_sandbox import account

    now = timezone.now() if settled else None
    for number in range(count):
        theirs = account(number)
        Account.objects.create(
            name=theirs.name,
            mid=str(theirs.mid),
            client_id=theirs.client_id,
            secret=theirs.client_secret,
            auth_url=sandbox.url,
            soap_url=f"{sandbox.url}/Service.asmx",
            last_synced_at=now,
            last_adopted_at=now,
        )


def follow_tasks(sandbox: Sandbox) -> int:
    """Runs for the sandbox's tasks, each with a definition, as started elsewhere and
    not looked at yet; how many.
    """
    from django.utils import timezone

    from imports.models import Account, ImportDefinition, ImportRun, Origin, RunStatus

    now = timezone.now()
    accounts = {account.mid: account for account in Account.objects.all()}
    tasks = sandbox.tasks()
    for task in tasks:
        account = accounts[str(task["mid"])]
        definition, _ = ImportDefinition.objects.get_or_create(
            account=account,
            object_id=task["object_id"],
            defaults={
                "customer_key": task["customer_key"],
                "name": task["customer_key"],
                "first_seen_at": now,
                "last_seen_at": now,
            },
        )
        ImportRun.objects.create(
            account=account,
            definition=definition,
            customer_key=task["customer_key"],
            origin=Origin.OUTSIDE,
            status=RunStatus.RUNNING,
            task_id=str(task["task_id"]),
            occurred_at=now,
            next_check_at=now,
        )
    return len(tasks)
