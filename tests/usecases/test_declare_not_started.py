"""A person ends what no look can settle, and only when nothing speaks against it."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

import pytest
from pytest_django import Settings

from imports.marketingcloud.records import StartedImport
from imports.models import (
    AuditEntry,
    EventKind,
    ImportDefinition,
    ImportRun,
    Origin,
    Reason,
    RunStatus,
    StaleRunError,
    User,
    database_now,
)
from imports.usecases import resolve as module
from imports.usecases.adopt import adopt_runs
from imports.usecases.errors import UseCaseError
from imports.usecases.resolve import (
    declare_not_started,
    reconcile_runs,
    why_not_declarable,
)
from imports.usecases.send import record_start
from imports.usecases.start import start_import
from tests.factories import (
    ImportDefinitionFactory,
    ImportRunFactory,
    RunEventFactory,
    UserFactory,
)
from tests.fakes import FakeMarketingCloud

pytestmark = pytest.mark.django_db
HOUR = timedelta(hours=1)
TASK: dict[str, Any] = {"task_id": "501", "phase": "Processing"}


@pytest.fixture
def person(db: None) -> User:
    return UserFactory.create(first_name="Ana", last_name="Ruiz", is_superuser=True)


@pytest.fixture
def keyless(definition: ImportDefinition) -> ImportDefinition:
    return ImportDefinitionFactory.create(account=definition.account, customer_key="")


def unknown(definition: ImportDefinition, **fields: Any) -> ImportRun:
    """A start of an hour ago that got no answer."""
    past = database_now() - HOUR
    times = {"occurred_at": past, "sent_at": past, "answered_at": past}
    return ImportRunFactory.create(
        definition=definition, unknown=True, **(times | fields)
    )


def again(run: ImportRun) -> ImportRun:
    return ImportRun.objects.get(pk=run.pk)


def started(task_id: str) -> StartedImport:
    return StartedImport(
        task_id=task_id,
        request_id="bda5a2c0",
        status_code="OK",
        status_message=f"ImportDefinition performed AsyncID:{task_id}",
        error_code=None,
    )


def test_it_is_written_down_who_said_so_and_the_definition_is_free_again(
    definition: ImportDefinition, person: User
) -> None:
    run = unknown(definition)
    before = definition.account.revision
    declare_not_started(run=run, by=person, ip="192.0.2.7")
    run = again(run)
    assert (run.status, run.reason) == (RunStatus.NOT_STARTED, Reason.DECLARED)
    assert "said that it did not start" in run.as_record()["message"]
    assert run.settled_at is not None
    assert run.next_check_at is None
    (event,) = run.events.all()
    assert (event.kind, event.actor, event.actor_name) == (
        EventKind.NOT_STARTED,
        person,
        "Ana Ruiz",
    )
    assert (event.from_status, event.to_status) == ("unknown", "not_started")
    assert event.details["why"] == Reason.DECLARED
    entry = AuditEntry.objects.get()
    assert (entry.action, entry.actor, entry.ip) == (
        "run_declared",
        person,
        "192.0.2.7",
    )
    definition.account.refresh_from_db()
    assert definition.account.revision > before
    definition.refresh_from_db()
    assert definition.strip[-1]["status"] == "not_started"
    assert start_import(definition=definition, started_by=person).pk != run.pk


@pytest.mark.parametrize("status", [s for s in RunStatus if s != RunStatus.UNKNOWN])
def test_only_an_unknown_run_can_be_declared(
    definition: ImportDefinition, person: User, status: str
) -> None:
    run = ImportRunFactory.create(
        definition=definition, occurred_at=database_now() - HOUR, **{status: True}
    )
    with pytest.raises(UseCaseError, match=r"is settled: .*Nothing was changed"):
        declare_not_started(run=run, by=person)
    assert again(run).status == status


def test_not_while_the_lease_of_the_worker_lives(
    definition: ImportDefinition, person: User
) -> None:
    run = unknown(definition, claim_expires_at=database_now() + HOUR)
    with pytest.raises(UseCaseError, match="may still get its answer"):
        declare_not_started(run=run, by=person)
    assert again(run).status == RunStatus.UNKNOWN


@pytest.mark.parametrize("has_answer", [True, False])
def test_not_before_the_grace_period_is_over(
    definition: ImportDefinition, person: User, settings: Settings, has_answer: bool
) -> None:
    settings.MCDASH_UNKNOWN_GRACE_SECONDS = 900
    settings.MCDASH_START_LEASE_SECONDS = 240
    waited = 900 if has_answer else 900 + 240
    sent_at = database_now()
    run = unknown(
        definition, sent_at=sent_at, answered_at=sent_at if has_answer else None
    )
    just_before = sent_at + timedelta(seconds=waited - 1)
    assert "may still appear" in why_not_declarable(run, just_before)
    assert why_not_declarable(run, sent_at + timedelta(seconds=waited)) == ""
    with pytest.raises(UseCaseError, match="may still appear"):
        declare_not_started(run=run, by=person)


@pytest.mark.parametrize("tasks", [[TASK], [TASK, TASK | {"task_id": "502"}]])
def test_not_while_a_look_has_found_what_it_may_be(
    definition: ImportDefinition, person: User, tasks: list[dict[str, Any]]
) -> None:
    run = unknown(definition)
    found: dict[str, Any] = {"candidates": tasks}
    RunEventFactory.create(run=run, kind=EventKind.LOOKED, details=found)
    RunEventFactory.create(run=run, kind=EventKind.LOOKED, details={"error": "503"})
    with pytest.raises(UseCaseError, match="could be run"):
        declare_not_started(run=run, by=person)
    assert again(run).status == RunStatus.UNKNOWN


def test_what_was_found_after_the_page_was_shown_counts(
    definition: ImportDefinition, person: User
) -> None:
    run = unknown(definition)
    seen_by_the_page = again(run)
    run.move_to(RunStatus.RUNNING, kind=EventKind.FOUND, task_id="501")
    with pytest.raises(UseCaseError, match="is settled: running"):
        declare_not_started(run=seen_by_the_page, by=person)
    assert again(run).task_id == "501"


def test_of_two_at_once_the_one_who_is_second_changes_nothing(
    definition: ImportDefinition, person: User, monkeypatch: pytest.MonkeyPatch
) -> None:
    run = unknown(definition)

    def found_meanwhile(given: ImportRun, now: Any) -> str:
        again(given).move_to(RunStatus.RUNNING, kind=EventKind.FOUND, task_id="501")
        return ""

    monkeypatch.setattr(module, "why_not_declarable", found_meanwhile)
    with pytest.raises(UseCaseError, match="settled just now"):
        declare_not_started(run=run, by=person)
    assert not run.events.filter(kind=EventKind.NOT_STARTED).exists()
    assert not AuditEntry.objects.exists()


def test_a_result_that_turns_up_later_is_taken_by_the_run(
    definition: ImportDefinition, person: User, cloud: FakeMarketingCloud
) -> None:
    run = unknown(definition, sent_at=database_now())
    ImportRun.objects.update(answered_at=database_now() - HOUR)
    declare_not_started(run=run, by=person)
    task = cloud.add_task("customers-daily", step=1)
    reconcile_runs(account=definition.account, holder="worker")
    assert (again(run).status, again(run).task_id) == (RunStatus.RUNNING, task.task_id)


def test_an_answer_that_comes_after_all_is_taken_by_the_run(
    keyless: ImportDefinition, person: User
) -> None:
    run = unknown(keyless)
    declare_not_started(run=run, by=person)
    record_start(run=again(run), started=started("777"))
    assert (again(run).status, again(run).task_id) == (RunStatus.RUNNING, "777")


def test_an_answer_after_it_was_started_again_leaves_both_as_they_are(
    definition: ImportDefinition, person: User
) -> None:
    run = unknown(definition)
    declare_not_started(run=run, by=person)
    other = start_import(definition=definition, started_by=person, again_of=run)
    with pytest.raises(StaleRunError):
        record_start(run=again(run), started=started("777"))
    assert again(run).status == RunStatus.NOT_STARTED
    assert again(other).status == RunStatus.QUEUED


def test_a_run_without_customer_key_is_freed_though_no_look_ever_settles_it(
    keyless: ImportDefinition, person: User, cloud: FakeMarketingCloud
) -> None:
    run = unknown(keyless)
    reconcile_runs(account=keyless.account, holder="worker")
    assert again(run).status == RunStatus.UNKNOWN
    declare_not_started(run=run, by=person)
    assert start_import(definition=keyless, started_by=person).pk != run.pk


def test_a_result_without_key_then_enters_the_history_as_started_outside(
    keyless: ImportDefinition, person: User, cloud: FakeMarketingCloud
) -> None:
    run = unknown(keyless, sent_at=database_now())
    ImportRun.objects.update(answered_at=database_now() - HOUR)
    task = cloud.add_task("", step=1)
    assert adopt_runs(account=keyless.account, holder="worker").waiting == 1
    declare_not_started(run=run, by=person)
    assert adopt_runs(account=keyless.account, holder="worker").adopted == 1
    outside = ImportRun.objects.get(task_id=task.task_id)
    assert outside.origin == Origin.OUTSIDE
    assert again(run).status == RunStatus.NOT_STARTED
