"""Time in which nobody looked proves nothing of a run."""

from __future__ import annotations

from datetime import timedelta

import pytest

from imports.models import Account, ImportRun, RunStatus, database_now
from imports.usecases.accounts import save_account
from imports.usecases.follow import check_again, refresh_runs
from tests.factories import AccountFactory, ImportDefinitionFactory, ImportRunFactory
from tests.fakes import FakeMarketingCloud, FakeTask

pytestmark = pytest.mark.django_db
DAY = timedelta(days=1)


@pytest.fixture
def account() -> Account:
    made: Account = AccountFactory.create()
    return made


def a_run(
    account: Account, cloud: FakeMarketingCloud, *, age: timedelta, unseen: timedelta
) -> tuple[ImportRun, FakeTask]:
    """A running run that was last looked at `unseen` ago."""
    now = database_now()
    task = cloud.add_task("key", step=1)
    definition = ImportDefinitionFactory.create(account=account, customer_key="key")
    run: ImportRun = ImportRunFactory.create(
        running=True,
        definition=definition,
        task_id=task.task_id,
        occurred_at=now - age,
        last_checked_at=now - unseen,
    )
    return run, task


def look(run: ImportRun) -> str:
    refresh_runs(account=run.account, holder="worker")
    run.refresh_from_db()
    return run.status


def travel(run: ImportRun, time: timedelta) -> None:
    """As if `time` had gone by since."""
    run.refresh_from_db()
    moved = (
        *("occurred_at", "queued_at", "answered_at"),
        *("last_checked_at", "next_check_at"),
    )
    changes = {name: at - time for name in moved if (at := getattr(run, name))}
    ImportRun.objects.filter(pk=run.pk).update(**changes)


def test_a_run_that_nobody_could_look_at_for_days_is_not_lost_at_the_first_look(
    account: Account, cloud: FakeMarketingCloud
) -> None:
    run, _ = a_run(account, cloud, age=3 * DAY, unseen=3 * DAY - timedelta(minutes=1))
    assert look(run) == RunStatus.RUNNING
    assert run.last_checked_at is not None


def test_a_run_that_was_never_looked_at_is_not_lost_at_the_first_look(
    account: Account, cloud: FakeMarketingCloud
) -> None:
    run, _ = a_run(account, cloud, age=2 * DAY, unseen=DAY)
    ImportRun.objects.update(last_checked_at=None)
    assert look(run) == RunStatus.RUNNING


def test_only_the_time_in_which_somebody_looked_makes_it_lost(
    account: Account, cloud: FakeMarketingCloud
) -> None:
    """23 hours followed, two days not; then it has one hour left, and no more."""
    unseen = 2 * DAY
    run, _ = a_run(account, cloud, age=unseen + timedelta(hours=23), unseen=unseen)
    assert look(run) == RunStatus.RUNNING
    for _ in range(5):  # looked at every ten minutes
        travel(run, timedelta(minutes=10))
        assert look(run) == RunStatus.RUNNING
    travel(run, timedelta(minutes=11))
    assert look(run) == RunStatus.LOST


def test_what_ended_meanwhile_is_found_at_the_first_look(
    account: Account, cloud: FakeMarketingCloud
) -> None:
    run, _ = a_run(account, cloud, age=3 * DAY, unseen=2 * DAY)
    cloud.finish()
    assert look(run) == RunStatus.COMPLETED


def test_a_run_that_is_checked_again_has_a_whole_day_and_no_more(
    account: Account, cloud: FakeMarketingCloud
) -> None:
    run, _ = a_run(account, cloud, age=3 * DAY, unseen=timedelta(minutes=1))
    assert look(run) == RunStatus.LOST
    ImportRun.objects.update(unwatched_seconds=90_000)
    run.refresh_from_db()
    check_again(run=run, by=None)
    assert run.unwatched_seconds == 0
    assert look(run) == RunStatus.RUNNING


def test_what_was_due_while_an_account_was_disabled_is_due_once_it_is_enabled(
    account: Account, cloud: FakeMarketingCloud
) -> None:
    run, _ = a_run(account, cloud, age=DAY, unseen=DAY)
    account.is_active = False
    save_account(account=account, fields=["is_active"])
    assert account.disabled_at is not None
    before = database_now()
    account.is_active = True
    save_account(account=account, fields=["is_active"])
    run.refresh_from_db()
    assert run.next_check_at is not None
    assert run.next_check_at >= before - timedelta(seconds=2)
