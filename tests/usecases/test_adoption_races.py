"""A task is one run for ever, whoever hears of it first."""

from __future__ import annotations

import threading
from datetime import timedelta
from typing import Any

import pytest
from pytest_django import Settings

from imports.marketingcloud.errors import UnavailableError
from imports.marketingcloud.records import StartedImport
from imports.models import (
    Account,
    EventKind,
    ImportDefinition,
    ImportRun,
    Origin,
    Reason,
    RunStatus,
    database_now,
)
from imports.usecases.adopt import adopt_runs
from imports.usecases.resolve import ReconcileReport, candidates_of, reconcile_runs
from imports.usecases.send import record_start, send_start
from imports.usecases.start import start_import
from tests.factories import ImportDefinitionFactory, ImportRunFactory
from tests.fakes import FakeMarketingCloud, FakeTask
from tests.usecases.test_send_races import at_once

pytestmark = pytest.mark.django_db

KEY = "customers-daily"
HOUR = timedelta(hours=1)


@pytest.fixture
def account(definition: ImportDefinition) -> Account:
    return definition.account


def no_trace(definition: ImportDefinition, **fields: Any) -> ImportRun:
    """A start that was given up an hour ago."""
    ago = database_now() - HOUR
    return ImportRunFactory.create(
        definition=definition,
        not_started=True,
        **{
            "reason": Reason.NO_TRACE,
            "occurred_at": ago,
            "sent_at": ago,
            "settled_at": ago,
            **fields,
        },
    )


def unknown(definition: ImportDefinition, **fields: Any) -> ImportRun:
    now = database_now()
    times = {"occurred_at": now, "sent_at": now, "next_check_at": now}
    return ImportRunFactory.create(
        definition=definition, unknown=True, **(times | fields)
    )


def answer(task: FakeTask) -> StartedImport:
    return StartedImport(
        task_id=task.task_id,
        request_id=None,
        status_code="OK",
        status_message="ImportDefinition performed",
        error_code=None,
    )


def again(run: ImportRun) -> ImportRun:
    return ImportRun.objects.get(pk=run.pk)


def look(account: Account, *, only_due: bool = False) -> ReconcileReport:
    return reconcile_runs(account=account, holder="worker", only_due=only_due)


def adopt(account: Account) -> None:
    adopt_runs(account=account, holder="worker")


@pytest.fixture(params=["the same definition", "another one with the key"])
def successor(
    request: pytest.FixtureRequest, definition: ImportDefinition
) -> ImportDefinition:
    """Whose start comes next: a customer key may have been used again."""
    if request.param == "the same definition":
        return definition
    return ImportDefinitionFactory.create(account=definition.account, customer_key=KEY)


@pytest.mark.parametrize("looking", [look, adopt])
def test_a_run_without_trace_waits_while_the_next_start_is_on_the_wire(
    account: Account,
    cloud: FakeMarketingCloud,
    definition: ImportDefinition,
    successor: ImportDefinition,
    looking: Any,
) -> None:
    first = no_trace(definition)
    second = ImportRunFactory.create(definition=successor, starting=True)
    task = cloud.add_task(KEY, step=1)
    looking(account)
    assert again(first).status == RunStatus.NOT_STARTED
    assert ImportRun.objects.count() == 2
    record_start(run=second, started=answer(task))
    looking(account)
    assert again(second).task_id == task.task_id
    assert again(first).status == RunStatus.NOT_STARTED


@pytest.mark.parametrize("looking", [look, adopt])
def test_rows_asked_for_before_a_start_was_cut_off_are_nobodys(
    account: Account,
    cloud: FakeMarketingCloud,
    definition: ImportDefinition,
    successor: ImportDefinition,
    looking: Any,
) -> None:
    """The row may be of the second start, whose answer is lost while we ask."""
    first = no_trace(definition)
    second = ImportRunFactory.create(definition=successor, starting=True)
    cloud.add_task(KEY, step=1)

    def cut_off() -> None:
        second.move_to(RunStatus.UNKNOWN, kind=EventKind.UNANSWERED)

    for verb in ("all_results", "results_of_definitions"):
        cloud.after[verb] = cut_off
    looking(account)
    assert again(first).status == RunStatus.NOT_STARTED
    assert (again(second).status, again(second).looks) == (RunStatus.UNKNOWN, 0)
    assert ImportRun.objects.count() == 2
    cloud.after.clear()
    looking(account)
    assert again(second).status == RunStatus.RUNNING


