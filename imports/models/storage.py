"""Whether the database takes what is to be saved, and since when it does not.

A database that can be read but not written is no rarity: a fail-over to a standby, a
full or read-only disk, a lock that somebody forgot. Pages go on then, and say so.
"""

from __future__ import annotations

import enum
import logging
import sqlite3
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import datetime, timedelta

import psycopg
from django.db import OperationalError, connection, transaction
from django.db.models.functions import Now
from django.utils import timezone

from imports.models.database import release_connection
from imports.models.worker import Lease

log = logging.getLogger(__name__)

WATCH_EVERY = timedelta(seconds=10)
# So long writers wait for each other.
LOCK_LASTS = timedelta(seconds=20)
BRIEF_SECONDS = 2
# A try that has not ended by now hangs in the system.
HANGS_AFTER = timedelta(seconds=30)


class Refusal(enum.Enum):
    """Why a database takes no write, by the driver's own codes."""

    READ_ONLY = "it is read-only"
    FULL = "its disk is full"
    LOCKED = "somebody holds a lock on it"
    GONE = "it does not answer, or its files cannot be read"

    @property
    def is_certain(self) -> bool:
        """Whether nothing was saved for sure: who breaks off in a commit may have."""
        return self is not Refusal.GONE


SQLITE_REFUSALS = {
    sqlite3.SQLITE_READONLY: Refusal.READ_ONLY,
    sqlite3.SQLITE_FULL: Refusal.FULL,
    sqlite3.SQLITE_BUSY: Refusal.LOCKED,
    sqlite3.SQLITE_LOCKED: Refusal.LOCKED,
    sqlite3.SQLITE_IOERR: Refusal.GONE,
    sqlite3.SQLITE_CANTOPEN: Refusal.GONE,
    sqlite3.SQLITE_PERM: Refusal.GONE,
}
# SQLSTATE, or the class that it begins with.
POSTGRES_REFUSALS = {
    "25006": Refusal.READ_ONLY,
    "53100": Refusal.FULL,
    "55P03": Refusal.LOCKED,
    "08": Refusal.GONE,
    "53": Refusal.GONE,
    "57": Refusal.GONE,
    "58": Refusal.GONE,
}


def refusal_of(error: BaseException | None) -> Refusal | None:
    """Why the database refused; None where a statement was wrong, or a value."""
    cause = _root(error)
    if isinstance(cause, sqlite3.Error):
        return SQLITE_REFUSALS.get(getattr(cause, "sqlite_errorcode", 0) & 0xFF)
    if isinstance(cause, psycopg.Error) and cause.sqlstate:
        of_class = POSTGRES_REFUSALS.get(cause.sqlstate[:2])
        return POSTGRES_REFUSALS.get(cause.sqlstate, of_class)
    # no server said it: then the connection is lost, or the mistake is ours
    lost = (psycopg.OperationalError, OperationalError)
    return Refusal.GONE if isinstance(cause, lost) else None


def _root(error: BaseException | None) -> BaseException | None:
    """What the driver said, or where it was not asked, Django's own error."""
    while error is not None:
        is_own = isinstance(error, OperationalError) and error.__cause__ is None
        if is_own or isinstance(error, (sqlite3.Error, psycopg.Error)):
            return error
        error = error.__cause__ or error.__context__
    return None


@contextmanager
def brief_transaction() -> Iterator[None]:
    """A transaction for what is not worth waiting for a lock: it gives up soon."""
    wait = round(BRIEF_SECONDS * 1000)
    with connection.cursor() as cursor:
        if connection.vendor != "sqlite":
            with transaction.atomic():
                cursor.execute(f"SET LOCAL lock_timeout = {wait}")
                yield
            return
        cursor.execute("PRAGMA busy_timeout")
        (usual,) = cursor.fetchone()
        cursor.execute(f"PRAGMA busy_timeout={wait}")
        try:
            with transaction.atomic():
                yield
        finally:
            cursor.execute(f"PRAGMA busy_timeout={usual}")


class Storage:
    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._refusal: Refusal | None = None
        # since when writes are refused, and when one was last
        self._first_at: datetime | None = None
        self._last_at: datetime | None = None
        self._trying_since: datetime | None = None
        self._is_told = False

    @property
    def unwritable_since(self) -> datetime | None:
        """Since when nothing can be saved; None while all is well."""
        began = self._trying_since
        if began and timezone.now() - began > HANGS_AFTER:
            return self._first_at or began
        return self._first_at if self._counts() else None

    def _counts(self) -> bool:
        # a lock once it has lasted longer than any write of ours waits for another
        if self._first_at is None or self._last_at is None:
            return False
        is_old = self._last_at - self._first_at >= LOCK_LASTS
        return is_old or self._refusal is not Refusal.LOCKED

    @property
    def was_refused_just_now(self) -> bool:
        """Whether another try is not worth anybody's waiting yet."""
        last = self._last_at
        return last is not None and timezone.now() - last < WATCH_EVERY

    def note_refusal(self, error: BaseException, *, has_waited: bool = False) -> bool:
        """Whether `error` is a refusal of the database, which is then remembered.
        `has_waited`: a lock was waited for in full.
        """
        refusal = refusal_of(error)
        if refusal is None:
            return False
        with self._lock:
            self._last_at = timezone.now()
            if self._first_at is None:
                is_old = has_waited and refusal is Refusal.LOCKED
                self._first_at = self._last_at - (LOCK_LASTS if is_old else timedelta())
            self._refusal = refusal
            if self._counts() and not self._is_told:
                self._is_told = True
                log.error(
                    "The database cannot be written since %s: %s (%s)",
                    *(f"{self._first_at:%Y-%m-%d %H:%M:%S} UTC", refusal.value),
                    _root(error),
                )
        is_over = refusal in (Refusal.READ_ONLY, Refusal.GONE)
        if is_over and not connection.in_atomic_block:
            # one that was opened read-only stays so, and one that broke is broken
            if pool := getattr(connection, "pool", None):
                pool.drain()
            connection.close()
        return True

    def note_success(self) -> None:
        with self._lock:
            # on a full disk what is small may still find room where the rest does not
            if self._refusal is not Refusal.LOCKED and self.was_refused_just_now:
                return
            if self._is_told:
                log.warning("The database can be written again")
            self._refusal = self._first_at = self._last_at = None
            self._is_told = False

    def ask(self) -> None:
        """Write a row and commit it: a full disk refuses no sooner."""
        self._trying_since = timezone.now()
        try:
            with brief_transaction():
                Lease.objects.update_or_create(
                    name="storage", defaults={"holder": "", "expires_at": Now()}
                )
        except Exception as error:  # the watch must outlive anything
            if not self.note_refusal(error):
                log.exception("Whether the database can be written is not known")
                connection.close()
        else:
            self.note_success()
        finally:
            self._trying_since = None

    def watch(self) -> None:
        """Ask every few seconds, in a thread, so that no page waits for it."""

        def ask_forever() -> None:
            while True:
                self.ask()
                # SQLite's stays open: where it is the last one, -shm and -wal would go
                # with it, and could not be made anew on a full disk, not even to read
                release_connection()
                time.sleep(WATCH_EVERY.total_seconds())

        threading.Thread(target=ask_forever, name="storage", daemon=True).start()


STORAGE = Storage()
