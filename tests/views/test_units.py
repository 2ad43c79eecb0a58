"""A business unit that is two accounts: said on the pages, to whom it concerns."""

from __future__ import annotations

import json
from uuid import uuid4

import pytest
from django.core.checks import run_checks
from django.test import Client

from imports.models import AccessLevel, Account
from tests.factories import (
    AccountFactory,
    ImportDefinitionFactory,
    ImportRunFactory,
    UserFactory,
    WorkerFactory,
    double,
    grant,
)

from .reading import client_of, content, reader, words

pytestmark = pytest.mark.django_db


@pytest.fixture
def account() -> Account:
    WorkerFactory.create()
    return AccountFactory.create(name="Shop DE", mid="510001")


def test_a_card_names_only_twins_that_the_reader_may_see(account: Account) -> None:
    twin = double(account, name="Zyzzyva")
    person = UserFactory.create()
    grant(person, account, AccessLevel.VIEW)
    seen = words(client_of(person).get("/accounts/"))
    assert "Same business unit as another account." in seen
    assert "Zyzzyva" not in seen
    grant(person, twin, AccessLevel.VIEW)
    assert "Same business unit as “Zyzzyva”." in words(
        client_of(person).get("/accounts/")
    )


def test_a_mid_that_was_learned_is_shown(account: Account) -> None:
    learned = AccountFactory.create(mid="", learned_unit="510003")
    assert "MID 510003" in words(reader(learned).get("/accounts/"))


def test_the_dashboard_says_that_it_needs_somebody(account: Account) -> None:
    double(account, name="Zyzzyva")
    seen = words(reader(account).get("/"))
    assert "Same business unit as another account" in seen
    assert "Nothing can be started in either until an administrator disables" in seen
    assert "Zyzzyva" not in seen


def test_the_start_dialog_says_why_nothing_is_started(account: Account) -> None:
    definition = ImportDefinitionFactory.create(account=account)
    double(account)
    page = content(reader(account).get(f"/definitions/{definition.pk}/start/"))
    assert "Another account here is the same business unit." in page


@pytest.mark.parametrize(
    ("sees_both", "said"),
    [
        (False, "in an account that you cannot see."),
        (True, "in the account “Shop old”: run "),
    ],
)
def test_a_start_is_refused_while_it_runs_in_another_account_of_the_unit(
    account: Account, said: str, *, sees_both: bool
) -> None:
    old = AccountFactory.create(name="Shop old", mid="510001", is_active=False)
    same = {"object_id": "0fa4e000-aaaa-bbbb-cccc-000000000001"}
    definition = ImportDefinitionFactory.create(account=old, **same)
    ImportRunFactory.create(definition=definition, running=True)
    definition = ImportDefinitionFactory.create(account=account, **same)
    client = reader(account, *([old] if sees_both else []))
    response = client.post(
        f"/definitions/{definition.pk}/start/",
        {
            "request_token": str(uuid4()),
            "digest": definition.digest,
            "confirm_name": definition.shown_name,
        },
    )
    assert response.status_code == 409
    assert said in words(response)
    assert ("Shop old" in content(response)) is sees_both
    assert not definition.runs.exists()


def test_health_tells_of_it_without_a_name(account: Account) -> None:
    double(account)
    answer = Client().get("/healthz").content.decode()
    assert json.loads(answer)["accounts"] == "degraded"
    assert "Shop DE" not in answer


def test_a_check_of_the_database_finds_it(account: Account) -> None:
    assert run_checks(databases=["default"], tags=["database"]) == []
    double(account, name="Shop old")
    (found,) = run_checks(databases=["default"], tags=["database"])
    assert found.id == "mcdash.W201"
    assert found.msg.startswith(
        "2 accounts are the same business unit (510001): Shop DE, Shop old."
    )
    assert run_checks(tags=["database"]) == []  # no database is asked unless named
