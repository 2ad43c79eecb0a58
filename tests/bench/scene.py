"""What load tests measure: a long history, three accounts in which something runs, a
worker, a web side.
"""

from __future__ import annotations

import argparse
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager, nullcontext
from dataclasses import dataclass
from pathlib import Path

from tests.bench.here import database_of_its_own, prepare
from tests.bench.history import Size, fill
from tests.bench.processes import family, spent_by
from tests.bench.sandboxes import Sandbox, add_accounts, crowded_sandbox, follow_tasks
from tests.bench.steps import Steps
from tests.bench.watchers import add_starter, add_watchers
from tests.bench.web import Web, get, poll_of, web
from tests.bench.worker import worker

ACCOUNTS, RUNS = 3, 2
STEP_SECONDS = 5.0
# Of each account, beside those that run: enough that each start finds one at rest.
STARTABLE, STARTED_PACE_SECONDS = 60, 10.0
HISTORY = Size(definitions=2_000, runs=200_000, active=0)
IDLE_POLLS = 200
LONGEST_SECONDS = 3_600


@dataclass(frozen=True, kw_only=True)
class Scene:
    """What is measured, at work; `idle_seconds` of processor time an idle poll took."""

    served: Web
    worker_pid: int
    sandbox: Sandbox
    steps: Steps
    busy: list[int]
    startable: list[int]
    starter: str
    idle_seconds: float


@contextmanager
def scene(options: argparse.Namespace) -> Iterator[Scene]:
    """A long history, three accounts in which something runs, worker and web side."""
    own = database_of_its_own(options.database) if options.database else nullcontext("")
    with tempfile.TemporaryDirectory(prefix="mcdash-load-") as name, own as database:
        folder = Path(name)
        prepare(folder, database=database)
        # accounts with a past, of which the worker asks nothing
        fill(HISTORY, is_active=False)
        steps = Steps(began=time.time(), accounts=ACCOUNTS, seconds=STEP_SECONDS)
        with _sandbox(steps) as sandbox:
            busy = _add_busy_accounts(sandbox)
            size = {"workers": options.workers, "threads": options.threads}
            with web(folder, **size) as served:
                idle_seconds = _idle_seconds(served, busy)
                with worker(folder) as part:
                    yield Scene(
                        served=served,
                        worker_pid=part.process.pid,
                        sandbox=sandbox,
                        steps=steps,
                        busy=busy,
                        startable=_startable(busy),
                        starter=add_starter(busy),
                        idle_seconds=idle_seconds,
                    )


@contextmanager
def _sandbox(steps: Steps) -> Iterator[Sandbox]:
    with crowded_sandbox(
        accounts=ACCOUNTS,
        definitions=RUNS + STARTABLE,
        running=RUNS,
        pace=LONGEST_SECONDS,
        started_pace=STARTED_PACE_SECONDS,
        step=STEP_SECONDS,
        steps_from=steps.began,
    ) as sandbox:
        yield sandbox


def _add_busy_accounts(sandbox: Sandbox) -> list[int]:
    """With all their definitions and what runs of them; the accounts' keys."""
    from datetime import timedelta

    from django.utils import timezone

    from imports.models import Account, ImportRun, new_holder
    from imports.usecases.sync import sync_definitions

    add_accounts(sandbox, ACCOUNTS, settled=True)
    accounts = Account.objects.filter(is_active=True)
    for account in accounts:
        sync_definitions(account=account, holder=new_holder())
    follow_tasks(sandbox)
    # looked at as often as young runs are for as long as this takes
    soon = timezone.now() + timedelta(seconds=2 * LONGEST_SECONDS)
    ImportRun.objects.active().update(first_seen_at=soon)
    return [account.pk for account in accounts]


def _startable(busy: list[int]) -> list[int]:
    """Definitions that nobody has started, one of each account in turn."""
    from imports.models import ImportDefinition

    idle = ImportDefinition.objects.filter(account__in=busy, runs=None)
    of_accounts = [
        idle.filter(account=pk).order_by("pk").values_list("pk", flat=True)
        for pk in busy
    ]
    return [pk for each in zip(*of_accounts, strict=True) for pk in each]


def _idle_seconds(served: Web, busy: list[int]) -> float:
    """Processor time of the web side for a poll that brings nothing."""
    (cookie,) = add_watchers(1, 1, busy)
    path = poll_of(get(served.port, "/", cookie))
    before = spent_by(family(served.pid))
    for _ in range(IDLE_POLLS):
        if (status := get(served.port, path, cookie, is_poll=True).status) != 204:
            raise RuntimeError(f"A poll brought HTTP {status}, and nothing changed.")
    return (spent_by(family(served.pid)) - before) / IDLE_POLLS
