"""How fast the web side is there, and how much memory processes at rest hold."""

from __future__ import annotations

import time
from pathlib import Path
from statistics import median

from tests.bench.figures import Figure
from tests.bench.processes import children, processor_seconds, resident_mb
from tests.bench.web import web
from tests.bench.worker import worker

ROUNDS, QUICK_ROUNDS = 5, 1
IDLE_SECONDS, QUICK_IDLE_SECONDS = 60, 20


def figures(folder: Path, *, quick: bool) -> list[Figure]:
    """Medians of several starts of gunicorn with one worker process; megabytes of
    the process that serves pages, and of a worker with nothing to do.
    """
    ready, served = [], []
    for _ in range(QUICK_ROUNDS if quick else ROUNDS):
        with web(folder) as started:
            ready.append(started.ready_seconds)
            served.append(max(resident_mb(pid) for pid in children(started.pid)))
    watched = QUICK_IDLE_SECONDS if quick else IDLE_SECONDS
    with worker(folder) as part:
        idle = resident_mb(part.process.pid)
        before = processor_seconds(part.process.pid)
        time.sleep(watched)
        spent = processor_seconds(part.process.pid) - before
    return as_figures(median(ready), median(served), idle, spent / watched)


def as_figures(
    ready: float, web_mb: float, worker_mb: float, worker_share: float
) -> list[Figure]:
    """Seconds, megabytes, and how much of a core a worker takes that has no work."""
    return [
        Figure(name="web_ready_s", value=round(ready, 2), unit="s"),
        Figure(name="web_idle", value=round(web_mb, 1), unit="MB"),
        Figure(name="worker_idle", value=round(worker_mb, 1), unit="MB"),
        Figure(name="worker_idle_cpu", value=round(100 * worker_share, 2), unit="%"),
    ]
