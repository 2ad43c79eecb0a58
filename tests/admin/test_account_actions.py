from __future__ import annotations

import pytest
from django.test import Client

from imports.admin import accounts as accounts_admin
from imports.marketingcloud.errors import UnavailableError
from imports.models import (
    Account,
    AuditEntry,
    ImportDefinition,
    ImportRun,
    Lease,
    Origin,
)
from tests.admin.forms import run_action
from tests.factories import AccountFactory, ImportDefinitionFactory
from tests.fakes import FakeDoor, FakeMarketingCloud


@pytest.fixture
def account(db: None) -> Account:
    return AccountFactory.create(name="Nordlicht DE")


def test_test_connection_says_each_step(
    admin: Client, account: Account, cloud: FakeMarketingCloud
) -> None:
    cloud.add_definition("customers-daily")
    (words,) = run_action(admin, "test_connection", [account])
    assert words.startswith("Nordlicht DE: connected. Addresses: ")
    assert "Definitions: 1 can be read." in words
    entry = AuditEntry.objects.get()
    assert (entry.action, entry.account) == ("connection_tested", account)
    assert entry.details["is_ok"] is True


def test_test_connection_says_what_failed_and_marks_the_account(
    admin: Client, account: Account, cloud: FakeMarketingCloud
) -> None:
    cloud.knows_credentials = False
    (words,) = run_action(admin, "test_connection", [account])
    assert words == (
        "Nordlicht DE: the test failed. Credentials: Marketing Cloud refused the "
        "credentials."
    )
    account.refresh_from_db()
    assert account.credentials_refused_at
    assert AuditEntry.objects.get().details["is_ok"] is False


def test_sync_definitions_now_says_how_many(
    admin: Client, account: Account, cloud: FakeMarketingCloud
) -> None:
    cloud.add_definition("customers-daily")
    cloud.add_definition("consents")
    (words,) = run_action(admin, "sync_definitions_now", [account])
    assert words.startswith("Nordlicht DE: 2 definitions read, 2 new")
    assert ImportDefinition.objects.count() == 2
    assert AuditEntry.objects.get().action == "definitions_synced"


def test_a_definition_missed_once_is_not_said_to_be_gone(
    admin: Client, account: Account, cloud: FakeMarketingCloud
) -> None:
    for key in ("customers-daily", "consents"):
        cloud.add_definition(key)
    run_action(admin, "sync_definitions_now", [account])
    del cloud.definitions[0]
    (words,) = run_action(admin, "sync_definitions_now", [account])
    assert "1 not listed for the first time, 0 believed gone." in words


def test_adopt_runs_now_takes_outside_runs_into_the_history(
    admin: Client, account: Account, cloud: FakeMarketingCloud
) -> None:
    definition = ImportDefinitionFactory.create(account=account)
    cloud.add_task(definition.customer_key)
    (words,) = run_action(admin, "adopt_runs_now", [account])
    assert "1 results read, 1 runs taken into the history." in words
    assert ImportRun.objects.get().origin == Origin.OUTSIDE
    assert AuditEntry.objects.get().action == "runs_adopted"


def test_one_account_that_does_not_answer_keeps_no_other_waiting(
    admin: Client, account: Account, door: FakeDoor
) -> None:
    other = AccountFactory.create(name="Nordlicht SE")
    door.refuses[account.pk] = UnavailableError("Nobody answers. Nothing was sent.")
    failed, done = run_action(admin, "sync_definitions_now", [account, other])
    assert failed == "Nordlicht DE: Nobody answers. Nothing was sent."
    assert done.startswith("Nordlicht SE: 0 definitions read")


@pytest.mark.parametrize(
    ("action", "lease"), [("sync_definitions_now", "sync"), ("adopt_runs_now", "adopt")]
)
def test_a_busy_account_is_a_sentence(
    admin: Client, account: Account, cloud: FakeMarketingCloud, action: str, lease: str
) -> None:
    Lease.objects.acquire(f"{lease}:{account.pk}", holder="another", seconds=60)
    (words,) = run_action(admin, action, [account])
    assert "Another process is already doing this" in words
    assert not cloud.calls


@pytest.mark.parametrize("action", ["sync_definitions_now", "adopt_runs_now"])
def test_an_account_that_is_switched_off_is_not_asked(
    admin: Client, cloud: FakeMarketingCloud, action: str
) -> None:
    account = AccountFactory.create(is_active=False)
    (words,) = run_action(admin, action, [account])
    assert words.endswith("it is disabled; nothing was asked.")
    assert not cloud.calls


@pytest.mark.parametrize(
    "action", ["test_connection", "sync_definitions_now", "adopt_runs_now"]
)
def test_too_many_accounts_at_once_are_refused_before_any_is_asked(
    admin: Client, cloud: FakeMarketingCloud, action: str
) -> None:
    accounts = AccountFactory.create_batch(11)
    (words,) = run_action(admin, action, accounts)
    assert words.startswith("Nothing was done: choose at most 10 accounts")
    assert not cloud.calls


def test_accounts_that_would_keep_the_page_waiting_are_named(
    admin: Client,
    account: Account,
    cloud: FakeMarketingCloud,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(accounts_admin, "GIVE_UP_AFTER_SECONDS", -1)
    (words,) = run_action(admin, "test_connection", [account])
    assert words == "Nordlicht DE: not asked, the others took too long. Try again."
    assert not cloud.calls


def test_starts_are_paused_and_resumed_for_each_account(
    admin: Client, account: Account
) -> None:
    before = account.revision
    paused = AccountFactory.create(name="Nordlicht SE", starts_paused=True)
    assert run_action(admin, "pause_starts", [account, paused]) == [
        "Nordlicht DE: starts are paused now.",
        "Nordlicht SE: starts were paused already.",
    ]
    changed = Account.objects.get(pk=account.pk)
    assert changed.starts_paused
    assert changed.revision > before
    assert run_action(admin, "resume_starts", [account]) == [
        "Nordlicht DE: starts are allowed now."
    ]
    account.refresh_from_db()
    assert not account.starts_paused
    actions = AuditEntry.objects.order_by("id").values_list("action", "account")
    assert list(actions) == [
        ("starts_paused", account.pk),
        ("starts_resumed", account.pk),
    ]
