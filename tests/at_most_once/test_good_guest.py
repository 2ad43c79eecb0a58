"""Few calls at a time, few questions for tokens: measured where they arrive."""

from __future__ import annotations

import threading
from collections.abc import Callable
from typing import Any

import pytest
from pytest_django import Settings

from imports.gateway import NotAskedError, connect
from imports.marketingcloud.errors import (
    AuthenticationError,
    MarketingCloudError,
    UnavailableError,
)
from imports.models import (
    Account,
    AccountToken,
    ImportDefinition,
    ImportRun,
    Lease,
    RunStatus,
    database_now,
)
from imports.sandbox.nordlicht import DE, DE_ROWS
from imports.sandbox.server import SandboxServer
from imports.usecases.accounts import ask_account, check_account, save_account
from imports.usecases.send import send_queued, send_start
from imports.usecases.start import start_import
from tests.at_most_once.reached import definition_of, performed
from tests.e2e.site import wait_until
from tests.usecases.test_send_races import at_once

pytestmark = pytest.mark.django_db(transaction=True)

LATENCY_SECONDS = 0.1
TOKEN_FAILURES: list[dict[str, Any]] = [
    {"what": "reset"},
    {"what": "close"},
    {"what": "hang"},
    {"what": "html", "status": 500},
    {"what": "html", "status": 503},
    {"what": "fault"},
    {"what": "throttled"},
    {"what": "empty"},
    {"what": "redirect"},
]


def fail_tokens(sandbox: SandboxServer, **failure: Any) -> None:
    failure = {"times": None, "operation": "token"} | failure
    sandbox.misbehave(failure.pop("what"), **failure)


def try_to_ask(account: Account) -> MarketingCloudError | None:
    try:
        with ask_account(account) as client:
            client.results_of_tasks(["1"])
    except MarketingCloudError as error:
        return error
    return None


def again(account: Account) -> Account:
    return Account.objects.get(pk=account.pk)


@pytest.mark.parametrize("failure", TOKEN_FAILURES, ids=str)
def test_without_a_token_nothing_is_sent_and_none_is_asked_for_within_a_minute(
    sandbox: SandboxServer,
    account: Account,
    definition: ImportDefinition,
    settings: Settings,
    failure: dict[str, Any],
) -> None:
    settings.MCDASH_CALL_DEADLINE_SECONDS = 1
    fail_tokens(sandbox, **failure)
    for _ in range(3):
        run = start_import(definition=definition, started_by=None)
        assert send_start(run=run, holder="worker").reason == "no_token"
        assert isinstance(try_to_ask(account), UnavailableError)
    assert sandbox.calls.count("token") == 1
    assert sandbox.calls.count("Perform") == sandbox.calls.count("Retrieve") == 0
    assert again(account).failures_in_row == 1
    assert {run.sent_at for run in ImportRun.objects.all()} == {None}


def test_after_the_minute_a_token_is_asked_for_again(
    sandbox: SandboxServer, account: Account
) -> None:
    fail_tokens(sandbox, what="html", times=1)
    assert isinstance(try_to_ask(account), UnavailableError)
    assert isinstance(try_to_ask(account), NotAskedError)
    Lease.objects.filter(name=f"token-pause:{account.pk}").update(
        expires_at=database_now()
    )
    assert try_to_ask(account) is None
    assert sandbox.calls.count("token") == 2


def test_a_person_who_tests_the_connection_does_not_wait_for_the_minute(
    sandbox: SandboxServer, account: Account
) -> None:
    fail_tokens(sandbox, what="html", times=1)
    assert try_to_ask(account)
    assert all(step.is_ok for step in check_account(account=account))
    assert try_to_ask(account) is None


def test_changed_credentials_do_not_wait_for_the_minute(
    sandbox: SandboxServer, account: Account
) -> None:
    fail_tokens(sandbox, what="html", times=1)
    assert try_to_ask(account)
    save_account(account=account, fields=["secret"])
    assert try_to_ask(account) is None


def test_refused_credentials_are_asked_about_once(
    sandbox: SandboxServer, account: Account
) -> None:
    fail_tokens(sandbox, what="refused")
    for _ in range(3):
        assert isinstance(try_to_ask(account), AuthenticationError)
    assert sandbox.calls.count("token") == 1
    assert again(account).credentials_refused_at


def test_of_many_who_need_a_token_one_asks_for_it(
    sandbox: SandboxServer, account: Account
) -> None:
    sandbox.misbehave("delay", operation="token", seconds=LATENCY_SECONDS)
    at_once([lambda: connect(account).authenticate()] * 8)
    assert sandbox.calls.count("token") == 1


def many(sandbox: SandboxServer, account: Account, number: int) -> None:
    """Queue so many starts."""
    keys = [row[0] for row in DE_ROWS if row[0] not in (None, "outlet-stock-nightly")]
    for key in keys[:number]:
        definition = definition_of(sandbox, account, str(key))
        start_import(definition=definition, started_by=None)


def test_an_account_has_two_calls_at_a_time_whoever_calls(
    sandbox: SandboxServer, account: Account
) -> None:
    connect(account).authenticate()
    many(sandbox, account, 10)
    sandbox.reset()
    sandbox.switches.latency_seconds = LATENCY_SECONDS

    def sending() -> None:
        send_queued(account=again(account), holder=f"sender {threading.get_ident()}")

    def reading() -> None:
        for _ in range(3):
            assert try_to_ask(again(account)) is None

    at_once([sending, reading] * 4)
    assert performed(sandbox).total() == 10
    assert sandbox.calls.state()["most_at_once"][DE.name] == 2


def test_a_start_does_not_wait_for_a_read_that_hangs(
    sandbox: SandboxServer, account: Account, definition: ImportDefinition
) -> None:
    connect(account).authenticate()
    sandbox.misbehave("hang", operation="Retrieve", times=None)
    run = start_import(definition=definition, started_by=None)
    sent = threading.Event()

    def reading() -> None:
        try_to_ask(account)

    def sending() -> None:
        wait_until(lambda: sandbox.calls.count("Retrieve"), "a read that hangs")
        try:
            assert send_start(run=run, holder="worker").status == RunStatus.RUNNING
            assert sandbox.calls.count("Retrieve") == 1
        finally:
            sandbox.reset()  # lets the read go
        sent.set()

    works: list[Callable[[], object]] = [reading, reading, sending]
    at_once(works)
    assert sent.is_set()


def test_a_token_is_kept_and_used_by_all(
    sandbox: SandboxServer, account: Account
) -> None:
    for _ in range(3):
        assert try_to_ask(again(account)) is None
    assert sandbox.calls.count("token") == AccountToken.objects.count() == 1
