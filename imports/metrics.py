"""The metrics that /metrics shows: what happened so far, and the state of things now.

What happened is counted where it happens, in one small SQLite file of the data folder
that all processes of a machine share (docs/adr/0009). The state of things is asked of
the database for each scrape.

No label names an account, a person or anything else that there may be many of.
"""

from __future__ import annotations

import json
import logging
import math
import os
import sqlite3
import threading
from collections.abc import Iterator, Mapping
from itertools import groupby
from operator import itemgetter
from pathlib import Path
from typing import NamedTuple

from django.conf import settings
from django.db import DatabaseError
from django.db.models import Count, Min, Q
from prometheus_client import CollectorRegistry, Metric, core, generate_latest
from prometheus_client.registry import Collector

from imports import models
from imports.models import ACTIVE, STORAGE, Account, ImportRun, NotFollowed, RunStatus
from imports.models.account import BREAKER_OPENS_AT

log = logging.getLogger(__name__)

CONTENT_TYPE = "text/plain; version=0.0.4; charset=utf-8"


def exposition() -> bytes:
    """All metrics in Prometheus's text format."""
    registry = CollectorRegistry()
    registry.register(CountsCollector())
    registry.register(StateCollector())
    return generate_latest(registry)


# what happened


class CountedMetric(NamedTuple):
    name: str
    documentation: str
    labels: tuple[str, ...] = ()
    # upper bounds in seconds, of a histogram; a counter has none
    buckets: tuple[float, ...] = ()


CALLS = CountedMetric(
    "mcdash_calls_seconds",
    "Requests to Marketing Cloud, without the wait for a free slot. "
    "answered: HTTP 200; error: another HTTP status, faults among them; refused: a "
    "redirect; unavailable: nothing was sent; unknown: sent, but no readable answer.",
    ("operation", "outcome"),
    (0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0, 30.0, 60.0, 120.0, 180.0),
)
# prometheus-client adds _total to the names of counters.
STARTS = CountedMetric(
    "mcdash_starts",
    "Starts that a worker took up, by the run's status afterwards.",
    ("status",),
)
WORK = CountedMetric(
    "mcdash_work_seconds",
    "What a worker did. done; busy: another process is "
    "doing it; failed: Marketing Cloud did not answer or refused; unsaved: the "
    "database did not take the result; broken: an unforeseen error.",
    ("kind", "outcome"),
    (0.1, 0.5, 1.0, 5.0, 10.0, 30.0, 60.0, 180.0, 600.0),
)
REQUESTS = CountedMetric(
    "mcdash_requests_seconds",
    "Requests to the web side until the response begins. unresolved: "
    "static files and addresses that lead nowhere.",
    ("route", "method", "status"),
    (0.025, 0.1, 0.25, 1.0, 5.0),
)
TOKENS = CountedMetric(
    "mcdash_tokens_fetched", "Answers of the token address with HTTP 200."
)
COUNTED = {metric.name: metric for metric in (CALLS, STARTS, WORK, REQUESTS, TOKENS)}

# One row for each bucket of each set of labels; `total` is the sum of the seconds.
CREATE_TABLE = """
    CREATE TABLE IF NOT EXISTS counts (
        metric TEXT, labels TEXT, bucket REAL, times INTEGER, total REAL,
        PRIMARY KEY (metric, labels, bucket)
    ) WITHOUT ROWID
"""
ADD = """
    INSERT INTO counts VALUES (?, ?, ?, ?, ?) ON CONFLICT DO UPDATE
    SET times = times + excluded.times, total = total + excluded.total
"""
READ = "SELECT metric, labels, bucket, times, total FROM counts ORDER BY 1, 2, 3"


def counts_file() -> Path:
    return Path(settings.DATA_DIR) / "metrics" / "counts.sqlite3"


