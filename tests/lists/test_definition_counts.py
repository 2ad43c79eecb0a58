"""Counts beside the list of definitions: kept by account until its revision moves."""

from __future__ import annotations

from typing import Any

import pytest
from django.db import connection
from django.test import Client
from django.test.utils import CaptureQueriesContext

from imports.models import AccessLevel, Account, ImportDefinition, bump_revision
from imports.ui.drawings import DRAWINGS
from tests.factories import AccountFactory, FavouriteFactory, UserFactory, grant
from tests.views.defining import ask, define, with_last
from tests.views.reading import client_of, reader, something_changed

pytestmark = pytest.mark.django_db


@pytest.fixture
def accounts() -> list[Account]:
    return [
        AccountFactory.create(name=name) for name in ("Nordlicht DE", "Nordlicht SE")
    ]


def counts(response: Any, title: str) -> dict[str, int]:
    return {
        item.word: int(item.count)
        for group in response.context["groups"]
        if group.title == title
        for item in group.items
    }


def counting(client: Client) -> list[str]:
    """What the page asks to count definitions: one query, if any."""
    DRAWINGS.clear()
    with CaptureQueriesContext(connection) as asked:
        ask(client)
    return counts_of(asked)


def counts_of(asked: Any) -> list[str]:
    return [q["sql"] for q in asked if "REGEXP" in q["sql"] or "::text ~" in q["sql"]]


def of_all(queries: list[str]) -> list[str]:
    return [sql for sql in queries if '"imports_importdefinition"."id" IN' not in sql]


def test_what_has_not_changed_is_not_counted_again(accounts: list[Account]) -> None:
    for account in accounts:
        define(account, "Customers")
    client = reader(*accounts)
    assert len(of_all(counting(client))) == 1
    assert of_all(counting(client)) == []


def test_what_has_changed_is_counted_in_its_account_only(
    accounts: list[Account],
) -> None:
    changed, other = accounts
    failing = with_last(define(changed, "Customers"), completed=True)
    define(other, "Prices")
    client = reader(*accounts)
    assert counts(ask(client), "Last status") == {"Completed": 1}
    failing.last_run.change(status="failed")  # type: ignore[union-attr]  # it ran
    define(changed, "New")
    bump_revision(accounts=[changed])
    with CaptureQueriesContext(connection) as asked:
        found = ask(client)
    [query] = of_all(counts_of(asked))
    where = query[query.index("WHERE") :]
    assert f"({changed.pk})" in where
    assert str(other.pk) not in where.split("GROUP")[0].replace(str(changed.pk), "")
    assert counts(found, "Last status") == {"Failed": 1}
    assert counts(found, "Account") == {"Nordlicht DE": 2, "Nordlicht SE": 1}


def test_what_each_reader_keeps_is_counted_for_them(accounts: list[Account]) -> None:
    kept, _ = (define(accounts[0], name) for name in ("Customers", "Prices"))
    person, other = UserFactory.create(), reader(*accounts)
    grant(person, accounts[0], AccessLevel.VIEW)
    FavouriteFactory.create(user=person, definition=kept)
    own = client_of(person)
    for _ in range(2):
        something_changed()
        assert counts(ask(own), "")["Favourites"] == 1
        others = counts(ask(other), "")
        assert "Favourites" not in others
        assert others["All"] == 2


def test_a_reader_of_one_account_is_told_of_no_other(accounts: list[Account]) -> None:
    for account in accounts:
        define(account, "Customers")
    ask(reader(*accounts))
    found = ask(reader(accounts[0]))
    assert counts(found, "")["All"] == 1
    assert counts(found, "Account") == {"Nordlicht DE": 1}


def test_what_is_counted_comes_to_what_is_listed(accounts: list[Account]) -> None:
    person = UserFactory.create()
    for account in accounts:
        grant(person, account, AccessLevel.VIEW)
    client = client_of(person)
    for number in range(60):
        define(accounts[number % 2], f"Definition {number:02}")
    favourite = ImportDefinition.objects.get(name="Definition 55")
    FavouriteFactory.create(user=person, definition=favourite)
    first, second = ask(client), ask(client, page=2)
    shown = [
        row["definition"].name
        for found in (first, second)
        for row in found.context["rows"]
    ]
    assert shown[0] == "Definition 55"
    assert len(shown) == len(set(shown)) == 60 == counts(first, "")["All"]
    assert shown[1:] == sorted(shown[1:])
