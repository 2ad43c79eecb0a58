"""What others started enters the history, each task once."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from django.db import IntegrityError, connection
from django.test.utils import CaptureQueriesContext

from imports.marketingcloud.errors import RequestRefusedError, UnavailableError
from imports.models import (
    Account,
    ImportDefinition,
    ImportRun,
    Lease,
    Origin,
    RunStatus,
    database_now,
)
from imports.usecases import adopt as module
from imports.usecases.adopt import AdoptReport, adopt_runs
from imports.usecases.errors import AccountBusyError
from tests.factories import ImportDefinitionFactory, ImportRunFactory, LeaseFactory
from tests.fakes import FakeMarketingCloud, vendor_text

pytestmark = pytest.mark.django_db

NOON = datetime(2026, 3, 18, 12, 0, tzinfo=UTC)
KEY = "customers-daily"


@pytest.fixture
def account(definition: ImportDefinition) -> Account:
    return definition.account


def adopt(account: Account) -> AdoptReport:
    return adopt_runs(account=account, holder="worker")


def days_ago(days: int) -> dict[str, Any]:
    start = NOON - timedelta(days=days)
    return {
        "start_text": vendor_text(start),
        "end_text": vendor_text(start + timedelta(minutes=2)),
    }


def test_thirty_days_of_history_are_adopted_once(
    account: Account, cloud: FakeMarketingCloud, definition: ImportDefinition
) -> None:
    for days in range(30):
        cloud.add_task(KEY, **days_ago(days))
    assert adopt(account) == AdoptReport(rows=30, adopted=30, waiting=0)
    assert adopt(account) == AdoptReport(rows=30, adopted=0, waiting=0)
    runs = account.runs.latest_first()
    assert [run.occurred_at for run in runs] == [
        NOON - timedelta(days=days) for days in range(30)
    ]
    assert {run.origin for run in runs} == {Origin.OUTSIDE}
    definition.refresh_from_db()
    assert definition.last_run == runs[0]
    assert len(definition.strip) == 20
    assert definition.strip[-1]["run"] == runs[0].pk


def test_an_adopted_run_says_what_is_known_of_it(
    account: Account, cloud: FakeMarketingCloud, definition: ImportDefinition
) -> None:
    task = cloud.add_task(KEY, **days_ago(1))
    adopt(account)
    run = ImportRun.objects.get()
    assert (run.definition, run.customer_key) == (definition, KEY)
    assert (run.status, run.phase) == (RunStatus.COMPLETED, "Completed")
    assert run.task_id == task.task_id
    assert (run.total_rows, run.successful, run.errors) == (1000, 990, 0)
    assert run.finished_at == run.settled_at == NOON - timedelta(days=1, minutes=-2)
    assert (run.queued_at, run.sent_at, run.started_by_name) == (None, None, "")
    event = run.events.get()
    assert (event.kind, event.to_status) == ("adopted", "completed")
    account.refresh_from_db()
    assert run.revision == account.revision > 0


def test_a_run_still_going_is_followed(
    account: Account, cloud: FakeMarketingCloud
) -> None:
    cloud.add_task(KEY, step=1)
    adopt(account)
    run = ImportRun.objects.get()
    assert (run.status, run.settled_at) == (RunStatus.RUNNING, None)
    assert list(ImportRun.objects.due(database_now())) == [run]


def test_our_own_runs_are_not_adopted(
    account: Account, cloud: FakeMarketingCloud, definition: ImportDefinition
) -> None:
    task = cloud.add_task(KEY)
    ours = ImportRunFactory.create(
        definition=definition, running=True, task_id=task.task_id
    )
    assert adopt(account) == AdoptReport(rows=1, adopted=0, waiting=0)
    assert list(ImportRun.objects.all()) == [ours]


def test_tasks_wait_while_a_start_of_their_key_is_on_the_wire(
    account: Account, cloud: FakeMarketingCloud, definition: ImportDefinition
) -> None:
    ours = ImportRunFactory.create(definition=definition, starting=True)
    ImportDefinitionFactory.create(account=account, customer_key="price-list")
    cloud.add_task(KEY)
    cloud.add_task("price-list")
    assert adopt(account) == AdoptReport(rows=2, adopted=1, waiting=1)
    assert set(ImportRun.objects.ours()) == {ours}


def test_a_task_is_first_offered_to_our_unknown_start_of_its_key(
    account: Account, cloud: FakeMarketingCloud, definition: ImportDefinition
) -> None:
    ours = ImportRunFactory.create(definition=definition, unknown=True)
    task = cloud.add_task(KEY)
    assert adopt(account) == AdoptReport(rows=1, adopted=0, waiting=0)
    run = ImportRun.objects.get()
    assert (run, run.task_id, run.status) == (ours, task.task_id, "completed")


def test_several_tasks_that_an_unknown_start_may_be_wait_for_a_person(
    account: Account, cloud: FakeMarketingCloud, definition: ImportDefinition
) -> None:
    ours = ImportRunFactory.create(definition=definition, unknown=True)
    for _ in range(2):
        cloud.add_task(KEY)
    assert adopt(account) == AdoptReport(rows=2, adopted=0, waiting=2)
    assert ImportRun.objects.get() == ours
    ours.refresh_from_db()
    assert ours.status == RunStatus.UNKNOWN


def test_an_outside_run_that_is_unknown_holds_nothing_back(
    account: Account, cloud: FakeMarketingCloud, definition: ImportDefinition
) -> None:
    ImportRunFactory.create(definition=definition, outside=True, unknown=True)
    cloud.add_task(KEY)
    assert adopt(account).adopted == 1


def test_a_start_that_got_its_task_meanwhile_is_not_adopted_twice(
    account: Account,
    cloud: FakeMarketingCloud,
    definition: ImportDefinition,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    task = cloud.add_task(KEY)
    later = ImportDefinitionFactory.create(account=account, customer_key="later")
    other = cloud.add_task("later")
    real, turns = module.enter_tasks, [1]

    def overtaken(*args: Any) -> Any:
        if turns.pop() if turns else 0:
            ImportRunFactory.create(
                definition=definition, running=True, task_id=task.task_id
            )
            raise IntegrityError(
                "UNIQUE constraint failed: imports_importrun.account_id, "
                "imports_importrun.task_id"
            )
        return real(*args)

    monkeypatch.setattr(module, "enter_tasks", overtaken)
    assert adopt(account).adopted == 1
    assert list(later.runs.values_list("task_id", flat=True)) == [other.task_id]
    assert definition.runs.get().origin == Origin.DASHBOARD


def test_the_apis_memory_ends_where_its_oldest_task_began(
    account: Account, cloud: FakeMarketingCloud
) -> None:
    for days in (3, 12, 7):
        cloud.add_task(KEY, **days_ago(days))
    adopt(account)
    account.refresh_from_db()
    assert account.history_since == NOON - timedelta(days=12)
    assert account.last_adopted_at
    cloud.add_task(KEY, **days_ago(1))
    adopt(account)
    account.refresh_from_db()
    assert account.history_since == NOON - timedelta(days=12)


def test_without_any_task_nothing_is_known_of_the_past(
    account: Account, cloud: FakeMarketingCloud
) -> None:
    assert adopt(account) == AdoptReport(rows=0, adopted=0, waiting=0)
    account.refresh_from_db()
    assert account.history_since is None
    assert account.last_adopted_at is not None


def test_unreadable_dates_are_kept_verbatim_and_the_run_is_dated_now(
    account: Account, cloud: FakeMarketingCloud
) -> None:
    cloud.add_task(KEY, start_text="kurz nach zwölf", end_text="99/99/9999 25:61 PM")
    before = database_now()
    adopt(account)
    run = ImportRun.objects.get()
    assert (run.start_text, run.end_text) == ("kurz nach zwölf", "99/99/9999 25:61 PM")
    assert (run.started_at, run.finished_at) == (None, None)
    assert before <= run.occurred_at <= database_now()


def test_a_task_without_a_start_is_dated_by_its_end(
    account: Account, cloud: FakeMarketingCloud
) -> None:
    cloud.add_task(KEY, start_text="", end_text=vendor_text(NOON))
    adopt(account)
    assert ImportRun.objects.get().occurred_at == NOON


def test_texts_with_html_are_kept_verbatim(
    account: Account, cloud: FakeMarketingCloud
) -> None:
    strange = "<script>alert('ü & ö')</script>"
    cloud.add_task(KEY, phase=strange, import_type=strange, destination_id=strange)
    adopt(account)
    run = ImportRun.objects.get()
    assert (run.phase, run.import_type, run.destination_id) == (strange,) * 3
    assert run.status == RunStatus.RUNNING


def test_of_two_listed_definitions_of_one_key_none_is_guessed(
    account: Account, cloud: FakeMarketingCloud, definition: ImportDefinition
) -> None:
    ImportDefinitionFactory.create(account=account, customer_key=KEY)
    cloud.add_task(KEY)
    adopt(account)
    run = ImportRun.objects.get()
    assert (run.definition, run.customer_key) == (None, KEY)


def test_of_two_keys_that_differ_in_case_from_the_results_none_is_guessed(
    account: Account, cloud: FakeMarketingCloud, definition: ImportDefinition
) -> None:
    ImportDefinitionFactory.create(account=account, customer_key=KEY.title())
    cloud.add_task(KEY.upper())
    adopt(account)
    assert ImportRun.objects.get().definition is None


@pytest.mark.parametrize("mark", ["not_listed_since", "not_seen_since"])
def test_a_re_used_key_belongs_to_the_definition_still_listed(
    account: Account, cloud: FakeMarketingCloud, definition: ImportDefinition, mark: str
) -> None:
    later = definition.last_seen_at + timedelta(hours=1)
    ImportDefinitionFactory.create(
        account=account, customer_key=KEY, last_seen_at=later, **{mark: later}
    )
    cloud.add_task(KEY)
    adopt(account)
    assert ImportRun.objects.get().definition == definition


def test_everything_is_asked_for_in_one_call(
    account: Account, cloud: FakeMarketingCloud
) -> None:
    adopt(account)
    assert cloud.asked == [("all_results", ())]


def test_a_task_without_a_customer_key_is_adopted_too(
    account: Account, cloud: FakeMarketingCloud
) -> None:
    task = cloud.add_task("")
    adopt(account)
    run = ImportRun.objects.get()
    assert (run.task_id, run.customer_key, run.definition) == (task.task_id, "", None)


def test_where_not_everything_may_be_asked_for_the_keys_are(
    account: Account, cloud: FakeMarketingCloud
) -> None:
    ImportDefinitionFactory.create(account=account, customer_key="price-list")
    ImportDefinitionFactory.create(account=account, customer_key="")
    ImportDefinitionFactory.create(customer_key="another account's")
    cloud.fail("all_results", RequestRefusedError("A filter is needed."))
    cloud.add_task(KEY)
    assert adopt(account).adopted == 1
    (_, _), (verb, keys) = cloud.asked
    assert verb == "results_of_definitions"
    assert sorted(keys) == [KEY, "price-list"]


def test_one_process_at_a_time_adopts(
    account: Account, cloud: FakeMarketingCloud
) -> None:
    LeaseFactory.create(name=f"adopt:{account.pk}")
    with pytest.raises(AccountBusyError):
        adopt(account)
    assert not cloud.calls


def test_a_failed_adoption_leaves_no_mark_and_no_lease(
    account: Account, cloud: FakeMarketingCloud
) -> None:
    cloud.fail("all_results", UnavailableError("No."))
    with pytest.raises(UnavailableError):
        adopt(account)
    account.refresh_from_db()
    assert account.last_adopted_at is None
    assert not Lease.objects.filter(expires_at__gt=database_now()).exists()


def test_tasks_are_written_by_the_batch(
    account: Account, cloud: FakeMarketingCloud
) -> None:
    for _ in range(300):
        cloud.add_task(KEY)
    with CaptureQueriesContext(connection) as queries:
        assert adopt(account).adopted == 300
    assert len(queries) < 100


FUTURE = "1/1/2099 6:00:00 AM"


def test_a_run_that_began_in_the_future_counts_from_when_it_was_first_seen(
    account: Account, cloud: FakeMarketingCloud
) -> None:
    cloud.add_task(KEY, step=1, start_text=FUTURE)
    before = database_now()
    adopt(account)
    run = ImportRun.objects.get()
    assert run.occurred_at == run.first_seen_at
    assert before <= run.occurred_at <= database_now()
    assert (run.started_at, run.start_text) == (None, FUTURE)
    assert run.elapsed(database_now()) < timedelta(minutes=1)


@pytest.mark.parametrize("start", [FUTURE, "1/1/2001 6:00:00 AM"])
def test_a_run_that_is_followed_ages_whatever_its_start_says(
    account: Account, cloud: FakeMarketingCloud, start: str
) -> None:
    cloud.add_task(KEY, step=1, start_text=start)
    adopt(account)
    run = ImportRun.objects.get()
    seen = run.known_since
    for hours, seconds in ((0.01, 1.5), (0.4, 15), (1.9, 60), (23, 300)):
        later = seen + timedelta(hours=hours)
        assert run.next_look(later) == later + timedelta(seconds=seconds)
        assert not run.is_too_old(later)
    assert run.is_too_old(seen + timedelta(hours=24))


def test_ends_that_cannot_be_true_leave_the_history_in_order(
    account: Account, cloud: FakeMarketingCloud
) -> None:
    ended = cloud.add_task(KEY, start_text=FUTURE, end_text=FUTURE)
    usual = cloud.add_task(KEY, **days_ago(1))
    adopt(account)
    later = cloud.add_task(KEY, start_text=vendor_text(database_now()), end_text="")
    adopt(account)
    tasks = [run.task_id for run in account.runs.latest_first()]
    assert tasks[-1] == usual.task_id
    assert set(tasks[:2]) == {ended.task_id, later.task_id}
    run = account.runs.get(task_id=ended.task_id)
    assert run.finished_at is None
    assert run.settled_at == run.first_seen_at
    assert run.elapsed(database_now()) == timedelta(0)


def test_an_end_before_its_start_is_not_used(
    account: Account, cloud: FakeMarketingCloud
) -> None:
    start = NOON - timedelta(days=1)
    cloud.add_task(
        KEY,
        start_text=vendor_text(start),
        end_text=vendor_text(start - timedelta(hours=1)),
    )
    adopt(account)
    run = ImportRun.objects.get()
    assert (run.occurred_at, run.finished_at) == (start, None)
