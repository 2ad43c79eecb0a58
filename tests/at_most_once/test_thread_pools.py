"""Room for every account, and a worker that leaves cleanly."""

from __future__ import annotations

import threading
from collections.abc import Iterator

import pytest
from pytest_django import Settings

from imports import worker
from imports.models import Lease, new_holder
from imports.worker import FORGIVEN_AFTER, Loop, ThreadPool, thread_pools
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
    pool = ThreadPool(at_once=4, per_account=2)
    hanging = [pool.submit((name, 1), gate.wait) for name in ("sync", "adopt", "probe")]
    assert hanging == [True, True, False]
    assert pool.submit(("sync", 2), gate.wait)
    gate.set()
    assert pool.join(30)


def test_readers_of_many_hanging_accounts_leave_room_for_a_healthy_one(
    gate: threading.Event, monkeypatch: pytest.MonkeyPatch
) -> None:
    reads = thread_pools()["reads"]
    pool = ThreadPool(at_once=reads.at_once, per_account=reads.per_account)
    for account in range(50):
        for name in ("sync", "adopt", "refresh", "reconcile"):
            pool.submit((name, account), gate.wait)
    done = threading.Event()
    assert pool.submit(("refresh", 1000), done.set)
    assert done.wait(30)
    gate.set()
    assert pool.join(30)


def test_failures_of_long_ago_are_forgotten(monkeypatch: pytest.MonkeyPatch) -> None:
    """Else they would be kept for as long as the worker lives."""
    pool, now = ThreadPool(at_once=4), 1000.0
    monkeypatch.setattr("imports.worker.time.monotonic", lambda: now)
    for number in range(10):
        pool._rest(("send", number, 1))
    now += 60 + FORGIVEN_AFTER
    pool._rest(("send", 99, 1))
    assert list(pool._rests) == [("send", 99, 1)]


@pytest.fixture
def loop(monkeypatch: pytest.MonkeyPatch) -> Loop:
    """A worker that has just begun."""
    monkeypatch.setattr(worker, "STOPPING", threading.Event())
    return Loop()


@pytest.mark.django_db
def test_a_worker_that_stops_gives_back_its_leases_and_no_others(loop: Loop) -> None:
    LeaseFactory.create(name="refresh:1", holder=new_holder())
    LeaseFactory.create(name="refresh:2", holder="another:7:aa:bb")
    loop.drain()
    assert Lease.objects.held(["refresh:1", "refresh:2"]) == {"refresh:2"}


@pytest.mark.django_db
def test_a_worker_that_must_leave_a_start_on_the_wire_keeps_its_leases(
    loop: Loop, gate: threading.Event, settings: Settings
) -> None:
    LeaseFactory.create(name="call:1:1", holder=new_holder())
    loop.pools["starts"].submit(("send", 1, 1), gate.wait)
    settings.MCDASH_CALL_DEADLINE_SECONDS = -9.9
    loop.drain()
    assert Lease.objects.held(["call:1:1"])


@pytest.mark.django_db
def test_others_hear_of_a_worker_while_it_waits_for_its_last_answers(
    loop: Loop, gate: threading.Event, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Else they would free its leases, and the account had more calls at a time."""
    monkeypatch.setattr(worker, "HEARTBEAT_SECONDS", 0.01)
    loop.pools["starts"].submit(("send", 1, 1), gate.wait)
    heard: list[str] = []

    def heartbeat() -> bool:
        heard.append("heartbeat")
        if len(heard) == 3:
            gate.set()
        return True

    monkeypatch.setattr(loop, "heartbeat", heartbeat)
    loop.drain()
    assert len(heard) >= 3
    assert loop.pools["starts"].busy == 0


@pytest.mark.django_db
def test_a_stopped_worker_begins_nothing(loop: Loop) -> None:
    worker.STOPPING.set()
    loop.run()
    assert not Lease.objects.exists()
