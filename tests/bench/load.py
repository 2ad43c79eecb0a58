"""A load test: `python -m tests.bench.load [--dashboards N] [--seconds S]`.

Open dashboards poll gunicorn on loopback while a worker follows runs of a sandbox, so
that something changes every few seconds. Bounded by its options; it cleans up.
"""

from __future__ import annotations

import argparse
import sys
import tempfile
from collections import Counter
from pathlib import Path

from tests.bench.dashboards import Watched, watch
from tests.bench.figures import Figure, as_json, as_table, milliseconds, percentile
from tests.bench.here import prepare
from tests.bench.history import Size, fill
from tests.bench.processes import family, private_mb, processor_seconds
from tests.bench.sandboxes import add_accounts, crowded_sandbox, follow_tasks
from tests.bench.watching import add_watchers
from tests.bench.web import Web, web
from tests.bench.worker import worker

ACCOUNTS, RUNS = 3, 2
HISTORY = Size(definitions=2_000, runs=200_000, active=0)
OPENING_SECONDS = 30.0
MOST_DASHBOARDS, LONGEST_SECONDS = 1_000, 3_600


def main(arguments: list[str]) -> None:
    """Measure and print."""
    options = _options(arguments)
    with tempfile.TemporaryDirectory(prefix="mcdash-load-") as folder:
        prepare(Path(folder))
        found = _measured(Path(folder), options)
    sys.stdout.write((as_json if options.json else as_table)(found) + "\n")


def _options(arguments: list[str]) -> argparse.Namespace:
    parser = argparse.ArgumentParser(
        prog="python -m tests.bench.load", description=__doc__
    )
    parser.add_argument("--dashboards", type=int, default=200)
    parser.add_argument("--seconds", type=int, default=300)
    parser.add_argument("--workers", type=int, default=2, help="gunicorn's processes")
    parser.add_argument("--threads", type=int, default=4, help="of each of them")
    parser.add_argument("--json", action="store_true", help="one JSON document")
    options = parser.parse_args(arguments)
    if not 0 < options.dashboards <= MOST_DASHBOARDS:
        parser.error(f"--dashboards: from 1 to {MOST_DASHBOARDS}")
    if not 0 < options.seconds <= LONGEST_SECONDS:
        parser.error(f"--seconds: from 1 to {LONGEST_SECONDS}")
    return options


def _measured(folder: Path, options: argparse.Namespace) -> list[Figure]:
    # accounts with a past, of which the worker asks nothing
    fill(HISTORY, is_active=False)
    crowd = {"accounts": ACCOUNTS, "definitions": RUNS, "running": RUNS}
    with crowded_sandbox(**crowd) as sandbox:
        add_accounts(sandbox, ACCOUNTS, settled=True)
        follow_tasks(sandbox)
        cookies = add_watchers(options.dashboards)
        size = {"workers": options.workers, "threads": options.threads}
        with worker(folder), web(folder, **size) as served:
            return _watched(served, cookies, options.seconds)


def _watched(served: Web, cookies: list[str], seconds: int) -> list[Figure]:
    """Warmed up first, so that memory is compared between two states at work."""
    watch(served.port, cookies[:20], seconds=min(10, seconds))
    at_start, spent = _resident(served), _spent(served)
    watched = watch(
        served.port, cookies, seconds=seconds, opening_seconds=OPENING_SECONDS
    )
    for error, times in Counter(watched.errors).most_common(5):
        sys.stderr.write(f"{times} x {error}\n")
    return as_figures(
        watched,
        _spent(served) - spent,
        (at_start, _resident(served)),
        OPENING_SECONDS + seconds,
    )


def as_figures(
    watched: Watched, spent: float, resident: tuple[float, float], seconds: float
) -> list[Figure]:
    """`spent` are the web side's seconds of processor time, `resident` its MB."""
    counted = {
        "load_requests": (len(watched.seconds), "requests"),
        "load_requests_that_brought_something": (watched.changed, "requests"),
        "load_errors": (len(watched.errors), "errors"),
        "load_cpu_s": (round(spent, 1), "s"),
        "load_cores": (round(spent / seconds, 2), "cores"),
        "load_memory_start": (round(resident[0], 1), "MB"),
        "load_memory_end": (round(resident[1], 1), "MB"),
    }
    return [
        *(Figure(name=n, value=v, unit=unit) for n, (v, unit) in counted.items()),
        milliseconds("load_p50_ms", percentile(watched.seconds, 0.5)),
        milliseconds("load_p99_ms", percentile(watched.seconds, 0.99)),
    ]


def _resident(served: Web) -> float:
    return sum(private_mb(pid) for pid in family(served.pid))


def _spent(served: Web) -> float:
    return sum(processor_seconds(pid) for pid in family(served.pid))


if __name__ == "__main__":
    main(sys.argv[1:])
