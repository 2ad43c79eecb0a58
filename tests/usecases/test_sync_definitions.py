"""Definitions are brought up to date; nothing is forgotten."""

from __future__ import annotations

from datetime import timedelta

import pytest
from django.db import connection
from django.test.utils import CaptureQueriesContext

from imports.marketingcloud.errors import RequestRefusedError
from imports.models import Account, ImportDefinition, Lease, database_now
from imports.usecases.errors import AccountBusyError
from imports.usecases.sync import SyncReport, sync_definitions
from tests.factories import AccountFactory, ImportRunFactory, LeaseFactory
from tests.fakes import FakeMarketingCloud

pytestmark = pytest.mark.django_db

KEY = "customers-daily"


@pytest.fixture
def account() -> Account:
    return AccountFactory.create()


def sync(account: Account) -> SyncReport:
    account.refresh_from_db()
    return sync_definitions(account=account, holder="worker")


def numbers(report: SyncReport) -> tuple[int, int, int, int]:
    return report.seen, report.created, report.changed, report.missing


def test_a_new_definition_is_stored_with_all_that_was_retrieved(
    account: Account, cloud: FakeMarketingCloud
) -> None:
    facts = cloud.add_definition(
        KEY, Name="Customers <daily>", Description="ü", MaxFileAge="24"
    )
    assert numbers(sync(account)) == (1, 1, 0, 0)
    definition = ImportDefinition.objects.get()
    assert definition.account == account
    assert (definition.object_id, definition.customer_key) == (facts["ObjectID"], KEY)
    assert (definition.name, definition.description) == ("Customers <daily>", "ü")
    assert definition.file_spec == f"{KEY}_%%Year%%%%Month%%%%Day%%.csv"
    assert definition.update_type == "AddAndUpdate"
    assert definition.facts == facts
    assert definition.first_seen_at == definition.last_seen_at
    version = definition.versions.get()
    assert (version.number, version.facts) == (1, facts)
    account.refresh_from_db()
    assert account.last_synced_at is not None
    assert account.revision > 0


def test_a_definition_that_stays_the_same_is_only_seen_again(
    account: Account, cloud: FakeMarketingCloud
) -> None:
    cloud.add_definition(KEY)
    sync(account)
    before = ImportDefinition.objects.get()
    account.refresh_from_db()
    revision = account.revision
    assert numbers(sync(account)) == (1, 0, 0, 0)
    definition = ImportDefinition.objects.get()
    assert definition.last_seen_at == before.last_seen_at
    assert definition.first_seen_at == before.first_seen_at
    assert definition.versions.count() == 1
    account.refresh_from_db()
    assert account.revision == revision


@pytest.mark.parametrize("fact", ["FileSpec", "UpdateType", "MaxFileAge"])
def test_facts_that_change_make_a_version(
    account: Account, cloud: FakeMarketingCloud, fact: str
) -> None:
    facts = cloud.add_definition(KEY, MaxFileAge="24")
    sync(account)
    facts[fact] = "another"
    assert numbers(sync(account)) == (1, 0, 1, 0)
    definition = ImportDefinition.objects.get()
    assert definition.facts[fact] == "another"
    latest, first = definition.versions.all()
    assert (latest.number, latest.facts[fact]) == (2, "another")
    assert (first.number, first.facts == latest.facts) == (1, False)


def test_the_order_of_facts_is_no_change(
    account: Account, cloud: FakeMarketingCloud
) -> None:
    facts = cloud.add_definition(KEY)
    sync(account)
    cloud.definitions[0] = dict(reversed(facts.items()))
    assert numbers(sync(account)) == (1, 0, 0, 0)


def test_what_is_missing_is_dated_once_and_kept(
    account: Account, cloud: FakeMarketingCloud
) -> None:
    cloud.add_definition(KEY)
    cloud.add_definition("price-list")
    sync(account)
    run = ImportRunFactory.create(
        definition=ImportDefinition.objects.get(customer_key=KEY), completed=True
    )
    del cloud.definitions[0]
    assert numbers(sync(account)) == (1, 0, 0, 1)
    missing = ImportDefinition.objects.get(customer_key=KEY)
    assert missing.not_listed_since is not None
    assert missing.runs.get() == run
    assert numbers(sync(account)) == (1, 0, 0, 0)
    again = ImportDefinition.objects.get(customer_key=KEY)
    assert again.not_listed_since == missing.not_listed_since


