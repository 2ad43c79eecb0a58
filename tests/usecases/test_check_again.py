"""A lost run may be followed once more."""

from __future__ import annotations

from datetime import timedelta

import pytest

from imports.models import ImportRun, RunStatus, database_now
from imports.usecases.errors import UseCaseError
from imports.usecases.follow import check_again, refresh_runs
from tests.factories import ImportRunFactory, UserFactory
from tests.fakes import FakeMarketingCloud

pytestmark = pytest.mark.django_db


def test_a_lost_run_is_looked_at_again_for_another_day(
    cloud: FakeMarketingCloud,
) -> None:
    person = UserFactory.create()
    run = ImportRunFactory.create(
        lost=True, occurred_at=database_now() - timedelta(days=3)
    )
    check_again(run=run, by=person)
    assert list(ImportRun.objects.due(database_now())) == [run]
    assert run.events.get().actor == person
    refresh_runs(account=run.account, holder="worker")
    run.refresh_from_db()
    assert (run.status, run.reason) == (RunStatus.RUNNING, "")


def test_a_lost_run_found_again_ends(cloud: FakeMarketingCloud) -> None:
    task = cloud.add_task("customers-daily")
    run = ImportRunFactory.create(lost=True, task_id=task.task_id)
    check_again(run=run, by=None)
    refresh_runs(account=run.account, holder="worker")
    run.refresh_from_db()
    assert run.status == RunStatus.COMPLETED


@pytest.mark.parametrize("status", sorted(set(RunStatus) - {RunStatus.LOST}), ids=str)
def test_no_other_run_is_checked_again(status: RunStatus) -> None:
    run = ImportRunFactory.create(**{status.value: True})
    with pytest.raises(UseCaseError, match="only a lost run"):
        check_again(run=run, by=None)
    run.refresh_from_db()
    assert run.status == status


def test_a_run_found_meanwhile_is_left_as_it_is() -> None:
    run = ImportRunFactory.create(lost=True)
    ImportRun.objects.update(status=RunStatus.COMPLETED)
    with pytest.raises(UseCaseError, match="just found"):
        check_again(run=run, by=None)
    run.refresh_from_db()
    assert run.status == RunStatus.COMPLETED


def test_a_run_that_is_checked_again_is_no_end_in_the_strip(
    cloud: FakeMarketingCloud,
) -> None:
    run = ImportRunFactory.create(lost=True)
    assert run.definition
    run.definition.refresh_recent_runs()
    check_again(run=run, by=None)
    run.definition.refresh_from_db()
    assert (run.definition.strip, run.definition.last_run) == ([], run)
