"""`/profile/`: how a person likes to read."""

from __future__ import annotations

import html
import re
from typing import Any

import pytest
from django.test import Client

from imports.models import User
from tests.factories import UserFactory

from .reading import client_of, content, words

pytestmark = pytest.mark.django_db
URL = "/profile/"
GOOD = {"time_zone": "Europe/Berlin", "theme": "dark", "shortcuts_on": "on"}


@pytest.fixture
def person() -> User:
    made: User = UserFactory.create(username="ana", first_name="Ana", last_name="Ruiz")
    return made


@pytest.fixture
def client(person: User) -> Client:
    return client_of(person)


def offered(response: Any) -> list[str]:
    values = re.findall(r'<option value="([^"]+)"', content(response))
    return [html.unescape(value) for value in values]


def chosen(response: Any) -> list[str]:
    return re.findall(r'<option value="([^"]+)" selected', content(response))


def test_the_page_shows_how_one_reads_now(person: User, client: Client) -> None:
    page = client.get(URL)
    assert chosen(page) == ["UTC"]
    seen = words(page)
    for text in ("Time zone", "Theme", "Keyboard shortcuts", "Pause updates", "Save"):
        assert text in seen
    assert 'href="/password_change/"' in content(page)
    assert "data-pause" in content(page)
    assert "You’re signed in as ana" in seen


def test_what_is_saved_is_kept_and_said(person: User, client: Client) -> None:
    answer = client.post(URL, GOOD, follow=True)
    assert answer.redirect_chain == [(URL, 302)]
    person.refresh_from_db()
    assert (person.time_zone, person.theme) == ("Europe/Berlin", "dark")
    assert person.shortcuts_on
    assert "Your profile was saved." in words(answer)
    assert 'data-theme="dark"' in content(answer)
    assert 'data-time-zone="Europe/Berlin"' in content(answer)


def test_a_switch_that_is_not_sent_is_off(person: User, client: Client) -> None:
    client.post(URL, GOOD | {"shortcuts_on": ""})
    person.refresh_from_db()
    assert not person.shortcuts_on
    assert 'data-keys="off"' in content(client.get(URL))


@pytest.mark.parametrize(
    ("wrong", "sentence"),
    [
        ({"time_zone": "Europe/Nowhere"}, "There is no such time zone in the list."),
        ({"time_zone": "../../etc/passwd"}, "There is no such time zone in the list."),
        ({"time_zone": "Europe/Berlin\x00"}, "There is no such time zone in the list."),
        ({"time_zone": "x" * 5000}, "There is no such time zone in the list."),
        ({"time_zone": ""}, "This field is required."),
        ({"theme": "pink"}, "There is no such theme."),
        ({"theme": "<script>"}, "There is no such theme."),
    ],
)
def test_bad_input_changes_nothing_and_is_told_beside_its_field(
    person: User, client: Client, wrong: dict[str, str], sentence: str
) -> None:
    answer = client.post(URL, GOOD | wrong)
    assert answer.status_code == 400
    assert sentence in words(answer)
    assert "<script>" not in content(answer)
    person.refresh_from_db()
    assert (person.time_zone, person.theme) == ("UTC", "system")


def test_a_refused_form_does_not_change_how_the_page_itself_looks(
    client: Client,
) -> None:
    answer = client.post(URL, GOOD | {"time_zone": "Europe/Nowhere"})
    assert 'data-theme="dark"' not in content(answer)


def test_only_the_three_fields_can_be_changed(person: User, client: Client) -> None:
    more = {"is_superuser": "on", "is_staff": "on", "username": "root"}
    client.post(URL, GOOD | more)
    person.refresh_from_db()
    assert (person.username, person.is_staff, person.is_superuser) == (
        "ana",
        False,
        False,
    )


def test_places_are_offered_and_old_names_only_to_who_has_one(
    person: User, client: Client
) -> None:
    zones = offered(client.get(URL))
    assert "Europe/Berlin" in zones
    assert "UTC" in zones
    assert not [z for z in zones if z.startswith(("Etc/", "US/"))]
    person.time_zone = "US/Pacific"
    person.save()
    page = client.get(URL)
    assert chosen(page) == ["US/Pacific"]
    client.post(URL, GOOD | {"time_zone": "US/Pacific"})
    person.refresh_from_db()
    assert person.time_zone == "US/Pacific"


def test_strangers_are_sent_to_sign_in() -> None:
    answer = Client().post(URL, GOOD)
    assert answer.headers["Location"] == "/login/?next=/profile/"


def test_other_methods_are_refused(client: Client) -> None:
    assert client.put(URL).status_code == 405
