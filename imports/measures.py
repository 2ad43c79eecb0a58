"""What is counted where it happens: calls, starts, work of the worker, requests.

Counts live in files that all processes of one data folder can read, so that whichever
web process is asked tells the sum. A process counts in a file that it holds by a file
lock: the next process takes over the file of one that ended, and goes on counting where
that one stopped. So there are never more files than processes ran at a time, nothing is
lost with a process, and two containers with equal process ids do not meet in one file.

Files are written, never mapped into memory: a write that a full disk refuses is an
error like any other, while the kernel ends a process that touches a mapped page for
which there is no room, perhaps right after a Perform.

No label names an account, a person or anything else of which there may be many.
Counting never raises: what it stands beside is more important.
"""

from __future__ import annotations

import errno
import fcntl
import json
import logging
import os
import struct
import threading
from bisect import bisect_left
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from django.conf import settings

log = logging.getLogger(__name__)

METHODS = frozenset({"GET", "HEAD", "POST"})
# A file is this, then records: the lengths of key and values, the key padded with
# blanks, the values. All in steps of 8 bytes, so that no number crosses a page.
MAGIC = b"mcdash1\n"
LENGTHS, NUMBER_BYTES = struct.Struct("<II"), 8
MOST_KEY_BYTES, MOST_VALUES = 4096, 64
NO_FILE = -1


@dataclass(frozen=True, kw_only=True, slots=True)
class Measure:
    """A counter, or with `buckets` a histogram. Its row of numbers is the count, or
    the sum of what was seen and how often each bucket (the last has no end) was hit.
    """

    name: str
    words: str
    labels: tuple[str, ...] = ()
    buckets: tuple[float, ...] = ()

    @property
    def width(self) -> int:
        return len(self.buckets) + 2 if self.buckets else 1

    def key(self, values: Sequence[str]) -> str:
        return json.dumps([self.name, *values])

    def row_of(self, seen: float) -> list[float]:
        """The row after `seen` alone."""
        row = [seen] + [0.0] * (self.width - 1)
        if self.buckets:
            row[1 + bisect_left(self.buckets, seen)] = 1.0
        return row


CALLS = Measure(
    name="mcdash_calls_seconds",
    words="Requests on the wire to Marketing Cloud, waiting for a free slot not "
    "counted. answered: HTTP 200; error: another HTTP status, faults among them; "
    "refused: a redirect; unavailable: nothing was sent; unknown: sent, no readable "
    "answer.",
    labels=("operation", "outcome"),
    buckets=(0.1, 0.25, 0.5, 1, 2.5, 5, 10, 30, 60, 120, 180),
)
STARTS = Measure(
    name="mcdash_starts",
    words="Starts that a worker took up, by the run's status afterwards.",
    labels=("status",),
)
WORK = Measure(
    name="mcdash_work_seconds",
    words="What a worker did for one account. done; busy: another process is at it; "
    "failed: Marketing Cloud did not answer or refused; broken: something unforeseen.",
    labels=("kind", "outcome"),
    buckets=(0.1, 0.5, 1, 5, 10, 30, 60, 180, 600),
)
REQUESTS = Measure(
    name="mcdash_requests_seconds",
    words="Requests to the web side until the answer begins. unresolved: static files "
    "and addresses that lead nowhere.",
    labels=("route", "method", "status"),
    buckets=(0.025, 0.1, 0.25, 1, 5),
)
TOKENS = Measure(
    name="mcdash_tokens_fetched",
    words="Answers of the token address with HTTP 200.",
)
MEASURES = {one.name: one for one in (CALLS, STARTS, WORK, REQUESTS, TOKENS)}
Rows = dict[str, list[float]]


def folder() -> Path:
    """Where the counts are kept."""
    return Path(settings.DATA_DIR) / "metrics"


def totals() -> Mapping[tuple[str, ...], list[float]]:
    """The sum of all files' rows, by the measure's name and its labels' values. A
    file that a power cut broke counts as far as it can be read, and is told of.
    """
    sums: Rows = {}
    for file in sorted(folder().glob("*.counts")):
        content = file.read_bytes()
        rows, _, end = _parse(content)
        if end < len(content):
            log.warning("The counts in %s cannot be read from byte %s on", file, end)
        for key, row in rows.items():
            _add(sums, key, row)
    return {tuple(json.loads(key)): row for key, row in sums.items()}


def _add(rows: Rows, key: str, row: Sequence[float]) -> None:
    rows[key] = [
        a + b for a, b in zip(rows.get(key, [0.0] * len(row)), row, strict=True)
    ]


def _parse(content: bytes) -> tuple[Rows, dict[str, int], int]:
    """The rows of a file, where each begins, and the end of what can be read."""
    rows, places, end = Rows(), dict[str, int](), 0
    if content.startswith(MAGIC):
        end = len(MAGIC)
        while found := _record(content, end):
            key, row, next_end = found
            if _is_known(key, row):
                rows[key], places[key] = row, next_end - len(row) * NUMBER_BYTES
            end = next_end
    return rows, places, end


