"""The worker: the database says what is due, the queue only when to look."""

from __future__ import annotations

import logging
import threading
from collections.abc import Iterator
from datetime import timedelta
from typing import Any

import pytest
from django.db import OperationalError
from django.utils import timezone
from huey.contrib.djhuey import HUEY

from imports import tasks
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
from imports.tasks import Crew, tick, wake_worker
from imports.usecases.start import start_import
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
QUEUE: Any = HUEY


@pytest.fixture(autouse=True)
def worker(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """A worker process that has just begun, with an empty queue."""
    for name in ("READERS", "SENDERS"):
        monkeypatch.setattr(tasks, name, Crew(most=8))
    monkeypatch.setattr(tasks, "STOPPING", threading.Event())
    monkeypatch.setattr(tasks, "_pulses", [])
    QUEUE.flush()
    yield
    QUEUE.flush()


def at_rest(**fields: Any) -> Account:
    """An account of which nothing is due."""
    now = database_now()
    return AccountFactory.create(
        **({"last_synced_at": now, "last_adopted_at": now} | fields)
    )


def work() -> None:
    """One tick, and all that it began."""
    tick()
    while QUEUE.pending_count():
        QUEUE.execute(QUEUE.dequeue())
    assert tasks.SENDERS.join(30)
    assert tasks.READERS.join(30)


def queued(cloud: FakeMarketingCloud, age: timedelta = 2 * SECOND) -> ImportRun:
    facts = cloud.add_definition("customers-daily")
    definition = ImportDefinitionFactory.create(
        account=at_rest(),
        customer_key="customers-daily",
        object_id=facts["ObjectID"],
    )
    run = start_import(definition=definition, started_by=None)
    ImportRun.objects.update(queued_at=database_now() - age)
    return run


def broken_queue(*_: Any, **__: Any) -> None:
    raise OSError("the queue is gone")


def test_waking_the_worker_leaves_a_message_with_ids_only(
    cloud: FakeMarketingCloud,
) -> None:
    run = queued(cloud)
    wake_worker(run)
    (message,) = QUEUE.pending()
    assert message.args == (run.account_id,)
    assert not cloud.calls


def test_a_message_lets_the_worker_send_the_start(cloud: FakeMarketingCloud) -> None:
    run = queued(cloud)
    wake_worker(run)
    QUEUE.execute(QUEUE.dequeue())
    assert tasks.SENDERS.join(30)
    run.refresh_from_db()
    assert (run.status, cloud.performed) == (RunStatus.RUNNING, ["customers-daily"])
    assert run.claimed_by.startswith(process_name())


def test_messages_that_come_twice_send_once(cloud: FakeMarketingCloud) -> None:
    run = queued(cloud)
    for _ in range(4):
        wake_worker(run)
    work()
    assert cloud.performed == ["customers-daily"]


def test_a_dead_queue_is_no_reason_to_fail(
    cloud: FakeMarketingCloud,
    monkeypatch: pytest.MonkeyPatch,
    caplog_imports: pytest.LogCaptureFixture,
) -> None:
    run = queued(cloud)
    monkeypatch.setattr(QUEUE.storage, "enqueue", broken_queue)
    wake_worker(run)
    run.refresh_from_db()
    assert run.status == RunStatus.QUEUED
    assert "the queue did not take the message" in caplog_imports.text
    work()
    run.refresh_from_db()
    assert run.status == RunStatus.RUNNING


def test_a_start_whose_message_was_lost_is_found(cloud: FakeMarketingCloud) -> None:
    run = queued(cloud)
    work()
    run.refresh_from_db()
    assert run.status == RunStatus.RUNNING


def test_a_start_just_queued_is_left_to_its_message(cloud: FakeMarketingCloud) -> None:
    queued(cloud, age=timedelta(0))
    tick()
    assert QUEUE.pending_count() == 0


def test_what_ran_out_of_time_is_settled(door: FakeDoor) -> None:
    run = ImportRunFactory.create(
        definition__account=at_rest(),
        starting=True,
        claim_expires_at=database_now() - SECOND,
    )
    work()
    run.refresh_from_db()
    assert run.status == RunStatus.UNKNOWN


def test_due_runs_are_looked_at_and_others_are_not(cloud: FakeMarketingCloud) -> None:
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
    work()
    run.refresh_from_db()
    assert run.status == RunStatus.COMPLETED
    assert cloud.asked == [("results_of_tasks", (task.task_id,))]
    assert later.task_id != task.task_id


def test_unknown_runs_are_looked_for(cloud: FakeMarketingCloud) -> None:
    definition = ImportDefinitionFactory.create(account=at_rest())
    run = ImportRunFactory.create(
        definition=definition, unknown=True, next_check_at=database_now()
    )
    task = cloud.add_task(definition.customer_key, step=1)
    work()
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
) -> None:
    now = database_now()
    at_rest(**{name: age and now - age for name, age in state.items()})
    work()
    assert cloud.calls == asked


