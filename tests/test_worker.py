"""The worker: what is due by the database is done, by one of any number of them."""

from __future__ import annotations

import logging
import threading
import time
from collections.abc import Callable, Iterator
from datetime import timedelta
from typing import Any

import pytest
from django.contrib.sessions.models import Session
from django.db import OperationalError, connection
from django.utils import timezone

from imports import worker
from imports.marketingcloud.errors import UnavailableError
from imports.models import (
    STORAGE,
    Account,
    ImportDefinition,
    ImportRun,
    Lease,
    RunStatus,
    Worker,
    database_now,
    process_name,
)
from imports.models.account import BREAKER_OPENS_AT
from imports.usecases.start import start_import
from imports.worker import WORK, Loop, ThreadPool, Work
from tests.factories import (
    AccountFactory,
    ImportDefinitionFactory,
    ImportRunFactory,
    LeaseFactory,
    WorkerFactory,
)
from tests.fakes import FakeDoor, FakeMarketingCloud

pytestmark = pytest.mark.django_db(transaction=True)

SECOND = timedelta(seconds=1)


@pytest.fixture(autouse=True)
def nobody_listens(monkeypatch: pytest.MonkeyPatch) -> None:
    """What PostgreSQL tells is tried in tests/models/test_wakeups.py."""
    monkeypatch.setattr(worker, "STOPPING", threading.Event())
    monkeypatch.setattr(worker, "listen", lambda *_: None)


@pytest.fixture
def loop() -> Iterator[Loop]:
    """A worker that has just begun."""
    loop = Loop()
    yield loop
    # what goes on after a test would be found by the next
    for pool in loop.pools.values():
        pool.join(30)


def at_rest(**fields: Any) -> Account:
    """An account of which nothing is due."""
    now = database_now()
    return AccountFactory.create(
        **({"last_synced_at": now, "last_adopted_at": now} | fields)
    )


def work(loop: Loop) -> None:
    """Look for everything once, and do all that is due."""
    loop._next_at.clear()
    loop.turn()
    for pool in loop.pools.values():
        assert pool.join(30)


def queued(cloud: FakeMarketingCloud) -> ImportRun:
    facts = cloud.add_definition("customers-daily")
    definition = ImportDefinitionFactory.create(
        account=at_rest(),
        customer_key="customers-daily",
        object_id=facts["ObjectID"],
    )
    return start_import(definition=definition, started_by=None)


def test_a_queued_start_is_sent(cloud: FakeMarketingCloud, loop: Loop) -> None:
    run = queued(cloud)
    work(loop)
    run.refresh_from_db()
    assert (run.status, cloud.performed) == (RunStatus.RUNNING, ["customers-daily"])
    assert run.claimed_by.startswith(process_name())


def test_several_workers_send_a_start_once(cloud: FakeMarketingCloud) -> None:
    queued(cloud)
    loops = [Loop() for _ in range(4)]
    for one in loops:
        one.turn()
    for one in loops:
        assert one.pools["starts"].join(30)
    assert cloud.performed == ["customers-daily"]


@pytest.mark.parametrize(
    ("statuses", "senders"),
    [
        ([], 0),
        (["starting"], 0),
        (["queued"], 1),
        (["starting", "queued"], 2),
        (["queued", "queued", "queued"], 2),
    ],
)
def test_an_account_has_a_sender_for_each_start_and_two_at_most(
    statuses: list[str], senders: int
) -> None:
    account = at_rest()
    for status in statuses:
        definition = ImportDefinitionFactory.create(account=account)
        ImportRunFactory.create(definition=definition, **{status: True})
    due = [(account.pk, number) for number in range(1, senders + 1)]
    assert list(worker.starts_to_send(database_now())) == due


def test_a_start_that_nobody_takes_brings_every_sender() -> None:
    """Whoever should have sent it may have died; its lease is held for a while yet."""
    old = database_now() - worker.OVERLOOKED_AFTER - SECOND
    definition = ImportDefinitionFactory.create(account=at_rest())
    ImportRunFactory.create(definition=definition, queued=True, occurred_at=old)
    pk = definition.account_id
    assert list(worker.starts_to_send(database_now())) == [(pk, 1), (pk, 2)]


def test_a_start_whose_sender_died_is_sent_before_its_lease_is_over(
    cloud: FakeMarketingCloud, loop: Loop
) -> None:
    run = queued(cloud)
    LeaseFactory.create(name=f"send:{run.account_id}:1", holder="dead:7:aa:bb")
    work(loop)
    assert cloud.performed == []
    ImportRun.objects.update(queued_at=database_now() - timedelta(seconds=3))
    work(loop)
    assert cloud.performed == ["customers-daily"]


