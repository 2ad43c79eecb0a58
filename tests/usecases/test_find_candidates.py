"""Which tasks may be a run: nobody's yet, of its key; dates only rank them."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime, timedelta

import pytest

from imports.marketingcloud.records import ImportResult
from imports.models import ImportRun
from imports.usecases.resolve import TOO_FAR, find_candidates, rank
from tests.factories import ImportDefinitionFactory, ImportRunFactory
from tests.fakes import FakeMarketingCloud, vendor_text

pytestmark = pytest.mark.django_db

KEY = "customers-daily"
SENT = datetime(2026, 3, 18, 12, 0, tzinfo=UTC)
SECOND = timedelta(seconds=1)


@pytest.fixture
def run() -> ImportRun:
    definition = ImportDefinitionFactory.create(customer_key=KEY)
    return ImportRunFactory.create(definition=definition, unknown=True, sent_at=SENT)


def row(cloud: FakeMarketingCloud, start: datetime | str) -> ImportResult:
    text = start if isinstance(start, str) else vendor_text(start)
    return cloud.add_task(KEY, start_text=text).result()


def test_the_nearest_to_the_send_comes_first_and_unreadable_starts_last(
    run: ImportRun, cloud: FakeMarketingCloud
) -> None:
    unreadable = row(cloud, "gestern")
    earlier = row(cloud, SENT - timedelta(hours=2))
    later = row(cloud, SENT + timedelta(hours=1))
    found = find_candidates(run, [unreadable, earlier, later])
    assert found == [later, earlier, unreadable]


@pytest.mark.parametrize("sign", [-1, 1])
@pytest.mark.parametrize(
    ("distance", "is_one"), [(TOO_FAR, True), (TOO_FAR + SECOND, False)]
)
def test_a_readable_start_may_lie_26_hours_away_and_no_more(
    run: ImportRun,
    cloud: FakeMarketingCloud,
    sign: int,
    distance: timedelta,
    is_one: bool,
) -> None:
    assert bool(find_candidates(run, [row(cloud, SENT + sign * distance)])) is is_one


def test_the_accounts_own_clock_is_used_to_rank(
    run: ImportRun, cloud: FakeMarketingCloud
) -> None:
    run.account.clock_offset_minutes = 120
    assert rank(run, row(cloud, "3/18/2026 2:00:00 PM")) == timedelta(0)


def test_a_task_in_our_history_is_no_candidate_whosever_it_is(
    run: ImportRun, cloud: FakeMarketingCloud
) -> None:
    taken, free = row(cloud, SENT), row(cloud, SENT)
    ImportRunFactory.create(account=run.account, running=True, task_id=taken.task_id)
    assert find_candidates(run, [taken, free]) == [free]


def test_another_accounts_task_of_the_same_number_is_no_reason_against(
    run: ImportRun, cloud: FakeMarketingCloud
) -> None:
    task = row(cloud, SENT)
    ImportRunFactory.create(running=True, task_id=task.task_id)
    assert find_candidates(run, [task]) == [task]


def test_a_task_that_is_listed_twice_is_one_candidate(
    run: ImportRun, cloud: FakeMarketingCloud
) -> None:
    task = row(cloud, SENT)
    assert find_candidates(run, [task, task]) == [task]


def test_the_key_counts_whatever_its_case_and_no_other(
    run: ImportRun, cloud: FakeMarketingCloud
) -> None:
    same = replace(row(cloud, SENT), customer_key=KEY.upper())
    other = replace(row(cloud, SENT), customer_key="price-list")
    assert find_candidates(run, [same, other]) == [same]


def test_a_run_whose_send_is_not_dated_ranks_all_alike(
    run: ImportRun, cloud: FakeMarketingCloud
) -> None:
    run.sent_at = None
    assert rank(run, row(cloud, SENT)) == TOO_FAR


def test_a_start_that_cannot_be_true_is_no_reason_against_a_task(
    run: ImportRun, cloud: FakeMarketingCloud
) -> None:
    found = find_candidates(run, [row(cloud, "1/1/2099 6:00:00 AM")])
    assert len(found) == 1