class Counts:
    """What this process counts, added to the shared file as it happens. What cannot be
    written now stays in memory and is written together with a later count.
    """

    def __init__(self) -> None:
        self._connection: sqlite3.Connection | None = None
        self._inherited: list[sqlite3.Connection | None] = []
        self.start_anew()

    def start_anew(self) -> None:
        """In a process that was just forked: its parent's counts are not its own."""
        # kept, since SQLite forbids a child even to close its parent's connection
        self._inherited.append(self._connection)
        self._connection = None
        self._lock = threading.Lock()
        self._unwritten: dict[tuple[str, str, float], tuple[int, float]] = {}
        self._is_failing = False

    def add(self, metric: CountedMetric, *labels: str, value: float) -> None:
        """Count once; `value` is the seconds of a histogram."""
        bucket = next((bound for bound in metric.buckets if value <= bound), math.inf)
        key = (metric.name, json.dumps(labels), bucket)
        with self._lock:
            times, total = self._unwritten.get(key, (0, 0.0))
            self._unwritten[key] = (times + 1, total + value)
            self._write()

    def are_written(self) -> bool:
        """Whether all that this process counted is in the file, after another try."""
        with self._lock:
            self._write()
            return not (self._unwritten or self._is_failing)

    def read(self) -> list[tuple[str, str, float, int, float]]:
        """What all processes have written; nothing where the file cannot be read."""
        with self._lock:
            try:
                return list(self._connected().execute(READ))
            except (OSError, sqlite3.Error) as error:
                log.warning("The counts cannot be read: %s", error)
                return []

    def close(self) -> None:
        """The next count opens the file again."""
        if self._connection is not None:
            self._connection.close()
        self._connection = None

    def _write(self) -> None:
        counted = [(*key, *value) for key, value in self._unwritten.items()]
        try:
            with self._connected() as transaction:
                transaction.executemany(ADD, counted)
        except (OSError, sqlite3.Error) as error:
            if getattr(error, "sqlite_errorcode", None) == sqlite3.SQLITE_BUSY:
                return  # others write just now, so it is written with the next count
            # No room leaves the connection usable. Anything but an operational error
            # means a broken file, which is put aside when it is opened again.
            if not isinstance(error, sqlite3.OperationalError):
                self.close()
            if not self._is_failing:
                log.warning(
                    "Counts cannot be written: %s. They are kept in memory and written "
                    "once that is possible.",
                    error,
                )
            self._is_failing = True
            return
        self._unwritten.clear()
        if self._is_failing:
            log.warning("Counts are written again")
        self._is_failing = False

    def _connected(self) -> sqlite3.Connection:
        if self._connection is None:
            file = counts_file()
            file.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
            try:
                self._connection = open_counts(file)
            except sqlite3.OperationalError:
                raise
            except sqlite3.DatabaseError as error:
                log.warning("%s is broken (%s): counting begins anew", file, error)
                file.replace(file.with_suffix(".broken"))
                file.with_name(f"{file.name}-journal").unlink(missing_ok=True)
                self._connection = open_counts(file)
        return self._connection


def open_counts(file: Path) -> sqlite3.Connection:
    """A connection to a file that was found whole; raises `sqlite3.DatabaseError`."""
    # nobody waits long for a lock: what is counted matters more than the count
    connection = sqlite3.connect(
        file, timeout=0.1, isolation_level="IMMEDIATE", check_same_thread=False
    )
    try:
        # Nothing is mapped into memory: where the disk has no room for a mapped page,
        # the kernel ends the process. A write-ahead log has an index that is mapped.
        connection.execute("PRAGMA mmap_size=0")
        connection.execute("PRAGMA journal_mode=PERSIST")
        # A count is not worth waiting for the disk. After a power cut the file may be
        # broken, which is found here.
        connection.execute("PRAGMA synchronous=OFF")
        [finding] = connection.execute("PRAGMA quick_check(1)").fetchone()
        if finding != "ok":
            raise sqlite3.DatabaseError(finding)
        connection.execute(CREATE_TABLE)
    except sqlite3.Error:
        connection.close()
        raise
    return connection


COUNTS = Counts()
os.register_at_fork(after_in_child=lambda: COUNTS.start_anew())


def _count(metric: CountedMetric, *labels: str, value: float = 0.0) -> None:
    try:
        COUNTS.add(metric, *labels, value=value)
    except Exception:  # counting must not fail what is counted: perhaps a Perform
        log.exception("Something was not counted")


def count_call(*, operation: str, outcome: str, seconds: float) -> None:
    _count(CALLS, operation, outcome, value=seconds)
    if (operation, outcome) == ("token", "answered"):
        _count(TOKENS)


def count_start(status: str) -> None:
    _count(STARTS, str(status))


def count_work(*, kind: str, outcome: str, seconds: float) -> None:
    _count(WORK, kind, outcome, value=seconds)


def count_request(*, route: str, method: str, status: int, seconds: float) -> None:
    # anybody can make up methods, and each would be a label for ever
    known_method = method if method in ("GET", "HEAD", "POST") else "other"
    _count(REQUESTS, route, known_method, str(status), value=seconds)


