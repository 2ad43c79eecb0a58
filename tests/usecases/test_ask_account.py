"""How an account fares is remembered, whoever asks it."""

from __future__ import annotations

from contextlib import suppress

import pytest
from django.db import connection
from django.test.utils import CaptureQueriesContext

from imports.marketingcloud.errors import (
    AuthenticationError,
    MarketingCloudError,
    OutcomeUnknownError,
    RequestRefusedError,
    UnavailableError,
)
from imports.models import Account, database_now
from imports.usecases.accounts import ask_account
from tests.factories import AccountFactory
from tests.fakes import FakeDoor

pytestmark = pytest.mark.django_db


@pytest.fixture
def account(door: FakeDoor) -> Account:
    return AccountFactory.create()


def ask(account: Account, error: Exception | None = None) -> Account:
    """The account as stored after it was asked, which ended in `error`."""
    kinds = (type(error),) if error else ()
    with suppress(*kinds), ask_account(account):
        if error:
            raise error
    return Account.objects.get(pk=account.pk)


def test_an_answer_is_a_contact(account: Account) -> None:
    before = database_now()
    account = ask(account)
    assert account.last_contact_at
    assert before <= account.last_contact_at <= database_now()
    assert account.revision == 0


@pytest.mark.parametrize("kind", [UnavailableError, OutcomeUnknownError])
def test_failures_are_counted_since_the_first(
    account: Account, kind: type[MarketingCloudError]
) -> None:
    first = ask(account, kind("No."))
    second = ask(account, kind("No."))
    assert (first.failures_in_row, second.failures_in_row) == (1, 2)
    assert first.not_answering_since is not None
    assert second.not_answering_since == first.not_answering_since
    assert second.last_contact_at is None
    assert second.revision > first.revision > 0


def test_an_answer_ends_the_row_of_failures(account: Account) -> None:
    failed = ask(account, UnavailableError("No."))
    well = ask(account)
    assert (well.failures_in_row, well.not_answering_since) == (0, None)
    assert well.revision > failed.revision


def test_a_refused_request_is_an_answer(account: Account) -> None:
    ask(account, UnavailableError("No."))
    well = ask(account, RequestRefusedError("No."))
    assert (well.failures_in_row, well.not_answering_since) == (0, None)
    assert well.last_contact_at is not None


def test_refused_credentials_are_dated_by_the_first_refusal(account: Account) -> None:
    first = ask(account, AuthenticationError("No."))
    second = ask(account, AuthenticationError("No."))
    assert first.credentials_refused_at is not None
    assert second.credentials_refused_at == first.credentials_refused_at
    assert second.failures_in_row == 0
    assert not Account.objects.reachable().exists()


def test_errors_of_ours_say_nothing_about_the_account(account: Account) -> None:
    account = ask(account, ZeroDivisionError())
    assert (account.failures_in_row, account.last_contact_at) == (0, None)


def test_an_account_that_cannot_be_connected_to_does_not_answer(
    account: Account, door: FakeDoor
) -> None:
    door.refuses[account.pk] = UnavailableError("The host is not allowed.")
    with pytest.raises(UnavailableError), ask_account(account):
        pytest.fail("It was connected to.")
    account.refresh_from_db()
    assert account.failures_in_row == 1


@pytest.mark.parametrize(
    "error", [UnavailableError("No."), AuthenticationError("No."), None]
)
def test_the_counter_is_locked_before_the_account(
    account: Account, error: MarketingCloudError | None
) -> None:
    """In the order of all who change runs: the other way, two could deadlock."""
    ask(account, UnavailableError("No."))
    with CaptureQueriesContext(connection) as queries:
        ask(account, error)
    updated = [
        query["sql"].split('"')[1]
        for query in queries
        if query["sql"].startswith("UPDATE")
        # alone in its transaction, and of an account that is well only
        and '"failures_in_row" = 0' not in query["sql"].partition("WHERE")[2]
    ]
    assert updated[0] == "imports_revision"
    assert "imports_account" in updated[1:]
