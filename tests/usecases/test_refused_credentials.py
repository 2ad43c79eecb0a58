"""Refused credentials stop every call until a person does something about them."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest

from imports.marketingcloud.errors import AuthenticationError, UnavailableError
from imports.models import Account, ImportDefinition, ImportRun, Lease, database_now
from imports.usecases.accounts import (
    ask_account,
    check_account,
    probe_account,
    save_account,
)
from imports.usecases.adopt import adopt_runs
from imports.usecases.follow import refresh_runs
from imports.usecases.resolve import reconcile_runs
from imports.usecases.send import send_start
from imports.usecases.sync import sync_definitions
from imports.worker import Loop
from tests.factories import ImportRunFactory
from tests.fakes import FakeMarketingCloud

pytestmark = pytest.mark.django_db

PASSES: list[Callable[..., Any]] = [
    adopt_runs,
    reconcile_runs,
    refresh_runs,
    sync_definitions,
]


@pytest.fixture
def account(definition: ImportDefinition) -> Account:
    account = definition.account
    account.credentials_refused_at = account.last_adopted_at = database_now()
    account.save()
    return account


def is_refused(account: Account) -> bool:
    return Account.objects.get(pk=account.pk).credentials_refused_at is not None


@pytest.mark.parametrize("work", PASSES)
def test_no_pass_asks_the_account(
    account: Account,
    cloud: FakeMarketingCloud,
    definition: ImportDefinition,
    work: Callable[..., Any],
) -> None:
    status = "unknown" if work is reconcile_runs else "running"
    ImportRunFactory.create(definition=definition, **{status: True})
    with pytest.raises(AuthenticationError, match="isn't contacted again"):
        work(account=account, holder="worker")
    assert not cloud.calls


def test_no_probe_asks_the_account(account: Account, cloud: FakeMarketingCloud) -> None:
    with pytest.raises(AuthenticationError):
        probe_account(account=account)
    assert not cloud.calls


def test_a_start_that_was_queued_before_is_not_sent(
    account: Account, cloud: FakeMarketingCloud, definition: ImportDefinition
) -> None:
    run = ImportRunFactory.create(definition=definition)
    send_start(run=run, holder="worker")
    run = ImportRun.objects.get()
    assert (run.status, run.reason) == ("not_started", "credentials_refused")
    assert not cloud.calls


@pytest.mark.django_db(transaction=True)
def test_the_worker_leaves_the_account_alone(
    account: Account, cloud: FakeMarketingCloud, definition: ImportDefinition
) -> None:
    ImportRunFactory.create(
        definition=definition, running=True, next_check_at=database_now()
    )
    loop = Loop()
    loop.turn()
    assert all(pool.join(30) for pool in loop.pools.values())
    assert not cloud.calls


def test_a_call_under_way_with_an_older_token_does_not_clear_the_refusal(
    account: Account,
) -> None:
    Account.objects.update(credentials_refused_at=None)
    with ask_account(account):
        Account.objects.update(credentials_refused_at=database_now())
    assert is_refused(account)


def test_a_check_that_succeeds_clears_it(
    account: Account, cloud: FakeMarketingCloud
) -> None:
    assert all(step.is_ok for step in check_account(account=account))
    assert not is_refused(account)


def test_a_check_that_is_refused_leaves_it(
    account: Account, cloud: FakeMarketingCloud
) -> None:
    cloud.knows_credentials = False
    assert not all(step.is_ok for step in check_account(account=account))
    assert is_refused(account)


@pytest.mark.parametrize("field", ["secret", "client_id", "mid"])
def test_changed_credentials_clear_it(account: Account, field: str) -> None:
    account = Account.objects.get(pk=account.pk)
    setattr(account, field, "7")
    save_account(account=account, fields=[field])
    assert not is_refused(account)


def test_changing_something_else_leaves_it(account: Account) -> None:
    save_account(account=account, fields=["label"])
    assert is_refused(account)


def test_the_system_status_is_asked_once_a_minute_whoever_asks(
    account: Account, cloud: FakeMarketingCloud
) -> None:
    for _ in range(3):
        list(check_account(account=account))
    assert cloud.calls["check_connection"] == 1
    assert not probe_account(account=account)
    Lease.objects.all().delete()
    assert probe_account(account=account)


def test_what_we_held_back_ourselves_is_no_failure_of_the_account(
    definition: ImportDefinition,
) -> None:
    from imports.gateway import NotAskedError

    with pytest.raises(UnavailableError), ask_account(definition.account):
        raise NotAskedError("Busy.")
    assert Account.objects.get().failures_in_row == 0
