"""What a sync does not list is asked for, and believed gone on a second miss only."""

from __future__ import annotations

from datetime import timedelta

import pytest
from django.db.models import F

from imports.marketingcloud.errors import (
    AuthenticationError,
    MarketingCloudError,
    OutcomeUnknownError,
    RequestRefusedError,
    UnavailableError,
)
from imports.models import Account, ImportDefinition, database_now
from imports.usecases.sync import SyncReport, sync_definitions
from tests.factories import AccountFactory
from tests.fakes import FakeMarketingCloud

pytestmark = pytest.mark.django_db

KEY = "customers-daily"


@pytest.fixture
def account() -> Account:
    return AccountFactory.create()


@pytest.fixture
def listed(account: Account, cloud: FakeMarketingCloud) -> None:
    """Forty definitions, all of them known."""
    for number in range(40):
        cloud.add_definition(f"import-{number:02}")
    cloud.definitions[0]["CustomerKey"] = KEY
    sync(account)


def sync(account: Account) -> SyncReport:
    account.refresh_from_db()
    report = sync_definitions(account=account, holder="worker")
    account.refresh_from_db()
    return report


def wait(account: Account, **time: float) -> None:
    """As if so much time had passed since the last sync."""
    passed = timedelta(**time)
    waiting = ImportDefinition.objects.exclude(not_listed_since=None)
    waiting.update(not_listed_since=F("not_listed_since") - passed)
    for name in ("last_synced_at", "sync_again_at", "listing_doubted_since"):
        at = getattr(account, name)
        setattr(account, name, at and at - passed)
    account.save()


def fresh(account: Account) -> Account:
    return Account.objects.get(pk=account.pk)


def customers() -> ImportDefinition:
    return ImportDefinition.objects.get(customer_key=KEY)


def gone() -> int:
    return ImportDefinition.objects.exclude(not_seen_since=None).count()


@pytest.mark.usefixtures("listed")
class TestOneIsMissing:
    def test_in_the_list_only_nothing_changes_but_its_facts(
        self, account: Account, cloud: FakeMarketingCloud
    ) -> None:
        cloud.unlisted = {KEY}
        cloud.definitions[0]["FileSpec"] = "edited meanwhile"
        report = sync(account)
        assert (report.missing, report.changed, report.is_doubted) == (0, 1, False)
        assert customers().unlisted_since is None
        assert customers().file_spec == "edited meanwhile"
        assert account.sync_again_at is None

    def test_by_name_too_it_is_marked_and_stays(
        self, account: Account, cloud: FakeMarketingCloud
    ) -> None:
        del cloud.definitions[0]
        report = sync(account)
        assert (report.missing, report.gone, report.is_doubted) == (1, 0, False)
        one = customers()
        assert one.not_listed_since == account.last_synced_at
        assert one.not_seen_since is None
        assert account.unlisted_count == 1
        assert account.last_synced_at is not None
        assert account.sync_again_at == account.last_synced_at + timedelta(minutes=5)

    def test_it_is_asked_for_by_its_names_beside_one_that_is_listed(
        self, account: Account, cloud: FakeMarketingCloud
    ) -> None:
        mine = (cloud.definitions[0]["ObjectID"], KEY)
        del cloud.definitions[0]
        there = {(one["ObjectID"], one["CustomerKey"]) for one in cloud.definitions}
        sync(account)
        [asked] = cloud.looked_for
        assert len(asked) == 2
        assert mine in asked
        assert there & set(asked)

    def test_two_misses_close_together_are_one(
        self, account: Account, cloud: FakeMarketingCloud
    ) -> None:
        del cloud.definitions[0]
        sync(account)
        due = account.sync_again_at
        wait(account, minutes=2)
        assert sync(account).gone == 0
        assert customers().not_seen_since is None
        assert due is not None
        assert account.sync_again_at == due - timedelta(minutes=2)

    def test_two_misses_apart_are_believed_since_the_first(
        self, account: Account, cloud: FakeMarketingCloud
    ) -> None:
        del cloud.definitions[0]
        sync(account)
        wait(account, minutes=6)
        since = customers().not_listed_since
        assert sync(account).gone == 1
        assert customers().not_seen_since == since
        assert account.unlisted_count == 0
        assert account.sync_again_at is None
        assert sync(account).gone == 0
        assert len(cloud.looked_for) == 2

    def test_found_by_name_the_second_time_it_is_listed_after_all(
        self, account: Account, cloud: FakeMarketingCloud
    ) -> None:
        facts = cloud.definitions.pop(0)
        sync(account)
        wait(account, minutes=6)
        cloud.definitions.append(facts)
        cloud.unlisted = {KEY}
        sync(account)
        assert customers().unlisted_since is None
        assert account.unlisted_count == 0

    @pytest.mark.parametrize(
        "error",
        [
            UnavailableError("No."),
            OutcomeUnknownError("No answer."),
            RequestRefusedError("No such filter."),
            AuthenticationError("No."),
        ],
    )
    @pytest.mark.parametrize("was_missed", [False, True])
    def test_an_error_while_asking_is_no_miss(
        self,
        account: Account,
        cloud: FakeMarketingCloud,
        error: MarketingCloudError,
        was_missed: bool,
    ) -> None:
        del cloud.definitions[0]
        if was_missed:
            sync(account)
            wait(account, minutes=6)
        cloud.fail("find_definitions", error)
        report = sync(account)
        assert (report.missing, report.gone, report.is_doubted) == (0, 0, True)
        assert (customers().not_listed_since is not None) is was_missed
        assert gone() == 0
        assert account.unlisted_count == 1

    def test_an_answer_without_even_a_listed_one_is_no_miss(
        self, account: Account, cloud: FakeMarketingCloud
    ) -> None:
        del cloud.definitions[0]
        there = list(cloud.definitions)
        cloud.before["find_definitions"] = cloud.definitions.clear
        assert sync(account).missing == 0
        assert customers().unlisted_since is None
        cloud.definitions, cloud.before = there, {}
        assert sync(account).missing == 1

    def test_a_list_that_is_not_whole_proves_no_miss_and_asks_nothing(
        self, account: Account, cloud: FakeMarketingCloud
    ) -> None:
        del cloud.definitions[0]
        cloud.lists_whole = False
        report = sync(account)
        assert (report.missing, report.is_doubted) == (0, True)
        assert customers().unlisted_since is None
        assert cloud.looked_for == []
        assert account.listing_doubted_since == account.last_synced_at
        cloud.lists_whole = True
        sync(account)
        assert customers().not_listed_since is not None
        assert account.listing_doubted_since is None

    def test_a_list_that_is_not_whole_makes_no_second_miss(
        self, account: Account, cloud: FakeMarketingCloud
    ) -> None:
        del cloud.definitions[0]
        sync(account)
        wait(account, hours=2)
        cloud.lists_whole = False
        assert sync(account).gone == 0


