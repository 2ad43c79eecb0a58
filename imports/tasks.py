"""The worker: when things are done.

The database says what is due; the queue only says when to look. A message that
is lost costs a second, because the pulse of every worker looks for itself.
"""

from __future__ import annotations

import logging
import random
import secrets
import threading
import time
from collections.abc import Callable
from datetime import datetime, timedelta
from importlib.metadata import PackageNotFoundError, version
from platform import node

from django.conf import settings
from django.db import close_old_connections, connections
from django.db.models import Q
from huey.contrib.djhuey import HUEY, db_task, on_shutdown, on_startup

from imports import logs, metrics
from imports.marketingcloud.errors import MarketingCloudError
from imports.models import (
    STORAGE,
    TOO_FAR_AHEAD,
    Account,
    AccountQuerySet,
    ImportRun,
    Lease,
    RunStatus,
    Worker,
    database_now,
    is_due,
    new_holder,
    process_name,
)
from imports.models.account import BREAKER_OPENS_AT
from imports.models.database import relax_commits
from imports.usecases.accounts import probe_account
from imports.usecases.adopt import adopt_runs
from imports.usecases.errors import AccountBusyError
from imports.usecases.follow import refresh_runs, settle_overdue
from imports.usecases.resolve import reconcile_runs
from imports.usecases.send import send_queued
from imports.usecases.sync import sync_definitions

log = logging.getLogger(__name__)
# Its complaints come once in a while, not each second.
queue_log = logging.getLogger("huey.mcdash")

STEP_SECONDS = 1.0
TICK_LEASE_SECONDS = 10
# A worker that was silent for so long is gone: its leases are free again.
SILENT_AFTER_SECONDS = 15
FORGOTTEN_AFTER_SECONDS = 3600
# A queued run whose message did not arrive is looked for after this time.
OVERLOOKED_AFTER = timedelta(seconds=1)
SYNC_EVERY = timedelta(hours=1)
ADOPT_EVERY = timedelta(minutes=10)
LONGEST_REST_SECONDS = 60
# So long (s) after a rest an earlier failure no longer makes the next rest longer.
FORGIVEN_AFTER = 600

Key = tuple[str, int] | tuple[str, int, str]


@db_task(priority=100)
def send_starts(account_id: int) -> None:
    """Send the account's queued starts, in a thread of their own: an account that
    hangs must not keep the queue from the others.
    """
    account = Account.objects.get(pk=account_id)
    SENDERS.submit(("send", account.pk, secrets.token_hex(4)), _send(account))


def wake_worker(run: ImportRun) -> None:
    """Tell the worker that `run` is queued.

    A queue that does not answer is no reason to fail: the run is committed and
    the pulse finds it.
    """
    with logs.about(run=run.pk):
        _wake(run.account_id)


def _wake(account_id: int) -> bool:
    try:
        send_starts(account_id)
    except Exception:  # whatever the queue's engine raises
        log.exception("Account %s: the queue did not take the message", account_id)
        return False
    return True


