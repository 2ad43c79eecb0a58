"""Whether the database can be written: by the driver's codes, since when, told once."""

from __future__ import annotations

import sqlite3
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from typing import Any

import psycopg
import pytest
import time_machine
from django.db import (
    DatabaseError,
    IntegrityError,
    InternalError,
    OperationalError,
    connection,
)
from psycopg import errors

from imports.models import Lease
from imports.models.storage import Refusal, Storage, brief_transaction, refusal_of
from tests.factories import LeaseFactory
from tests.unwritable import unwritable

START = datetime(2026, 3, 12, 9, 14, tzinfo=UTC)
SECOND = timedelta(seconds=1)


@pytest.fixture
def clock() -> Iterator[Any]:
    with time_machine.travel(START, tick=False) as traveller:
        yield traveller


def since(storage: Storage) -> datetime | None:
    return storage.unwritable_since


def of_sqlite(code: int) -> DatabaseError:
    error = sqlite3.OperationalError("said by SQLite")
    error.sqlite_errorcode = code
    return wrapped(OperationalError("said by Django"), error)


def wrapped(error: DatabaseError, cause: BaseException) -> DatabaseError:
    error.__cause__ = cause
    return error


@pytest.mark.parametrize(
    ("code", "refusal"),
    [
        (sqlite3.SQLITE_READONLY, Refusal.READ_ONLY),
        (sqlite3.SQLITE_READONLY_DIRECTORY, Refusal.READ_ONLY),
        (sqlite3.SQLITE_FULL, Refusal.FULL),
        (sqlite3.SQLITE_BUSY, Refusal.LOCKED),
        (sqlite3.SQLITE_BUSY_SNAPSHOT, Refusal.LOCKED),
        (sqlite3.SQLITE_CANTOPEN, Refusal.GONE),
        (sqlite3.SQLITE_IOERR_SHMSIZE, Refusal.GONE),
        (sqlite3.SQLITE_ERROR, None),  # no such table
        (sqlite3.SQLITE_CONSTRAINT_UNIQUE, None),
    ],
)
def test_sqlite_says_by_a_code_why_it_refuses(
    code: int, refusal: Refusal | None
) -> None:
    assert refusal_of(of_sqlite(code)) is refusal


@pytest.mark.parametrize(
    ("error", "refusal"),
    [
        (wrapped(InternalError(), errors.ReadOnlySqlTransaction()), Refusal.READ_ONLY),
        (wrapped(OperationalError(), errors.DiskFull()), Refusal.FULL),
        (wrapped(OperationalError(), errors.LockNotAvailable()), Refusal.LOCKED),
        (wrapped(OperationalError(), errors.AdminShutdown()), Refusal.GONE),
        (wrapped(OperationalError(), errors.TooManyConnections()), Refusal.GONE),
        (wrapped(OperationalError(), psycopg.OperationalError()), Refusal.GONE),
        (wrapped(IntegrityError(), errors.UniqueViolation()), None),
        (wrapped(InternalError(), errors.InFailedSqlTransaction()), None),
        (wrapped(DatabaseError(), psycopg.ProgrammingError()), None),
        (OperationalError("no driver was asked"), Refusal.GONE),
        (DatabaseError("Forced update did not affect any rows."), None),
        (ValueError("a mistake of ours"), None),
        (None, None),
    ],
)
def test_postgresql_says_it_by_its_sqlstate(
    error: BaseException | None, refusal: Refusal | None
) -> None:
    assert refusal_of(error) is refusal


def test_a_refusal_is_found_behind_the_error_that_it_led_to() -> None:
    error = ValueError("raised while the other was handled")
    error.__context__ = of_sqlite(sqlite3.SQLITE_FULL)
    assert refusal_of(error) is Refusal.FULL


def test_it_is_told_when_it_begins_and_when_it_is_over_and_not_in_between(
    clock: Any, caplog_imports: pytest.LogCaptureFixture
) -> None:
    storage = Storage()
    for _ in range(3):
        assert storage.note_refusal(of_sqlite(sqlite3.SQLITE_FULL))
        clock.shift(SECOND)
    assert since(storage) == START
    clock.shift(30 * SECOND)
    storage.note_success()
    storage.note_success()
    assert since(storage) is None
    assert [record.getMessage() for record in caplog_imports.records] == [
        "The database cannot be written since 2026-03-12 09:14:00 UTC: its disk is "
        "full (said by SQLite)",
        "The database can be written again",
    ]