class CountsCollector(Collector):
    """The sum over all processes of this data folder, ended ones among them."""

    def collect(self) -> Iterator[Metric]:
        yield _gauge(
            "mcdash_counts_up",
            "Whether the process that answers can write down what it counts.",
            COUNTS.are_written(),
        )
        families: dict[str, core.CounterMetricFamily | core.HistogramMetricFamily] = {}
        for metric in COUNTED.values():
            kind = (
                core.HistogramMetricFamily
                if metric.buckets
                else core.CounterMetricFamily
            )
            families[metric.name] = kind(
                metric.name, metric.documentation, labels=metric.labels
            )
        for (name, text), grouped in groupby(COUNTS.read(), key=itemgetter(0, 1)):
            labels, rows = json.loads(text), list(grouped)
            family = families.get(name)
            if family is None or len(labels) != len(COUNTED[name].labels):
                continue  # counted by another version of mcdash
            if isinstance(family, core.CounterMetricFamily):
                family.add_metric(labels, sum(times for *_, times, _ in rows))
                continue
            # also right for rows from before a bound was added or removed
            buckets = []
            for bound in (*COUNTED[name].buckets, math.inf):
                label = "+Inf" if bound == math.inf else str(bound)
                within = sum(times for *_, upper, times, _ in rows if upper <= bound)
                buckets.append((label, within))
            family.add_metric(labels, buckets, sum_value=sum(row[-1] for row in rows))
        yield from families.values()


# the state of things


class StateCollector(Collector):
    def collect(self) -> Iterator[Metric]:
        try:
            state = [active_runs(), unfollowed_runs(), *waits(), *account_states()]
            alive = models.Worker.objects.alive().count()
            words = "Workers that sent a heartbeat in the last minute."
            state.append(_gauge("mcdash_workers", words, alive))
        except DatabaseError:
            log.exception("The database could not be asked for metrics")
            state = []
        yield _gauge(
            "mcdash_database_up", "Whether the database answered.", bool(state)
        )
        yield _gauge(
            "mcdash_database_writable",
            "Whether the last attempt to save something in the database worked.",
            STORAGE.unwritable_since is None,
        )
        yield from state


def _gauge(name: str, documentation: str, value: float) -> Metric:
    return core.GaugeMetricFamily(name, documentation, value=float(value))


def _gauges(
    name: str, documentation: str, label: str, values: Mapping[str, float]
) -> Metric:
    family = core.GaugeMetricFamily(name, documentation, labels=[label])
    for key, value in values.items():
        family.add_metric([key], value)
    return family


def active_runs() -> Metric:
    runs = ImportRun.objects.active().order_by()
    counts = dict(runs.values_list("status").annotate(Count("pk")))
    # 0 is said too, where there are none of a status
    by_status = {str(status): counts.get(status, 0) for status in sorted(ACTIVE)}
    words = "Runs that have not ended, by status."
    return _gauges("mcdash_active_runs", words, "status", by_status)


def unfollowed_runs() -> Metric:
    """By reason, but for a missing worker: `mcdash_workers` tells that."""
    looked_for = (RunStatus.RUNNING, RunStatus.UNKNOWN)
    followed = ImportRun.objects.filter(status__in=looked_for)
    runs_in = dict(followed.order_by().values_list("account").annotate(Count("pk")))
    counts = {why.value: 0 for why in NotFollowed if why != NotFollowed.NO_WORKER}
    counts[NotFollowed.OVERDUE] = ImportRun.objects.overdue().count()
    accounts = Account.objects.defer("secret")
    for account in accounts.filter(pk__in=followed.values("account")):
        if unfollowed := account.why_not_followed:
            counts[unfollowed.why.value] += runs_in[account.pk]
    words = "Running imports that nobody follows, by reason."
    return _gauges("mcdash_unfollowed_runs", words, "reason", counts)


def waits() -> Iterator[Metric]:
    now = models.database_now()
    queued = ImportRun.objects.filter(status=RunStatus.QUEUED)
    due = ImportRun.objects.followed().aggregate(at=Min("next_check_at"))["at"] or now
    first = queued.aggregate(at=Min("queued_at"))["at"] or now
    yield _gauge(
        "mcdash_refresh_lag_seconds",
        "How long the most overdue running import has waited for its next check.",
        max(0.0, (now - due).total_seconds()),
    )
    yield _gauge(
        "mcdash_start_wait_seconds",
        "How long the oldest queued start has waited.",
        max(0.0, (now - first).total_seconds()),
    )


def account_states() -> Iterator[Metric]:
    is_open = Q(
        is_active=True,
        secret_unreadable_since=None,
        credentials_refused_at=None,
        failures_in_row__gte=BREAKER_OPENS_AT,
    )
    states = {
        state: Count("pk", filter=Q(stored_state=state))
        for state in models.AccountState
    }
    breakers = Count("pk", filter=is_open)
    counts = Account.objects.with_state().aggregate(breakers_open=breakers, **states)
    breakers_open = counts.pop("breakers_open")
    yield _gauges("mcdash_accounts", "Accounts, by state.", "state", counts)
    yield _gauge(
        "mcdash_breakers_open",
        "Accounts that failed so often that they only get one probe a minute.",
        breakers_open,
    )
