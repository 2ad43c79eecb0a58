"""Two accounts of one business unit: found, told, and never started in both."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from datetime import timedelta
from threading import Barrier
from typing import Any

import pytest
from django.db import connections
from django.utils import timezone

from imports.models import (
    AccessLevel,
    Account,
    ImportDefinition,
    ImportRun,
    Origin,
    Reason,
    RunStatus,
)
from imports.usecases.accounts import check_account, save_account
from imports.usecases.adopt import adopt_runs
from imports.usecases.errors import (
    NotStartableError,
    RunningElsewhereError,
    UseCaseError,
)
from imports.usecases.follow import check_again
from imports.usecases.send import send_start
from imports.usecases.start import start_import
from imports.usecases.sync import sync_definitions
from tests.factories import (
    AccountFactory,
    ImportDefinitionFactory,
    ImportRunFactory,
    UserFactory,
    grant,
)
from tests.fakes import FakeMarketingCloud

pytestmark = pytest.mark.django_db

MID = "510001"
GUID = "0fa4e000-aaaa-bbbb-cccc-000000000001"


def known_in(account: Account, **fields: Any) -> ImportDefinition:
    """“Customers daily”, as the account lists it."""
    fields = {"object_id": GUID, "customer_key": "customers-daily"} | fields
    return ImportDefinitionFactory.create(account=account, **fields)


def synced(account: Account, client: str | None, cloud: FakeMarketingCloud) -> Account:
    """The account after a sync whose definitions name `client`."""
    facts: dict[str, Any] = {} if client is None else named(client)
    cloud.definitions.clear()
    for key in ("customers-daily", "prices"):
        cloud.add_definition(key, **facts)
    sync_definitions(account=account, holder="worker")
    account.refresh_from_db()
    return account


def named(client: str) -> dict[str, Any]:
    """What a definition says of its business unit."""
    return {"Client.ClientID1": client}


def switch_off(account: Account) -> None:
    account.is_active = False
    save_account(account=account, fields=["is_active"])


def test_an_empty_mid_is_learned_from_the_listing(cloud: FakeMarketingCloud) -> None:
    account = synced(AccountFactory.create(mid="", client_id="a"), MID, cloud)
    assert (account.mid, account.unit, account.is_doubled) == ("", MID, False)


def test_a_unit_that_turns_out_to_be_two_accounts_is_marked_in_both(
    cloud: FakeMarketingCloud,
) -> None:
    first = AccountFactory.create(mid=MID)
    second = synced(AccountFactory.create(mid=""), f"0{MID} ", cloud)
    first.refresh_from_db()
    assert first.is_doubled
    assert second.is_doubled
    for account in (first, second):
        with pytest.raises(NotStartableError, match="the same business unit"):
            start_import(definition=known_in(account), started_by=None)
    assert cloud.performed == []


def test_two_packages_of_one_unit_are_found_by_what_they_list(
    cloud: FakeMarketingCloud,
) -> None:
    synced(AccountFactory.create(mid="", client_id="a"), MID, cloud)
    assert synced(AccountFactory.create(mid="", client_id="b"), MID, cloud).is_doubled


def test_a_package_and_an_api_user_of_one_unit_are_found(
    cloud: FakeMarketingCloud,
) -> None:
    synced(AccountFactory.create(mid=""), MID, cloud)
    user = AccountFactory.create(mid="", username_token=True)
    assert synced(user, MID, cloud).is_doubled


def test_where_no_client_is_told_the_same_guids_tell_the_unit(
    cloud: FakeMarketingCloud,
) -> None:
    first = synced(AccountFactory.create(mid=MID), None, cloud)
    second = synced(AccountFactory.create(mid=""), None, cloud)
    assert (second.unit, second.is_doubled) == (MID, True)
    switch_off(first)
    second.refresh_from_db()
    assert not second.is_doubled


def test_a_listing_of_several_units_tells_none(cloud: FakeMarketingCloud) -> None:
    account = AccountFactory.create(mid="", client_id="parent")
    AccountFactory.create(mid=MID)
    cloud.add_definition("customers-daily", **named(MID))
    cloud.add_definition("prices", **named("510002"))
    sync_definitions(account=account, holder="worker")
    account.refresh_from_db()
    assert (account.unit, account.is_doubled) == ("oauth:parent", False)


@pytest.mark.parametrize("client", [None, "", "0"])
def test_an_answer_that_tells_nothing_forgets_nothing(
    client: str | None, cloud: FakeMarketingCloud
) -> None:
    account = synced(AccountFactory.create(mid=""), MID, cloud)
    assert synced(account, client, cloud).unit == MID


def test_another_package_without_a_mid_may_tell_another_unit(
    cloud: FakeMarketingCloud,
) -> None:
    AccountFactory.create(mid="510002")
    account = synced(AccountFactory.create(mid="", client_id="a"), MID, cloud)
    account.client_id = "b"
    save_account(account=account, fields=["client_id"])
    account = synced(account, "510002", cloud)
    assert (account.unit, account.is_doubled) == ("510002", True)


def test_a_mid_that_was_typed_is_not_overruled(cloud: FakeMarketingCloud) -> None:
    account = synced(AccountFactory.create(mid="510002"), MID, cloud)
    assert account.unit == "510002"


@pytest.mark.parametrize("fields", [["is_active"], ["client_id", "label"]])
def test_what_was_learned_meanwhile_is_not_lost_by_who_saves_something_else(
    fields: list[str], cloud: FakeMarketingCloud
) -> None:
    read_before = AccountFactory.create(mid="")
    synced(Account.objects.get(pk=read_before.pk), MID, cloud)
    save_account(account=read_before, fields=fields)
    account = Account.objects.get(pk=read_before.pk)
    assert (account.learned_unit, account.unit) == (MID, MID)


def test_a_mid_that_is_typed_while_a_listing_is_read_is_not_overruled(
    cloud: FakeMarketingCloud,
) -> None:
    account = AccountFactory.create(mid="")

    def type_it() -> None:
        same = Account.objects.get(pk=account.pk)
        same.mid = "510002"
        save_account(account=same, fields=["mid"])

    cloud.after["list_definitions"] = type_it
    assert synced(account, MID, cloud).unit == "510002"


def test_testing_the_connection_learns_the_unit_too(cloud: FakeMarketingCloud) -> None:
    AccountFactory.create(name="Shop DE", mid=MID)
    account = AccountFactory.create(mid="")
    cloud.add_definition("customers-daily", **named(MID))
    *_, last = check_account(account=account)
    assert (last.name, last.is_ok) == ("Business unit", False)
    assert "“Shop DE” is this business unit already (MID 510001)" in last.message


def test_a_run_that_was_queued_before_the_double_was_found_is_not_sent(
    cloud: FakeMarketingCloud,
) -> None:
    first = AccountFactory.create(mid=MID)
    run = start_import(definition=known_in(first), started_by=None)
    synced(AccountFactory.create(mid=""), MID, cloud)
    send_start(run=run, holder="worker")
    assert (run.status, run.reason) == (RunStatus.NOT_STARTED, Reason.DOUBLED)
    assert cloud.performed == []


@pytest.mark.parametrize("status", ["starting", "running", "unknown"])
@pytest.mark.parametrize("object_id", [GUID, None])
def test_a_queued_run_that_nothing_guards_is_not_sent_beside_another(
    status: str, object_id: str | None, cloud: FakeMarketingCloud
) -> None:
    """Queued by an older release, or doubled when the guard came: both have none."""
    cloud.add_definition("customers-daily", ObjectID=object_id or "")
    old = AccountFactory.create(mid=MID)
    switch_off(old)
    new = known_in(AccountFactory.create(mid=MID), object_id=object_id)
    run = start_import(definition=new, started_by=None)
    ImportRun.objects.update(guard=None)
    ImportRunFactory.create(
        definition=known_in(old, object_id=object_id), **{status: True}
    )
    send_start(run=run, holder="worker")
    assert cloud.performed == []
    why = (RunStatus.NOT_STARTED, Reason.RUNNING_ELSEWHERE)
    assert (run.status, run.reason) == why


def test_a_queued_run_that_nothing_guarded_is_guarded_from_its_claim_on(
    cloud: FakeMarketingCloud,
) -> None:
    cloud.add_definition("customers-daily", ObjectID=GUID)
    old = AccountFactory.create(mid=MID)
    run = start_import(definition=known_in(old), started_by=None)
    ImportRun.objects.filter(pk=run.pk).update(guard=None)
    send_start(run=ImportRun.objects.get(pk=run.pk), holder="worker")
    assert len(cloud.performed) == 1
    switch_off(old)
    with pytest.raises(RunningElsewhereError):
        start_import(
            definition=known_in(AccountFactory.create(mid=MID)), started_by=None
        )


def test_one_that_is_left_starts_as_before(cloud: FakeMarketingCloud) -> None:
    first = AccountFactory.create(mid=MID)
    second = synced(AccountFactory.create(mid=""), MID, cloud)
    switch_off(first)
    second.refresh_from_db()
    definition = second.definitions.get(customer_key="customers-daily")
    run = start_import(definition=definition, started_by=None)
    send_start(run=run, holder="worker")
    assert cloud.performed == ["customers-daily"]


@pytest.mark.parametrize("status", ["queued", "starting", "running", "unknown"])
@pytest.mark.parametrize("object_id", [GUID, None])
def test_what_runs_in_a_disabled_account_is_not_started_in_the_new_one(
    status: str, object_id: str | None
) -> None:
    old = AccountFactory.create(name="Shop old", mid=MID)
    run = ImportRunFactory.create(
        definition=known_in(old, object_id=object_id), **{status: True}
    )
    switch_off(old)
    new = known_in(AccountFactory.create(mid=MID), object_id=object_id)
    with pytest.raises(RunningElsewhereError) as caught:
        start_import(definition=new, started_by=None)
    assert caught.value.run == run
    assert f"in the account “Shop old”: run {run.pk}" in str(caught.value)
    assert not new.runs.exists()


def test_who_cannot_see_the_other_account_does_not_learn_its_name() -> None:
    old = AccountFactory.create(name="Shop old", mid=MID)
    ImportRunFactory.create(definition=known_in(old), running=True)
    switch_off(old)
    new = AccountFactory.create(mid=MID)
    person = UserFactory.create()
    grant(person, new, AccessLevel.START)
    with pytest.raises(RunningElsewhereError) as caught:
        start_import(definition=known_in(new), started_by=person)
    assert caught.value.run is None
    assert "Shop old" not in str(caught.value)
    assert "in an account that you cannot see" in str(caught.value)
    grant(person, old, AccessLevel.VIEW)
    with pytest.raises(RunningElsewhereError, match="Shop old"):
        start_import(definition=new.definitions.get(), started_by=person)


def test_a_run_nobody_follows_holds_no_start_up_once_its_task_has_ended(
    cloud: FakeMarketingCloud,
) -> None:
    old = AccountFactory.create(mid=MID)
    task = cloud.add_task("customers-daily", step=0)
    run = ImportRunFactory.create(
        definition=known_in(old), running=True, task_id=task.task_id
    )
    switch_off(old)
    new = known_in(AccountFactory.create(mid=MID))
    adopt_runs(account=new.account, holder="worker")
    with pytest.raises(RunningElsewhereError):
        start_import(definition=new, started_by=None)
    adopted = new.runs.get()
    assert adopted.origin == Origin.OUTSIDE
    ImportRun.objects.filter(pk=adopted.pk).update(status=RunStatus.COMPLETED)
    assert start_import(definition=new, started_by=None).pk
    run.refresh_from_db()
    assert run.status == RunStatus.RUNNING


@pytest.mark.parametrize("status", ["running", "unknown"])
def test_what_a_disabled_account_lost_holds_nothing_up_after_a_day(status: str) -> None:
    old = AccountFactory.create(mid=MID)
    sent_at = timezone.now() - timedelta(hours=25)
    definition = known_in(old)
    run = ImportRunFactory.create(
        definition=definition, occurred_at=sent_at, **{status: True}
    )
    switch_off(old)
    new = known_in(AccountFactory.create(mid=MID))
    ImportRun.objects.filter(pk=run.pk).update(sent_at=timezone.now())
    with pytest.raises(RunningElsewhereError):
        start_import(definition=new, started_by=None)
    ImportRun.objects.filter(pk=run.pk).update(sent_at=sent_at)
    assert start_import(definition=new, started_by=None).pk


def test_what_an_active_account_runs_holds_on_however_long_it_takes() -> None:
    parent, child = AccountFactory.create(), AccountFactory.create()
    sent_at = timezone.now() - timedelta(hours=25)
    ImportRunFactory.create(
        definition=known_in(parent), occurred_at=sent_at, running=True
    )
    with pytest.raises(RunningElsewhereError):
        start_import(definition=known_in(child), started_by=None)


def test_the_same_definition_in_other_units_runs_beside_it() -> None:
    for _ in range(2):
        definition = known_in(AccountFactory.create(), object_id=None)
        assert start_import(definition=definition, started_by=None).pk


def test_a_unit_that_is_learned_guards_what_is_under_way(
    cloud: FakeMarketingCloud,
) -> None:
    second = AccountFactory.create(mid="")
    definition = known_in(second, object_id=None, customer_key="prices")
    run = ImportRunFactory.create(definition=definition, running=True)
    before = run.guard
    synced(second, MID, cloud)
    run.refresh_from_db()
    definition.refresh_from_db()
    assert run.guard != before
    switch_off(second)
    first = known_in(
        AccountFactory.create(mid=MID),
        object_id=definition.object_id,
        customer_key="prices",
    )
    with pytest.raises(RunningElsewhereError):
        start_import(definition=first, started_by=None)


def test_a_lost_run_that_was_started_again_is_not_checked_again() -> None:
    lost = ImportRunFactory.create(lost=True)
    ImportRunFactory.create(definition=lost.definition, running=True)
    with pytest.raises(UseCaseError, match="has been started again since"):
        check_again(run=lost, by=None)
    lost.refresh_from_db()
    assert lost.status == RunStatus.LOST


@pytest.mark.django_db(transaction=True)
def test_of_two_accounts_that_start_one_definition_at_once_one_sends(
    cloud: FakeMarketingCloud,
) -> None:
    cloud.add_definition("customers-daily", ObjectID=GUID)
    mids = ("510001", "510002")  # a parent that lists what its child has, say
    definitions = [known_in(AccountFactory.create(mid=mid)) for mid in mids]
    meeting = Barrier(2, timeout=30)

    def start(definition: ImportDefinition) -> bool:
        meeting.wait()
        try:
            run = start_import(definition=definition, started_by=None)
            send_start(run=run, holder="worker")
        except RunningElsewhereError:
            return False
        finally:
            connections.close_all()
        return True

    with ThreadPoolExecutor(max_workers=2) as pool:
        assert sorted(pool.map(start, definitions)) == [False, True]
    assert cloud.performed == ["customers-daily"]