def test_an_unknown_run_waits_while_a_start_with_its_key_is_on_the_wire(
    account: Account, cloud: FakeMarketingCloud, definition: ImportDefinition
) -> None:
    first = unknown(definition)
    alike = ImportDefinitionFactory.create(account=account, customer_key=KEY.upper())
    second = ImportRunFactory.create(definition=alike, starting=True)
    task = cloud.add_task(KEY, step=1)
    look(account)
    assert (again(first).status, again(first).looks) == (RunStatus.UNKNOWN, 0)
    assert look(account, only_due=True).looked_for == 0
    record_start(run=second, started=answer(task))
    look(account)
    assert again(first).looks == 1
    assert again(second).task_id == task.task_id


def test_absence_beside_runs_with_a_key_settles_none_without(
    account: Account,
    cloud: FakeMarketingCloud,
    definition: ImportDefinition,
    settings: Settings,
) -> None:
    settings.MCDASH_UNKNOWN_GRACE_SECONDS = 0
    without = ImportDefinitionFactory.create(account=account, customer_key="")
    with_key, keyless = unknown(definition), unknown(without)
    for _ in range(4):
        look(account)
    assert again(with_key).status == RunStatus.NOT_STARTED
    assert (again(keyless).status, again(keyless).looks) == (RunStatus.UNKNOWN, 0)


def test_of_two_runs_the_nearer_in_time_takes_the_only_task(
    account: Account, cloud: FakeMarketingCloud, definition: ImportDefinition
) -> None:
    no_trace(definition)
    second = unknown(definition)
    task = cloud.add_task(KEY, step=1)
    look(account)
    assert again(second).task_id == task.task_id


@pytest.mark.parametrize("status", ["starting", "unknown"])
def test_keys_are_compared_whatever_their_case(
    account: Account,
    cloud: FakeMarketingCloud,
    definition: ImportDefinition,
    status: str,
) -> None:
    ImportRunFactory.create(definition=definition, **{status: True})
    for _ in range(2):
        cloud.add_task(KEY.upper())
    report = adopt_runs(account=account, holder="worker")
    assert (report.adopted, report.waiting) == (0, 2)


def test_an_adopted_task_belongs_to_the_definition_whatever_the_keys_case(
    account: Account, cloud: FakeMarketingCloud, definition: ImportDefinition
) -> None:
    cloud.add_task(KEY.upper())
    adopt(account)
    run = ImportRun.objects.get()
    assert (run.definition, run.customer_key) == (definition, KEY.upper())


def test_an_exact_key_wins_over_one_in_another_case(
    account: Account, cloud: FakeMarketingCloud, definition: ImportDefinition
) -> None:
    loud = ImportDefinitionFactory.create(account=account, customer_key=KEY.upper())
    cloud.add_task(KEY.upper())
    adopt(account)
    assert ImportRun.objects.get().definition == loud


def adopted(definition: ImportDefinition, task: FakeTask) -> ImportRun:
    run = ImportRunFactory.create(
        definition=definition,
        outside=True,
        completed=True,
        task_id=task.task_id,
        total_rows=1000,
    )
    run.record(EventKind.ADOPTED)
    definition.refresh_recent_runs()
    return run


def test_an_adopted_task_becomes_our_run_with_all_that_hangs_on_it(
    cloud: FakeMarketingCloud, definition: ImportDefinition
) -> None:
    task = cloud.add_task(KEY)
    ours = ImportRunFactory.create(definition=definition, starting=True)
    other = adopted(definition, task)
    later = ImportRunFactory.create(
        definition=definition, cancelled=True, again_of=other
    )
    record_start(run=ours, started=answer(task))
    ours = again(ours)
    assert (ours.task_id, ours.total_rows) == (task.task_id, 1000)
    assert [event.kind for event in ours.events.all()] == [
        "adopted",
        "accepted",
        "merged",
    ]
    assert again(later).again_of == ours
    assert not ImportRun.objects.filter(pk=other.pk).exists()
    definition.refresh_from_db()
    assert {bar["run"] for bar in definition.strip} == {later.pk}
    assert definition.last_run in (ours, later)


def test_an_answer_for_a_task_that_another_run_took_leaves_ours_open(
    account: Account, cloud: FakeMarketingCloud, definition: ImportDefinition
) -> None:
    """A guess was wrong: what is left over in Marketing Cloud is ours then."""
    task = cloud.add_task(KEY, step=1)
    taken = ImportRunFactory.create(running=True, account=account, task_id=task.task_id)
    ours = ImportRunFactory.create(definition=definition, starting=True)
    record_start(run=ours, started=answer(task))
    ours = again(ours)
    assert (ours.status, ours.task_id) == (RunStatus.UNKNOWN, None)
    assert f"run {taken.pk}" in ours.message
    left_over = cloud.add_task(KEY, step=1)
    look(account)
    assert again(ours).task_id == left_over.task_id
    assert again(taken).task_id == task.task_id