@pytest.mark.parametrize("status", ["starting", "running", "unknown"])
def test_what_a_clock_that_ran_ahead_planned_for_tomorrow_is_done_now(
    cloud: FakeMarketingCloud, status: str
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
    work()
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
    cloud: FakeMarketingCloud, state: dict[str, Any]
) -> None:
    account = AccountFactory.create(**state)
    definition = ImportDefinitionFactory.create(account=account)
    ImportRunFactory.create(
        definition=definition, running=True, next_check_at=database_now()
    )
    # a probe that was answered would end the rest within the same tick
    cloud.fail("check_connection", UnavailableError("No."))
    work()
    assert not set(cloud.calls) - {"check_connection"}


def test_an_account_that_does_not_answer_is_probed_once_a_minute(
    cloud: FakeMarketingCloud,
) -> None:
    account = at_rest(failures_in_row=BREAKER_OPENS_AT)
    cloud.fail("check_connection", UnavailableError("No."))
    for _ in range(3):
        work()
    assert cloud.calls == {"check_connection": 1}
    Lease.objects.all().delete()
    tasks.READERS._rests.clear()
    work()
    account.refresh_from_db()
    assert account.failures_in_row == 0


def test_one_bad_account_does_not_end_the_loop(
    door: FakeDoor, caplog_imports: pytest.LogCaptureFixture
) -> None:
    bad, good = AccountFactory.create(name="A bad one"), AccountFactory.create()
    door.own[bad.pk] = FakeMarketingCloud()
    door.own[bad.pk].fail("list_definitions", ZeroDivisionError("surprise"))
    door.usual.add_definition("customers-daily")
    work()
    assert ImportDefinition.objects.get().account == good
    assert f"sync of account {bad.pk} failed" in caplog_imports.text
    assert "Traceback" in caplog_imports.text


def test_an_account_that_failed_rests_before_it_is_asked_again(
    cloud: FakeMarketingCloud,
) -> None:
    account = AccountFactory.create()
    cloud.fail("list_definitions", *[UnavailableError("No.")] * 2)
    work()
    work()
    assert cloud.calls["list_definitions"] == 1
    account.refresh_from_db()
    assert account.failures_in_row == 1


def test_a_step_that_fails_does_not_keep_the_others_from_their_work(
    cloud: FakeMarketingCloud,
    monkeypatch: pytest.MonkeyPatch,
    caplog_imports: pytest.LogCaptureFixture,
) -> None:
    run = queued(cloud)

    def settle_overdue() -> None:
        raise ZeroDivisionError

    monkeypatch.setattr(tasks, "settle_overdue", settle_overdue)
    work()
    run.refresh_from_db()
    assert run.status == RunStatus.RUNNING
    assert "settle_overdue failed" in caplog_imports.text


def test_the_leases_of_a_silent_worker_are_freed(door: FakeDoor) -> None:
    now = database_now()
    WorkerFactory.create(holder="app1:7:aa", seen_at=now - 60 * SECOND)
    WorkerFactory.create(holder="app1:8:bb", seen_at=now)
    LeaseFactory.create(name="refresh:1", holder="app1:7:aa:01")
    LeaseFactory.create(name="refresh:2", holder="app1:8:bb:01")
    tick()
    free = Lease.objects.filter(expires_at__lte=database_now())
    assert [lease.name for lease in free] == ["refresh:1"]


def test_a_beat_names_process_host_and_version(door: FakeDoor) -> None:
    tasks.beat()
    worker = Worker.objects.get()
    assert worker.holder == process_name()
    assert worker.host
    assert worker.version