def _record(content: bytes, at: int) -> tuple[str, list[float], int] | None:
    """The record at `at` and where it ends; None where there is no whole one."""
    if at + LENGTHS.size > len(content):
        return None
    key_bytes, values = LENGTHS.unpack_from(content, at)
    key_at = at + LENGTHS.size
    row_at = key_at + key_bytes
    end = row_at + values * NUMBER_BYTES
    if not (0 < key_bytes <= MOST_KEY_BYTES and 0 < values <= MOST_VALUES):
        return None
    if end > len(content):
        return None
    key = content[key_at:row_at].rstrip().decode(errors="replace")
    return key, list(struct.unpack_from(f"<{values}d", content, row_at)), end


def _is_known(key: str, row: Sequence[float]) -> bool:
    """Not one of an earlier version, which may have had other measures or buckets."""
    try:
        parts = json.loads(key)
    except ValueError:
        return False
    if not (isinstance(parts, list) and all(isinstance(part, str) for part in parts)):
        return False
    measure = MEASURES.get(parts[0]) if parts else None
    if measure is None:
        return False
    return (len(parts) - 1, len(row)) == (len(measure.labels), measure.width)


class ProcessCounts:
    """The counts of this process; its file has them too, as soon as it can."""

    def __init__(self) -> None:
        self._file = NO_FILE
        self.begin_anew()

    def begin_anew(self) -> None:
        """In a process that was just forked, what was counted is its parent's."""
        if self._file != NO_FILE:
            os.close(self._file)
        self._lock = threading.Lock()
        self._rows: Rows = {}
        self._unwritten: set[str] = set()
        self._file = NO_FILE
        self._places: dict[str, int] = {}
        self._end = 0
        self._is_refused = False

    def add(self, key: str, row: Sequence[float]) -> None:
        with self._lock:
            _add(self._rows, key, row)
            self._unwritten.add(key)
            self._write_out()

    def are_written(self) -> bool:
        """Whether all that was counted is in the file, after another try."""
        with self._lock:
            self._write_out()
            return not self._is_refused

    def _write_out(self) -> None:
        try:
            if self._file == NO_FILE:
                self._take_file()
            # what only changes needs no room on the disk
            for key in sorted(self._unwritten, key=lambda key: key not in self._places):
                self._write(key)
        except OSError as error:
            if not self._is_refused:
                log.warning(
                    "Counts cannot be written down: %s. They are kept in memory and "
                    "written once that is possible.",
                    error,
                )
            self._is_refused = True
            return
        if self._is_refused:
            log.warning("Counts are written down again")
        self._is_refused = False

    def _take_file(self) -> None:
        """The first file that no other process holds, with what is counted in it."""
        folder().mkdir(mode=0o700, parents=True, exist_ok=True)
        number = 0
        while (file := _locked(folder() / f"{number}.counts")) is None:
            number += 1
        with os.fdopen(os.dup(file), "rb") as opened:
            content = opened.read()
        rows, self._places, self._end = _parse(content)
        os.ftruncate(file, self._end)
        for key, row in rows.items():
            _add(self._rows, key, row)
        self._file = file

    def _write(self, key: str) -> None:
        row = self._rows[key]
        values = struct.pack(f"<{len(row)}d", *row)
        if key in self._places:
            os.pwrite(self._file, values, self._places[key])
        else:
            self._append(key, values)
        self._unwritten.discard(key)

    def _append(self, key: str, values: bytes) -> None:
        text = key.encode()
        text += b" " * (-len(text) % NUMBER_BYTES)
        record = LENGTHS.pack(len(text), len(values) // NUMBER_BYTES) + text + values
        if not self._end:
            record = MAGIC + record
        if os.pwrite(self._file, record, self._end) < len(record):
            os.ftruncate(self._file, self._end)
            raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))
        self._end += len(record)
        self._places[key] = self._end - len(values)


def _locked(path: Path) -> int | None:
    file = os.open(path, os.O_RDWR | os.O_CREAT, 0o600)
    try:
        fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except OSError as error:
        os.close(file)
        if isinstance(error, BlockingIOError):
            return None
        raise
    return file


OWN = ProcessCounts()
os.register_at_fork(after_in_child=OWN.begin_anew)


@contextmanager
def _never_raising() -> Iterator[None]:
    try:
        yield
    except Exception:  # counting must not fail what is counted
        log.exception("Something was not counted")


def _count(measure: Measure, *labels: str, seen: float = 1.0) -> None:
    with _never_raising():
        OWN.add(measure.key(labels), measure.row_of(seen))


def note_call(*, operation: str, outcome: str, seconds: float) -> None:
    """One request on the wire to Marketing Cloud."""
    _count(CALLS, operation, outcome, seen=seconds)
    if (operation, outcome) == ("token", "answered"):
        _count(TOKENS)


def note_start(status: str) -> None:
    """A start was taken up and its run has `status` now."""
    _count(STARTS, str(status))


def note_work(*, kind: str, outcome: str, seconds: float) -> None:
    """A worker's thread ended what it did for an account."""
    _count(WORK, kind, outcome, seen=seconds)


def note_request(*, route: str, method: str, status: int, seconds: float) -> None:
    """A request to the web side was answered."""
    known = method if method in METHODS else "other"
    _count(REQUESTS, route, known, str(status), seen=seconds)
