"""An unknown start settles itself by looking, and is never sent again."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

import pytest
from django.db import IntegrityError
from pytest_django import Settings

from imports.marketingcloud.errors import UnavailableError
from imports.models import (
    Account,
    ImportDefinition,
    ImportRun,
    Lease,
    Origin,
    Reason,
    RunStatus,
    database_now,
)
from imports.usecases import resolve as module
from imports.usecases.adopt import adopt_runs
from imports.usecases.errors import AccountBusyError, UseCaseError
from imports.usecases.resolve import (
    ReconcileReport,
    candidates_of,
    choose_task,
    look_interval_seconds,
    reconcile_runs,
)
from tests.factories import (
    ImportDefinitionFactory,
    ImportRunFactory,
    LeaseFactory,
    UserFactory,
)
from tests.fakes import FakeMarketingCloud, vendor_text

pytestmark = pytest.mark.django_db

KEY = "customers-daily"
HOUR = timedelta(hours=1)


@pytest.fixture
def account(definition: ImportDefinition) -> Account:
    return definition.account


def unknown(definition: ImportDefinition, **fields: Any) -> ImportRun:
    """A start of now that got no answer."""
    now = database_now()
    times = {"occurred_at": now, "sent_at": now, "answered_at": now}
    run = ImportRunFactory.create(
        definition=definition, unknown=True, **(times | {"next_check_at": now} | fields)
    )
    run.record("unanswered")
    return run


@pytest.fixture
def run(definition: ImportDefinition) -> ImportRun:
    return unknown(definition)


def look(account: Account, **how: Any) -> ReconcileReport:
    return reconcile_runs(account=account, holder="worker", **how)


def long_ago(run: ImportRun) -> None:
    """As if it had been looked for often enough, all through its grace period."""
    past = database_now() - HOUR
    ImportRun.objects.filter(pk=run.pk).update(sent_at=past, looks=9)
    run.events.update(at=past)


def again(run: ImportRun) -> ImportRun:
    return ImportRun.objects.get(pk=run.pk)


def let_grace_pass(run: ImportRun, settings: Settings) -> None:
    past = database_now() - timedelta(seconds=settings.MCDASH_UNKNOWN_GRACE_SECONDS + 1)
    run.events.filter(kind="unanswered").update(at=past)


@pytest.mark.parametrize(
    ("step", "status"), [(0, RunStatus.RUNNING), (3, RunStatus.COMPLETED)]
)
def test_the_only_candidate_is_taken(
    account: Account,
    cloud: FakeMarketingCloud,
    run: ImportRun,
    step: int,
    status: RunStatus,
) -> None:
    task = cloud.add_task(KEY, step=step)
    assert look(account).found == 1
    run = again(run)
    assert (run.status, run.task_id) == (status, task.task_id)
    assert (run.reason, run.message) == ("", "")
    assert cloud.performed == []


def test_a_look_that_finds_nothing_is_in_the_timeline_and_repeated(
    account: Account, cloud: FakeMarketingCloud, run: ImportRun
) -> None:
    assert look(account) == ReconcileReport(looked_for=1)
    run = again(run)
    assert (run.status, run.looks) == (RunStatus.UNKNOWN, 1)
    assert run.last_checked_at
    wait = timedelta(seconds=look_interval_seconds())
    assert run.next_check_at == run.last_checked_at + wait
    last = run.events.last()
    assert last
    assert (last.kind, last.details) == ("looked", {"candidates": []})
    assert look(account, only_due=True).looked_for == 0


@pytest.mark.parametrize(
    ("grace", "interval"), [(900, 60), (100, 20), (10, 2), (1, 1), (604800, 60)]
)
def test_looks_are_a_fifth_of_the_grace_period_apart(
    settings: Settings, grace: int, interval: float
) -> None:
    settings.MCDASH_UNKNOWN_GRACE_SECONDS = grace
    assert look_interval_seconds() == interval


def test_absence_after_grace_and_three_looks_means_not_started(
    account: Account, cloud: FakeMarketingCloud, run: ImportRun, settings: Settings
) -> None:
    let_grace_pass(run, settings)
    seen = []
    for _ in range(3):
        look(account)
        seen.append(again(run).status)
    assert seen == ["unknown", "unknown", "not_started"]
    run = again(run)
    assert run.reason == Reason.NO_TRACE
    assert "no trace" in run.as_record()["message"]
    assert run.settled_at is not None
    assert cloud.performed == []


def test_absence_within_the_grace_period_proves_nothing(
    account: Account, cloud: FakeMarketingCloud, run: ImportRun
) -> None:
    for _ in range(5):
        look(account)
    assert again(run).status == RunStatus.UNKNOWN


def test_looks_that_failed_do_not_count(
    account: Account, cloud: FakeMarketingCloud, run: ImportRun, settings: Settings
) -> None:
    let_grace_pass(run, settings)
    cloud.fail("results_of_definitions", *[UnavailableError("No.")] * 5)
    for _ in range(5):
        with pytest.raises(UnavailableError):
            look(account)
    run = again(run)
    assert (run.status, run.looks) == (RunStatus.UNKNOWN, 0)
    assert run.next_check_at
    assert run.next_check_at > database_now()
    assert run.events.filter(kind="looked").count() == 1


def test_a_run_without_a_key_is_never_settled_by_absence(
    cloud: FakeMarketingCloud, settings: Settings
) -> None:
    run = unknown(ImportDefinitionFactory.create(customer_key=""))
    let_grace_pass(run, settings)
    for _ in range(4):
        look(run.account)
    assert again(run).status == RunStatus.UNKNOWN
    assert not cloud.calls


def test_a_row_that_turns_up_late_is_still_taken(
    account: Account, cloud: FakeMarketingCloud, definition: ImportDefinition
) -> None:
    run = ImportRunFactory.create(
        definition=definition,
        not_started=True,
        reason=Reason.NO_TRACE,
        settled_at=database_now() - 23 * HOUR,
    )
    task = cloud.add_task(KEY)
    adopt_runs(account=account, holder="worker")
    assert (again(run).status, again(run).task_id) == ("completed", task.task_id)
    assert ImportRun.objects.count() == 1


def test_a_late_look_that_finds_nothing_new_is_no_change(
    account: Account, cloud: FakeMarketingCloud, definition: ImportDefinition
) -> None:
    ImportRunFactory.create(
        definition=definition, not_started=True, reason=Reason.NO_TRACE
    )
    before = Account.objects.get(pk=account.pk).revision
    adopt_runs(account=account, holder="worker")
    look(account)
    assert Account.objects.get(pk=account.pk).revision == before


@pytest.mark.parametrize(
    "fields",
    [
        {"reason": Reason.NO_TRACE, "settled_at": timedelta(hours=25)},
        {"reason": Reason.REFUSED, "settled_at": timedelta(hours=1)},
    ],
)
def test_what_turns_up_for_others_was_started_outside(
    account: Account,
    cloud: FakeMarketingCloud,
    definition: ImportDefinition,
    fields: dict[str, Any],
) -> None:
    settled_at = database_now() - fields.pop("settled_at")
    run = ImportRunFactory.create(
        definition=definition, not_started=True, settled_at=settled_at, **fields
    )
    cloud.add_task(KEY)
    adopt_runs(account=account, holder="worker")
    assert again(run).status == RunStatus.NOT_STARTED
    assert ImportRun.objects.exclude(pk=run.pk).get().origin == Origin.OUTSIDE


def test_several_candidates_are_left_to_a_person_nearest_first(
    account: Account, cloud: FakeMarketingCloud, run: ImportRun, settings: Settings
) -> None:
    now = database_now()
    unreadable = cloud.add_task(KEY, start_text="?")
    far = cloud.add_task(KEY, start_text=vendor_text(now - 5 * HOUR))
    near = cloud.add_task(KEY, start_text=vendor_text(now))
    let_grace_pass(run, settings)
    for _ in range(4):
        assert look(account).to_choose == 1
    assert again(run).status == RunStatus.UNKNOWN
    assert [row["task_id"] for row in candidates_of(run)] == [
        near.task_id,
        far.task_id,
        unreadable.task_id,
    ]


def test_a_candidate_at_the_very_moment_of_the_send_is_the_nearest(
    account: Account, cloud: FakeMarketingCloud, definition: ImportDefinition
) -> None:
    sent = database_now().replace(microsecond=0)
    run = unknown(definition, sent_at=sent)
    cloud.add_task(KEY, start_text=vendor_text(sent - HOUR))
    exact = cloud.add_task(KEY, start_text=vendor_text(sent))
    look(account)
    assert candidates_of(run)[0]["task_id"] == exact.task_id


@pytest.mark.parametrize("hours", [-27, 27])
def test_a_task_of_another_day_is_no_candidate(
    account: Account,
    cloud: FakeMarketingCloud,
    definition: ImportDefinition,
    hours: int,
) -> None:
    sent = database_now() - 72 * HOUR
    run = unknown(definition, sent_at=sent)
    cloud.add_task(KEY, start_text=vendor_text(sent + hours * HOUR))
    look(account)
    assert again(run).status == RunStatus.UNKNOWN
    assert candidates_of(run) == []


@pytest.mark.parametrize("hours", [-25, 25])
def test_dates_of_any_zone_are_no_reason_against_a_candidate(
    account: Account, cloud: FakeMarketingCloud, run: ImportRun, hours: int
) -> None:
    task = cloud.add_task(
        KEY, step=1, start_text=vendor_text(database_now() + hours * HOUR)
    )
    look(account)
    assert again(run).task_id == task.task_id


def test_tasks_that_belong_to_others_are_no_candidates(
    account: Account, cloud: FakeMarketingCloud, run: ImportRun
) -> None:
    known = cloud.add_task(KEY)
    ImportRunFactory.create(
        account=account,
        definition=None,
        outside=True,
        running=True,
        task_id=known.task_id,
    )
    cloud.add_task("another-key")
    look(account)
    assert again(run).status == RunStatus.UNKNOWN


def test_one_process_at_a_time_looks(
    account: Account, cloud: FakeMarketingCloud, run: ImportRun
) -> None:
    LeaseFactory.create(name=f"reconcile:{account.pk}")
    with pytest.raises(AccountBusyError):
        look(account)
    assert not cloud.calls
    Lease.objects.all().delete()
    assert look(account).looked_for == 1


def test_a_task_entered_by_another_meanwhile_does_not_end_the_looking(
    account: Account,
    cloud: FakeMarketingCloud,
    run: ImportRun,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    cloud.add_task(KEY)

    def taken(*_: Any, **__: Any) -> bool:
        raise IntegrityError(
            "UNIQUE constraint failed: imports_importrun.account_id, "
            "imports_importrun.task_id"
        )

    monkeypatch.setattr(module, "record_result", taken)
    assert look(account).looked_for == 1
    assert again(run).status == RunStatus.UNKNOWN


@pytest.fixture
def offered(
    account: Account, cloud: FakeMarketingCloud, run: ImportRun
) -> tuple[str, str]:
    """Two tasks that `run` may be, looked for."""
    one, two = cloud.add_task(KEY), cloud.add_task(KEY)
    look(account)
    return one.task_id, two.task_id


def test_a_person_chooses_the_task(run: ImportRun, offered: tuple[str, str]) -> None:
    person = UserFactory.create(username="ada")
    choose_task(run=again(run), task_id=offered[1], by=person)
    run = again(run)
    assert (run.status, run.task_id) == (RunStatus.RUNNING, offered[1])
    event = run.events.get(kind="chosen")
    assert (event.actor, event.details) == (person, {"task_id": offered[1]})


def test_none_of_these_enters_them_as_outside_and_looks_on(
    account: Account,
    cloud: FakeMarketingCloud,
    run: ImportRun,
    offered: tuple[str, str],
) -> None:
    choose_task(run=again(run), task_id=None, by=UserFactory.create())
    others = ImportRun.objects.exclude(pk=run.pk)
    tasks = {other.task_id for other in others}
    assert tasks == set(offered)
    assert {other.origin for other in others} == {Origin.OUTSIDE}
    assert again(run).status == RunStatus.UNKNOWN
    assert candidates_of(run) == []
    late = cloud.add_task(KEY)
    look(account)
    assert again(run).task_id == late.task_id


def test_only_what_was_offered_can_be_chosen(
    run: ImportRun, offered: tuple[str, str]
) -> None:
    with pytest.raises(UseCaseError, match="Task 7 isn't one of"):
        choose_task(run=again(run), task_id="7", by=UserFactory.create())
    assert again(run).status == RunStatus.UNKNOWN


def test_a_choice_that_came_too_late_changes_nothing(
    run: ImportRun, offered: tuple[str, str]
) -> None:
    mine, person = again(run), UserFactory.create()
    choose_task(run=again(run), task_id=offered[0], by=person)
    for stale in (again(run), mine):
        with pytest.raises(UseCaseError, match="settled"):
            choose_task(run=stale, task_id=offered[1], by=person)
    assert again(run).task_id == offered[0]


def test_a_task_that_was_taken_meanwhile_cannot_be_chosen(
    account: Account, run: ImportRun, offered: tuple[str, str]
) -> None:
    ImportRunFactory.create(
        account=account, definition=None, outside=True, running=True, task_id=offered[0]
    )
    with pytest.raises(UseCaseError, match="another run"):
        choose_task(run=again(run), task_id=offered[0], by=UserFactory.create())
    assert again(run).status == RunStatus.UNKNOWN


# --- absence proves something only in an answer to be trusted ----------------------


def test_an_answer_that_is_not_whole_is_no_look(
    account: Account, cloud: FakeMarketingCloud, run: ImportRun
) -> None:
    long_ago(run)
    cloud.lists_whole = False
    for ask in (
        lambda: look(account),
        lambda: adopt_runs(account=account, holder="w"),
    ):
        ask()
        assert (again(run).status, again(run).looks) == (RunStatus.UNKNOWN, 9)
    cloud.lists_whole = True
    look(account)
    assert again(run).status == RunStatus.NOT_STARTED


def test_one_task_in_an_answer_that_is_not_whole_is_not_taken(
    account: Account, cloud: FakeMarketingCloud, run: ImportRun
) -> None:
    task = cloud.add_task(KEY)
    cloud.lists_whole = False
    look(account)
    assert again(run).status == RunStatus.UNKNOWN
    cloud.lists_whole = True
    look(account)
    assert again(run).task_id == task.task_id


def test_an_answer_without_the_tasks_that_are_known_proves_no_absence(
    account: Account,
    cloud: FakeMarketingCloud,
    definition: ImportDefinition,
    run: ImportRun,
) -> None:
    known = cloud.add_task(KEY)
    now = database_now()
    ImportRunFactory.create(
        definition=definition,
        completed=True,
        task_id=known.task_id,
        last_checked_at=now,
    )
    long_ago(run)
    cloud.is_late = True  # no results at all
    look(account)
    assert again(run).status == RunStatus.UNKNOWN
    cloud.is_late = False
    look(account)
    assert again(run).status == RunStatus.NOT_STARTED


def test_tasks_that_were_last_seen_days_ago_may_be_forgotten(
    account: Account,
    cloud: FakeMarketingCloud,
    definition: ImportDefinition,
    run: ImportRun,
) -> None:
    days_ago = database_now() - timedelta(days=3)
    ImportRunFactory.create(
        definition=definition, completed=True, last_checked_at=days_ago
    )
    long_ago(run)
    look(account)
    assert again(run).status == RunStatus.NOT_STARTED
