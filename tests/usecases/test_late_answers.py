"""Answers that come late, or after their task was adopted, still count."""

from __future__ import annotations

from datetime import timedelta

import pytest

from imports.marketingcloud.errors import OutcomeUnknownError, RequestRefusedError
from imports.models import (
    ImportDefinition,
    ImportRun,
    Reason,
    RunEvent,
    RunStatus,
    database_now,
)
from imports.usecases.adopt import adopt_runs
from imports.usecases.send import send_start
from imports.usecases.settle import settle_overdue
from imports.usecases.start import start_import
from tests.factories import ImportRunFactory
from tests.fakes import FakeMarketingCloud

pytestmark = pytest.mark.django_db


@pytest.fixture
def run(definition: ImportDefinition) -> ImportRun:
    return start_import(definition=definition, started_by=None)


def send(run: ImportRun) -> ImportRun:
    """The run as the database has it after a worker sent it."""
    send_start(run=run, holder="worker")
    return ImportRun.objects.get(pk=run.pk)


def kinds(run: ImportRun) -> list[str]:
    return [event.kind for event in run.events.all()]


def let_the_lease_end(run: ImportRun) -> None:
    over = database_now() - timedelta(seconds=1)
    ImportRun.objects.filter(pk=run.pk).update(claim_expires_at=over)
    settle_overdue()


def test_an_answer_after_the_lease_still_counts(
    run: ImportRun, cloud: FakeMarketingCloud
) -> None:
    cloud.after["start_definition"] = lambda: let_the_lease_end(run)
    run = send(run)
    assert (run.status, run.reason) == (RunStatus.RUNNING, "")
    assert run.task_id in cloud.tasks
    assert kinds(run) == ["queued", "claimed", "unanswered", "accepted"]


def test_a_refusal_after_the_lease_still_counts(
    run: ImportRun, cloud: FakeMarketingCloud
) -> None:
    cloud.before["start_definition"] = lambda: let_the_lease_end(run)
    cloud.fail("start_definition", RequestRefusedError("No.", code="43060"))
    run = send(run)
    assert (run.status, run.error_code) == (RunStatus.NOT_STARTED, "43060")


def test_no_answer_after_the_lease_leaves_the_run_unknown(
    run: ImportRun, cloud: FakeMarketingCloud
) -> None:
    cloud.before["start_definition"] = lambda: let_the_lease_end(run)
    cloud.fail("start_definition", OutcomeUnknownError("Cut off."))
    run = send(run)
    assert (run.status, run.reason) == (RunStatus.UNKNOWN, Reason.WORKER_VANISHED)


def test_a_task_adopted_before_its_answer_came_is_merged_into_our_run(
    run: ImportRun, cloud: FakeMarketingCloud
) -> None:
    def adopted_meanwhile() -> None:
        (task,) = cloud.tasks.values()
        ImportRunFactory.create(
            definition=run.definition,
            outside=True,
            running=True,
            task_id=task.task_id,
            phase="Processing",
            total_rows=300,
        ).record("adopted", details={"phase": "Processing"})
        ImportDefinition.objects.update(last_run=ImportRun.objects.latest("pk"))

    cloud.after["start_definition"] = adopted_meanwhile
    run = send(run)
    assert list(ImportRun.objects.all()) == [run]
    assert (run.status, run.phase, run.total_rows) == ("running", "Processing", 300)
    assert run.origin == "dashboard"
    assert run.definition
    assert run.definition.last_run == run
    assert sorted(kinds(run)) == sorted(
        ["queued", "claimed", "adopted", "accepted", "merged"]
    )
    assert RunEvent.objects.count() == 5


def test_adoption_waits_while_a_start_is_on_the_wire(
    run: ImportRun, cloud: FakeMarketingCloud
) -> None:
    def look_around() -> None:
        cloud.advance()
        report = adopt_runs(account=run.account, holder="another")
        assert (report.adopted, report.waiting) == (0, 1)

    cloud.after["start_definition"] = look_around
    assert send(run).status == RunStatus.RUNNING
    assert ImportRun.objects.count() == 1


def test_an_answer_after_it_was_given_up_started_again_and_adopted_is_no_crash(
    run: ImportRun, cloud: FakeMarketingCloud
) -> None:
    """Its task is in the history as one from outside, and stays so."""

    def everything_at_once() -> None:
        (task,) = cloud.tasks.values()
        ImportRunFactory.create(
            definition=run.definition, outside=True, running=True, task_id=task.task_id
        )
        ImportRun.objects.filter(pk=run.pk).update(
            status=RunStatus.NOT_STARTED, reason=Reason.NO_TRACE
        )
        ImportRunFactory.create(definition=run.definition, running=True)

    cloud.after["start_definition"] = everything_at_once
    assert send(run).status == RunStatus.NOT_STARTED
    assert ImportRun.objects.filter(origin="outside", task_id__in=cloud.tasks).exists()