def test_when_a_definition_was_seen_is_noted_once_a_day(
    account: Account, cloud: FakeMarketingCloud
) -> None:
    cloud.add_definition(KEY)
    sync(account)
    yesterday = database_now() - timedelta(hours=24)
    ImportDefinition.objects.update(last_seen_at=yesterday)
    sync(account)
    seen = ImportDefinition.objects.get().last_seen_at
    assert database_now() - seen < timedelta(minutes=1)


def test_what_is_missing_was_last_seen_at_the_sync_before(
    account: Account, cloud: FakeMarketingCloud
) -> None:
    cloud.add_definition(KEY)
    sync(account)
    sync(account)
    account.refresh_from_db()
    before = account.last_synced_at
    cloud.definitions.clear()
    sync(account)
    assert ImportDefinition.objects.get().last_seen_at == before


@pytest.mark.parametrize("changed", [False, True])
def test_what_comes_back_is_the_same_definition(
    account: Account, cloud: FakeMarketingCloud, changed: bool
) -> None:
    facts = cloud.add_definition(KEY)
    sync(account)
    cloud.definitions.clear()
    sync(account)
    account.refresh_from_db()
    revision = account.revision
    cloud.definitions.append(facts | ({"FileSpec": "new"} if changed else {}))
    sync(account)
    definition = ImportDefinition.objects.get()
    assert definition.unlisted_since is None
    assert definition.versions.count() == (2 if changed else 1)
    assert database_now() - definition.last_seen_at < timedelta(minutes=1)
    account.refresh_from_db()
    assert account.revision > revision


def test_a_definition_without_an_object_id_is_known_by_its_key(
    account: Account, cloud: FakeMarketingCloud
) -> None:
    facts = cloud.add_definition(KEY, ObjectID="")
    sync(account)
    facts["FileSpec"] = "new"
    assert numbers(sync(account)) == (1, 0, 1, 0)
    definition = ImportDefinition.objects.get()
    assert (definition.object_id, definition.file_spec) == (None, "new")


def test_a_definition_known_by_its_key_may_gain_an_object_id(
    account: Account, cloud: FakeMarketingCloud
) -> None:
    facts = cloud.add_definition(KEY, ObjectID="")
    sync(account)
    before = ImportDefinition.objects.get()
    facts["ObjectID"] = "00000000-0000-0000-0000-000000000007"
    assert numbers(sync(account)) == (1, 0, 1, 0)
    definition = ImportDefinition.objects.get()
    assert (definition.pk, definition.object_id) == (before.pk, facts["ObjectID"])
    assert definition.not_seen_since is None


@pytest.mark.parametrize(
    "written", ["0FA4E000-0000-0000-0000-00000000000A", "{0fa4e0000000000a}"]
)
def test_an_object_id_in_other_letters_is_the_same(
    account: Account, cloud: FakeMarketingCloud, written: str
) -> None:
    facts = cloud.add_definition(KEY, ObjectID="0fa4e000-0000-0000-0000-00000000000a")
    sync(account)
    facts["ObjectID"] = written.replace("0fa4e0000000000a", facts["ObjectID"])
    assert sync(account).created == 0
    assert ImportDefinition.objects.get().unlisted_since is None


@pytest.mark.parametrize("is_listed", [True, False])
def test_a_row_that_lacks_its_object_id_once_makes_no_twin(
    account: Account,
    cloud: FakeMarketingCloud,
    is_listed: bool,
) -> None:
    """A twin of its own would be started beside the definition."""
    facts = cloud.add_definition(KEY)
    sync(account)
    known = facts["ObjectID"]
    if not is_listed:
        ImportDefinition.objects.update(not_listed_since=database_now())
    facts["ObjectID"] = ""
    assert sync(account).created == 0
    definition = ImportDefinition.objects.get()
    assert (definition.object_id, definition.unlisted_since) == (known, None)


def test_a_row_without_object_id_is_neither_of_two_with_its_key(
    account: Account, cloud: FakeMarketingCloud
) -> None:
    for number in (1, 2):
        cloud.add_definition(KEY, Name=f"number {number}")
    sync(account)
    cloud.definitions[0]["ObjectID"] = ""
    report = sync(account)
    assert (report.created, report.missing) == (0, 0)
    assert ImportDefinition.objects.filter(not_listed_since=None).count() == 2


def test_one_listed_with_and_without_its_object_id_is_stored_once(
    account: Account, cloud: FakeMarketingCloud
) -> None:
    object_id = cloud.add_definition(KEY)["ObjectID"]
    cloud.add_definition(KEY, ObjectID="")
    cloud.add_definition(KEY, ObjectID=object_id.upper())
    sync(account)
    assert ImportDefinition.objects.get().object_id