def test_what_another_worker_is_at_is_passed_over(
    cloud: FakeMarketingCloud, loop: Loop
) -> None:
    account = at_rest(last_synced_at=None)
    LeaseFactory.create(name=f"sync:{account.pk}", holder="another worker")
    loop.turn()
    assert loop.pools["reads"].busy == 0
    Lease.objects.all().delete()
    work(loop)
    assert cloud.calls["list_definitions"] == 1


def test_a_start_does_not_wait_for_a_thread_that_reads(
    cloud: FakeMarketingCloud, loop: Loop, gate: threading.Event
) -> None:
    reads = loop.pools["reads"] = ThreadPool(at_once=1)
    reads.submit(("refresh", 1), gate.wait)
    run = queued(cloud)
    loop.turn()
    assert loop.pools["starts"].join(30)
    run.refresh_from_db()
    assert run.status == RunStatus.RUNNING


def test_what_ran_out_of_time_is_settled(door: FakeDoor, loop: Loop) -> None:
    run = ImportRunFactory.create(
        definition__account=at_rest(),
        starting=True,
        claim_expires_at=database_now() - SECOND,
    )
    work(loop)
    run.refresh_from_db()
    assert run.status == RunStatus.UNKNOWN


def test_due_runs_are_looked_at_and_others_are_not(
    cloud: FakeMarketingCloud, loop: Loop
) -> None:
    task = cloud.add_task("customers-daily")
    run = ImportRunFactory.create(
        definition__account=at_rest(),
        running=True,
        task_id=task.task_id,
        next_check_at=database_now(),
    )
    later = ImportRunFactory.create(
        definition__account=at_rest(),
        running=True,
        next_check_at=database_now() + 60 * SECOND,
    )
    work(loop)
    run.refresh_from_db()
    assert run.status == RunStatus.COMPLETED
    assert cloud.asked == [("results_of_tasks", (task.task_id,))]
    assert later.task_id != task.task_id


def test_unknown_runs_are_looked_for(cloud: FakeMarketingCloud, loop: Loop) -> None:
    definition = ImportDefinitionFactory.create(account=at_rest())
    run = ImportRunFactory.create(
        definition=definition, unknown=True, next_check_at=database_now()
    )
    task = cloud.add_task(definition.customer_key, step=1)
    work(loop)
    run.refresh_from_db()
    assert (run.status, run.task_id) == (RunStatus.RUNNING, task.task_id)


@pytest.mark.parametrize(
    ("state", "asked"),
    [
        ({}, {}),
        ({"last_synced_at": None}, {"list_definitions": 1}),
        ({"last_synced_at": timedelta(minutes=61)}, {"list_definitions": 1}),
        ({"last_synced_at": timedelta(minutes=59)}, {}),
        (
            {"last_synced_at": 5 * SECOND, "sync_wanted_at": SECOND},
            {"list_definitions": 1},
        ),
        ({"last_synced_at": SECOND, "sync_wanted_at": 5 * SECOND}, {}),
        ({"sync_again_at": SECOND}, {"list_definitions": 1}),
        ({"sync_again_at": -60 * SECOND}, {}),
        ({"last_adopted_at": None}, {"all_results": 1}),
        ({"last_adopted_at": timedelta(minutes=11)}, {"all_results": 1}),
        ({"last_adopted_at": timedelta(minutes=9)}, {}),
    ],
)
def test_definitions_come_hourly_and_outside_runs_every_ten_minutes(
    cloud: FakeMarketingCloud,
    state: dict[str, timedelta | None],
    asked: dict[str, int],
    loop: Loop,
) -> None:
    now = database_now()
    at_rest(**{name: age and now - age for name, age in state.items()})
    work(loop)
    assert cloud.calls == asked


@pytest.mark.parametrize("status", ["starting", "running", "unknown"])
def test_what_a_clock_that_ran_ahead_planned_for_tomorrow_is_done_now(
    cloud: FakeMarketingCloud, status: str, loop: Loop
) -> None:
    tomorrow = database_now() + timedelta(days=1)
    planned = {"next_check_at": tomorrow}
    planned |= {"claim_expires_at": tomorrow} if status == "starting" else {}
    account = at_rest(last_synced_at=tomorrow, last_adopted_at=tomorrow)
    run = ImportRunFactory.create(
        definition=ImportDefinitionFactory.create(account=account),
        **{status: True},
        **planned,
    )
    work(loop)
    run.refresh_from_db()
    account.refresh_from_db()
    assert account.last_synced_at is not None
    assert account.last_synced_at < tomorrow
    assert run.status != RunStatus.STARTING
    assert run.next_check_at is not None
    assert run.next_check_at < tomorrow


