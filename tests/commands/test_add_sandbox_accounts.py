"""`add_sandbox_accounts`: added once, and they follow the sandbox to another port."""

from __future__ import annotations

import os

import pytest
from django.core.management import CommandError, call_command
from pytest_django import Settings

from imports.management.commands.add_sandbox_accounts import (
    ensure_sandbox_accounts,
    sandbox_accounts,
)
from imports.management.commands.run_sandbox import PORT as SANDBOX_PORT
from imports.models import Account, AccountToken, database_now
from imports.sandbox.nordlicht import DE

pytestmark = pytest.mark.django_db


def test_the_sandboxes_accounts_are_added_once() -> None:
    assert ensure_sandbox_accounts(8801) == ["Nordlicht DE", "Nordlicht SE"]
    assert ensure_sandbox_accounts(8801) == []
    account = Account.objects.get(name="Nordlicht DE")
    assert account.token_address == "http://127.0.0.1:8801"
    assert account.service_address == "http://127.0.0.1:8801/Service.asmx"
    assert (account.mid, account.client_id) == ("510001", "nordlicht-de")
    assert account.secret.reveal() == "sandbox-secret-de"


def test_the_accounts_follow_the_sandbox_to_another_port() -> None:
    ensure_sandbox_accounts(8801)
    account = Account.objects.get(name="Nordlicht SE")
    AccountToken.objects.create(
        account=account, token="of the old port", expires_at=database_now()
    )
    ensure_sandbox_accounts(8907)
    account.refresh_from_db()
    assert account.token_address == "http://127.0.0.1:8907"
    assert account.service_address == "http://127.0.0.1:8907/Service.asmx"
    assert not AccountToken.objects.filter(account=account).exists()


def test_a_real_account_of_the_same_name_keeps_its_address() -> None:
    real = Account.objects.create(
        name="Nordlicht DE", client_id="real", secret="s", subdomain="mc1"
    )
    ensure_sandbox_accounts(8801)
    real.refresh_from_db()
    assert (real.auth_url, real.soap_url) == ("", "")


def test_the_environment_keeps_its_own_secret(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("MCDASH_CLIENT_SECRET", "mine")
    ensure_sandbox_accounts(8801)
    assert os.environ["MCDASH_CLIENT_SECRET"] == "mine"


def test_the_sandboxes_accounts_need_loopback(settings: Settings) -> None:
    settings.MCDASH_ALLOW_LOOPBACK = False
    with pytest.raises(CommandError, match="MCDASH_ALLOW_LOOPBACK=1"):
        call_command("add_sandbox_accounts")


def test_a_sandbox_account_that_was_renamed_is_not_added_again() -> None:
    ensure_sandbox_accounts(SANDBOX_PORT)
    Account.objects.filter(mid=DE.mid).update(name="Germany")
    assert ensure_sandbox_accounts(SANDBOX_PORT + 1) == []
    assert {account.name for account in sandbox_accounts()} == {
        "Germany",
        "Nordlicht SE",
    }
    assert str(SANDBOX_PORT + 1) in Account.objects.get(name="Germany").soap_url
