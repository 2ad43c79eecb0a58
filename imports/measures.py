"""What is counted where it happens: calls, starts, work of the worker, requests.

Counts live in files that all processes of one data folder share, so that whichever
web process is asked tells the sum. A process counts in the files of a *slot* that it
holds by a file lock: the next process takes over the slot of one that ended, and goes
on counting where that one stopped. So there are never more files than processes ran at
a time, nothing is lost with a process, and two containers with equal process ids do
not meet in one file.

No label names an account, a person or anything else of which there may be many.
Counting never raises: what it stands beside is more important.
"""

from __future__ import annotations

import fcntl
import logging
import os
import struct
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from functools import cache
from pathlib import Path
from typing import Any

from django.conf import settings
from prometheus_client import CollectorRegistry, Counter, Histogram, values
from prometheus_client.mmap_dict import MmapedDict

log = logging.getLogger(__name__)

# Not the library's own registry: what is shown is read from the files.
_registry = CollectorRegistry()
METHODS = frozenset({"GET", "HEAD", "POST"})
# How a file begins: the number of bytes in use, these eight included.
USED, HEADER_BYTES = struct.Struct("i"), 8
UNREADABLE = (OSError, RuntimeError, ValueError, struct.error)


def folder() -> Path:
    """Where the counts are kept."""
    return Path(settings.DATA_DIR) / "metrics"


def readable_files() -> list[str]:
    """The files that hold counts. One that a power cut or a full disk broke is left
    out, and told of.
    """
    return [str(file) for file in sorted(folder().glob("*.db")) if _is_readable(file)]


def _is_readable(file: Path) -> bool:
    try:
        with file.open("rb") as opened:
            (used,) = USED.unpack(opened.read(USED.size))
        if 0 != used < HEADER_BYTES:
            raise ValueError(used)
        for _ in MmapedDict.read_all_values_from_file(str(file)):
            pass
    except UNREADABLE:
        log.warning("The counts in %s cannot be read", file)
        return False
    return True


class Slot:
    """The number under which this process counts; a fork gets one of its own."""

    def __init__(self) -> None:
        self._process: int | None = None
        self._lock: int | None = None
        self._number = 0

    def __call__(self) -> int:
        if self._process != os.getpid():
            self._take()
        return self._number

    def _take(self) -> None:
        folder().mkdir(mode=0o700, parents=True, exist_ok=True)
        if self._lock is not None:  # the parent's; it holds on to its own
            os.close(self._lock)
            self._lock = None
        number = 0
        while (lock := _locked(folder() / f"{number}.lock")) is None:
            number += 1
        for file in folder().glob(f"*_{number}.db"):
            if not _is_readable(file):
                file.unlink()
        self._process, self._lock, self._number = os.getpid(), lock, number


def _locked(file: Path) -> int | None:
    lock = os.open(file, os.O_RDWR | os.O_CREAT, 0o600)
    try:
        fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        os.close(lock)
        return None
    return lock


@cache
def _value_class() -> Callable[..., Any]:
    # the library looks nowhere else
    os.environ["PROMETHEUS_MULTIPROC_DIR"] = str(folder())
    made: Callable[..., Any] = values.MultiProcessValue(process_identifier=Slot())
    return made


def _value(*arguments: Any, **named: Any) -> Any:
    """A number in the files; a process that counts nothing takes no slot."""
    return _value_class()(*arguments, **named)


values.ValueClass = _value

CALLS = Histogram(
    "mcdash_calls_seconds",
    "Requests on the wire to Marketing Cloud, waiting for a free slot not counted. "
    "answered: HTTP 200; error: another HTTP status, faults among them; refused: a "
    "redirect; unavailable: nothing was sent; unknown: sent, no readable answer.",
    ["operation", "outcome"],
    buckets=(0.1, 0.25, 0.5, 1, 2.5, 5, 10, 30, 60, 120, 180),
    registry=_registry,
)
STARTS = Counter(
    "mcdash_starts",
    "Starts that a worker took up, by the run's status afterwards.",
    ["status"],
    registry=_registry,
)
WORK = Histogram(
    "mcdash_work_seconds",
    "What a worker did for one account. done; busy: another process is at it; failed: "
    "Marketing Cloud did not answer or refused; broken: something unforeseen.",
    ["kind", "outcome"],
    buckets=(0.1, 0.5, 1, 5, 10, 30, 60, 180, 600),
    registry=_registry,
)
REQUESTS = Histogram(
    "mcdash_requests_seconds",
    "Requests to the web side until the answer begins. unresolved: static files and "
    "addresses that lead nowhere.",
    ["route", "method", "status"],
    buckets=(0.025, 0.1, 0.25, 1, 5),
    registry=_registry,
)


@cache
def _tokens() -> Counter:
    # made when needed: without labels it would be written to a file at once
    return Counter(
        "mcdash_tokens_fetched",
        "Answers of the token address with HTTP 200.",
        registry=_registry,
    )


@contextmanager
def _never_raising() -> Iterator[None]:
    try:
        yield
    except Exception:  # counting must not fail what is counted
        log.exception("Something was not counted")


def note_call(*, operation: str, outcome: str, seconds: float) -> None:
    """One request on the wire to Marketing Cloud."""
    with _never_raising():
        CALLS.labels(operation, outcome).observe(seconds)
        if (operation, outcome) == ("token", "answered"):
            _tokens().inc()


def note_start(status: str) -> None:
    """A start was taken up and its run has `status` now."""
    with _never_raising():
        STARTS.labels(status).inc()


def note_work(*, kind: str, outcome: str, seconds: float) -> None:
    """A worker's thread ended what it did for an account."""
    with _never_raising():
        WORK.labels(kind, outcome).observe(seconds)


def note_request(*, route: str, method: str, status: int, seconds: float) -> None:
    """A request to the web side was answered."""
    with _never_raising():
        known = method if method in METHODS else "other"
        REQUESTS.labels(route, known, str(status)).observe(seconds)
