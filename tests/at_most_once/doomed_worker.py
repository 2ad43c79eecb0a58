"""A worker that dies by SIGKILL, or freezes, at one exact point of its work.

    python -m tests.at_most_once.doomed_worker [POINT NTH [SECONDS]]
    python -m tests.at_most_once.doomed_worker --nursery

It is `run_worker` with one function wrapped from outside: at the NTH time that the
worker comes to POINT (SECONDS later, for points on the wire) it is over. With
--nursery it makes such workers, as lines on stdin ask for them. Waiting
times between workers, which only cost a test patience, are shortened.
"""

from __future__ import annotations

import ctypes
import itertools
import json
import os
import random
import signal
import sys
import threading
import time
from collections.abc import Callable
from pydoc import locate
from typing import Any, NoReturn

from django.core.management import call_command
from django.db import transaction

NURSERY = "--nursery"
END_WITH_PARENT = 1  # PR_SET_PDEATHSIG of prctl(2)
Wrapper = Callable[[Callable[..., Any]], Callable[..., Any]]


def kill() -> None:
    """No goodbye: nothing that was not committed is there afterwards."""
    os.kill(os.getpid(), signal.SIGKILL)


def freeze() -> None:
    """Every thread stands still until somebody sends SIGCONT.

    Not in the middle of another thread's transaction: SQLite has one lock for all.
    """
    with transaction.atomic():
        pass
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
    "before the claim": (f"{USE_CASES}.send", "claim", before, kill),
    "after the claim": (f"{USE_CASES}.send", "claim", after, kill),
    "on the wire": (CLIENT, "start_definition", during, kill),
    "before the record": (f"{USE_CASES}.send", "record_start", before, kill),
    # while settling: in the transaction, or with the rows in hand
    "giving up a claim": (f"{USE_CASES}.settle", "move_run", after, kill),
    "rows in hand": (f"{USE_CASES}.resolve", "settle_with", before, kill),
    "row written": (f"{USE_CASES}.resolve", "record_result", after, kill),
    "frozen after the claim": (f"{USE_CASES}.send", "claim", after, freeze),
    "frozen on the wire": (CLIENT, "start_definition", during, freeze),
}


def doom(point: str, nth: int, seconds: float = 0) -> None:
    """Wrap the function at that point."""
    home, name, way, end = POINTS[point]
    place: Any = locate(home)
    setattr(place, name, way(nth, seconds, end)(getattr(place, name)))


def hasten() -> None:
    """Let a new worker take over from a dead one soon."""
    from imports import worker

    worker.SILENT_AFTER_SECONDS = 3


def nursery() -> None:
    """One doomed worker after the other, each a process of its own.

    A line of JSON asks for one: its log, how long it may live, its doom. The answer
    is its exit status. Forked from here it has nothing to load, which is most of a
    worker's start; no thread and no connection exists yet.
    """
    for line in sys.stdin:
        log, seconds, doomed_to = json.loads(line)
        child = os.fork()
        if not child:
            live(log, doomed_to)
        sys.stdout.write(f"{buried(child, seconds)}\n")
        sys.stdout.flush()


def live(log: str, doomed_to: list[Any]) -> NoReturn:
    """Be a worker to the end; one that outlives its nursery is ended with it."""
    ctypes.CDLL(None).prctl(END_WITH_PARENT, signal.SIGKILL)
    output = os.open(log, os.O_CREAT | os.O_WRONLY | os.O_APPEND)
    for stream, file in ((0, os.open(os.devnull, os.O_RDONLY)), (1, output)):
        os.dup2(file, stream)
    os.dup2(output, 2)
    random.seed()
    doom(*doomed_to)
    call_command("run_worker")
    os._exit(0)


def buried(child: int, seconds: float) -> int:
    """How the child ended; after `seconds` it is asked to, which shows as -15."""
    give_up = time.monotonic() + seconds
    while time.monotonic() < give_up:
        pid, status = os.waitpid(child, os.WNOHANG)
        if pid:
            return os.waitstatus_to_exitcode(status)
        time.sleep(0.02)
    os.kill(child, signal.SIGTERM)
    os.waitpid(child, 0)
    return -signal.SIGTERM


def main() -> None:
    import django

    from imports.marketingcloud.soap import document

    django.setup()
    hasten()
    document()
    if sys.argv[1:] == [NURSERY]:
        nursery()
        return
    if sys.argv[1:]:
        point, nth, *seconds = sys.argv[1:]
        doom(point, int(nth), float(seconds[0]) if seconds else 0)
    call_command("run_worker")


if __name__ == "__main__":
    main()
