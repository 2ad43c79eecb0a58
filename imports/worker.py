"""The worker: a loop that asks the database what is due and hands it to threads.

What there is to do stands in the database alone, so a worker that dies loses nothing.
Any number of workers share it: a start is claimed by an UPDATE, everything else by a
lease. The loop itself only reads, and says once a second that it lives.
"""

from __future__ import annotations

import logging
import random
import threading
import time
from collections.abc import Callable, Iterable
from contextlib import suppress
from dataclasses import dataclass
from datetime import datetime, timedelta
from functools import partial
from importlib.metadata import PackageNotFoundError, version
from platform import node
from queue import Empty, SimpleQueue

from django.conf import settings
from django.db import DatabaseError, connection, connections
from django.db.models import Count, F, Q

from imports import logs, metrics, models
from imports.marketingcloud.errors import MarketingCloudError
from imports.models import STORAGE, Account, ImportRun, RunStatus, listen, process_name
from imports.models.account import BREAKER_OPENS_AT
from imports.models.database import relax_commits
from imports.usecases.accounts import probe_account
from imports.usecases.adopt import adopt_runs
from imports.usecases.errors import AccountBusyError
from imports.usecases.follow import refresh_runs
from imports.usecases.resolve import reconcile_runs
from imports.usecases.send import SENDERS, send_queued
from imports.usecases.settle import out_of_time, settle_overdue
from imports.usecases.sync import sync_definitions
from imports.usecases.upkeep import clean_up

log = logging.getLogger(__name__)

HEARTBEAT_SECONDS = 1.0
# A worker that was silent for so long is gone: its leases are free again.
SILENT_AFTER_SECONDS = 15
FORGOTTEN_AFTER_SECONDS = 3600
LOOK_EVERY_SECONDS = 1.0
# For what nobody waits for, or what is planned for minutes ahead.
RARELY_SECONDS = 3.0
# PostgreSQL says itself when a start is committed; looking is for when nobody hears.
LOOK_FOR_STARTS_EVERY_SECONDS = {"sqlite": 0.2, "postgresql": 1.0}
OVERLOOKED_AFTER = timedelta(seconds=2)
SYNC_EVERY = timedelta(hours=1)
ADOPT_EVERY = timedelta(minutes=10)
LONGEST_REST_SECONDS = 60
# So long (s) after a rest an earlier failure no longer makes the next rest longer.
FORGIVEN_AFTER = 600

# Which piece of a kind of work: the ids of an account, a worker, or nothing.
Ids = tuple[int | str, ...]
# The kind's name and the piece's ids. Joined by ":" the name of the piece's lease.
Key = tuple[int | str, ...]