@pytest.mark.parametrize(
    "state",
    [
        {"is_active": False},
        {"credentials_refused_at": "2026-03-18T12:00:00Z"},
        {"failures_in_row": BREAKER_OPENS_AT},
    ],
)
def test_an_account_that_must_rest_is_not_read(
    cloud: FakeMarketingCloud, state: dict[str, Any], loop: Loop
) -> None:
    account = AccountFactory.create(**state)
    definition = ImportDefinitionFactory.create(account=account)
    ImportRunFactory.create(
        definition=definition, running=True, next_check_at=database_now()
    )
    # a probe that was answered would end the rest within the same tick
    cloud.fail("check_connection", UnavailableError("No."))
    work(loop)
    assert not set(cloud.calls) - {"check_connection"}


def test_an_account_that_does_not_answer_is_probed_once_a_minute(
    cloud: FakeMarketingCloud, loop: Loop
) -> None:
    account = at_rest(failures_in_row=BREAKER_OPENS_AT)
    cloud.fail("check_connection", UnavailableError("No."))
    for _ in range(3):
        work(loop)
    assert cloud.calls == {"check_connection": 1}
    Lease.objects.all().delete()
    loop.pools["reads"]._rests.clear()
    work(loop)
    account.refresh_from_db()
    assert account.failures_in_row == 0


def test_one_bad_account_does_not_end_the_loop(
    door: FakeDoor, caplog_imports: pytest.LogCaptureFixture, loop: Loop
) -> None:
    bad, good = AccountFactory.create(name="A bad one"), AccountFactory.create()
    door.own[bad.pk] = FakeMarketingCloud()
    door.own[bad.pk].fail("list_definitions", ZeroDivisionError("surprise"))
    door.usual.add_definition("customers-daily")
    work(loop)
    assert ImportDefinition.objects.get().account == good
    assert f"sync of account {bad.pk} failed" in caplog_imports.text
    assert "Traceback" in caplog_imports.text


def test_an_account_that_failed_rests_before_it_is_asked_again(
    cloud: FakeMarketingCloud, loop: Loop
) -> None:
    account = AccountFactory.create()
    cloud.fail("list_definitions", *[UnavailableError("No.")] * 2)
    work(loop)
    work(loop)
    assert cloud.calls["list_definitions"] == 1
    account.refresh_from_db()
    assert account.failures_in_row == 1


def fails_with(error: Exception) -> Callable[..., Any]:
    def due(_: object) -> Any:
        raise error

    return due


def failing(monkeypatch: pytest.MonkeyPatch, error: Exception) -> None:
    """The first of all kinds of work cannot even be looked for."""
    broken = Work(name="broken", pool="upkeep", due=fails_with(error), do=print)
    monkeypatch.setattr(worker, "WORK", (broken, *WORK))


def test_a_kind_of_work_that_fails_does_not_keep_the_others_from_being_done(
    cloud: FakeMarketingCloud,
    loop: Loop,
    monkeypatch: pytest.MonkeyPatch,
    caplog_imports: pytest.LogCaptureFixture,
) -> None:
    run = queued(cloud)
    failing(monkeypatch, ZeroDivisionError())
    work(loop)
    run.refresh_from_db()
    assert run.status == RunStatus.RUNNING
    assert "Looking for what is due failed: broken" in caplog_imports.text


def test_a_look_that_the_database_refuses_is_no_mistake_of_ours(
    loop: Loop,
    monkeypatch: pytest.MonkeyPatch,
    caplog_imports: pytest.LogCaptureFixture,
) -> None:
    failing(monkeypatch, OperationalError("the disk is full"))
    work(loop)
    assert "The database cannot be written since" in caplog_imports.text
    assert "Looking for what is due failed" not in caplog_imports.text


def test_the_leases_of_a_silent_worker_are_freed(door: FakeDoor, loop: Loop) -> None:
    now = database_now()
    WorkerFactory.create(holder="app1:7:aa", seen_at=now - 60 * SECOND)
    WorkerFactory.create(holder="app1:8:bb", seen_at=now)
    LeaseFactory.create(name="refresh:1", holder="app1:7:aa:01")
    LeaseFactory.create(name="refresh:2", holder="app1:8:bb:01")
    work(loop)
    held = Lease.objects.held(["refresh:1", "refresh:2"])
    assert held == {"refresh:2"}


def test_sessions_that_expired_are_removed_once_an_hour(loop: Loop) -> None:
    session = Session.objects.create(
        session_key="old", session_data="", expire_date=database_now() - SECOND
    )
    work(loop)
    assert not Session.objects.exists()
    session.save(force_insert=True)
    work(Loop())
    assert Session.objects.exists()
    Lease.objects.filter(name="clean_up").delete()
    work(Loop())
    assert not Session.objects.exists()


