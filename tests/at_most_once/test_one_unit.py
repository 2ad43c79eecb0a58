"""One business unit under two names: one Perform, by the sandbox's journal."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from threading import Barrier

import pytest
from django.db import connections

from imports.models import Account, RunStatus
from imports.sandbox.nordlicht import API_USER, DE
from imports.sandbox.server import SandboxServer
from imports.usecases.accounts import save_account
from imports.usecases.errors import UseCaseError
from imports.usecases.send import send_start
from imports.usecases.start import start_import
from imports.usecases.sync import sync_definitions
from tests.at_most_once.conftest import KEY
from tests.at_most_once.reached import account_of, performed

pytestmark = pytest.mark.django_db(transaction=True)


def start(account: Account) -> str:
    """Start “Customers daily” as a page and its worker would; what became of it."""
    account = Account.objects.get(pk=account.pk)
    definition = account.definitions.get(customer_key=KEY)
    try:
        run = start_import(definition=definition, started_by=None)
    except UseCaseError as error:
        return type(error).__name__
    return send_start(run=run, holder="worker").status


@pytest.mark.parametrize(
    "sign_in",
    [
        {"client_id": DE.client_id},
        {
            "auth_kind": "username_token",
            "client_id": "",
            "username": API_USER.username,
            "secret": API_USER.password,
        },
    ],
    ids=["package", "API user"],
)
def test_a_unit_entered_again_without_its_mid_starts_nothing_until_one_is_left(
    sandbox: SandboxServer, account: Account, sign_in: dict[str, str]
) -> None:
    again = account_of(sandbox, name="Shop DE", mid="", **sign_in)
    for one in (account, again):
        sync_definitions(account=one, holder="worker")
    assert again.unit == account.unit == str(DE.mid)
    assert [start(account), start(again)] == ["NotStartableError"] * 2
    assert not performed(sandbox)
    account.is_active = False
    save_account(account=account, fields=["is_active"])
    assert start(account) == "NotStartableError"
    assert start(again) == RunStatus.RUNNING
    assert performed(sandbox) == {KEY: 1}


def test_two_accounts_of_a_unit_that_start_at_once_perform_once(
    sandbox: SandboxServer, account: Account
) -> None:
    """Before anybody knows that they are one: each read its definitions already."""
    again = account_of(sandbox, name="Shop DE", mid="", client_id=DE.client_id)
    for one in (account, again):
        sync_definitions(account=one, holder="worker")
    Account.objects.filter(pk=again.pk).update(unit=None, learned_unit=None)
    Account.objects.update(is_doubled=False)
    meeting = Barrier(2, timeout=30)

    def at_once(one: Account) -> str:
        meeting.wait()
        try:
            return start(one)
        finally:
            connections.close_all()

    with ThreadPoolExecutor(max_workers=2) as pool:
        ends = sorted(pool.map(at_once, (account, again)))
    assert ends == ["RunningElsewhereError", RunStatus.RUNNING]
    assert performed(sandbox) == {KEY: 1}
