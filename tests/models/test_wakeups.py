"""A start that is committed wakes the workers: on PostgreSQL, which has NOTIFY."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator

import pytest
from django.db import connection, transaction
from django.test.utils import CaptureQueriesContext

from imports.models import database, listen, wake_workers
from imports.usecases.start import start_import
from tests.e2e.site import wait_until
from tests.factories import ImportDefinitionFactory

pytestmark = pytest.mark.django_db(transaction=True)
only_postgresql = pytest.mark.skipif(
    "connection.vendor != 'postgresql'", reason="SQLite tells nobody"
)


class Ear:
    """Counts how often a worker is woken; `expect` waits for the next time."""

    def __init__(self) -> None:
        self.stopping = threading.Event()
        self.wakes = threading.Semaphore(0)
        self.thread = threading.Thread(
            target=listen, args=(self.wakes.release, self.stopping.is_set), daemon=True
        )

    def expect(self) -> bool:
        return self.wakes.acquire(timeout=20)

    def end(self) -> None:
        self.stopping.set()
        wake_workers()
        self.thread.join(20)
        assert not self.thread.is_alive()


@pytest.fixture
def ear(monkeypatch: pytest.MonkeyPatch) -> Iterator[Ear]:
    """Listens already; it was woken once for what may have been there before."""
    monkeypatch.setattr(database, "RECONNECT_AFTER_SECONDS", 0.05)
    ear = Ear()
    ear.thread.start()
    assert ear.expect()
    yield ear
    ear.end()


@only_postgresql
def test_a_start_wakes_whoever_listens_once_it_is_committed(ear: Ear) -> None:
    definition = ImportDefinitionFactory.create()
    with transaction.atomic():
        start_import(definition=definition, started_by=None)
        assert not ear.wakes.acquire(timeout=0.3)
    assert ear.expect()


@only_postgresql
def test_a_start_that_is_rolled_back_wakes_nobody(ear: Ear) -> None:
    definition = ImportDefinitionFactory.create()
    with transaction.atomic():
        start_import(definition=definition, started_by=None)
        transaction.set_rollback(True)
    assert not ear.wakes.acquire(timeout=0.3)


@only_postgresql
def test_a_connection_that_breaks_is_replaced_and_said_once(
    ear: Ear,
    monkeypatch: pytest.MonkeyPatch,
    caplog_imports: pytest.LogCaptureFixture,
) -> None:
    with monkeypatch.context() as away:
        tries = broken_three_times(away)
        end_listening_session()
        wait_until(lambda: len(tries) > 3, "a new connection")
    assert ear.expect()  # for what was committed meanwhile
    wake_workers()
    assert ear.expect()
    assert caplog_imports.text.count("Starts are found by looking alone") == 1
    assert caplog_imports.text.count("Starts are announced again") == 1


def broken_three_times(monkeypatch: pytest.MonkeyPatch) -> list[int]:
    """The next three connections are refused."""
    from django.db import OperationalError

    tries: list[int] = []
    heard: Callable[[], Iterator[None]] = database._heard

    def refused() -> Iterator[None]:
        tries.append(1)
        if len(tries) <= 3:
            raise OperationalError("connection refused")
        return heard()

    monkeypatch.setattr(database, "_heard", refused)
    return tries


def end_listening_session() -> None:
    with connection.cursor() as cursor:
        cursor.execute(
            "SELECT pg_terminate_backend(pid) FROM pg_stat_activity"
            " WHERE datname = current_database() AND pid != pg_backend_pid()"
            " AND query IN ('SELECT 1', %s)",
            [f"LISTEN {database.CHANNEL}"],
        )


def test_sqlite_is_asked_nothing() -> None:
    if connection.vendor != "sqlite":
        pytest.skip("PostgreSQL is told")
    with CaptureQueriesContext(connection) as queries:
        wake_workers()
    assert len(queries) == 0