@pytest.mark.usefixtures("listed")
class TestManyAreMissing:
    def test_an_empty_list_is_believed_after_an_hour_only(
        self, account: Account, cloud: FakeMarketingCloud
    ) -> None:
        cloud.definitions.clear()
        report = sync(account)
        assert (report.missing, report.gone, report.is_doubted) == (40, 0, True)
        since = account.listing_doubted_since
        assert since is not None
        assert since == account.last_synced_at
        assert account.unlisted_count == 40
        assert account.sync_again_at == since + timedelta(minutes=5)
        wait(account, minutes=30)
        assert sync(account).gone == 0
        half_an_hour_ago = since - timedelta(minutes=30)
        assert fresh(account).listing_doubted_since == half_an_hour_ago
        assert fresh(account).sync_again_at is None
        wait(account, minutes=31)
        assert sync(account).gone == 40
        assert fresh(account).listing_doubted_since is None

    def test_an_empty_list_of_what_is_there_changes_nothing(
        self, account: Account, cloud: FakeMarketingCloud
    ) -> None:
        cloud.unlisted = {one["CustomerKey"] for one in cloud.definitions}
        for _ in range(3):
            sync(account)
            assert gone() == 0
            assert account.listing_doubted_since is not None
            wait(account, hours=2)

    @pytest.mark.parametrize(("left", "is_doubted"), [(30, True), (31, False)])
    def test_a_list_without_a_quarter_of_them_is_doubted(
        self, account: Account, cloud: FakeMarketingCloud, left: int, is_doubted: bool
    ) -> None:
        del cloud.definitions[left:]
        assert sync(account).is_doubted is is_doubted
        wait(account, minutes=6)
        assert sync(account).gone == (0 if is_doubted else 40 - left)
        wait(account, hours=1)
        sync(account)
        assert gone() == 40 - left

    def test_the_only_definition_of_an_account_is_not_gone_at_once(
        self, cloud: FakeMarketingCloud
    ) -> None:
        other = AccountFactory.create()
        del cloud.definitions[1:]
        sync(other)
        cloud.definitions.clear()
        assert sync(other).is_doubted
        wait(other, minutes=6)
        assert sync(other).gone == 0

    @pytest.mark.parametrize(
        ("takes_in", "most"), [(True, 50), (False, 10), (None, 10)]
    )
    def test_only_some_are_asked_for(
        self,
        account: Account,
        cloud: FakeMarketingCloud,
        takes_in: bool | None,
        most: int,
    ) -> None:
        for number in range(100):
            cloud.add_definition(f"more-{number}")
        sync(account)
        Account.objects.update(takes_in=takes_in)
        del cloud.definitions[20:]
        assert sync(account).missing == 120
        [asked] = cloud.looked_for
        assert len(asked) == most + 1

    def test_where_one_of_some_is_found_only_those_asked_for_are_missed(
        self, account: Account, cloud: FakeMarketingCloud
    ) -> None:
        Account.objects.update(takes_in=False)
        left = cloud.definitions[:5]
        cloud.unlisted = {one["CustomerKey"] for one in cloud.definitions[5:]}
        hidden = cloud.definitions[5:]

        def all_but_one_of_those_asked_for() -> None:
            asked = {object_id for object_id, _key in cloud.looked_for[-1]}
            there = [one for one in hidden if one["ObjectID"] in asked][:1]
            cloud.definitions = left + there

        cloud.before["find_definitions"] = all_but_one_of_those_asked_for
        report = sync(account)
        assert (report.missing, report.is_doubted) == (9, True)
        assert account.unlisted_count == 34


def test_the_date_when_it_was_last_seen_stays_while_it_is_not_listed(
    account: Account, cloud: FakeMarketingCloud
) -> None:
    for key in (KEY, "price-list"):
        cloud.add_definition(key)
    sync(account)
    del cloud.definitions[0]
    sync(account)
    days_ago = database_now() - timedelta(days=3)
    ImportDefinition.objects.update(last_seen_at=days_ago)
    sync(account)
    assert customers().last_seen_at == days_ago
