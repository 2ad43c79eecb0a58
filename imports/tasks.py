"""The worker: when things are done.

The database says what is due; the queue only says when to look. A message that
is lost costs a second, because the pulse of every worker looks for itself.
"""

from __future__ import annotations

import logging
import threading
import time
from collections.abc import Callable
from datetime import datetime, timedelta
from importlib.metadata import PackageNotFoundError, version
from platform import node

from django.db import close_old_connections, connections
from huey.contrib.djhuey import HUEY, db_task, on_startup

from imports.marketingcloud.errors import MarketingCloudError
from imports.models import (
    Account,
    ImportRun,
    Lease,
    RunStatus,
    Worker,
    database_now,
    new_holder,
    process_name,
)
from imports.usecases.adopt_runs import adopt_runs
from imports.usecases.errors import AccountBusyError
from imports.usecases.refresh_runs import refresh_runs
from imports.usecases.send_queued import send_queued
from imports.usecases.settle_overdue import settle_overdue
from imports.usecases.sync_definitions import sync_definitions

log = logging.getLogger(__name__)

STEP_SECONDS = 1.0
TICK_LEASE_SECONDS = 10
# A worker that was silent for so long is gone: its leases are free again.
SILENT_AFTER_SECONDS = 15
FORGOTTEN_AFTER_SECONDS = 3600
# A queued run whose message did not arrive is looked for after this time.
OVERLOOKED_AFTER = timedelta(seconds=1)
SYNC_EVERY = timedelta(hours=1)
ADOPT_EVERY = timedelta(minutes=10)
RETRY_AFTER_SECONDS = 60
# Reads are given threads of their own, so that no start waits behind them.
READS_AT_ONCE = 32


@db_task(priority=100)
def send_starts(account_id: int) -> None:
    """Send the account's queued starts."""
    account = Account.objects.get(pk=account_id)
    send_queued(account=account, holder=new_holder())


def wake_worker(run: ImportRun) -> None:
    """Tell the worker that `run` is queued.

    A queue that does not answer is no reason to fail: the run is committed and
    the pulse finds it.
    """
    _wake(run.account_id)


def _wake(account_id: int) -> bool:
    try:
        send_starts(account_id)
    except Exception:  # whatever the queue's engine raises
        log.exception("Account %s: the queue did not take the message", account_id)
        return False
    return True


class Reads:
    """Reads of accounts in daemon threads, one of a kind per account at a time."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._under_way: set[tuple[str, int]] = set()
        self._not_before: dict[tuple[str, int], float] = {}

    def submit(self, kind: str, account: Account, work: Callable[[], object]) -> bool:
        """Do `work` in a thread, unless the same is under way or just failed."""
        key = (kind, account.pk)
        with self._lock:
            if key in self._under_way or len(self._under_way) >= READS_AT_ONCE:
                return False
            if time.monotonic() < self._not_before.get(key, 0):
                return False
            self._under_way.add(key)
        threading.Thread(
            target=self._run, args=(key, work), name=f"{kind}:{account.pk}", daemon=True
        ).start()
        return True

    def _run(self, key: tuple[str, int], work: Callable[[], object]) -> None:
        try:
            self._try(key, work)
        finally:
            connections.close_all()
            with self._lock:
                self._under_way.discard(key)

    def _try(self, key: tuple[str, int], work: Callable[[], object]) -> None:
        try:
            work()
        except AccountBusyError as error:
            log.debug("%s", error)
        except MarketingCloudError as error:
            log.warning("%s of account %s: %s", *key, error.message)
            self._not_before[key] = time.monotonic() + RETRY_AFTER_SECONDS
        except Exception:  # one bad account never ends the loop
            log.exception("%s of account %s failed", *key)
            self._not_before[key] = time.monotonic() + RETRY_AFTER_SECONDS

    @property
    def under_way(self) -> int:
        return len(self._under_way)


READS = Reads()


def pulse_forever() -> None:
    """Beat, and do what is due, once a second, for as long as the process lives."""
    while True:
        try:
            beat()
            if Lease.objects.acquire(
                "tick", holder=process_name(), seconds=TICK_LEASE_SECONDS
            ):
                tick()
        except Exception:  # the pulse must outlive anything
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
        _refresh_due,
        _sync_and_adopt_due,
    )
    for step in steps:
        try:
            step()
        except Exception:  # the others must still be done
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
            READS.submit("send", account, _send(account))


def _send(account: Account) -> Callable[[], object]:
    return lambda: send_queued(account=account, holder=new_holder())


def _refresh_due() -> None:
    due = ImportRun.objects.due(database_now()).values("account_id")
    for account in Account.objects.reachable().filter(pk__in=due):
        READS.submit("refresh", account, _refresh(account))


def _refresh(account: Account) -> Callable[[], object]:
    return lambda: refresh_runs(account=account, holder=new_holder(), only_due=True)


def _sync_and_adopt_due() -> None:
    now = database_now()
    for account in Account.objects.reachable():
        if _is_over(account.last_synced_at, now, SYNC_EVERY):
            READS.submit("sync", account, _sync(account))
        elif _is_over(account.last_adopted_at, now, ADOPT_EVERY):
            READS.submit("adopt", account, _adopt(account))


def _is_over(last: datetime | None, now: datetime, every: timedelta) -> bool:
    return last is None or now - last >= every


def _sync(account: Account) -> Callable[[], object]:
    return lambda: sync_definitions(account=account, holder=new_holder())


def _adopt(account: Account) -> Callable[[], object]:
    return lambda: adopt_runs(account=account, holder=new_holder())


_starting = threading.Lock()
_pulses: list[threading.Thread] = []


@on_startup()
def start_pulse() -> None:
    """One pulse per worker process, whatever its number of threads."""
    with _starting:
        if not _pulses:
            thread = threading.Thread(target=pulse_forever, name="pulse", daemon=True)
            _pulses.append(thread)
            thread.start()


__all__ = ["HUEY", "READS", "beat", "send_starts", "tick", "wake_worker"]
