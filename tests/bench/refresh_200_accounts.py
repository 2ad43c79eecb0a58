"""200 accounts with 5 active runs each, all due at once, and one worker process."""

from __future__ import annotations

import time
from pathlib import Path
from statistics import median
from typing import TYPE_CHECKING

from tests.bench.figures import Figure
from tests.bench.processes import processor_seconds, resident_mb
from tests.bench.sandboxes import add_accounts, crowded_sandbox, follow_tasks
from tests.bench.worker import worker

if TYPE_CHECKING:
    from imports.models import RunQuerySet

ACCOUNTS, RUNS = 200, 5
LATENCY_MS = 200
ROUNDS, QUICK_ROUNDS = 3, 1
LONGEST_SECONDS = 120.0


def figures(folder: Path, *, quick: bool) -> list[Figure]:
    """Seconds until the last run was looked at: with a token at hand, and the first
    time, when each account needs one.
    """
    crowd = {"accounts": ACCOUNTS, "definitions": RUNS, "running": RUNS}
    with crowded_sandbox(**crowd) as sandbox:
        add_accounts(sandbox, ACCOUNTS, settled=True)
        follow_tasks(sandbox)
        _rest()
        sandbox.set_latency(LATENCY_MS)
        with worker(folder) as part:
            first = _refreshed()
            before = processor_seconds(part.process.pid)
            rounds = [_refreshed() for _ in range(QUICK_ROUNDS if quick else ROUNDS)]
            spent = processor_seconds(part.process.pid) - before
            peak = resident_mb(part.process.pid, peak=True)
    return as_figures(first, rounds, spent / len(rounds), peak)


def as_figures(
    first: float, rounds: list[float], processor: float, peak: float
) -> list[Figure]:
    """Seconds, seconds of processor time for a round, megabytes."""
    seconds = {
        "refresh_200_accounts_s": median(rounds),
        "refresh_200_accounts_first_s": first,
        "refresh_200_accounts_cpu_s": processor,
    }
    found = [Figure(name=n, value=round(v, 2), unit="s") for n, v in seconds.items()]
    peak_mb = round(peak, 1)
    return [*found, Figure(name="refresh_200_accounts_peak", value=peak_mb, unit="MB")]


def _runs() -> RunQuerySet:
    from imports.models import ImportRun

    return ImportRun.objects.all()


def _rest() -> None:
    """Nothing is due for an hour."""
    from datetime import timedelta

    from imports.models import database_now

    _runs().update(next_check_at=database_now() + timedelta(hours=1))


def _refreshed() -> float:
    """Seconds from the moment that all runs are due until each was looked at once."""
    from imports.models import database_now

    due = database_now()
    began = time.perf_counter()
    _runs().update(next_check_at=due)
    while _runs().exclude(last_checked_at__gte=due).exists():
        if time.perf_counter() - began > LONGEST_SECONDS:
            raise RuntimeError("Not all runs were looked at.")
        time.sleep(0.05)
    seconds = time.perf_counter() - began
    _rest()
    time.sleep(1.5)  # what the worker has still under way
    return seconds
