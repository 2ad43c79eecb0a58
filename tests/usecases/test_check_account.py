"""An account is tried step by step, and stops at the first that fails."""

from __future__ import annotations

import pytest

from imports.marketingcloud.errors import (
    OutcomeUnknownError,
    RequestRefusedError,
    UnavailableError,
)
from imports.models import Account, database_now
from imports.usecases.accounts import CheckStep, check_account
from tests.factories import AccountFactory
from tests.fakes import FakeDoor, FakeMarketingCloud

pytestmark = pytest.mark.django_db

STEPS = ["Addresses", "Credentials", "SOAP service", "Definitions", "Results"]


@pytest.fixture
def account() -> Account:
    return AccountFactory.create(subdomain="mc1")


def check(account: Account) -> list[CheckStep]:
    return list(check_account(account=account))


def test_a_good_account_passes_every_step(
    account: Account, cloud: FakeMarketingCloud
) -> None:
    cloud.add_definition("customers-daily")
    steps = check(account)
    assert [step.name for step in steps] == STEPS
    assert all(step.is_ok for step in steps)
    assert "mc1.soap.marketingcloudapis.com" in steps[0].message
    assert "system status is OK" in steps[2].message
    assert steps[3].message == "1 can be read."
    assert cloud.calls["start_definition"] == 0


@pytest.mark.parametrize(
    ("verb", "place"),
    [
        ("authenticate", 1),
        ("check_connection", 2),
        ("list_definitions", 3),
        ("results_of_tasks", 4),
    ],
)
@pytest.mark.parametrize("kind", [UnavailableError, OutcomeUnknownError])
def test_the_check_stops_at_the_first_step_that_fails(
    account: Account,
    cloud: FakeMarketingCloud,
    verb: str,
    place: int,
    kind: type[UnavailableError] | type[OutcomeUnknownError],
) -> None:
    cloud.fail(verb, kind("It did not answer."))
    steps = check(account)
    assert [step.is_ok for step in steps] == [True] * place + [False]
    assert (steps[-1].name, steps[-1].message) == (STEPS[place], "It did not answer.")


def test_an_address_that_is_not_allowed_is_the_first_to_fail(
    account: Account, door: FakeDoor
) -> None:
    door.refuses[account.pk] = UnavailableError("The host “evil” is not allowed.")
    (step,) = check(account)
    assert (step.name, step.is_ok) == ("Addresses", False)
    assert "evil" in step.message


def test_wrong_credentials_are_marked(
    account: Account, cloud: FakeMarketingCloud
) -> None:
    cloud.knows_credentials = False
    steps = check(account)
    assert (steps[-1].name, steps[-1].is_ok) == ("Credentials", False)
    account.refresh_from_db()
    assert account.credentials_refused_at is not None


def test_credentials_that_work_again_clear_the_mark(
    account: Account, cloud: FakeMarketingCloud
) -> None:
    account.credentials_refused_at = database_now()
    account.save()
    check(account)
    account.refresh_from_db()
    assert account.credentials_refused_at is None


def test_what_cannot_be_read_is_named(
    account: Account, cloud: FakeMarketingCloud
) -> None:
    cloud.refuses = ["ImportDefinition:MaxFileAge"]
    message = check(account)[3].message
    assert "Not readable here: ImportDefinition:MaxFileAge." in message


@pytest.mark.parametrize(
    ("named", "is_told"),
    [
        ("https://mc1.soap.marketingcloudapis.com/", False),
        ("https://mc2.soap.marketingcloudapis.com/", True),
        (None, False),
    ],
)
def test_another_address_in_the_token_is_only_reported(
    account: Account,
    cloud: FakeMarketingCloud,
    named: str | None,
    is_told: bool,
) -> None:
    cloud.soap_instance_url = named
    message = check(account)[2].message
    assert ("mc2.soap.marketingcloudapis.com" in message) is is_told


def test_a_refused_permission_is_told_in_the_vendors_words(
    account: Account, cloud: FakeMarketingCloud
) -> None:
    cloud.fail("list_definitions", RequestRefusedError("API Permission Failed."))
    assert check(account)[-1].message == "API Permission Failed."


def test_what_was_refused_once_is_asked_for_again(
    account: Account, cloud: FakeMarketingCloud
) -> None:
    account.refused_properties = ["ImportDefinition:MaxFileAge", "ImportDefinition:X"]
    account.save()
    cloud.refuses = ["ImportDefinition:X"]
    assert all(step.is_ok for step in check(account))
    account.refresh_from_db()
    assert account.refused_properties == ["ImportDefinition:X"]


def test_a_check_that_fails_forgets_nothing(
    account: Account, cloud: FakeMarketingCloud
) -> None:
    account.refused_properties = ["ImportDefinition:MaxFileAge"]
    account.save()
    cloud.fail("results_of_tasks", UnavailableError("No."))
    check(account)
    account.refresh_from_db()
    assert account.refused_properties == ["ImportDefinition:MaxFileAge"]
