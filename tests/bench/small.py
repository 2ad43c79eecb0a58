"""How fast the web side is there, and how much memory processes at rest hold."""

from __future__ import annotations

from pathlib import Path
from statistics import median

from tests.bench.figures import Figure
from tests.bench.processes import children, resident_mb
from tests.bench.web import web
from tests.bench.worker import worker

ROUNDS, QUICK_ROUNDS = 5, 1


def figures(folder: Path, *, quick: bool) -> list[Figure]:
    """Medians of several starts of gunicorn with one worker process; megabytes of
    the process that serves pages, and of a worker with nothing to do.
    """
    ready, served = [], []
    for _ in range(QUICK_ROUNDS if quick else ROUNDS):
        with web(folder) as started:
            ready.append(started.ready_seconds)
            served.append(max(resident_mb(pid) for pid in children(started.pid)))
    with worker(folder) as part:
        idle = resident_mb(part.process.pid)
    return as_figures(median(ready), median(served), idle)


def as_figures(ready: float, web_mb: float, worker_mb: float) -> list[Figure]:
    """Seconds and megabytes."""
    return [
        Figure(name="web_ready_s", value=round(ready, 2), unit="s"),
        Figure(name="web_idle", value=round(web_mb, 1), unit="MB"),
        Figure(name="worker_idle", value=round(worker_mb, 1), unit="MB"),
    ]
