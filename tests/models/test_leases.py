"""Leases, the heartbeat and the one clock they are compared with."""

from __future__ import annotations

import threading
from datetime import UTC, datetime, timedelta

import pytest
import time_machine
from django.db import connections

from imports.models import Lease, Worker, database_now, new_holder, process_name
from tests.factories import LeaseFactory, WorkerFactory

pytestmark = pytest.mark.django_db


def acquire(name: str, holder: str, seconds: float = 60) -> bool:
    return Lease.objects.acquire(name, holder=holder, seconds=seconds)


def let_run_out(name: str) -> None:
    over = database_now() - timedelta(seconds=1)
    Lease.objects.filter(name=name).update(expires_at=over)


def test_one_holder_has_a_lease() -> None:
    assert acquire("tick", "one")
    assert not acquire("tick", "two")
    assert Lease.objects.get().holder == "one"


def test_the_holder_prolongs_its_lease() -> None:
    acquire("tick", "one", seconds=10)
    before = Lease.objects.get().expires_at
    assert acquire("tick", "one", seconds=100)
    assert Lease.objects.get().expires_at - before > timedelta(seconds=80)


def test_a_lease_that_ran_out_is_taken_over() -> None:
    acquire("tick", "one")
    let_run_out("tick")
    assert acquire("tick", "two")
    assert not acquire("tick", "one")


def test_a_lease_given_back_is_free() -> None:
    acquire("tick", "one")
    Lease.objects.release("tick", holder="one")
    assert acquire("tick", "two")


def test_nobody_gives_back_the_lease_of_another() -> None:
    acquire("tick", "one")
    let_run_out("tick")
    acquire("tick", "two")
    Lease.objects.release("tick", holder="one")
    assert not acquire("tick", "three")


def test_leases_of_other_names_do_not_matter() -> None:
    assert acquire("refresh:1", "one")
    assert acquire("refresh:2", "two")


def test_the_leases_of_a_dead_process_are_free_and_no_others() -> None:
    LeaseFactory.create(name="dead:1", holder="app1:7:aa:01")
    LeaseFactory.create(name="dead:2", holder="app1:7:aa:02")
    LeaseFactory.create(name="alive", holder="app1:7:aab:01")
    assert Lease.objects.release_all_of("app1:7:aa") == 2
    assert acquire("dead:1", "heir")
    assert acquire("dead:2", "heir")
    assert not acquire("alive", "heir")


def test_leases_and_due_times_know_the_databases_clock_alone() -> None:
    acquire("tick", "one", seconds=60)
    with time_machine.travel(datetime(2040, 1, 1, tzinfo=UTC)):
        assert not acquire("tick", "two")
        assert database_now().year < 2040


def test_the_databases_clock_is_utc_and_finer_than_a_second() -> None:
    moments = {database_now() for _ in range(200)}
    assert all(moment.utcoffset() == timedelta(0) for moment in moments)
    assert any(moment.microsecond for moment in moments)
    assert abs(max(moments) - datetime.now(UTC)) < timedelta(seconds=10)


@pytest.mark.django_db(transaction=True)
def test_of_many_threads_one_takes_a_new_lease() -> None:
    start, won = threading.Barrier(8), []

    def run(holder: str) -> None:
        start.wait()
        if acquire("tick", holder):
            won.append(holder)
        connections.close_all()

    threads = [threading.Thread(target=run, args=(str(n),)) for n in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert won == [Lease.objects.get().holder]


def test_a_holder_is_never_the_same_twice_and_names_its_process() -> None:
    one, two = new_holder(), new_holder()
    assert one != two
    assert one.startswith(f"{process_name()}:")


def test_heartbeats_are_one_row_per_worker_with_the_time_it_was_seen() -> None:
    for version in ("1", "2"):
        Worker.objects.heartbeat("app1:7:aa", host="app1", version=version)
    worker = Worker.objects.get()
    assert worker.version == "2"
    assert database_now() - worker.seen_at < timedelta(seconds=10)


def test_a_silent_worker_is_told_from_one_alive_and_one_long_forgotten() -> None:
    now = database_now()
    WorkerFactory.create(holder="alive", seen_at=now)
    WorkerFactory.create(holder="silent", seen_at=now - timedelta(seconds=60))
    WorkerFactory.create(holder="forgotten", seen_at=now - timedelta(days=1))
    WorkerFactory.create(holder="idle", seen_at=now - timedelta(seconds=60))
    WorkerFactory.create(holder="freed", seen_at=now - timedelta(seconds=60))
    for holder in ("alive", "silent", "forgotten", "idler", "freed"):
        LeaseFactory.create(name=holder, holder=f"{holder}:01")
    Lease.objects.release_all_of("freed")
    silent = Worker.objects.silent_with_leases(after_seconds=15, within_seconds=3600)
    assert silent == ["silent"]


def test_leases_that_somebody_holds_are_told_from_those_that_are_free() -> None:
    for name in ("held", "over", "not asked for"):
        LeaseFactory.create(name=name, holder="a:1:a")
    Lease.objects.release("over", holder="a:1:a")
    assert Lease.objects.held(["held", "over", "unknown"]) == {"held"}


@pytest.mark.parametrize(("silent_seconds", "heard"), [(50, True), (70, False)])
def test_a_worker_is_alive_that_responded_within_a_minute(
    silent_seconds: int, heard: bool
) -> None:
    seen_at = database_now() - timedelta(seconds=silent_seconds)
    WorkerFactory.create(seen_at=seen_at)
    assert Worker.objects.alive().exists() is heard