def test_a_process_has_one_pulse_whatever_its_number_of_threads(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    begun: list[str] = []
    monkeypatch.setattr(tasks, "pulse_forever", lambda: begun.append("once"))
    starts = [threading.Thread(target=tasks.start_pulse) for _ in range(8)]
    for start in starts:
        start.start()
    for start in starts:
        start.join()
    for pulse in tasks._pulses:
        pulse.join()
    assert begun == ["once"]


class EnoughError(BaseException):
    """Ends a loop that outlives every Exception."""


def turns(monkeypatch: pytest.MonkeyPatch, number: int) -> None:
    """Let the pulse turn `number` times, without waiting."""
    left = [number]

    def sleep(seconds: float) -> None:
        assert seconds == tasks.STEP_SECONDS
        left[0] -= 1
        if not left[0]:
            raise EnoughError

    monkeypatch.setattr("imports.tasks.time.sleep", sleep)


def test_the_pulse_outlives_anything(
    monkeypatch: pytest.MonkeyPatch, caplog_imports: pytest.LogCaptureFixture
) -> None:
    beats: list[int] = []

    def beat() -> None:
        beats.append(1)
        if len(beats) == 1:
            raise ZeroDivisionError

    monkeypatch.setattr(tasks, "beat", beat)
    monkeypatch.setattr(tasks, "tick", lambda: None)
    turns(monkeypatch, 3)
    with pytest.raises(EnoughError):
        tasks.pulse_forever()
    assert len(beats) == 3
    assert "missed a beat" in caplog_imports.text


def test_while_nothing_can_be_saved_the_log_says_so_once_and_nothing_is_done(
    monkeypatch: pytest.MonkeyPatch, caplog_imports: pytest.LogCaptureFixture
) -> None:
    def refuse() -> None:
        raise OperationalError("the disk is full")

    ticks: list[int] = []
    monkeypatch.setattr(tasks, "tick", lambda: ticks.append(1))
    with monkeypatch.context() as full:
        full.setattr(tasks, "beat", refuse)
        turns(full, 50)
        with pytest.raises(EnoughError):
            tasks.pulse_forever()
    assert ticks == []
    assert caplog_imports.text.count("The database cannot be written since") == 1
    assert "Traceback" not in caplog_imports.text
    monkeypatch.setattr(STORAGE, "_last_at", timezone.now() - timedelta(seconds=11))
    turns(monkeypatch, 2)
    with pytest.raises(EnoughError):
        tasks.pulse_forever()
    assert len(ticks) == 2
    assert caplog_imports.text.count("The database can be written again") == 1


def test_a_step_that_cannot_save_is_no_mistake_of_ours(
    monkeypatch: pytest.MonkeyPatch, caplog_imports: pytest.LogCaptureFixture
) -> None:
    def refuse() -> None:
        raise OperationalError("the disk is full")

    monkeypatch.setattr(tasks, "settle_overdue", refuse)
    tasks.tick()
    assert "The database cannot be written since" in caplog_imports.text
    assert "The worker's step" not in caplog_imports.text


def test_a_worker_begins_without_its_queue_and_prepares_it_later(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    tries: list[int] = []

    def full_at_first() -> None:
        tries.append(1)
        if len(tries) < 3:
            raise OSError(28, "No space left on device")

    monkeypatch.setattr(tasks, "_queue_is_prepared", threading.Event())
    monkeypatch.setattr(tasks, "prepare_queue", full_at_first)
    monkeypatch.setattr(tasks, "tick", lambda: None)
    turns(monkeypatch, 5)
    with pytest.raises(EnoughError):
        tasks.pulse_forever()
    assert len(tries) == 3


@pytest.mark.parametrize(("is_held", "ticks"), [(False, 2), (True, 0)])
def test_of_many_workers_one_looks_for_what_is_due(
    monkeypatch: pytest.MonkeyPatch, is_held: bool, ticks: int
) -> None:
    if is_held:
        LeaseFactory.create(name="tick", holder="another worker")
    done: list[str] = []
    monkeypatch.setattr(tasks, "tick", lambda: done.append("tick"))
    turns(monkeypatch, 2)
    with pytest.raises(EnoughError):
        tasks.pulse_forever()
    assert len(done) == ticks
    assert Worker.objects.count() == 1


@pytest.fixture
def gate() -> Iterator[threading.Event]:
    """What work waits for until the test opens it."""
    gate = threading.Event()
    yield gate
    gate.set()


def test_a_clean_stop_waits_for_what_is_on_the_wire(
    gate: threading.Event, caplog_imports: pytest.LogCaptureFixture
) -> None:
    tasks.SENDERS.submit(("send", 1, "x"), gate.wait)
    threading.Timer(0.05, gate.set).start()
    with caplog_imports.at_level(logging.ERROR):
        tasks.finish_sending()
    assert tasks.SENDERS.under_way == 0
    assert tasks.STOPPING.is_set()
    assert "still on the wire" not in caplog_imports.text


def test_a_worker_that_is_stopping_leaves_starts_to_another(
    cloud: FakeMarketingCloud,
) -> None:
    run = queued(cloud)
    tasks.STOPPING.set()
    work()
    run.refresh_from_db()
    assert (run.status, cloud.performed) == (RunStatus.QUEUED, [])