class ThreadPool:
    """Threads for work that may hang: at most `at_once`, one for each key.

    With `per_account` the second part of a key is an account's id, and an account has
    at most so many of the threads. A key whose work failed rests for a while, longer
    each time up to `longest_rest_seconds`, with jitter so that many accounts do not
    come back at once. `prepare` is called in each thread before its work.
    """

    def __init__(
        self,
        *,
        at_once: int,
        per_account: int | None = None,
        longest_rest_seconds: float = LONGEST_REST_SECONDS,
        prepare: Callable[[], object] = lambda: None,
    ) -> None:
        self.at_once = at_once
        self.per_account = per_account
        self.longest_rest_seconds = longest_rest_seconds
        self.prepare = prepare
        self._lock = threading.RLock()
        self._threads: dict[Key, threading.Thread] = {}
        # how often in a row it failed, and when it may be tried again
        self._rests: dict[Key, tuple[int, float]] = {}

    @property
    def busy(self) -> int:
        return len(self._threads)

    def has_room(self, key: Key) -> bool:
        """Whether the key's work may begin: it is neither being done nor resting."""
        with self._lock:
            if key in self._threads or len(self._threads) >= self.at_once:
                return False
            if time.monotonic() < self._rests.get(key, (0, 0.0))[1]:
                return False
            if self.per_account is None:
                return True
            same_account = sum(other[1] == key[1] for other in self._threads)
            return same_account < self.per_account

    def submit(self, key: Key, work: Callable[[], object]) -> bool:
        """Do `work` in a thread; False where there is no room for it."""
        with self._lock:
            if not self.has_room(key):
                return False
            # a daemon: what only reads may be cut off when the worker ends
            run = partial(self._run, key, work)
            thread = threading.Thread(target=run, name=lease_name(key), daemon=True)
            # first: where the system has no thread left the key must stay free
            thread.start()
            self._threads[key] = thread
        return True

    def join(self, seconds: float) -> bool:
        """Wait for all that is being done; False where some is left after `seconds`."""
        give_up = time.monotonic() + seconds
        with self._lock:
            threads = list(self._threads.values())
        for thread in threads:
            thread.join(max(0.0, give_up - time.monotonic()))
        return self.busy == 0

    def _run(self, key: Key, work: Callable[[], object]) -> None:
        began, outcome = time.monotonic(), "broken"
        account = key[1] if self.per_account else None
        try:
            with logs.about(job=key[0], account=account):
                outcome = self._outcome_of(key, work)
            connections.close_all()
        finally:
            with self._lock:
                del self._threads[key]
            metrics.count_work(
                kind=str(key[0]), outcome=outcome, seconds=time.monotonic() - began
            )

    def _outcome_of(self, key: Key, work: Callable[[], object]) -> str:
        what = f"{key[0]} of account {key[1]}" if self.per_account else str(key[0])
        try:
            self.prepare()
            work()
        except AccountBusyError as error:
            log.debug("%s", error)
            return "busy"
        except MarketingCloudError as error:
            log.warning("%s: %s", what, error.message)
            self._rest(key)
            return "failed"
        except Exception as error:  # one bad account never ends the worker
            self._rest(key)
            if STORAGE.note_refusal(error, has_waited=True):
                return "unsaved"
            log.exception("%s failed", what)
            return "broken"
        self._rests.pop(key, None)
        return "done"

    def _rest(self, key: Key) -> None:
        now = time.monotonic()
        with self._lock:
            times = self._rests.get(key, (0, 0.0))[0] + 1
            longest = min(self.longest_rest_seconds, 2 ** min(times, 16))
            seconds = longest * random.uniform(0.5, 1.0)  # noqa: S311  jitter, not a secret
            since = now - FORGIVEN_AFTER
            recent = {k: rest for k, rest in self._rests.items() if rest[1] > since}
            self._rests = recent | {key: (times, now + seconds)}


@dataclass(frozen=True, slots=True)
class Work:
    """One kind of work. `due` asks for the ids of each piece that waits, given the
    database's time; `do` is called with them in a thread of `pool`. It takes the
    piece's lease, named after kind and ids (`refresh:7`), or claims rows by an UPDATE:
    another worker may be about to do the same.
    """

    name: str
    due: Callable[[datetime], Iterable[Ids]]
    do: Callable[..., object]
    pool: str = "reads"
    every_seconds: float = LOOK_EVERY_SECONDS


def thread_pools() -> dict[str, ThreadPool]:
    """A worker's threads: those for starts are taken by nothing else."""
    return {
        # what fails there is tried again a second later, however often it failed
        "starts": ThreadPool(at_once=256, per_account=SENDERS, longest_rest_seconds=1),
        "reads": ThreadPool(at_once=256, per_account=2, prepare=relax_commits),
        "upkeep": ThreadPool(at_once=4, prepare=relax_commits),
    }


def lease_name(key: Key) -> str:
    return ":".join(map(str, key))


# Once it is set no further start is taken.
STOPPING = threading.Event()