def test_what_still_finds_room_on_a_full_disk_is_no_news_at_once(clock: Any) -> None:
    storage = Storage()
    storage.note_refusal(of_sqlite(sqlite3.SQLITE_FULL))
    clock.shift(9 * SECOND)
    storage.note_success()
    assert since(storage) == START
    clock.shift(SECOND)
    storage.note_success()
    assert since(storage) is None


def test_a_lock_counts_once_it_lasts_longer_than_any_write_of_ours_waits(
    clock: Any,
) -> None:
    storage = Storage()
    for _ in range(2):
        storage.note_refusal(of_sqlite(sqlite3.SQLITE_BUSY))
        assert since(storage) is None
        clock.shift(10 * SECOND)
    storage.note_refusal(of_sqlite(sqlite3.SQLITE_BUSY))
    assert since(storage) == START
    storage.note_success()
    assert since(storage) is None


def test_a_lock_that_was_waited_for_in_full_counts_at_once(clock: Any) -> None:
    storage = Storage()
    storage.note_refusal(of_sqlite(sqlite3.SQLITE_BUSY), has_waited=True)
    assert since(storage) == START - 20 * SECOND


def test_what_is_no_refusal_is_left_to_others(
    caplog_imports: pytest.LogCaptureFixture,
) -> None:
    storage = Storage()
    assert not storage.note_refusal(ValueError("a mistake of ours"))
    assert since(storage) is None
    assert not caplog_imports.records


@pytest.mark.django_db
def test_asking_writes_one_row_that_is_always_the_same() -> None:
    storage = Storage()
    for _ in range(3):
        storage.ask()
    assert Lease.objects.get().name == "storage"
    assert since(storage) is None


@pytest.mark.django_db
def test_asking_finds_a_database_that_takes_no_writes(clock: Any) -> None:
    storage = Storage()
    with unwritable():
        storage.ask()
        assert since(storage) == START
        clock.shift(timedelta(hours=1))
        storage.ask()
        assert since(storage) == START


@pytest.mark.django_db
def test_asking_outlives_anything(
    monkeypatch: pytest.MonkeyPatch, caplog_imports: pytest.LogCaptureFixture
) -> None:
    def fail(*_: object, **__: object) -> None:
        raise ValueError("a mistake of ours")

    monkeypatch.setattr(Lease.objects, "update_or_create", fail)
    Storage().ask()
    assert "Whether the database can be written is not known" in caplog_imports.text


@pytest.mark.django_db
def test_a_try_that_hangs_in_the_system_counts_as_well(
    monkeypatch: pytest.MonkeyPatch, clock: Any
) -> None:
    storage, told = Storage(), []

    def hang(**_: object) -> None:
        for _turn in range(2):
            clock.shift(30 * SECOND)
            told.append(since(storage))

    monkeypatch.setattr(Lease.objects, "update_or_create", hang)
    storage.ask()
    assert told == [None, START]
    assert since(storage) is None


@pytest.mark.django_db(transaction=True)
def test_a_brief_transaction_soon_gives_up_where_somebody_holds_a_lock(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    LeaseFactory.create(name="storage")
    monkeypatch.setattr("imports.models.storage.BRIEF_SECONDS", 0.05)
    other = connection.copy()
    try:
        with other.cursor() as cursor:
            begin = "BEGIN IMMEDIATE" if connection.vendor == "sqlite" else "BEGIN"
            cursor.execute(begin)
            cursor.execute("UPDATE imports_lease SET holder = 'other'")
            with pytest.raises(OperationalError) as caught, brief_transaction():
                Lease.objects.filter(name="storage").update(holder="ours")
            cursor.execute("ROLLBACK")
    finally:
        other.close()
    assert refusal_of(caught.value) is Refusal.LOCKED
    with brief_transaction():
        assert Lease.objects.filter(name="storage").update(holder="ours")
    if connection.vendor == "sqlite":
        with connection.cursor() as cursor:
            cursor.execute("PRAGMA busy_timeout")
            assert cursor.fetchone() == (20_000,)


@pytest.mark.django_db(transaction=True)
def test_a_connection_that_was_refused_as_read_only_is_not_kept() -> None:
    storage = Storage()
    with unwritable():
        storage.ask()
        assert since(storage) is not None
        Lease.objects.create(name="again", holder="", expires_at=START)
