"""A worker that dies by SIGKILL, or freezes, at one exact point of its work.

    python -m tests.never_twice.doomed_worker POINT NTH [SECONDS]

It is `run_huey` with one function wrapped from outside: at the NTH time that the
worker comes to POINT (SECONDS later, for points on the wire) it is over. Waiting
times between workers, which only cost a test patience, are shortened.
"""

from __future__ import annotations

import itertools
import os
import signal
import sys
import threading
from collections.abc import Callable
from typing import Any

Wrapper = Callable[[Callable[..., Any]], Callable[..., Any]]


def kill() -> None:
    """No goodbye: nothing that was not committed is there afterwards."""
    os.kill(os.getpid(), signal.SIGKILL)


def freeze() -> None:
    """Every thread stands still until somebody sends SIGCONT."""
    os.kill(os.getpid(), signal.SIGSTOP)


def before(nth: int, _seconds: float, end: Callable[[], None]) -> Wrapper:
    """The end comes instead of the nth call."""
    turns = itertools.count(1)

    def wrap(real: Callable[..., Any]) -> Callable[..., Any]:
        def doomed(*args: Any, **named: Any) -> Any:
            if next(turns) == nth:
                end()
            return real(*args, **named)

        return doomed

    return wrap


def after(nth: int, _seconds: float, end: Callable[[], None]) -> Wrapper:
    """The end comes when the nth call has returned."""
    turns = itertools.count(1)

    def wrap(real: Callable[..., Any]) -> Callable[..., Any]:
        def doomed(*args: Any, **named: Any) -> Any:
            found = real(*args, **named)
            if next(turns) == nth:
                end()
            return found

        return doomed

    return wrap


def during(nth: int, seconds: float, end: Callable[[], None]) -> Wrapper:
    """The end comes `seconds` after the nth call began."""
    turns = itertools.count(1)

    def wrap(real: Callable[..., Any]) -> Callable[..., Any]:
        def doomed(*args: Any, **named: Any) -> Any:
            if next(turns) == nth:
                threading.Timer(seconds, end).start()
            return real(*args, **named)

        return doomed

    return wrap


Way = Callable[[int, float, Callable[[], None]], Wrapper]
CLIENT = "imports.marketingcloud.client.MarketingCloudClient"
USE_CASES = "imports.usecases"
# What is wrapped, by which way, and what happens then.
POINTS: dict[str, tuple[str, str, Way, Callable[[], None]]] = {
    "before the claim": (f"{USE_CASES}.send_start", "_claim", before, kill),
    "after the claim": (f"{USE_CASES}.send_start", "_claim", after, kill),
    "on the wire": (CLIENT, "start_definition", during, kill),
    "before the record": (f"{USE_CASES}.send_start", "record_start", before, kill),
    # while settling: in the transaction, or with the rows in hand
    "giving up a claim": (f"{USE_CASES}.settle_overdue", "_give_up_claim", after, kill),
    "rows in hand": (f"{USE_CASES}.reconcile_runs", "settle_with", before, kill),
    "row written": (f"{USE_CASES}.reconcile_runs", "record_result", after, kill),
    "frozen after the claim": (f"{USE_CASES}.send_start", "_claim", after, freeze),
    "frozen on the wire": (CLIENT, "start_definition", during, freeze),
}


def doom(point: str, nth: int, seconds: float) -> None:
    """Wrap the function at that point."""
    from pydoc import locate

    home, name, way, end = POINTS[point]
    place: Any = locate(home)
    setattr(place, name, way(nth, seconds, end)(getattr(place, name)))


def hasten() -> None:
    """Let a new worker take over from a dead one soon."""
    from imports import tasks

    tasks.SILENT_AFTER_SECONDS = 3
    tasks.TICK_LEASE_SECONDS = 2


def main() -> None:
    import django
    from django.core.management import call_command

    django.setup()
    hasten()
    if len(sys.argv) > 1:
        point, nth, *seconds = sys.argv[1:]
        doom(point, int(nth), float(seconds[0]) if seconds else 0)
    call_command("run_huey")


if __name__ == "__main__":
    main()