class Loop:
    """What a worker process does from `run()` until `stop()`."""

    def __init__(self) -> None:
        self.pools = thread_pools()
        # put() may interrupt get() in the same thread, as the handler of a signal does
        self._wakes: SimpleQueue[None] = SimpleQueue()
        self._next_at: dict[str, float] = {}
        self._is_heard = False
        self._now: datetime | None = None
        try:
            self._version = version("mcdash")
        except PackageNotFoundError:
            self._version = "source"

    def stop(self) -> None:
        """May be called from any thread, or from the handler of a signal."""
        STOPPING.set()
        self.wake()

    def wake(self) -> None:
        """Have queued starts looked for at once."""
        self._wakes.put(None)

    def run(self) -> None:
        log.info("Worker %s has started", process_name())
        if connection.vendor == "postgresql":
            heed = partial(listen, self.wake, STOPPING.is_set)
            threading.Thread(target=heed, name="listener", daemon=True).start()
        while not STOPPING.is_set():
            self.wait(self.turn())
        self.drain()

    def turn(self) -> float:
        """Say that this worker lives and look for what is due by now; returns after
        how many seconds something is to be done again.
        """
        if self._is_time_for("heartbeat", HEARTBEAT_SECONDS):
            self._is_heard = self.heartbeat()
        # while nothing can be saved nothing is begun
        if not self._is_heard or STORAGE.unwritable_since:
            return self._next_at["heartbeat"] - time.monotonic()
        self._now = None
        for work in WORK:
            if self._is_time_for(work.name, work.every_seconds):
                self.look_for(work)
        return min(self._next_at.values()) - time.monotonic()

    def _is_time_for(self, name: str, every_seconds: float) -> bool:
        now = time.monotonic()
        if now < self._next_at.get(name, 0.0):
            return False
        self._next_at[name] = now + every_seconds
        return True

    def heartbeat(self) -> bool:
        """Say that this worker lives; False where that could not be saved."""
        try:
            relax_commits()  # nobody misses a heartbeat that a power cut takes back
            models.Worker.objects.heartbeat(
                process_name(), host=node()[:255], version=self._version
            )
        except Exception as error:  # the loop must outlive anything
            if not STORAGE.note_refusal(error, has_waited=True):
                log.exception("The worker's heartbeat failed")
            connections.close_all()
            return False
        STORAGE.note_success()
        return True

    def look_for(self, work: Work) -> None:
        """Hand what is due to threads, unless another worker is at it."""
        pool = self.pools[work.pool]
        try:
            self._now = self._now or models.database_now()  # asked once for all kinds
            due = [(work.name, *ids) for ids in work.due(self._now)]
            due = [key for key in due if pool.has_room(key)]
            held = models.Lease.objects.held(map(lease_name, due)) if due else set()
            for key in due:
                if lease_name(key) not in held:
                    pool.submit(key, partial(work.do, *key[1:]))
        except Exception as error:  # the others must still be done
            if not STORAGE.note_refusal(error, has_waited=True):
                log.exception("Looking for what is due failed: %s", work.name)
            connections.close_all()
            self._next_at[work.name] = time.monotonic() + LOOK_EVERY_SECONDS

    def wait(self, seconds: float) -> None:
        """Until something is to be done again, or somebody wakes the loop."""
        with suppress(Empty):
            self._wakes.get(timeout=max(0.0, seconds))
            self._next_at["send"] = 0.0
            while True:  # many starts at once are one reason to look
                self._wakes.get_nowait()

    def drain(self) -> None:
        """Let the starts being sent finish and be recorded; what is read is cut."""
        STOPPING.set()
        starts = self.pools["starts"]
        log.info("Stopping; %s senders of starts are still busy", starts.busy)
        give_up = time.monotonic() + settings.MCDASH_CALL_DEADLINE_SECONDS + 10
        while not starts.join(min(HEARTBEAT_SECONDS, give_up - time.monotonic())):
            if time.monotonic() >= give_up:
                log.error("Stopped while %s starts were still being sent", starts.busy)
                return
            self.heartbeat()  # or others would take this worker for dead
        try:
            models.Lease.objects.release_all_of(process_name())
        except DatabaseError as error:
            log.warning("Leases were not released, others wait for them: %s", error)
        log.info("Worker %s has stopped", process_name())


def silent_workers(_now: datetime) -> Iterable[Ids]:
    silent = models.Worker.objects.silent_with_leases(
        after_seconds=SILENT_AFTER_SECONDS, within_seconds=FORGOTTEN_AFTER_SECONDS
    )
    return [(process,) for process in silent]


def starts_to_send(now: datetime) -> Iterable[Ids]:
    """A sender for each start of an account that waits or is being sent, by number.

    A start that nobody has taken for a while brings all senders: the one that should
    have taken it may be dead or hang.
    """
    is_queued = Q(status=RunStatus.QUEUED)
    if not ImportRun.objects.filter(is_queued).exists():
        return []  # by far the most frequent answer, and the cheapest question
    is_late = is_queued & Q(queued_at__lt=now - OVERLOOKED_AFTER)
    runs = ImportRun.objects.filter(status__in=(RunStatus.QUEUED, RunStatus.STARTING))
    counts = (
        runs.order_by("account")
        .values_list("account")
        .annotate(
            Count("pk"),
            queued=Count("pk", filter=is_queued),
            late=Count("pk", filter=is_late),
        )
    )
    return [
        (account, number)
        for account, starts, _, late in counts.filter(queued__gt=0)
        for number in range(1, SENDERS + 1)
        if number <= starts or late
    ]


