"""A page tells in which session it was made; another sign-in is noticed by that."""

from __future__ import annotations

import re
from typing import Any

import pytest
from django.conf import settings
from django.test import Client

from imports.models import AccessLevel, Favourite, ImportDefinition, User
from tests.factories import ImportDefinitionFactory, UserFactory, grant

from .reading import HTMX, content

pytestmark = pytest.mark.django_db
PAGE, POLL = "/accounts/", "/accounts/?since=1"
HEADER, TOKEN = "X-Page-Session", "X-CSRFToken"


@pytest.fixture
def definition() -> ImportDefinition:
    made: ImportDefinition = ImportDefinitionFactory.create()
    return made


@pytest.fixture
def ana(definition: ImportDefinition) -> User:
    person: User = UserFactory.create(username="ana")
    grant(person, definition.account, AccessLevel.START)
    return person


@pytest.fixture
def browser(ana: User) -> Client:
    client = Client(enforce_csrf_checks=True)
    client.force_login(ana)
    return client


def made_in(page: Any) -> tuple[str, str]:
    """The session that a page was made in, and its token."""
    session = re.search(r'data-session="([^"]+)"', content(page))
    token = re.search(r'"X-CSRFToken": "([^"]+)"', content(page))
    assert session
    assert token
    return session[1], token[1]


def told(session: str, token: str = "") -> dict[str, str]:
    return HTMX | {HEADER: session} | ({TOKEN: token} if token else {})


def favour(browser: Client, definition: ImportDefinition, headers: Any) -> int:
    url = f"/definitions/{definition.pk}/favourite/"
    answer = browser.post(url, {"wanted": "1"}, headers=headers)
    return int(answer.status_code)


def test_in_the_same_session_nothing_is_told(browser: Client) -> None:
    session, _ = made_in(browser.get(PAGE))
    for url in (POLL, "/session/?since=0"):
        answer = browser.get(url, headers=told(session))
        assert answer.status_code in (200, 204)
        assert HEADER not in answer.headers
        assert TOKEN not in answer.headers


@pytest.mark.parametrize("url", [POLL, "/session/?since=0"])
def test_after_another_sign_in_the_page_hears_of_it_and_its_forms_work(
    browser: Client, ana: User, definition: ImportDefinition, url: str
) -> None:
    session, token = made_in(browser.get(PAGE))
    browser.logout()
    assert browser.get(url, headers=told(session)).status_code == 401
    browser.cookies.clear()
    browser.force_login(ana)
    assert favour(browser, definition, told(session, token)) == 403
    answer = browser.get(url, headers=told(session))
    assert answer.status_code in (200, 204)
    newer = answer.headers[HEADER]
    assert newer != session
    assert newer == made_in(browser.get(PAGE))[0]
    headers = told(newer, answer.headers[TOKEN])
    assert favour(browser, definition, headers) == 200
    assert Favourite.objects.filter(user=ana).exists()


def test_a_form_with_the_token_of_before_is_refused_and_told_the_new_one(
    browser: Client, ana: User, definition: ImportDefinition
) -> None:
    session, token = made_in(browser.get(PAGE))
    browser.logout()
    browser.force_login(ana)
    url = f"/definitions/{definition.pk}/favourite/"
    answer = browser.post(url, {"wanted": "1"}, headers=told(session, token))
    assert answer.status_code == 403
    again = told(answer.headers[HEADER], answer.headers[TOKEN])
    assert favour(browser, definition, again) == 200


@pytest.mark.parametrize("method", ["get", "post"])
def test_a_page_of_somebody_else_is_refused_whatever_it_asks(
    browser: Client, definition: ImportDefinition, method: str
) -> None:
    session, _ = made_in(browser.get(PAGE))
    browser.logout()
    boris = UserFactory.create()
    grant(boris, definition.account, AccessLevel.START)
    browser.force_login(boris)
    own, token = made_in(browser.get(PAGE))
    url = f"/definitions/{definition.pk}/favourite/" if method == "post" else POLL
    ask = getattr(browser, method)
    answer = ask(url, {"wanted": "1"}, headers=told(session, token))
    assert answer.status_code == 409
    assert content(answer) == "Somebody else is signed in now."
    assert answer.headers[HEADER] == own
    assert TOKEN not in answer.headers
    assert not Favourite.objects.exists()


def test_the_session_of_a_page_gives_nothing_away(browser: Client, ana: User) -> None:
    page = browser.get(PAGE)
    session, _ = made_in(page)
    key = browser.cookies[settings.SESSION_COOKIE_NAME].value
    assert session.startswith(f"{ana.pk}.")
    assert key not in content(page)
    assert len(session.partition(".")[2]) == 16
    assert "data-session=" not in content(Client().get("/login/"))


@pytest.mark.parametrize("nonsense", ["x", "7", "999999999.0", "é", "." * 5000])
def test_what_cannot_be_read_is_a_page_of_somebody_else(
    browser: Client, nonsense: str
) -> None:
    answer = browser.get(POLL, headers=told(nonsense.encode().decode("latin-1")))
    assert answer.status_code == 409
