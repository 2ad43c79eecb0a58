"""An account's clock is learned from our own runs, and only from what is certain."""

from __future__ import annotations

from datetime import datetime, timedelta

import pytest

from imports.models import (
    Account,
    EventKind,
    ImportDefinition,
    ImportRun,
    database_now,
)
from imports.usecases.accounts import learn_clock
from imports.usecases.follow import refresh_runs
from tests.factories import AccountFactory, ImportDefinitionFactory, ImportRunFactory
from tests.fakes import FakeMarketingCloud

pytestmark = pytest.mark.django_db


@pytest.fixture
def account() -> Account:
    return AccountFactory.create()


def text_at(moment: datetime, offset_minutes: float) -> str:
    """The moment on a clock so far from UTC, without a zone."""
    return f"{moment + timedelta(minutes=offset_minutes):%m/%d/%Y %I:%M:%S %p}"


def sent(account: Account, *, is_named: bool = True) -> ImportRun:
    """A run of ours whose task an answer named, unless it was found otherwise."""
    run = ImportRunFactory.create(
        definition=ImportDefinitionFactory.create(account=account),
        running=True,
        sent_at=database_now(),
    )
    run.record(EventKind.ACCEPTED if is_named else EventKind.FOUND)
    return run


def teach(account: Account, *offsets: float) -> int:
    """The account's clock after a run with each of those distances from UTC."""
    for offset in offsets:
        run = sent(account)
        text = text_at(run.sent_at or run.occurred_at, offset)
        learn_clock(account, {run: text})
        ImportRun.objects.filter(pk=run.pk).update(start_text=text)
    return Account.objects.get(pk=account.pk).clock_offset_minutes


@pytest.mark.parametrize(
    ("offset", "learned"), [(-360, -360), (-420, -420), (-419, -420), (-480.2, -480)]
)
def test_a_clock_behind_the_known_one_is_believed_at_once(
    account: Account, offset: float, learned: int
) -> None:
    assert teach(account, offset) == learned
    assert account.clock_offset_minutes == learned


def test_a_clock_ahead_may_be_a_task_that_waited_until_three_runs_say_so(
    account: Account,
) -> None:
    assert teach(account, -300, -299) == -360
    assert teach(account, -298) == -300


def test_one_task_that_waited_does_not_move_the_clock(account: Account) -> None:
    assert teach(account, -360, -359.5, -300, -360) == -360


def test_a_clock_that_changed_is_followed_once_older_runs_are_out_of_sight(
    account: Account,
) -> None:
    assert teach(account, *[-360] * 5) == -360
    assert teach(account, *[120] * 5) == 120


@pytest.mark.parametrize("text", ["", "gestern", "2026-03-18T12:00:00Z", "1/1/2020"])
def test_texts_that_tell_nothing_of_the_clock_teach_nothing(
    account: Account, text: str
) -> None:
    learn_clock(account, {sent(account): text})
    account.refresh_from_db()
    assert (account.clock_offset_minutes, account.revision) == (-360, 0)


def test_a_task_that_was_only_found_teaches_nothing(account: Account) -> None:
    run = sent(account, is_named=False)
    assert run.sent_at
    learn_clock(account, {run: text_at(run.sent_at, -480)})
    assert account.clock_offset_minutes == -360


def test_pages_hear_of_a_changed_clock(account: Account) -> None:
    teach(account, -480)
    assert Account.objects.get(pk=account.pk).revision > 0


@pytest.mark.parametrize(
    ("offset", "drift"),
    [(-360, 0), (-345, 0), (-375, 0), (-330, 30), (-390, -30), (60, 420)],
)
def test_a_drift_is_notable_from_half_an_hour(offset: int, drift: int) -> None:
    assert Account(clock_offset_minutes=offset).clock_drift_minutes == drift


def test_a_refresh_learns_first_and_reads_dates_by_what_it_learned(
    cloud: FakeMarketingCloud, definition: ImportDefinition
) -> None:
    task = cloud.add_task("customers-daily", step=1)
    now = database_now().replace(microsecond=0)
    task.row = {"start_text": text_at(now, -480)}
    run = ImportRunFactory.create(
        definition=definition, running=True, task_id=task.task_id, sent_at=now
    )
    run.record(EventKind.ACCEPTED)
    refresh_runs(account=definition.account, holder="worker")
    run.refresh_from_db()
    assert run.account.clock_offset_minutes == -480
    assert run.started_at == now
