"""Sessions end: unused, after some days in any case, and when somebody says so."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
import time_machine
from django.conf import settings
from django.contrib.sessions.models import Session
from django.db import connection
from django.test import Client
from django.test.utils import CaptureQueriesContext
from pytest_django import Settings

from imports.models import AuditEntry, User
from tests.factories import UserFactory

from .reading import HTMX, client_of, content, words

pytestmark = pytest.mark.django_db
PASSWORD = "a long pass phrase"
START = datetime(2026, 3, 12, 9, 0, tzinfo=UTC)
IDLE, WHOLE = timedelta(hours=8), timedelta(days=7)
MINUTE = timedelta(minutes=1)
PAGE, POLL = "/accounts/", "/accounts/?since=1"


@pytest.fixture
def person() -> User:
    made: User = UserFactory.create(username="ana", password=PASSWORD)
    return made


@pytest.fixture
def clock() -> Any:
    with time_machine.travel(START, tick=False) as traveller:
        yield traveller


def is_signed_in(client: Client) -> bool:
    """As a poll finds it, which changes nothing."""
    return bool(client.get(POLL, headers=HTMX).status_code != 401)


def test_an_unused_session_ends(person: User, clock: Any) -> None:
    client = client_of(person)
    clock.shift(IDLE)
    assert is_signed_in(client)
    clock.shift(timedelta(seconds=1))
    answer = client.get(f"{PAGE}?q=x")
    assert answer.status_code == 302
    assert answer.headers["Location"] == "/login/?next=/accounts/%3Fq%3Dx"
    assert not Session.objects.exists()
    assert client.cookies[settings.SESSION_COOKIE_NAME].value == ""


def test_an_ended_session_answers_a_poll_with_a_bare_401(
    person: User, clock: Any
) -> None:
    client = client_of(person)
    clock.shift(IDLE + MINUTE)
    answer = client.get(POLL, headers=HTMX)
    assert answer.status_code == 401
    assert content(answer) == "Your session has ended."


def test_use_keeps_a_session_going(person: User, clock: Any) -> None:
    client = client_of(person)
    for _ in range(3):
        clock.shift(IDLE - MINUTE)
        assert client.get(PAGE).status_code == 200


def test_polls_do_not_keep_a_session_going(person: User, clock: Any) -> None:
    client = client_of(person)
    for _ in range(8):
        clock.shift(IDLE / 8)
        assert is_signed_in(client)
    clock.shift(timedelta(seconds=1))
    assert not is_signed_in(client)


@pytest.mark.parametrize(
    ("query", "headers"), [("?since=1", {}), ("", HTMX), ("?q=x", HTMX)]
)
def test_what_a_person_does_is_no_poll(
    person: User, clock: Any, query: str, headers: dict[str, str]
) -> None:
    client = client_of(person)
    clock.shift(IDLE - MINUTE)
    client.get(f"/definitions/{query}", headers=headers)
    clock.shift(IDLE - MINUTE)
    assert is_signed_in(client)


def test_a_post_is_no_poll_whatever_its_address(person: User, clock: Any) -> None:
    client = client_of(person)
    clock.shift(IDLE - MINUTE)
    client.post("/profile/?since=1", {}, headers=HTMX)
    clock.shift(IDLE - MINUTE)
    assert is_signed_in(client)


def test_however_much_it_is_used_a_session_ends_after_a_week(
    person: User, clock: Any
) -> None:
    client = client_of(person)
    steps = int(WHOLE / timedelta(hours=7))
    for _ in range(steps):
        clock.shift(timedelta(hours=7))
        assert client.get(PAGE).status_code == 200
    clock.move_to(START + WHOLE + timedelta(seconds=1))
    assert client.get(PAGE).status_code == 302


def test_a_new_password_does_not_make_the_week_longer(person: User, clock: Any) -> None:
    client, new = client_of(person), "another long pass phrase"
    for _ in range(20):
        clock.shift(timedelta(hours=7))
        client.get(PAGE)
    fields = {"new_password1": new, "new_password2": new}
    client.post("/password_change/", {"old_password": PASSWORD, **fields})
    assert client.get(PAGE).status_code == 200
    for _ in range(3):
        clock.shift(timedelta(hours=7))
        client.get(PAGE)
    clock.move_to(START + WHOLE + timedelta(seconds=1))
    assert client.get(PAGE).status_code == 302


def test_signing_in_again_begins_a_new_week(person: User, clock: Any) -> None:
    client = client_of(person)
    clock.shift(WHOLE + MINUTE)
    assert client.get(PAGE).status_code == 302
    client.post("/login/", {"username": "ana", "password": PASSWORD})
    clock.shift(IDLE - MINUTE)
    assert client.get(PAGE).status_code == 200


def test_a_session_of_which_nobody_knows_the_beginning_has_ended(person: User) -> None:
    client = client_of(person)
    session = client.session
    del session["signed_in_at"]
    session.save()
    assert client.get(PAGE).status_code == 302


def test_both_spans_are_settings(person: User, clock: Any, settings: Settings) -> None:
    settings.MCDASH_SESSION_IDLE_SECONDS = 600
    settings.MCDASH_SESSION_SECONDS = 900
    client, other = client_of(person), client_of(person)
    clock.shift(timedelta(seconds=500))
    client.get(PAGE)
    clock.shift(timedelta(seconds=200))
    assert is_signed_in(client)
    assert not is_signed_in(other)
    clock.shift(timedelta(seconds=201))
    assert not is_signed_in(client)


def test_a_session_is_written_once_a_minute_at_most(person: User, clock: Any) -> None:
    client = client_of(person)

    def writes(address: str = PAGE, **headers: Any) -> int:
        with CaptureQueriesContext(connection) as queries:
            client.get(address, **headers)
        found = [one["sql"] for one in queries if "django_session" in one["sql"]]
        return sum(not sql.startswith("SELECT") for sql in found)

    clock.shift(timedelta(seconds=59))
    assert writes() == 0
    clock.shift(timedelta(seconds=1))
    assert writes(POLL, headers=HTMX) == 0
    assert writes() > 0
    assert writes() == 0


def test_the_administration_ends_too(clock: Any) -> None:
    client = client_of(UserFactory.create(is_staff=True, is_superuser=True))
    assert client.get("/admin/").status_code == 200
    clock.shift(IDLE + MINUTE)
    assert client.get("/admin/").headers["Location"] == "/admin/login/?next=/admin/"


def test_strangers_get_no_session(db: None) -> None:
    client = Client()
    client.get("/login/")
    client.get(PAGE)
    assert not Session.objects.exists()


def test_sign_out_everywhere_ends_every_session_of_that_person(person: User) -> None:
    here, there = client_of(person), client_of(person)
    another = client_of(UserFactory.create())
    assert "Sign out everywhere" in words(here.get("/profile/"))
    answer = here.post("/profile/sign-out-everywhere/", follow=True)
    assert answer.redirect_chain == [("/login/", 302)]
    assert "You are signed out everywhere." in words(answer)
    assert not is_signed_in(here)
    assert not is_signed_in(there)
    assert is_signed_in(another)
    person.refresh_from_db()
    assert person.check_password(PASSWORD)
    entry = AuditEntry.objects.get(action="sessions_ended")
    assert (entry.actor, entry.ip) == (person, "127.0.0.1")


def test_sign_out_everywhere_wants_a_button(person: User) -> None:
    client = client_of(person)
    assert client.get("/profile/sign-out-everywhere/").status_code == 405
    assert is_signed_in(client)


def test_one_can_sign_in_again_afterwards(person: User) -> None:
    client = client_of(person)
    client.post("/profile/sign-out-everywhere/")
    client.post("/login/", {"username": "ana", "password": PASSWORD})
    assert is_signed_in(client)


def test_a_former_key_keeps_sessions_but_not_ended_ones(
    person: User, settings: Settings
) -> None:
    person.end_sessions()
    here, there = client_of(person), client_of(person)
    settings.SECRET_KEY_FALLBACKS = [settings.SECRET_KEY]
    settings.SECRET_KEY = "a new key " * 6
    assert is_signed_in(here)
    person.end_sessions()
    assert not is_signed_in(here)
    assert not is_signed_in(there)


def test_a_new_password_ends_the_other_sessions(person: User) -> None:
    here, there, new = client_of(person), client_of(person), "another long pass phrase"
    fields = {"new_password1": new, "new_password2": new}
    here.post("/password_change/", {"old_password": PASSWORD, **fields})
    assert is_signed_in(here)
    assert not is_signed_in(there)


def test_who_is_switched_off_is_out_at_the_next_request(person: User) -> None:
    client = client_of(person)
    person.is_active = False
    person.save()
    assert client.get(PAGE).status_code == 302
    assert not is_signed_in(client)
    assert client.post("/profile/", {"theme": "dark"}).status_code == 302
    signed_in = Client().post("/login/", {"username": "ana", "password": PASSWORD})
    assert signed_in.status_code == 200


def test_who_is_deleted_is_out_at_the_next_request(person: User) -> None:
    client = client_of(person)
    person.delete()
    assert client.get(PAGE).status_code == 302


def end_in_admin(by: User, *people: User) -> Any:
    data = {
        "action": "sign_out_everywhere",
        "_selected_action": [one.pk for one in people],
    }
    return client_of(by).post("/admin/imports/user/", data, follow=True)


def test_an_administrator_signs_people_out(person: User) -> None:
    root = UserFactory.create(is_staff=True, is_superuser=True)
    client, another = client_of(person), client_of(UserFactory.create())
    answer = end_in_admin(root, person)
    assert "Signed out everywhere: ana." in words(answer)
    assert not is_signed_in(client)
    assert is_signed_in(another)
    entry = AuditEntry.objects.get(action="sessions_ended")
    assert (entry.actor, entry.object_label) == (root, "ana")