class Crew:
    """Threads for calls that may hang, at most `most` at a time, one per key.

    An account has at most `per_account` of them, so that some that hang leave room
    for the others. A key whose work failed rests for a while, longer each time, with
    jitter so that many accounts do not come back at once. `prepare` is called in each
    thread before its work.
    """

    def __init__(
        self,
        most: int,
        *,
        per_account: int | None = None,
        prepare: Callable[[], object] = lambda: None,
    ) -> None:
        self._most = most
        self._per_account = per_account or most
        self._prepare = prepare
        self._lock = threading.Lock()
        self._threads: dict[Key, threading.Thread] = {}
        self._rests: dict[Key, tuple[int, float]] = {}

    def submit(self, key: Key, work: Callable[[], object]) -> bool:
        """Do `work` in a thread, unless `key` is under way or resting."""
        with self._lock:
            if not self._has_room(key):
                return False
            name = ":".join(map(str, key))
            thread = threading.Thread(
                target=self._run, args=(key, work), name=name, daemon=True
            )
            self._threads[key] = thread
            thread.start()
        return True

    def _has_room(self, key: Key) -> bool:
        if key in self._threads or len(self._threads) >= self._most:
            return False
        if time.monotonic() < self._rests.get(key, (0, 0.0))[1]:
            return False
        mine = sum(other[1] == key[1] for other in self._threads)
        return mine < self._per_account

    def join(self, seconds: float) -> bool:
        """Wait for all that is under way; False where some is after `seconds`."""
        give_up = time.monotonic() + seconds
        for thread in list(self._threads.values()):
            thread.join(max(0.0, give_up - time.monotonic()))
        return self.under_way == 0

    @property
    def under_way(self) -> int:
        return len(self._threads)

    def _run(self, key: Key, work: Callable[[], object]) -> None:
        began, outcome = time.monotonic(), "broken"
        try:
            with logs.about(job=key[0], account=key[1]):
                outcome = self._try(key, work)
        finally:
            connections.close_all()
            with self._lock:
                del self._threads[key]
            metrics.count_work(
                kind=key[0], outcome=outcome, seconds=time.monotonic() - began
            )

    def _try(self, key: Key, work: Callable[[], object]) -> str:
        try:
            self._prepare()
            work()
        except AccountBusyError as error:
            log.debug("%s", error)
            return "busy"
        except MarketingCloudError as error:
            log.warning("%s of account %s: %s", key[0], key[1], error.message)
            self._rest(key)
            return "failed"
        except Exception as error:  # one bad account never ends the loop
            self._rest(key)
            if STORAGE.note_refusal(error, has_waited=True):
                return "unsaved"
            log.exception("%s of account %s failed", key[0], key[1])
            return "broken"
        self._rests.pop(key, None)
        return "done"

    def _rest(self, key: Key) -> None:
        now = time.monotonic()
        times = self._rests.get(key, (0, 0.0))[0] + 1
        seconds = min(LONGEST_REST_SECONDS, 2**times) * random.uniform(0.5, 1.0)  # noqa: S311  jitter, not a secret
        with self._lock:
            kept = {k: r for k, r in self._rests.items() if r[1] > now - FORGIVEN_AFTER}
            self._rests = kept | {key: (times, now + seconds)}


READERS = Crew(most=256, per_account=2, prepare=relax_commits)
SENDERS = Crew(most=256)
STOPPING = threading.Event()


def pulse_forever() -> None:
    """Beat, and do what is due, once a second, until the worker is stopped."""
    while not STOPPING.is_set():
        _prepare_queue_if_possible()
        try:
            beat()
            STORAGE.note_success()
            if Lease.objects.acquire(
                "tick", holder=process_name(), seconds=TICK_LEASE_SECONDS
            ):
                tick()
        except Exception as error:  # the pulse must outlive anything
            if not STORAGE.note_refusal(error, has_waited=True):
                log.exception("The worker's pulse missed a beat")
            connections.close_all()
        time.sleep(STEP_SECONDS)


def beat() -> None:
    """Let the others know that this worker is alive."""
    Worker.objects.beat(process_name(), host=node()[:255], version=_version())


def tick() -> None:
    """Look once for everything that is due; the reads themselves run in threads.

    A step that fails does not keep the others from their work.
    """
    steps = (
        _free_leases_of_the_dead,
        settle_overdue,
        _send_overlooked,
        _probe_due,
        _refresh_due,
        _reconcile_due,
        _sync_and_adopt_due,
    )
    for step in steps:
        try:
            step()
        except Exception as error:  # the others must still be done
            if not STORAGE.note_refusal(error, has_waited=True):
                log.exception("The worker's step %s failed", step.__name__)
            close_old_connections()


def _version() -> str:
    try:
        return version("mcdash")
    except PackageNotFoundError:
        return "source"


def _free_leases_of_the_dead() -> None:
    for process in Worker.objects.fell_silent(
        after_seconds=SILENT_AFTER_SECONDS, within_seconds=FORGOTTEN_AFTER_SECONDS
    ):
        Lease.objects.release_all_of(process)


def _send_overlooked() -> None:
    before = database_now() - OVERLOOKED_AFTER
    waiting = ImportRun.objects.filter(status=RunStatus.QUEUED, queued_at__lt=before)
    for account in Account.objects.filter(pk__in=waiting.values("account_id")):
        if not _wake(account.pk):
            SENDERS.submit(("send", account.pk, secrets.token_hex(4)), _send(account))


def _send(account: Account) -> Callable[[], object]:
    return lambda: send_queued(
        account=account, holder=new_holder(), is_stopping=STOPPING.is_set
    )


def _probe_due() -> None:
    for account in Account.objects.reachable().filter(
        failures_in_row__gte=BREAKER_OPENS_AT
    ):
        READERS.submit(("probe", account.pk), _probe(account))