def test_an_answer_counts_although_the_claim_was_given_up_meanwhile(
    cloud: FakeMarketingCloud, definition: ImportDefinition
) -> None:
    run = ImportRunFactory.create(definition=definition, starting=True)
    ImportRun.objects.update(status=RunStatus.UNKNOWN)
    task = cloud.add_task(KEY)
    record_start(run=run, started=answer(task))
    assert (again(run).status, again(run).task_id) == ("running", task.task_id)


def test_an_answer_counts_even_after_no_trace_was_found(
    cloud: FakeMarketingCloud, definition: ImportDefinition
) -> None:
    run = ImportRunFactory.create(definition=definition, starting=True)
    ImportRun.objects.update(
        status=RunStatus.NOT_STARTED,
        reason=Reason.NO_TRACE,
        settled_at=database_now(),
    )
    task = cloud.add_task(KEY)
    record_start(run=run, started=answer(task))
    run = again(run)
    assert (run.status, run.task_id) == (RunStatus.RUNNING, task.task_id)
    assert (run.reason, run.settled_at) == ("", None)


def test_an_answer_for_a_run_that_was_started_again_touches_neither(
    account: Account, cloud: FakeMarketingCloud, definition: ImportDefinition
) -> None:
    cloud.before["start_definition"] = lambda: given_up_and_started_again(definition)
    run = start_import(definition=definition, started_by=None)
    send_start(run=run, holder="worker")
    first, second = definition.runs.order_by("pk")
    assert (first.status, second.status) == ("not_started", "running")
    assert second.task_id == "1"
    cloud.advance(2)
    second.move_to(RunStatus.COMPLETED, kind=EventKind.ENDED)
    adopt(account)
    assert again(first).task_id == next(iter(cloud.tasks))


def given_up_and_started_again(definition: ImportDefinition) -> None:
    ImportRun.objects.update(
        status=RunStatus.NOT_STARTED,
        reason=Reason.NO_TRACE,
        settled_at=database_now(),
    )
    ImportRunFactory.create(definition=definition, running=True, task_id="1")


def test_a_late_answer_that_names_another_task_is_kept_as_a_contradiction(
    cloud: FakeMarketingCloud, definition: ImportDefinition
) -> None:
    guessed, named = cloud.add_task(KEY), cloud.add_task(KEY)

    def found_meanwhile() -> None:
        run = ImportRun.objects.ours().get()
        ImportRun.objects.filter(pk=run.pk).update(
            status=RunStatus.RUNNING, task_id=guessed.task_id
        )

    cloud.before["start_definition"] = found_meanwhile
    run = start_import(definition=definition, started_by=None)
    definition.account.last_adopted_at = database_now()
    definition.account.save()
    send_start(run=run, holder="worker")
    assert again(run).task_id == guessed.task_id
    (said,) = run.events.filter(kind=EventKind.CONTRADICTED)
    assert "names task" in said.details["words"]
    assert named.task_id != guessed.task_id


def test_a_look_that_failed_leaves_the_choice_open(
    account: Account, cloud: FakeMarketingCloud, definition: ImportDefinition
) -> None:
    run = unknown(definition)
    for _ in range(2):
        cloud.add_task(KEY)
    look(account)
    cloud.fail("results_of_definitions", UnavailableError("No."))
    with pytest.raises(UnavailableError):
        look(account)
    assert len(candidates_of(run)) == 2


def test_the_same_candidates_are_told_once(
    account: Account, cloud: FakeMarketingCloud, definition: ImportDefinition
) -> None:
    run = unknown(definition)
    for _ in range(2):
        cloud.add_task(KEY)
    for _ in range(3):
        look(account)
    assert run.events.filter(kind=EventKind.LOOKED).count() == 1
    assert again(run).looks == 3
    cloud.add_task(KEY)
    look(account)
    assert run.events.filter(kind=EventKind.LOOKED).count() == 2


@pytest.mark.django_db(transaction=True)
@pytest.mark.parametrize("attempt", range(5))
def test_adoption_and_answer_at_the_same_moment_make_one_run(
    account: Account,
    cloud: FakeMarketingCloud,
    definition: ImportDefinition,
    attempt: int,
) -> None:
    Account.objects.update(last_adopted_at=database_now())
    run = start_import(definition=definition, started_by=None)
    done, both = threading.Event(), threading.Barrier(2, timeout=30)

    def answered() -> None:
        cloud.advance()
        done.set()
        both.wait()

    cloud.after["start_definition"] = answered
    cloud.before["all_results"] = lambda: done.wait(30)
    cloud.after["all_results"] = both.wait
    at_once([lambda: send_start(run=again(run), holder="one"), lambda: adopt(account)])
    only = ImportRun.objects.get()
    assert (only.pk, only.status, only.origin) == (run.pk, "running", Origin.DASHBOARD)
    assert [only.task_id] == list(cloud.tasks)