def test_a_key_used_again_with_a_new_object_id_is_another_definition(
    account: Account, cloud: FakeMarketingCloud
) -> None:
    facts = cloud.add_definition(KEY)
    sync(account)
    facts["ObjectID"] = "00000000-0000-0000-0000-000000000007"
    assert numbers(sync(account)) == (1, 1, 0, 1)
    old, new = ImportDefinition.objects.order_by("pk")
    assert (old.customer_key, new.customer_key) == (KEY, KEY)
    assert old.not_listed_since is not None
    assert new.unlisted_since is None


def test_a_definition_may_change_its_key(
    account: Account, cloud: FakeMarketingCloud
) -> None:
    facts = cloud.add_definition(KEY)
    sync(account)
    facts["CustomerKey"] = "customers-hourly"
    assert numbers(sync(account)) == (1, 0, 1, 0)
    found = ImportDefinition.objects.with_key(account, "customers-hourly")
    assert found.get().versions.count() == 2


@pytest.mark.parametrize("object_id", ["", "00000000-0000-0000-0000-000000000007"])
def test_a_definition_listed_twice_is_stored_once(
    account: Account, cloud: FakeMarketingCloud, object_id: str
) -> None:
    cloud.add_definition(KEY, ObjectID="")
    sync(account)
    cloud.definitions.clear()
    for name in ("first", "second"):
        cloud.add_definition(KEY, ObjectID=object_id, Name=name)
    sync(account)
    assert ImportDefinition.objects.count() == 1


def test_an_object_listed_twice_under_two_keys_is_stored_once(
    account: Account, cloud: FakeMarketingCloud
) -> None:
    for key in ("old-key", "new-key"):
        cloud.add_definition(key, ObjectID="00000000-0000-0000-0000-000000000007")
    sync(account)
    assert ImportDefinition.objects.get().customer_key == "new-key"


def test_accounts_do_not_share_definitions(
    account: Account, cloud: FakeMarketingCloud
) -> None:
    cloud.add_definition(KEY)
    sync(account)
    assert numbers(sync(AccountFactory.create())) == (1, 1, 0, 0)
    assert ImportDefinition.objects.count() == 2


def test_a_refused_property_is_remembered_and_reported(
    account: Account, cloud: FakeMarketingCloud
) -> None:
    cloud.add_definition(KEY, MaxFileAge="24")
    cloud.refuses = ["ImportDefinition:MaxFileAge"]
    report = sync(account)
    assert report.refused_properties == ("ImportDefinition:MaxFileAge",)
    account.refresh_from_db()
    assert account.refused_properties == ["ImportDefinition:MaxFileAge"]
    assert "MaxFileAge" not in ImportDefinition.objects.get().facts
    cloud.refuses = []
    sync(account)
    account.refresh_from_db()
    assert account.refused_properties == ["ImportDefinition:MaxFileAge"]


def test_a_failed_sync_changes_nothing(
    account: Account, cloud: FakeMarketingCloud
) -> None:
    cloud.add_definition(KEY)
    sync(account)
    cloud.fail("list_definitions", RequestRefusedError("API Permission Failed."))
    with pytest.raises(RequestRefusedError):
        sync(account)
    assert ImportDefinition.objects.get().unlisted_since is None
    assert not Lease.objects.filter(expires_at__gt=database_now()).exists()


def test_one_process_at_a_time_syncs(
    account: Account, cloud: FakeMarketingCloud
) -> None:
    LeaseFactory.create(name=f"sync:{account.pk}")
    with pytest.raises(AccountBusyError):
        sync(account)
    assert not cloud.calls


def test_thousands_of_definitions_cost_queries_by_the_batch(
    account: Account, cloud: FakeMarketingCloud
) -> None:
    for number in range(2500):
        cloud.add_definition(f"import-{number:04}")
    with CaptureQueriesContext(connection) as first:
        assert numbers(sync(account)) == (2500, 2500, 0, 0)
    with CaptureQueriesContext(connection) as again:
        assert numbers(sync(account)) == (2500, 0, 0, 0)
    cloud.definitions = cloud.definitions[:1250]
    for facts in cloud.definitions[:50]:
        facts["FileSpec"] = "new"
    with CaptureQueriesContext(connection) as changed:
        assert numbers(sync(account)) == (1250, 0, 50, 1250)
    assert len(cloud.looked_for) == 1
    assert len(first) < 100
    assert len(again) < 25
    assert len(changed) < 40
