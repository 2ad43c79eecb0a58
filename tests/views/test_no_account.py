"""What whoever sees no account is told: none at all, or none of theirs."""

from __future__ import annotations

from collections.abc import Iterable

import pytest
from django.contrib.auth.models import Permission

from imports.models import AccessLevel, Account, User
from tests.factories import (
    AccountFactory,
    ImportDefinitionFactory,
    ImportRunFactory,
    UserFactory,
    grant,
)

from .reading import a_worker_beats, client_of, content, poll, reader, words

pytestmark = pytest.mark.django_db
PAGES = ("/", "/definitions/", "/runs/", "/accounts/")
EVERY = pytest.mark.parametrize("url", PAGES)
NOT_YOURS = "You don’t have access to any account yet"
NONE = "No account is connected yet"


@pytest.fixture(autouse=True)
def a_worker(db: None) -> None:
    a_worker_beats()


def administrator(permissions: Iterable[str], **facts: object) -> User:
    person = UserFactory.create(is_staff=True, **facts)
    for codename in permissions:
        person.user_permissions.add(Permission.objects.get(codename=codename))
    return person


@EVERY
def test_where_there_is_none_at_all_a_reader_is_told_whom_to_ask(url: str) -> None:
    UserFactory.create(is_superuser=True, first_name="Bo", last_name="Lind")
    page = words(reader().get(url))
    assert NONE in page
    assert "Ask an administrator (Bo Lind) to connect" in page


@EVERY
def test_where_there_is_none_at_all_an_administrator_adds_one(url: str) -> None:
    page = client_of(administrator(["add_account"])).get(url)
    assert NONE in words(page)
    assert 'href="/admin/imports/account/add/"' in content(page)


@EVERY
def test_staff_who_cannot_add_one_are_not_sent_where_they_are_refused(url: str) -> None:
    assert "/admin/imports/account/add/" not in content(
        client_of(administrator([])).get(url)
    )


@EVERY
def test_accounts_of_others_are_told_of_without_a_name_or_a_number(url: str) -> None:
    AccountFactory.create(name="Secret unit")
    AccountFactory.create(name="Secret unit 2")
    page = words(reader().get(url))
    assert NOT_YOURS in page
    assert "Ask an administrator for access." in page
    assert NONE not in page
    assert "Secret" not in page


@EVERY
def test_an_administrator_is_led_to_the_only_accounts_accesses(url: str) -> None:
    account = AccountFactory.create()
    boss = administrator(["change_account", "view_account", "add_accountaccess"])
    page = content(client_of(boss).get(url))
    assert f'href="/admin/imports/account/{account.pk}/change/#accesses-group"' in page
    form = client_of(boss).get(f"/admin/imports/account/{account.pk}/change/")
    assert 'id="accesses-group"' in content(form)


def test_of_several_accounts_an_administrator_chooses_one() -> None:
    AccountFactory.create_batch(2)
    boss = administrator(["change_account", "add_accountaccess"])
    assert 'href="/admin/imports/account/"' in content(client_of(boss).get("/"))


@pytest.mark.parametrize(
    ("permissions", "link"),
    [
        (["change_group", "add_accountaccess"], "/admin/auth/group/"),
        (["change_user"], "/admin/imports/user/{pk}/change/"),
    ],
)
def test_another_administrator_is_led_to_what_they_can_change(
    permissions: list[str], link: str
) -> None:
    AccountFactory.create()
    boss = administrator(permissions)
    page = client_of(boss).get("/accounts/")
    assert f'href="{link.format(pk=boss.pk)}"' in content(page)


@pytest.mark.parametrize(
    "url", ["/runs/?status=failed", "/runs/?q=x", "/runs/?from=today"]
)
def test_filters_are_not_blamed_for_what_cannot_be_seen(url: str) -> None:
    ImportRunFactory.create(failed=True)
    assert NOT_YOURS in words(reader().get(url))


def test_definitions_that_cannot_be_seen_are_not_blamed_on_the_search() -> None:
    ImportDefinitionFactory.create(name="Customers")
    assert NOT_YOURS in words(reader().get("/definitions/?q=customers"))


@EVERY
def test_a_superuser_needs_no_group(url: str) -> None:
    """As after the README's way to a real account, made on the command line."""
    run = ImportRunFactory.create(completed=True)
    boss = UserFactory.create(is_staff=True, is_superuser=True)
    page = words(client_of(boss).get(url))
    assert NONE not in page
    assert NOT_YOURS not in page
    assert run.account.name in page


def test_the_page_fills_by_itself_once_access_is_given() -> None:
    person = UserFactory.create()
    client = client_of(person)
    page = client.get("/accounts/")
    assert poll(client, page).status_code == 204
    account = AccountFactory.create(name="Shop DE")
    assert NOT_YOURS in words(poll(client, page))
    grant(person, account, AccessLevel.VIEW)
    Account.objects.update(revision=5)
    assert "Shop DE" in words(poll(client, page))
