"""Whose address and scheme are believed, and in which zone one reads."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Any

import pytest
from django.http import HttpRequest, HttpResponse
from django.test import RequestFactory
from django.utils import timezone
from pytest_django import Settings

from imports.middleware import (
    AnswerHeadersMiddleware,
    ReaderZoneMiddleware,
    TrustedProxyMiddleware,
)
from imports.models import AccessLevel, User
from tests.factories import ImportDefinitionFactory, UserFactory, grant

from .reading import a_worker_beats, client_of, words

PROXIES = ["10.0.0.0/8", "2001:db8::1", " 192.0.2.7 "]


def pass_through(settings: Settings, *, remote: str, **meta: Any) -> HttpRequest:
    """The request as the views behind the middleware see it."""
    settings.MCDASH_TRUSTED_PROXIES = PROXIES
    request = RequestFactory().get("/", REMOTE_ADDR=remote, **meta)
    TrustedProxyMiddleware(lambda _: HttpResponse())(request)
    return request


@pytest.mark.parametrize(
    ("remote", "forwarded", "client"),
    [
        ("10.1.2.3", "203.0.113.9", "203.0.113.9"),
        ("2001:db8::1", "203.0.113.9", "203.0.113.9"),
        ("192.0.2.7", "2001:db8:ffff::9", "2001:db8:ffff::9"),
        # proxies of our own in the chain are stepped over, from the right
        ("10.1.2.3", "203.0.113.9, 10.9.9.9", "203.0.113.9"),
        # what stands left of the first stranger proves nothing
        ("10.1.2.3", "198.51.100.1, 203.0.113.9", "203.0.113.9"),
        ("10.1.2.3", "10.5.5.5, 203.0.113.9, 10.9.9.9", "203.0.113.9"),
        ("10.1.2.3", "10.5.5.5", "10.5.5.5"),
        ("10.1.2.3", "", "10.1.2.3"),
        ("10.1.2.3", " , ,", "10.1.2.3"),
        ("10.1.2.3", "unknown", "10.1.2.3"),
        ("10.1.2.3", "203.0.113.9, unknown", "10.1.2.3"),
        ("10.1.2.3", "203.0.113.9:4711", "203.0.113.9"),
        ("10.1.2.3", "999.1.1.1", "10.1.2.3"),
        ("10.1.2.3", "<script>", "10.1.2.3"),
        ("10.1.2.3", "203.0.113.9," * 2000 + "bad", "10.1.2.3"),
        # nobody else is believed
        ("203.0.113.50", "198.51.100.1", "203.0.113.50"),
        ("127.0.0.1", "198.51.100.1", "127.0.0.1"),
        ("", "198.51.100.1", ""),
        ("nonsense", "198.51.100.1", "nonsense"),
    ],
)
def test_the_clients_address_is_taken_from_trusted_proxies_only(
    settings: Settings, remote: str, forwarded: str, client: str
) -> None:
    request = pass_through(settings, remote=remote, HTTP_X_FORWARDED_FOR=forwarded)
    assert request.META["REMOTE_ADDR"] == client


def test_a_proxy_seen_over_mapped_ipv6_is_the_same_proxy(settings: Settings) -> None:
    request = pass_through(
        settings, remote="::ffff:10.1.2.3", HTTP_X_FORWARDED_FOR="203.0.113.9"
    )
    assert request.META["REMOTE_ADDR"] == "203.0.113.9"


@pytest.mark.parametrize(
    ("remote", "proto", "is_secure"),
    [
        ("10.1.2.3", "https", True),
        ("10.1.2.3", " HTTPS ", True),
        ("10.1.2.3", "http", False),
        ("10.1.2.3", "https, http", True),
        ("10.1.2.3", "http, https", False),
        ("10.1.2.3", "garbage", False),
        ("10.1.2.3", "", False),
        ("203.0.113.50", "https", False),
    ],
)
def test_the_scheme_is_taken_from_trusted_proxies_only(
    settings: Settings, remote: str, proto: str, is_secure: bool
) -> None:
    request = pass_through(settings, remote=remote, HTTP_X_FORWARDED_PROTO=proto)
    assert request.is_secure() is is_secure


def test_a_proxy_behind_a_unix_socket_is_believed_where_it_is_named(
    settings: Settings,
) -> None:
    meta: Any = {"HTTP_X_FORWARDED_FOR": "203.0.113.9"}
    meta["HTTP_X_FORWARDED_PROTO"] = "https"
    for proxies, address, is_secure in (
        ([*PROXIES, "unix"], "203.0.113.9", True),
        (PROXIES, "", False),
    ):
        settings.MCDASH_TRUSTED_PROXIES = proxies
        request = RequestFactory().get("/", REMOTE_ADDR="", **meta)
        TrustedProxyMiddleware(lambda _: HttpResponse())(request)
        assert request.META["REMOTE_ADDR"] == address
        assert request.is_secure() is is_secure


@pytest.mark.parametrize(
    ("host", "headers", "seen"),
    [
        ("upstream:8000", {"HTTP_X_FORWARDED_HOST": "dash.example"}, "dash.example"),
        ("upstream", {"HTTP_X_FORWARDED_HOST": "dash.example:8443"}, None),
        ("dash.example", {"HTTP_X_FORWARDED_HOST": "evil.example"}, "dash.example"),
        ("dash.example", {"HTTP_X_FORWARDED_HOST": "a b"}, "dash.example"),
        ("dash.example", {"HTTP_X_FORWARDED_PORT": "8443"}, "dash.example:8443"),
        ("dash.example:1", {"HTTP_X_FORWARDED_PORT": "8443"}, "dash.example:1"),
        ("dash.example", {"HTTP_X_FORWARDED_PORT": "80"}, "dash.example"),
        ("dash.example", {"HTTP_X_FORWARDED_PORT": "80,x"}, "dash.example"),
        ("[2001:db8::1]", {"HTTP_X_FORWARDED_PORT": "81"}, "[2001:db8::1]:81"),
    ],
)
def test_host_and_port_are_taken_from_a_proxy_where_they_are_ours(
    settings: Settings, host: str, headers: dict[str, str], seen: str | None
) -> None:
    settings.ALLOWED_HOSTS = ["dash.example", "[2001:db8::1]"]
    request = pass_through(settings, remote="10.1.2.3", HTTP_HOST=host, **headers)
    assert request.META["HTTP_HOST"] == (seen or "dash.example:8443")
    stranger = pass_through(settings, remote="192.0.2.99", HTTP_HOST=host, **headers)
    assert stranger.META["HTTP_HOST"] == host


def test_without_trusted_proxies_nobody_is_believed(settings: Settings) -> None:
    settings.MCDASH_TRUSTED_PROXIES = []
    request = RequestFactory().get(
        "/", REMOTE_ADDR="10.1.2.3", HTTP_X_FORWARDED_FOR="203.0.113.9"
    )
    TrustedProxyMiddleware(lambda _: HttpResponse())(request)
    assert request.META["REMOTE_ADDR"] == "10.1.2.3"


@pytest.mark.parametrize(
    ("stored", "active"),
    [
        ("Asia/Tokyo", "Asia/Tokyo"),
        ("UTC", "UTC"),
        ("Europe/Atlantis", "UTC"),
        ("", "UTC"),
        ("../../etc/passwd", "UTC"),
        ("Europe", "UTC"),
        ("a\x00b", "UTC"),
    ],
)
def test_the_readers_zone_holds_for_the_request_and_no_longer(
    stored: str, active: str
) -> None:
    seen: list[str] = []

    def view(_request: HttpRequest) -> HttpResponse:
        seen.append(timezone.get_current_timezone_name())
        return HttpResponse()

    request: Any = RequestFactory().get("/")
    request.user = User(time_zone=stored)
    before = timezone.get_current_timezone_name()
    ReaderZoneMiddleware(view)(request)
    assert seen == [active]
    assert timezone.get_current_timezone_name() == before


@pytest.mark.django_db
def test_a_page_shows_times_in_the_readers_zone() -> None:
    a_worker_beats()
    seen_at = datetime(2026, 3, 12, 22, 30, tzinfo=UTC)
    definition = ImportDefinitionFactory.create(
        first_seen_at=seen_at, last_seen_at=seen_at
    )
    person = UserFactory.create(time_zone="Asia/Tokyo")
    grant(person, definition.account, AccessLevel.VIEW)
    page = client_of(person).get(f"/definitions/{definition.pk}/")
    assert b"Fri 13 Mar 2026, 07:30:00" in page.content
    assert "Facts" in words(page)


@pytest.mark.django_db
@pytest.mark.parametrize(
    ("url", "status"),
    [
        ("/accounts/", 200),
        ("/nowhere/", 404),
        ("/runs/1/", 404),
        ("/password_change/", 200),
        ("/password_change/done/", 200),
        ("/runs/?status=nonsense", 400),
        ("/admin/", 302),
    ],
)
def test_no_page_of_a_person_is_kept_by_anybody(url: str, status: int) -> None:
    answer = client_of(UserFactory.create()).get(url)
    assert answer.status_code == status
    for word in ("no-store", "private"):
        assert word in answer.headers["Cache-Control"]


def test_an_answer_that_may_be_kept_says_so_itself() -> None:
    kept = HttpResponse(headers={"Cache-Control": "max-age=60"})
    answer = AnswerHeadersMiddleware(lambda _: kept)(RequestFactory().get("/"))
    assert answer.headers["Cache-Control"] == "max-age=60"
