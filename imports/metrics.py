"""What /metrics tells: the counts of all processes, and what the database says now.

Counts come from `measures`. All that can be asked of the database or the queue is asked
when it is wanted, so that it is right whichever process answers.
"""

from __future__ import annotations

import logging
import threading
from collections import Counter
from collections.abc import Iterator, Mapping
from datetime import datetime
from itertools import accumulate
from queue import Empty, SimpleQueue
from typing import Any

from django.db import DatabaseError
from django.db.models import Count, Min, Q
from huey.contrib.djhuey import HUEY
from prometheus_client import CollectorRegistry, Metric, generate_latest
from prometheus_client.core import (
    CounterMetricFamily,
    GaugeMetricFamily,
    HistogramMetricFamily,
)
from prometheus_client.registry import Collector
from prometheus_client.utils import floatToGoString

from imports import measures
from imports.models import (
    ACTIVE,
    STORAGE,
    Account,
    ImportRun,
    NotFollowed,
    RunStatus,
    Worker,
    database_now,
)
from imports.models.account import BREAKER_OPENS_AT, NOT_ANSWERING_FROM
from imports.models.worker import WORKER_SILENT_AFTER

log = logging.getLogger(__name__)

WORKER_SILENT_AFTER_SECONDS = WORKER_SILENT_AFTER.total_seconds()
QUEUE_ANSWERS_WITHIN_SECONDS = 1.0
CONTENT_TYPE = "text/plain; version=0.0.4; charset=utf-8"

# Of accounts `with_lost_keys`.
_opened = Q(is_active=True, has_lost_key=False)
_refused = _opened & Q(credentials_refused_at__isnull=False)
_asked = _opened & Q(credentials_refused_at=None)
ACCOUNT_STATES: Mapping[str, Q] = {
    "off": Q(is_active=False),
    "secret_unreadable": Q(is_active=True, has_lost_key=True),
    "credentials_refused": _refused,
    "breaker_open": _asked & Q(failures_in_row__gte=BREAKER_OPENS_AT),
    "not_answering": _asked
    & Q(failures_in_row__gte=NOT_ANSWERING_FROM, failures_in_row__lt=BREAKER_OPENS_AT),
    "answering": _asked & Q(failures_in_row__lt=NOT_ANSWERING_FROM),
}


class QueueDownError(Exception):
    """The queue could not be asked, or not in time."""


_asking_queue = threading.Lock()


def queue_depth() -> int:
    """How many messages wait in the queue; raises `QueueDownError`.

    Asked in a thread: an engine may keep its caller waiting for minutes.
    """
    answers: SimpleQueue[int | Exception] = SimpleQueue()
    if not _asking_queue.acquire(timeout=QUEUE_ANSWERS_WITHIN_SECONDS):
        raise QueueDownError("The queue has not answered an earlier question yet.")
    threading.Thread(target=_ask_queue, args=(answers,), daemon=True).start()
    try:
        answer = answers.get(timeout=QUEUE_ANSWERS_WITHIN_SECONDS)
    except Empty:
        raise QueueDownError("The queue does not answer in time.") from None
    if isinstance(answer, Exception):
        raise QueueDownError(f"The queue does not answer: {answer!r}") from answer
    return answer


def _ask_queue(answers: SimpleQueue[int | Exception]) -> None:
    try:
        queue: Any = HUEY
        answers.put(int(queue.pending_count()))
    except Exception as error:  # noqa: BLE001 - whatever the queue's engine raises
        answers.put(error)
    finally:
        _asking_queue.release()


def exposition() -> bytes:
    """All measures in Prometheus's text format."""
    registry = CollectorRegistry()
    for collector in (Counts(), State()):
        registry.register(collector)
    return generate_latest(registry)


class Counts(Collector):
    """The sum over all processes, those that ended among them."""

    def collect(self) -> Iterator[Metric]:
        yield _gauge(
            "mcdash_counts_up",
            "Whether the process that answers can write down what it counts.",
            measures.OWN.are_written(),
        )
        families = {name: _family(one) for name, one in measures.MEASURES.items()}
        for (name, *labels), row in sorted(measures.totals().items()):
            family = families[name]
            if isinstance(family, HistogramMetricFamily):
                bounds = [
                    *map(floatToGoString, measures.MEASURES[name].buckets),
                    "+Inf",
                ]
                buckets = list(zip(bounds, accumulate(row[1:]), strict=True))
                family.add_metric(labels, buckets, sum_value=row[0])
            else:
                family.add_metric(labels, row[0])
        yield from families.values()


