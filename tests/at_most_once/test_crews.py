"""Room for every account, and a worker that leaves cleanly."""

from __future__ import annotations

import threading
from collections.abc import Iterator

import pytest
from pytest_django import Settings

from imports import tasks
from imports.models import Lease, database_now, new_holder, process_name
from imports.tasks import FORGIVEN_AFTER, Crew
from tests.factories import LeaseFactory


@pytest.fixture
def gate() -> Iterator[threading.Event]:
    """What work waits for until the test opens it."""
    gate = threading.Event()
    yield gate
    gate.set()


def test_an_account_that_hangs_leaves_room_for_the_others(
    gate: threading.Event,
) -> None:
    crew = Crew(most=4, per_account=2)
    hanging = [crew.submit((name, 1), gate.wait) for name in ("sync", "adopt", "probe")]
    assert hanging == [True, True, False]
    assert crew.submit(("sync", 2), gate.wait)
    gate.set()
    assert crew.join(30)


def test_readers_of_many_hanging_accounts_leave_room_for_a_healthy_one(
    gate: threading.Event, monkeypatch: pytest.MonkeyPatch
) -> None:
    crew = Crew(most=tasks.READERS._most, per_account=tasks.READERS._per_account)
    for account in range(50):
        for name in ("sync", "adopt", "refresh", "reconcile"):
            crew.submit((name, account), gate.wait)
    done = threading.Event()
    assert crew.submit(("refresh", 1000), done.set)
    assert done.wait(30)
    gate.set()
    assert crew.join(30)


def test_failures_of_long_ago_are_forgotten(monkeypatch: pytest.MonkeyPatch) -> None:
    """Senders have a key each; without an end they would be kept for ever."""
    crew, now = Crew(most=4), 1000.0
    monkeypatch.setattr("imports.tasks.time.monotonic", lambda: now)
    for number in range(10):
        crew._rest(("send", 1, str(number)))
    now += 60 + FORGIVEN_AFTER
    crew._rest(("send", 1, "last"))
    assert list(crew._rests) == [("send", 1, "last")]


@pytest.fixture
def stopping(monkeypatch: pytest.MonkeyPatch) -> threading.Event:
    event = threading.Event()
    monkeypatch.setattr(tasks, "STOPPING", event)
    monkeypatch.setattr(tasks, "SENDERS", Crew(most=4))
    return event


@pytest.mark.django_db
def test_a_worker_that_stops_gives_back_its_leases_and_no_others(
    stopping: threading.Event,
) -> None:
    LeaseFactory.create(name="tick", holder=process_name())
    LeaseFactory.create(name="refresh:1", holder=new_holder())
    LeaseFactory.create(name="refresh:2", holder="another:7:aa:bb")
    tasks.finish_sending()
    held = Lease.objects.filter(expires_at__gt=database_now())
    assert [lease.name for lease in held] == ["refresh:2"]


@pytest.mark.django_db
def test_a_worker_that_must_leave_a_start_on_the_wire_keeps_its_leases(
    stopping: threading.Event,
    gate: threading.Event,
    settings: Settings,
) -> None:
    LeaseFactory.create(name="call:1:1", holder=new_holder())
    tasks.SENDERS.submit(("send", 1, "x"), gate.wait)
    settings.MCDASH_CALL_DEADLINE_SECONDS = -9.9
    tasks.finish_sending()
    assert Lease.objects.filter(expires_at__gt=database_now()).exists()


@pytest.mark.django_db
def test_the_pulse_ends_with_the_worker(stopping: threading.Event) -> None:
    stopping.set()
    tasks.pulse_forever()
    assert not Lease.objects.exists()
