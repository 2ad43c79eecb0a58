"""Looking at an account's runs: one question for many."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

import pytest

from imports.marketingcloud.errors import (
    AuthenticationError,
    MarketingCloudError,
    OutcomeUnknownError,
    RequestRefusedError,
    UnavailableError,
)
from imports.models import (
    Account,
    EventKind,
    ImportRun,
    Lease,
    Reason,
    RunStatus,
    database_now,
)
from imports.usecases.errors import AccountBusyError
from imports.usecases.follow import RefreshReport, refresh_runs
from tests.factories import (
    AccountFactory,
    ImportDefinitionFactory,
    ImportRunFactory,
    LeaseFactory,
)
from tests.fakes import (
    FAILS,
    WITH_ERRORS,
    Ending,
    FakeMarketingCloud,
    FakeTask,
    vendor_text,
)

pytestmark = pytest.mark.django_db

KEY = "customers-daily"


@pytest.fixture
def account() -> Account:
    return AccountFactory.create()


def followed(
    account: Account,
    cloud: FakeMarketingCloud,
    key: str = KEY,
    **how: Any,
) -> tuple[ImportRun, FakeTask]:
    """A running run and its task, which has no row yet."""
    task = cloud.add_task(key, step=-1)
    run = ImportRunFactory.create(
        account=account,
        definition=ImportDefinitionFactory.create(account=account, customer_key=key),
        task_id=task.task_id,
        **({"running": True, "phase": ""} | how),
    )
    return run, task


def refresh(account: Account, **how: Any) -> RefreshReport:
    return refresh_runs(account=account, holder="worker", **how)


def again(run: ImportRun) -> ImportRun:
    return ImportRun.objects.get(pk=run.pk)


def test_a_run_walks_through_its_phases_to_its_end(
    account: Account, cloud: FakeMarketingCloud
) -> None:
    run, _ = followed(account, cloud)
    seen = []
    for _ in range(5):
        refresh(account)
        seen.append((again(run).status, again(run).phase, again(run).total_rows))
        cloud.advance()
    assert seen == [
        ("running", "", None),
        ("running", "New", None),
        ("running", "Processing", 333),
        ("running", "IOWork", 666),
        ("completed", "Completed", 1000),
    ]
    run = again(run)
    assert (run.successful, run.duplicated, run.errors) == (990, 10, 0)
    assert run.started_at
    assert run.finished_at
    assert [event.kind for event in run.events.all()] == ["phase"] * 3 + ["ended"]


@pytest.mark.parametrize(
    ("ending", "status"),
    [(WITH_ERRORS, "completed_with_errors"), (FAILS, "failed")],
)
def test_runs_end_as_marketing_cloud_says(
    account: Account, cloud: FakeMarketingCloud, ending: Ending, status: str
) -> None:
    cloud.endings["consents"] = ending
    run, _ = followed(account, cloud, "consents")
    cloud.finish()
    report = refresh(account)
    run = again(run)
    assert (run.status, run.errors) == (status, ending.errors)
    assert report == RefreshReport(checked=1, changed=1, ended=1, without_row=0)


def test_many_runs_are_asked_for_in_one_question(
    account: Account, cloud: FakeMarketingCloud
) -> None:
    tasks = [followed(account, cloud, f"import-{n}")[1] for n in range(30)]
    cloud.finish()
    assert refresh(account).ended == 30
    assert cloud.calls["results_of_tasks"] == 1
    assert set(cloud.asked[0][1]) == {task.task_id for task in tasks}


def test_an_account_without_running_runs_is_not_asked(
    account: Account, cloud: FakeMarketingCloud
) -> None:
    for status in ("queued", "starting", "unknown", "completed", "lost"):
        definition = ImportDefinitionFactory.create(account=account)
        ImportRunFactory.create(definition=definition, **{status: True})
    assert refresh(account) == RefreshReport()
    assert not cloud.calls


def test_only_what_is_due_is_asked_for(
    account: Account, cloud: FakeMarketingCloud
) -> None:
    now = database_now()
    _, due = followed(account, cloud, "a", next_check_at=now - timedelta(seconds=1))
    followed(account, cloud, "b", next_check_at=now + timedelta(minutes=1))
    refresh(account, only_due=True)
    assert cloud.asked == [("results_of_tasks", (due.task_id,))]


def test_runs_that_are_due_one_after_another_fall_into_step(
    account: Account, cloud: FakeMarketingCloud
) -> None:
    now = database_now()
    _, due = followed(account, cloud, "a", next_check_at=now - timedelta(seconds=1))
    soon = now + timedelta(seconds=0.7)
    _, later = followed(account, cloud, "b", next_check_at=soon)
    refresh(account, only_due=True)
    assert [set(asked[1]) for asked in cloud.asked] == [{due.task_id, later.task_id}]
    assert len(set(ImportRun.objects.values_list("next_check_at", flat=True))) == 1


def test_no_row_yet_is_a_normal_answer(
    account: Account, cloud: FakeMarketingCloud
) -> None:
    run, _ = followed(account, cloud)
    before = again(run).revision
    assert refresh(account).without_row == 1
    run = again(run)
    assert (run.status, run.looks, run.revision) == ("running", 1, before)
    assert run.last_checked_at
    assert run.next_check_at == run.next_look(run.last_checked_at)


def test_an_unknown_phase_is_kept_verbatim_and_the_run_goes_on(
    account: Account, cloud: FakeMarketingCloud
) -> None:
    run, task = followed(account, cloud)
    task.step, task.row = 0, {"phase": "<i>Paused</i>"}
    refresh(account)
    assert (again(run).status, again(run).phase) == ("running", "<i>Paused</i>")


def test_outside_runs_are_followed_too(
    account: Account, cloud: FakeMarketingCloud
) -> None:
    run, _ = followed(account, cloud, outside=True)
    cloud.finish()
    refresh(account)
    assert again(run).status == RunStatus.COMPLETED


@pytest.mark.parametrize(
    ("hours", "status"), [(23.9, RunStatus.RUNNING), (24.1, RunStatus.LOST)]
)
def test_a_run_without_a_final_phase_is_lost_after_a_day(
    account: Account, cloud: FakeMarketingCloud, hours: float, status: RunStatus
) -> None:
    now = database_now()
    began = now - timedelta(hours=hours)
    run, task = followed(account, cloud, occurred_at=began, last_checked_at=now)
    task.step = 1
    refresh(account)
    assert again(run).status == status


def test_a_lost_run_says_why_and_is_asked_for_no_more(
    account: Account, cloud: FakeMarketingCloud
) -> None:
    now = database_now()
    run, _ = followed(
        account, cloud, occurred_at=now - timedelta(days=2), last_checked_at=now
    )
    assert refresh(account).ended == 1
    run = again(run)
    assert (run.status, run.reason) == (RunStatus.LOST, Reason.TOO_OLD)
    assert run.next_check_at is None
    assert run.definition
    assert [bar["status"] for bar in run.definition.strip] == ["lost"]
    assert refresh(account).checked == 0


def test_a_final_phase_wins_over_age(
    account: Account, cloud: FakeMarketingCloud
) -> None:
    run, _ = followed(account, cloud, occurred_at=database_now() - timedelta(days=2))
    cloud.finish()
    refresh(account)
    assert again(run).status == RunStatus.COMPLETED


def test_one_process_at_a_time_looks_at_an_account(
    account: Account, cloud: FakeMarketingCloud
) -> None:
    followed(account, cloud)
    LeaseFactory.create(name=f"refresh:{account.pk}")
    with pytest.raises(AccountBusyError, match="Another process is already doing this"):
        refresh(account)
    assert not cloud.calls


FAILURES: list[MarketingCloudError] = [
    AuthenticationError("Login failed."),
    RequestRefusedError("No."),
    UnavailableError("Nothing was sent."),
    OutcomeUnknownError("Cut off."),
]


@pytest.mark.parametrize("error", FAILURES)
def test_a_failed_look_changes_no_status_and_is_postponed(
    account: Account, cloud: FakeMarketingCloud, error: MarketingCloudError
) -> None:
    past = database_now() - timedelta(seconds=1)
    run, _ = followed(account, cloud, next_check_at=past)
    cloud.fail("results_of_tasks", error)
    with pytest.raises(type(error)):
        refresh(account)
    run = again(run)
    assert (run.status, run.looks, run.last_checked_at) == ("running", 0, None)
    assert run.next_check_at
    assert run.next_check_at > database_now()
    assert not Lease.objects.filter(expires_at__gt=database_now()).exists()


def test_reading_again_after_a_failure_is_safe(
    account: Account, cloud: FakeMarketingCloud
) -> None:
    run, _ = followed(account, cloud)
    cloud.finish()
    cloud.fail("results_of_tasks", OutcomeUnknownError("Cut off."))
    with pytest.raises(OutcomeUnknownError):
        refresh(account)
    refresh(account)
    assert again(run).status == RunStatus.COMPLETED


def test_what_changed_shares_a_revision_and_what_did_not_keeps_its_own(
    account: Account, cloud: FakeMarketingCloud
) -> None:
    (one, task), (two, other), (still, _) = (
        followed(account, cloud, key) for key in "abc"
    )
    task.step = other.step = 1
    refresh(account)
    account.refresh_from_db()
    assert again(one).revision == again(two).revision == account.revision > 0
    assert again(still).revision == 0


def test_what_an_account_teaches_is_remembered(
    account: Account, cloud: FakeMarketingCloud
) -> None:
    for key in "ab":
        followed(account, cloud, key)
    cloud.takes_in = False
    cloud.refuses = ["ImportResultsSummary:TotalRows"]
    refresh(account)
    account.refresh_from_db()
    assert account.takes_in is False
    assert account.refused_properties == ["ImportResultsSummary:TotalRows"]


def test_a_question_for_one_task_teaches_nothing_about_in(
    account: Account, cloud: FakeMarketingCloud
) -> None:
    account.takes_in = True
    account.save()
    followed(account, cloud)
    cloud.takes_in = False
    refresh(account)
    account.refresh_from_db()
    assert account.takes_in is True


def test_a_run_that_somebody_else_ended_meanwhile_is_left_as_it_is(
    account: Account, cloud: FakeMarketingCloud
) -> None:
    (run, task), (other, _) = (followed(account, cloud, key) for key in "ab")
    cloud.finish()
    task.row = {"phase": "Processing", "errors": 5}

    def ended_elsewhere() -> None:
        again(run).move_to(RunStatus.FAILED, kind=EventKind.ENDED, phase="Error")

    cloud.after["results_of_tasks"] = ended_elsewhere
    refresh(account)
    assert (again(run).status, again(run).errors) == ("failed", None)
    assert again(other).status == RunStatus.COMPLETED


def test_many_runs_that_only_got_on_are_written_in_one_statement(
    account: Account, cloud: FakeMarketingCloud, django_assert_max_num_queries: Any
) -> None:
    runs = [followed(account, cloud, f"key-{n}")[0] for n in range(40)]
    for _ in range(3):
        cloud.advance()
        refresh(account)
    for task in cloud.tasks.values():
        task.row = {"total_rows": 400, "successful": 300}
    with django_assert_max_num_queries(25):
        report = refresh(account)
    assert (report.checked, report.changed) == (40, 40)
    for run in runs:
        assert (again(run).total_rows, again(run).successful) == (400, 300)
        assert again(run).revision > 0


def test_a_run_that_somebody_ended_meanwhile_keeps_its_end(
    account: Account, cloud: FakeMarketingCloud
) -> None:
    """Its counts are not overwritten, and it is not told as changed by this look."""
    (ended, _), (other, _) = (followed(account, cloud, f"key-{n}") for n in range(2))
    for _ in range(3):
        cloud.advance()
        refresh(account)
    for each in cloud.tasks.values():
        each.row = {"total_rows": 400}

    def end_it() -> None:
        ImportRun.objects.filter(pk=ended.pk).update(
            status=RunStatus.FAILED, total_rows=None
        )

    cloud.after["results_of_tasks"] = end_it
    report = refresh(account)
    assert report.changed == 1
    assert (again(ended).status, again(ended).total_rows) == (RunStatus.FAILED, None)
    assert again(other).total_rows == 400


def test_after_a_failure_all_runs_wait_for_their_next_look(
    account: Account, cloud: FakeMarketingCloud, django_assert_max_num_queries: Any
) -> None:
    runs = [followed(account, cloud, f"key-{n}")[0] for n in range(30)]
    cloud.fail("results_of_tasks", UnavailableError("No."))
    with (
        django_assert_max_num_queries(25),
        pytest.raises(UnavailableError),
    ):
        refresh(account)
    now = database_now()
    assert all((again(run).next_check_at or now) > now for run in runs)


def test_an_own_run_is_polled_by_its_queueing_whatever_its_start_says(
    account: Account, cloud: FakeMarketingCloud
) -> None:
    began = database_now() - timedelta(hours=3)
    run, task = followed(account, cloud, occurred_at=began)
    task.step, task.row = 1, {"start_text": "1/1/2099 6:00:00 AM"}
    refresh(account)
    run = again(run)
    assert run.started_at is None
    assert run.next_check_at
    assert run.last_checked_at
    assert run.next_check_at - run.last_checked_at == timedelta(seconds=300)


def test_a_run_under_way_is_not_over_because_it_has_an_end(
    account: Account, cloud: FakeMarketingCloud
) -> None:
    began = database_now() - timedelta(hours=3)
    run, task = followed(account, cloud, occurred_at=began)
    end = vendor_text(began + timedelta(minutes=1))
    task.step, task.row = 1, {"start_text": vendor_text(began), "end_text": end}
    refresh(account)
    assert again(run).elapsed(database_now()) > timedelta(hours=2)
