"""With a database that can be read but not written pages that only read are served,
and each deed ends in a 503 that says that nothing was done.
"""

from __future__ import annotations

import pytest
from django.test import Client
from django.utils import timezone

from imports.middleware import SEEN_AT
from imports.models import STORAGE
from tests.unwritable import unwritable
from tests.views.reading import HTMX, words

from .table import DOORS
from .world import World, make_world, stored

EVERY = pytest.mark.parametrize("route", DOORS)
WITH_DEEDS = pytest.mark.parametrize(
    "route", [route for route, door in DOORS.items() if door.doers]
)
NOTHING = "Nothing was started or changed."


@pytest.fixture
def world() -> World:
    return make_world()


def left_alone(world: World, role: str) -> Client:
    """Whose session was last used two minutes ago, so that its use is to be noted."""
    client = world.client(role)
    if role in world.people:
        session = client.session
        session[SEEN_AT] = int(timezone.now().timestamp()) - 120
        session.save()
    return client


@EVERY
@pytest.mark.django_db
@pytest.mark.parametrize(
    "role",
    [
        "starter",
        pytest.param("anonymous", marks=pytest.mark.exhaustive),
        pytest.param("superuser", marks=pytest.mark.exhaustive),
    ],
)
def test_what_only_reads_is_served(world: World, route: str, role: str) -> None:
    door = DOORS[route]
    client = left_alone(world, role)
    url, query = door.url(route, world), door.ask(world)
    with unwritable():
        STORAGE.ask()
        page = client.get(url, query)
        poll = client.get(url, query | {"since": "1"}, headers=HTMX)
    if route == "healthz/worker":  # it says that no worker can do anything
        assert (page.status_code, poll.status_code) == (503, 503)
        assert "cannot be written since" in words(page)
        return
    is_told_politely = door.polite and role == "anonymous"
    assert page.status_code == door.get[role]
    assert poll.status_code == (401 if is_told_politely else door.get[role])


@pytest.mark.slow
@WITH_DEEDS
@pytest.mark.django_db(transaction=True)
@pytest.mark.parametrize("headers", [{}, HTMX], ids=["page", "htmx"])
def test_a_deed_is_refused_with_a_clear_page_and_changes_nothing(
    world: World, route: str, headers: dict[str, str]
) -> None:
    door = DOORS[route]
    clients = {role: left_alone(world, role) for role in door.doers}
    before = stored()
    for role, client in clients.items():
        with unwritable():
            answer = client.post(
                door.url(route, world), door.send(world), headers=headers
            )
        assert answer.status_code == 503, role
        assert NOTHING in words(answer)
        assert "can’t save anything right now (since " in words(answer)
        assert answer["Retry-After"] == "30"
        if headers:
            assert answer["HX-Retarget"] == "#toasts"
        else:
            assert "This isn’t possible right now" in words(answer)
    assert stored() == before