def test_a_heartbeat_names_process_host_and_version(loop: Loop) -> None:
    assert loop.heartbeat()
    row = Worker.objects.get()
    assert row.holder == process_name()
    assert row.host
    assert row.version


def test_the_loop_looks_again_when_the_first_thing_is_due(loop: Loop) -> None:
    seconds = loop.turn()
    assert 0 < seconds <= worker.LOOK_FOR_STARTS_EVERY_SECONDS[connection.vendor]
    assert Worker.objects.count() == 1


def test_a_worker_that_is_woken_looks_for_starts_at_once_and_for_nothing_else(
    loop: Loop, monkeypatch: pytest.MonkeyPatch
) -> None:
    looked: list[str] = []
    monkeypatch.setattr(loop, "look_for", lambda work: looked.append(work.name))
    loop.turn()
    looked.clear()
    for _ in range(3):
        loop.wake()
    began = time.monotonic()
    loop.wait(60)
    loop.turn()
    assert looked == ["send"]
    assert time.monotonic() - began < 10
    loop.wait(0)  # all three were one reason


def test_a_worker_runs_until_it_is_stopped(
    loop: Loop, caplog_imports: pytest.LogCaptureFixture
) -> None:
    threading.Timer(0.3, loop.stop).start()
    with caplog_imports.at_level(logging.INFO):
        loop.run()
    assert Worker.objects.get().holder == process_name()
    assert "has started" in caplog_imports.text
    assert "has stopped" in caplog_imports.text


def turns(loop: Loop, number: int) -> None:
    """Let the loop turn, without waiting."""
    for _ in range(number):
        loop._next_at.clear()
        loop.turn()


def heartbeats(
    monkeypatch: pytest.MonkeyPatch, error: Exception, fails: int = 1
) -> list[str]:
    """Of the heartbeats, which are counted here, the first ones fail."""
    tried: list[str] = []

    def heartbeat(holder: str, **_: str) -> None:
        tried.append(holder)
        if len(tried) <= fails:
            raise error

    monkeypatch.setattr(Worker.objects, "heartbeat", heartbeat)
    return tried


def test_the_loop_outlives_anything(
    loop: Loop,
    monkeypatch: pytest.MonkeyPatch,
    caplog_imports: pytest.LogCaptureFixture,
) -> None:
    tried = heartbeats(monkeypatch, ZeroDivisionError())
    turns(loop, 3)
    assert len(tried) == 3
    assert "heartbeat failed" in caplog_imports.text


def test_while_nothing_can_be_saved_the_log_says_so_once_and_nothing_is_done(
    loop: Loop,
    monkeypatch: pytest.MonkeyPatch,
    caplog_imports: pytest.LogCaptureFixture,
) -> None:
    looked: list[str] = []
    monkeypatch.setattr(loop, "look_for", lambda work: looked.append(work.name))
    heartbeats(monkeypatch, OperationalError("the disk is full"), fails=50)
    turns(loop, 50)
    assert looked == []
    assert caplog_imports.text.count("The database cannot be written since") == 1
    assert "Traceback" not in caplog_imports.text
    # small writes may still find room: no news until nothing was refused for a while
    turns(loop, 2)
    assert looked == []
    monkeypatch.setattr(STORAGE, "_last_at", timezone.now() - timedelta(seconds=11))
    turns(loop, 2)
    assert len(looked) == 2 * len(WORK)
    assert caplog_imports.text.count("The database can be written again") == 1


@pytest.fixture
def gate() -> Iterator[threading.Event]:
    """What work waits for until the test opens it."""
    gate = threading.Event()
    yield gate
    gate.set()


def test_a_clean_stop_waits_for_what_is_on_the_wire(
    loop: Loop, gate: threading.Event, caplog_imports: pytest.LogCaptureFixture
) -> None:
    starts = loop.pools["starts"]
    starts.submit(("send", 1, 1), gate.wait)
    threading.Timer(0.05, gate.set).start()
    with caplog_imports.at_level(logging.ERROR):
        loop.drain()
    assert starts.busy == 0
    assert worker.STOPPING.is_set()
    assert "still being sent" not in caplog_imports.text


def test_a_worker_that_is_stopping_leaves_starts_to_another(
    cloud: FakeMarketingCloud, loop: Loop
) -> None:
    run = queued(cloud)
    worker.STOPPING.set()
    work(loop)
    run.refresh_from_db()
    assert (run.status, cloud.performed) == (RunStatus.QUEUED, [])