def runs_out_of_time(now: datetime) -> Iterable[Ids]:
    return [()] if out_of_time(now).exists() else []


def _answering() -> models.AccountQuerySet:
    return Account.objects.reachable().filter(failures_in_row__lt=BREAKER_OPENS_AT)


def accounts_to_probe(_now: datetime) -> Iterable[Ids]:
    silent = Account.objects.reachable().filter(failures_in_row__gte=BREAKER_OPENS_AT)
    return silent.values_list("pk")


def accounts_to_refresh(now: datetime) -> Iterable[Ids]:
    return _accounts_of(ImportRun.objects.due(now))


def accounts_to_reconcile(now: datetime) -> Iterable[Ids]:
    is_over = models.is_due(now) | Q(next_check_at=None)
    return _accounts_of(ImportRun.objects.filter(is_over, status=RunStatus.UNKNOWN))


def _accounts_of(runs: models.RunQuerySet) -> Iterable[Ids]:
    pks = set(runs.order_by().values_list("account", flat=True).distinct())
    return _answering().filter(pk__in=pks).values_list("pk") if pks else []


def accounts_to_sync(now: datetime) -> Iterable[Ids]:
    is_wanted = Q(sync_wanted_at__gt=F("last_synced_at"))
    is_again = Q(sync_again_at__lte=now)
    is_old = _is_over("last_synced_at", now, SYNC_EVERY)
    return _answering().filter(is_wanted | is_again | is_old).values_list("pk")


def accounts_to_adopt(now: datetime) -> Iterable[Ids]:
    is_old = _is_over("last_adopted_at", now, ADOPT_EVERY)
    accounts = set(_answering().filter(is_old).values_list("pk"))
    # after a sync that is due too, so that the tasks find their definitions
    return accounts.difference(accounts_to_sync(now)) if accounts else []


def _is_over(field: str, now: datetime, every: timedelta) -> Q:
    """Also where a clock that was wrong noted a last time which has not come yet."""
    is_old = Q(**{f"{field}__lte": now - every})
    is_ahead = Q(**{f"{field}__gt": now + models.TOO_FAR_AHEAD})
    return Q(**{field: None}) | is_old | is_ahead


def _do(use_case: Callable[..., object], account_id: int, **options: object) -> None:
    """Do `use_case` for one account, as a new holder of its lease."""
    account = Account.objects.get(pk=account_id)
    use_case(account=account, holder=models.new_holder(), **options)


def send(account_id: int, number: int) -> None:
    _do(send_queued, account_id, is_stopping=STOPPING.is_set, senders=[number])


def probe(account_id: int) -> None:
    probe_account(account=Account.objects.get(pk=account_id))


free_leases = models.Lease.objects.release_all_of
STARTS_EVERY_SECONDS = LOOK_FOR_STARTS_EVERY_SECONDS[connection.vendor]
# Everything that a worker does. A further kind of work is one more entry.
WORK = (
    Work("send", starts_to_send, send, "starts", STARTS_EVERY_SECONDS),
    Work("free_leases", silent_workers, free_leases, "upkeep", RARELY_SECONDS),
    Work("settle", runs_out_of_time, settle_overdue, "upkeep", RARELY_SECONDS),
    Work("probe", accounts_to_probe, probe, every_seconds=RARELY_SECONDS),
    Work("refresh", accounts_to_refresh, partial(_do, refresh_runs, only_due=True)),
    Work(
        "reconcile", accounts_to_reconcile, partial(_do, reconcile_runs, only_due=True)
    ),
    Work("sync", accounts_to_sync, partial(_do, sync_definitions)),
    Work("adopt", accounts_to_adopt, partial(_do, adopt_runs), "reads", RARELY_SECONDS),
    # it is done once an hour: its lease lasts as long
    Work("clean_up", lambda _now: [()], clean_up, "upkeep", every_seconds=60),
)
