"""Signing in and out, and what happens to a page whose session ended."""

from __future__ import annotations

import re

import pytest
from django.conf import settings
from django.test import Client

from imports.models import User
from tests.factories import UserFactory

from .reading import HTMX, client_of, content, words

pytestmark = pytest.mark.django_db
PASSWORD = "a long pass phrase"
PAGES = ("/", "/definitions/", "/definitions/1/", "/runs/", "/runs/1/", "/accounts/")
MORE = ("/profile/", "/definitions/start/", "/definitions/1/start/")


@pytest.fixture
def person() -> User:
    made: User = UserFactory.create(username="ana", password=PASSWORD)
    return made


@pytest.mark.parametrize("page", [*PAGES, *MORE])
def test_every_page_sends_strangers_to_sign_in_and_remembers_itself(page: str) -> None:
    answer = Client().get(page)
    assert answer.status_code == 302
    assert answer.headers["Location"] == f"/login/?next={page}"


@pytest.mark.parametrize("page", [*PAGES, *MORE])
def test_a_session_that_ended_under_a_poll_is_a_bare_401(page: str) -> None:
    answer = Client().get(f"{page}?since=1", headers=HTMX)
    assert answer.status_code == 401
    assert "<form" not in content(answer)
    assert content(answer) == "Your session has ended."


def test_a_session_that_ended_is_gone_for_polls_and_pages(person: User) -> None:
    client = client_of(person)
    assert client.get("/accounts/").status_code == 200
    client.session.flush()
    assert client.get("/accounts/?since=1", headers=HTMX).status_code == 401
    assert client.get("/accounts/").status_code == 302


def test_polls_do_not_extend_a_session(person: User) -> None:
    client = client_of(person)
    answer = client.get("/accounts/?since=1", headers=HTMX)
    assert settings.SESSION_COOKIE_NAME not in answer.cookies


def test_the_page_is_ours_and_asks_for_name_and_password() -> None:
    page = content(Client().get("/login/"))
    assert "Sign in to mcdash" in page
    assert 'autocomplete="username"' in page
    assert 'autocomplete="current-password"' in page
    assert "css/tokens.css" in page
    assert " style=" not in page
    assert '<nav aria-label="Main"' not in page


@pytest.mark.usefixtures("person")
def test_signing_in_leads_to_the_page_one_wanted() -> None:
    client = Client()
    page = content(client.get("/login/?next=/runs/%3Fstatus%3Dfailed"))
    kept = re.search(r'name="next" value="([^"]+)"', page)
    assert kept
    assert kept[1] == "/runs/?status=failed"
    answer = client.post(
        "/login/", {"username": "ana", "password": PASSWORD, "next": kept[1]}
    )
    assert answer.headers["Location"] == "/runs/?status=failed"


@pytest.mark.usefixtures("person")
@pytest.mark.parametrize(
    "evil",
    [
        "https://evil.example/",
        "//evil.example/",
        "///evil.example/",
        "http:evil.example",
        "\\\\evil.example",
        "javascript:alert(1)",
        "/\\evil.example",
        " //evil.example",
    ],
)
def test_no_address_leads_from_the_sign_in_page_to_another_site(evil: str) -> None:
    client = Client()
    assert "evil" not in content(client.get("/login/", {"next": evil}))
    answer = client.post(
        "/login/", {"username": "ana", "password": PASSWORD, "next": evil}
    )
    assert answer.headers["Location"] == "/"


@pytest.mark.usefixtures("person")
@pytest.mark.parametrize(
    ("name", "password"),
    [
        ("ana", "wrong"),
        ("nobody", PASSWORD),
        ("ANA", PASSWORD),
        ("ana", PASSWORD * 200),
    ],
)
def test_a_wrong_password_is_a_clear_sentence_that_does_not_say_which(
    name: str, password: str
) -> None:
    client = Client()
    answer = client.post(
        "/login/", {"username": name, "password": password, "next": "/runs/"}
    )
    assert answer.status_code == 200
    assert "Incorrect user name or password." in words(answer)
    assert 'name="next" value="/runs/"' in content(answer)
    assert f'value="{name}"' in content(answer)
    assert password not in content(answer)
    assert "_auth_user_id" not in client.session


@pytest.mark.parametrize(
    ("name", "password"),
    [("", ""), ("<script>x</script>", "x"), ("a\x00b", "x"), ("x" * 5000, "x")],
)
def test_bad_input_on_the_sign_in_page_is_answered_in_words(
    name: str, password: str
) -> None:
    answer = Client().post("/login/", {"username": name, "password": password})
    assert answer.status_code == 200
    assert 'role="alert"' in content(answer) or 'class="error"' in content(answer)
    assert "<script>x" not in content(answer)


def test_who_was_switched_off_cannot_sign_in(person: User) -> None:
    person.is_active = False
    person.save()
    answer = Client().post("/login/", {"username": "ana", "password": PASSWORD})
    assert "Incorrect user name or password" in words(answer)


def test_who_is_signed_in_is_not_asked_again(person: User) -> None:
    answer = client_of(person).get("/login/?next=/runs/")
    assert answer.headers["Location"] == "/runs/"


def test_signing_out_is_a_post_and_leads_to_the_sign_in_page(person: User) -> None:
    client = client_of(person)
    assert client.get("/logout/").status_code == 405
    assert client.post("/logout/").headers["Location"] == "/login/"
    assert client.get("/").status_code == 302


def test_a_password_is_changed_with_the_old_one_and_one_stays_signed_in(
    person: User,
) -> None:
    client, new = client_of(person), "another long pass phrase"
    page = content(client.get("/password_change/"))
    assert "Change password" in page
    assert 'autocomplete="new-password"' in page
    fields = {"new_password1": new, "new_password2": new}
    refused = client.post("/password_change/", {"old_password": "wrong", **fields})
    assert refused.status_code == 200
    assert 'class="error"' in content(refused)
    answer = client.post(
        "/password_change/", {"old_password": PASSWORD, **fields}, follow=True
    )
    assert "Your password was changed." in words(answer)
    person.refresh_from_db()
    assert person.check_password(new)


def test_a_weak_password_is_refused_with_the_reason(person: User) -> None:
    answer = client_of(person).post(
        "/password_change/",
        {"old_password": PASSWORD, "new_password1": "123", "new_password2": "123"},
    )
    assert "too short" in words(answer)