def _family(measure: measures.Measure) -> CounterMetricFamily | HistogramMetricFamily:
    kind = HistogramMetricFamily if measure.buckets else CounterMetricFamily
    return kind(measure.name, measure.words, labels=measure.labels)


class State(Collector):
    """The state of things, by a handful of queries that read no more than what is
    under way and the accounts.
    """

    def collect(self) -> Iterator[Metric]:
        try:
            found = [_runs(), _unfollowed(), *_waits(), *_accounts(), _workers()]
        except DatabaseError:
            log.exception("The database could not be asked for measures")
            found = []
        yield _gauge(
            "mcdash_database_up", "Whether the database answered.", bool(found)
        )
        yield _gauge(
            "mcdash_database_writable",
            "Whether the database took what was last to be saved.",
            STORAGE.unwritable_since is None,
        )
        yield from found
        yield from _queue()


def _gauge(name: str, words: str, value: float) -> GaugeMetricFamily:
    return GaugeMetricFamily(name, words, value=float(value))


def _runs() -> Metric:
    family = GaugeMetricFamily(
        "mcdash_active_runs", "Runs under way, by status.", labels=["status"]
    )
    counted = ImportRun.objects.active().values_list("status").annotate(Count("pk"))
    counts = dict(counted.order_by())
    for status in sorted(ACTIVE):
        family.add_metric([status], counts.get(status, 0))
    return family


def _unfollowed() -> Metric:
    """By the reasons that lie with accounts or a worker that does not get on; that no
    worker lives at all `mcdash_workers` tells.
    """
    looked_at = ImportRun.objects.filter(
        status__in=(RunStatus.RUNNING, RunStatus.UNKNOWN)
    )
    counted = dict(looked_at.order_by().values_list("account").annotate(Count("pk")))
    accounts = Account.objects.with_lost_keys().defer("secret")
    accounts = accounts.filter(pk__in=looked_at.values("account"))
    counts = Counter({NotFollowed.OVERDUE: ImportRun.objects.overdue().count()})
    for account in accounts:
        if unfollowed := account.why_not_followed:
            counts[unfollowed.why] += counted[account.pk]
    family = GaugeMetricFamily(
        "mcdash_unfollowed_runs",
        "Running imports that nobody follows, by why.",
        labels=["reason"],
    )
    for why in NotFollowed:
        if why != NotFollowed.NO_WORKER:
            family.add_metric([why.value], counts[why])
    return family


def _waits() -> Iterator[Metric]:
    now = database_now()
    due = ImportRun.objects.followed().aggregate(at=Min("next_check_at"))["at"]
    yield _gauge(
        "mcdash_refresh_lag_seconds",
        "How long the running run that is most overdue has waited to be looked at.",
        _since(due, now),
    )
    queued = ImportRun.objects.filter(status=RunStatus.QUEUED)
    yield _gauge(
        "mcdash_start_wait_seconds",
        "How long the oldest queued start has waited.",
        _since(queued.aggregate(at=Min("queued_at"))["at"], now),
    )


def _since(moment: datetime | None, now: datetime) -> float:
    return max(0.0, (now - moment).total_seconds()) if moment else 0.0


def _accounts() -> Iterator[Metric]:
    counts = Account.objects.with_lost_keys().aggregate(
        **{state: Count("pk", filter=is_so) for state, is_so in ACCOUNT_STATES.items()}
    )
    family = GaugeMetricFamily(
        "mcdash_accounts", "Accounts, by how they fare.", labels=["state"]
    )
    for state in ACCOUNT_STATES:
        family.add_metric([state], counts[state])
    yield family
    yield _gauge(
        "mcdash_breakers_open",
        "Accounts that failed so often that only a probe a minute is sent.",
        counts["breaker_open"],
    )


def _workers() -> Metric:
    count = Worker.objects.heard_of(WORKER_SILENT_AFTER_SECONDS).count()
    return _gauge("mcdash_workers", "Workers heard of in the last minute.", count)


def _queue() -> Iterator[Metric]:
    depth = None
    try:
        depth = queue_depth()
    except QueueDownError as error:
        log.warning("%s", error)
    yield _gauge(
        "mcdash_queue_up", "Whether the queue could be asked.", depth is not None
    )
    if depth is not None:
        yield _gauge("mcdash_queue_depth", "Messages waiting in the queue.", depth)
