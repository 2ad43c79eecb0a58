"""Favourites in the dashboard's rail: at hand, with their run or a start."""

from __future__ import annotations

import re
from typing import Any

import pytest
from django.test import Client

from imports.models import AccessLevel, Account
from tests.factories import (
    FavouriteFactory,
    ImportDefinitionFactory,
    UserFactory,
    grant,
)

from .reading import client_of, part
from .test_dashboard import _queries, ended

pytestmark = pytest.mark.django_db


def rail_of(page: Any) -> str:
    return " ".join(re.sub(r"<[^>]*>", " ", part(page, "rail")).split())


def favour(client: Client, definition: Any) -> None:
    client.post(f"/definitions/{definition.pk}/favourite/", {"wanted": "1"})


def test_favourites_stand_in_the_rail_with_a_start(
    client: Client, account: Account
) -> None:
    definition = ImportDefinitionFactory.create(account=account, name="Price list")
    assert "Star a definition" in rail_of(client.get("/"))
    favour(client, definition)
    page = client.get("/")
    assert "Price list Start… Price list" in rail_of(page)
    assert f'hx-get="/definitions/{definition.pk}/start/"' in part(page, "rail")
    assert "/definitions/?show=favourites" in part(page, "rail")


def test_a_favourite_under_way_shows_its_run_instead(
    client: Client, account: Account
) -> None:
    run = ended(account, running=True)
    favour(client, run.definition)
    rail = part(client.get("/"), "rail")
    assert f'href="/runs/{run.pk}/"' in rail
    assert "data-since=" in rail
    assert "Start…" not in rail


def test_favourites_of_others_and_of_lost_accounts_are_not_shown(
    account: Account,
) -> None:
    mine = ImportDefinitionFactory.create(account=account, name="Mine")
    elsewhere = ImportDefinitionFactory.create(name="Elsewhere")
    FavouriteFactory.create(definition=mine)
    person = UserFactory.create()
    grant(person, account, AccessLevel.VIEW)
    FavouriteFactory.create(user=person, definition=elsewhere)
    rail = rail_of(client_of(person).get("/"))
    assert "Mine" not in rail
    assert "Elsewhere" not in rail


def test_who_may_only_look_is_offered_no_start_of_a_favourite(
    account: Account,
) -> None:
    definition = ended(account, completed=True).definition
    person = UserFactory.create()
    grant(person, account, AccessLevel.VIEW)
    FavouriteFactory.create(user=person, definition=definition)
    rail = rail_of(client_of(person).get("/"))
    assert "Completed" in rail
    assert "Start…" not in rail


def test_many_favourites_cost_no_more_queries_than_one(account: Account) -> None:
    person = UserFactory.create()
    grant(person, account, AccessLevel.START)
    client = client_of(person)
    for _ in range(2):
        FavouriteFactory.create(
            user=person, definition=ended(account, running=True).definition
        )
    few = _queries(client, "/")
    for _ in range(9):
        FavouriteFactory.create(
            user=person, definition=ended(account, running=True).definition
        )
    assert _queries(client, "/") == few
