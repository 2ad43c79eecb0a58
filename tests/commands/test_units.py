"""Commands that add accounts: one business unit once, any address pasted."""

from __future__ import annotations

import pytest

from imports.management.commands.add_sandbox_accounts import (
    ensure_sandbox_accounts,
    sandbox_accounts,
)
from imports.management.commands.run_sandbox import PORT as SANDBOX_PORT
from imports.models import Account
from imports.sandbox.nordlicht import DE
from tests.factories import AccountFactory

from .running import run

pytestmark = pytest.mark.django_db

TENANT = "mc563885gzs27c5t9-63k636ttgm"


@pytest.fixture(autouse=True)
def secret(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("MCDASH_CLIENT_SECRET", "s3cret")


def test_a_unit_is_not_added_twice() -> None:
    AccountFactory.create(name="Shop DE", mid="510001")
    arguments = ("--subdomain", "mc1", "--mid", "00510001", "--client-id", "abc")
    ran = run("add_account", "Shop again", *arguments)
    assert (ran.code, ran.out) == (1, "")
    assert ran.err.startswith(
        "mid: The account “Shop DE” is this business unit already (MID 510001)."
    )
    assert Account.objects.count() == 1


def test_the_vendors_addresses_are_taken_as_they_are_shown() -> None:
    base = f"https://{TENANT}.%s.marketingcloudapis.com/"
    where = ("--auth-url", base % "auth", "--soap-url", base % "soap")
    assert run("add_account", "Shop DE", *where, "--client-id", "abc").code == 0
    account = Account.objects.get()
    assert account.token_address == (base % "auth").rstrip("/")
    assert account.service_address == f"{base % 'soap'}Service.asmx"


def test_a_whole_address_is_a_subdomain_too() -> None:
    where = ("--subdomain", f"https://{TENANT}.auth.marketingcloudapis.com/v2/token")
    assert run("add_account", "Shop DE", *where, "--client-id", "abc").code == 0
    assert Account.objects.get().subdomain == TENANT


def test_a_sandbox_account_that_was_renamed_is_not_added_again() -> None:
    ensure_sandbox_accounts(SANDBOX_PORT)
    Account.objects.filter(mid=DE.mid).update(name="Germany")
    assert ensure_sandbox_accounts(SANDBOX_PORT + 1) == []
    assert {account.name for account in sandbox_accounts()} == {
        "Germany",
        "Nordlicht SE",
    }
    assert str(SANDBOX_PORT + 1) in Account.objects.get(name="Germany").soap_url
