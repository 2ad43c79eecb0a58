"""The pages that say what went wrong: a sentence, a way on, never a stack trace."""

from __future__ import annotations

import logging
from typing import Any

import pytest
from django.core.exceptions import PermissionDenied, SuspiciousOperation
from django.http import HttpRequest
from django.test import Client
from django.urls import include, path

from imports.models import AccessLevel
from tests.factories import ImportDefinitionFactory, UserFactory, grant

from .reading import HTMX, client_of, content, viewer, words

pytestmark = pytest.mark.django_db


def deny(_request: HttpRequest) -> Any:
    raise PermissionDenied("You may <b>not</b> do this here.")


def deny_without_words(_request: HttpRequest) -> Any:
    raise PermissionDenied


def suspect(_request: HttpRequest) -> Any:
    raise SuspiciousOperation("a secret detail")


def fail(_request: HttpRequest) -> Any:
    raise RuntimeError("a secret detail")


handler403 = "imports.views.system.forbidden"
handler404 = "imports.views.system.not_found"
urlpatterns = [
    path("deny/", deny),
    path("deny-without-words/", deny_without_words),
    path("suspect/", suspect),
    path("fail/", fail),
    path("", include("mcdash.urls")),
]


@pytest.fixture
def client() -> Client:
    client = client_of(UserFactory.create())
    client.raise_request_exception = False
    return client


@pytest.fixture(autouse=True)
def quiet(caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.CRITICAL, logger="django.request")


@pytest.mark.urls(__name__)
def test_a_refusal_says_its_sentence_as_text(client: Client) -> None:
    answer = client.get("/deny/")
    assert answer.status_code == 403
    assert "You may &lt;b&gt;not&lt;/b&gt; do this here." in content(answer)
    assert "Go to the dashboard" in words(answer)


@pytest.mark.urls(__name__)
def test_a_refusal_without_words_has_a_sentence_too(client: Client) -> None:
    assert "Ask an administrator" in words(client.get("/deny-without-words/"))


@pytest.mark.urls(__name__)
@pytest.mark.parametrize(("url", "status"), [("/suspect/", 400), ("/fail/", 500)])
def test_an_error_of_ours_tells_no_detail_and_a_way_on(
    client: Client, url: str, status: int
) -> None:
    answer = client.get(url)
    assert answer.status_code == status
    assert "a secret detail" not in content(answer)
    assert "Traceback" not in content(answer)
    assert 'href="/"' in content(answer)


@pytest.mark.urls(__name__)
def test_after_an_error_of_ours_one_is_told_to_look_before_pressing_again(
    client: Client,
) -> None:
    seen = words(client.get("/fail/"))
    assert "look in the History before you try again" in seen


@pytest.mark.parametrize("url", ["/nowhere/", "/definitions/x/", "/runs/1/"])
def test_what_is_not_there_says_nothing_about_what_is(client: Client, url: str) -> None:
    answer = client.get(url)
    assert answer.status_code == 404
    assert "Page not found" in words(answer)
    assert "No ImportRun matches" not in content(answer)
    assert "urlconf" not in content(answer).lower()


def test_a_stranger_gets_the_same_404_without_navigation() -> None:
    answer = Client().get("/nowhere/<script>alert(1)</script>")
    assert answer.status_code == 404
    assert "<script>alert" not in content(answer)
    assert '<nav aria-label="Main"' not in content(answer)


def test_an_unknown_host_is_a_400_in_words(client: Client) -> None:
    answer = client.get("/", headers={"Host": "evil.example"})
    assert answer.status_code == 400
    assert "mcdash isn’t set up for this address" in words(answer)
    assert "Go to the dashboard" not in words(answer)


@pytest.mark.parametrize(
    "template", ["/nowhere/", "/deny/", "/suspect/", "/fail/", "/login/"]
)
@pytest.mark.urls(__name__)
def test_every_such_page_obeys_the_policy(client: Client, template: str) -> None:
    answer = client.get(template)
    assert " style=" not in content(answer)
    policy = answer.headers["Content-Security-Policy"]
    assert "script-src 'self'" in policy
    assert "unsafe" not in policy


def test_a_form_without_its_token_is_refused_in_words_and_does_nothing() -> None:
    person = UserFactory.create()
    client = Client(enforce_csrf_checks=True)
    client.force_login(person)
    answer = client.post("/profile/", {"theme": "dark", "time_zone": "UTC"})
    assert answer.status_code == 403
    assert "This form was too old or came from another place" in words(answer)
    assert "CSRF" not in words(answer)
    person.refresh_from_db()
    assert person.theme == "system"


def test_a_start_without_its_token_starts_nothing() -> None:
    definition = ImportDefinitionFactory.create()
    person = UserFactory.create()
    grant(person, definition.account, AccessLevel.START)
    client = Client(enforce_csrf_checks=True)
    client.force_login(person)
    answer = client.post("/definitions/start/", {"chosen": f"{definition.pk}:x"})
    assert answer.status_code == 403
    assert definition.runs.count() == 0


def test_on_a_page_a_refusal_is_a_toast_on_that_page() -> None:
    definition = ImportDefinitionFactory.create(account__name="Nordlicht DE")
    answer = viewer(definition.account).get(
        f"/definitions/{definition.pk}/start/", headers=HTMX
    )
    assert answer.status_code == 403
    assert answer.headers["HX-Retarget"] == "#toasts"
    assert answer.headers["HX-Reswap"] == "beforeend"
    assert content(answer).strip().startswith('<div class="toast">')
    assert "You have view-only access to “Nordlicht DE”." in words(answer)


def test_on_a_page_what_is_gone_is_a_toast_and_a_stale_form_too() -> None:
    client = Client(enforce_csrf_checks=True)
    client.force_login(UserFactory.create())
    gone = client.get("/definitions/999/start/", headers=HTMX)
    assert gone.status_code == 404
    assert "Not found, or you don’t have access." in words(gone)
    stale = client.post("/definitions/999/favourite/", headers=HTMX)
    assert stale.status_code == 403
    assert stale.headers["HX-Retarget"] == "#toasts"


def test_a_poll_of_what_is_gone_brings_no_page_and_no_toast(client: Client) -> None:
    answer = client.get("/runs/999/?since=1", headers=HTMX)
    assert answer.status_code == 404
    assert "<" not in content(answer)
    assert "HX-Retarget" not in answer.headers


def test_a_very_long_refusal_is_cut() -> None:
    from django.test import RequestFactory

    from imports.views.system import forbidden

    request = RequestFactory().get("/", headers=HTMX)
    answer = forbidden(request, PermissionDenied("x" * 100_000))
    assert len(answer.content) < 2000