def _probe(account: Account) -> Callable[[], object]:
    return lambda: probe_account(account=account)


def _answering() -> AccountQuerySet:
    return Account.objects.reachable().filter(failures_in_row__lt=BREAKER_OPENS_AT)


def _refresh_due() -> None:
    due = ImportRun.objects.due(database_now()).values("account_id")
    for account in _answering().filter(pk__in=due):
        READERS.submit(("refresh", account.pk), _refresh(account))


def _reconcile_due() -> None:
    now = database_now()
    due = ImportRun.objects.filter(status=RunStatus.UNKNOWN).filter(
        is_due(now) | Q(next_check_at=None)
    )
    for account in _answering().filter(pk__in=due.values("account_id")):
        READERS.submit(("reconcile", account.pk), _reconcile(account))


def _reconcile(account: Account) -> Callable[[], object]:
    return lambda: reconcile_runs(account=account, holder=new_holder(), only_due=True)


def _refresh(account: Account) -> Callable[[], object]:
    return lambda: refresh_runs(account=account, holder=new_holder(), only_due=True)


def _sync_and_adopt_due() -> None:
    now = database_now()
    maybe_due = (
        Q(sync_wanted_at__isnull=False)
        | Q(last_synced_at=None)
        | Q(last_synced_at__lte=now - SYNC_EVERY)
        | Q(sync_again_at__lte=now)
        | Q(last_adopted_at=None)
        | Q(last_adopted_at__lte=now - ADOPT_EVERY)
        | Q(last_synced_at__gt=now + TOO_FAR_AHEAD)
        | Q(last_adopted_at__gt=now + TOO_FAR_AHEAD)
    )
    for account in _answering().filter(maybe_due):
        is_due = _is_over(account.last_synced_at, now, SYNC_EVERY)
        again_at = account.sync_again_at
        is_due_again = again_at is not None and again_at <= now
        if is_due or is_due_again or account.is_sync_awaited:
            READERS.submit(("sync", account.pk), _sync(account))
        elif _is_over(account.last_adopted_at, now, ADOPT_EVERY):
            READERS.submit(("adopt", account.pk), _adopt(account))


def _is_over(last: datetime | None, now: datetime, every: timedelta) -> bool:
    """Also where a clock that was wrong noted a last time which has not come yet."""
    return last is None or now - last >= every or last > now + TOO_FAR_AHEAD


def _sync(account: Account) -> Callable[[], object]:
    return lambda: sync_definitions(account=account, holder=new_holder())


def _adopt(account: Account) -> Callable[[], object]:
    return lambda: adopt_runs(account=account, holder=new_holder())


def prepare_queue(**_: object) -> None:
    """Make the queue's tables, where its engine has any; after `migrate` and when a
    worker starts, never on import: pages must load while the queue is down.
    """
    storage = getattr(HUEY, "storage", None)
    if make_tables := getattr(storage, "initialize_schema", None):
        make_tables()


def _prepare_queue_if_possible() -> None:
    """Where its disk is full or its server away the worker goes on without the queue,
    which only says when to look.
    """
    if _queue_is_prepared.is_set():
        return
    try:
        prepare_queue()
    except Exception:  # noqa: BLE001 - whatever the queue's engine raises
        queue_log.exception("The queue could not be prepared")
    else:
        _queue_is_prepared.set()


_queue_is_prepared = threading.Event()
_starting = threading.Lock()
_pulses: list[threading.Thread] = []


@on_startup()
def start_pulse() -> None:
    """One pulse per worker process, whatever its number of threads."""
    with _starting:
        if not _pulses:
            _prepare_queue_if_possible()
            thread = threading.Thread(target=pulse_forever, name="pulse", daemon=True)
            _pulses.append(thread)
            thread.start()


@on_shutdown()
def finish_sending() -> None:
    """Take no further start; let those on the wire finish and be recorded.

    Then another worker may take over at once: what this one still reads is cut.
    """
    STOPPING.set()
    if not SENDERS.join(settings.MCDASH_CALL_DEADLINE_SECONDS + 10):
        log.error("Stopped with %s starts still on the wire", SENDERS.under_way)
        return
    Lease.objects.release("tick", holder=process_name())
    Lease.objects.release_all_of(process_name())


__all__ = ["HUEY", "READERS", "SENDERS", "beat", "send_starts", "tick", "wake_worker"]
