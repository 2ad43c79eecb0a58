"""Every address × every method × every kind of person."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
from django.db import transaction
from django.test import Client

from tests.views.reading import HTMX

from .routes import own_routes
from .table import DOORS
from .world import ROLES, World, make_world, stored

pytestmark = pytest.mark.django_db
EVERY = pytest.mark.parametrize("route", DOORS)
# Fast are: that no route is missing, and who opens what.
slow = pytest.mark.slow


@pytest.fixture
def world(db: None) -> World:
    return make_world()


def for_each_role(
    world: World, visit: Callable[[Client], Any], **options: Any
) -> dict[str, Any]:
    """What `visit` gives for each role; what it did is undone before the next."""
    found = {}
    for role in ROLES:
        with transaction.atomic():
            found[role] = visit(world.client(role, **options))
            transaction.set_rollback(True)
    return found


def changes(deed: Callable[[], Any]) -> bool:
    before = stored()
    deed()
    return stored() != before


def test_every_route_has_its_line_in_the_table() -> None:
    assert own_routes() == set(DOORS)


@EVERY
def test_a_page_and_its_parts_open_for_those_who_may_see_them(
    world: World, route: str
) -> None:
    door = DOORS[route]
    url, query = door.url(route, world), door.ask(world)

    def look(client: Client) -> tuple[int, int, int]:
        page = client.get(url, query)
        part = client.get(url, query, headers=HTMX)
        poll = client.get(url, query | {"since": "1"}, headers=HTMX)
        return page.status_code, part.status_code, poll.status_code

    found = for_each_role(world, look)
    expected = {role: (status,) * 3 for role, status in door.get.items()}
    if door.polite:
        expected["anonymous"] = (door.get["anonymous"], 401, 401)
    assert found == expected


@slow
@EVERY
def test_looking_changes_nothing_and_other_methods_do_neither(
    world: World, route: str
) -> None:
    door = DOORS[route]
    url, query = door.url(route, world), door.ask(world)

    def look(client: Client) -> None:
        client.get(url, query)
        client.put(url)
        client.delete(url)

    found = for_each_role(world, lambda client: changes(lambda: look(client)))
    assert found == dict.fromkeys(ROLES, False)


@slow
@EVERY
def test_a_deed_is_done_for_those_who_may_and_for_nobody_else(
    world: World, route: str
) -> None:
    door = DOORS[route]
    url, said = door.url(route, world), []

    def send(client: Client) -> bool:
        return changes(
            lambda: said.append(client.post(url, door.send(world)).status_code)
        )

    did = for_each_role(world, send)
    assert dict(zip(ROLES, said, strict=True)) == door.post
    assert {role for role in ROLES if did[role]} == set(door.doers)


@slow
@EVERY
def test_with_a_script_the_same_people_may_do_the_same(
    world: World, route: str
) -> None:
    door = DOORS[route]
    url, said = door.url(route, world), []

    def send(client: Client) -> bool:
        return changes(
            lambda: said.append(
                client.post(url, door.send(world), headers=HTMX).status_code
            )
        )

    did = for_each_role(world, send)
    assert {role for role in ROLES if did[role]} == set(door.doers)
    refused = {role: status for role, status in door.post.items() if status >= 400}
    refused |= {"anonymous": 401} if door.polite else {}
    told = dict(zip(ROLES, said, strict=True))
    assert {role: told[role] for role in refused} == refused


@slow
@EVERY
def test_no_form_is_taken_without_its_token(world: World, route: str) -> None:
    door = DOORS[route]
    url, said = door.url(route, world), []

    def send(client: Client) -> bool:
        return changes(
            lambda: said.append(client.post(url, door.send(world)).status_code)
        )

    did = for_each_role(world, send, enforce_csrf_checks=True)
    assert did == dict.fromkeys(ROLES, False)
    assert set(said) <= {403, 405}


OF_ONE_ROW = [route for route, door in DOORS.items() if door.on]


@slow
@pytest.mark.parametrize("route", OF_ONE_ROW)
@pytest.mark.parametrize("headers", [{}, HTMX])
def test_who_may_not_see_it_cannot_tell_whether_it_is_there(
    world: World, route: str, headers: dict[str, str]
) -> None:
    door = DOORS[route]
    hidden = door.url(route, world)
    absent = f"/{route.replace('<id:pk>', '999999')}"
    for role in ("no group", "viewer elsewhere", "staff"):
        client = world.client(role)
        for method in (client.get, client.post):
            fields = door.send(world) if method == client.post else {}
            one = method(hidden, fields, headers=headers)
            other = method(absent, fields, headers=headers)
            assert one.status_code == other.status_code, role
            assert one.status_code in (404, 405), role
