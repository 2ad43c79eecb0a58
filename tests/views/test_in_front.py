"""What stands in front: paths, https, hosts and origins, as proxies hand them on."""

from __future__ import annotations

import logging
from typing import Any

import pytest
from django.http import HttpResponse
from django.test import Client, RequestFactory
from pytest_django import Settings

from imports import logs
from imports.middleware import PathMiddleware

from .reading import words


@pytest.mark.parametrize(
    ("asked", "seen"),
    [
        ("/runs/", "/runs/"),
        ("/mcdash/runs/", "/runs/"),
        ("/mcdash/", "/"),
        ("/mcdash", "/"),
        ("/mcdashing/", "/mcdashing/"),
        ("/", "/"),
    ],
)
def test_the_path_in_front_may_be_passed_on_or_taken_off(
    settings: Settings, asked: str, seen: str
) -> None:
    settings.FORCE_SCRIPT_NAME = "/mcdash"
    request = RequestFactory().get(asked)
    PathMiddleware(lambda _: HttpResponse())(request)
    assert (request.path_info, request.path) == (seen, f"/mcdash{seen}")


@pytest.fixture
def in_earnest(settings: Settings, monkeypatch: pytest.MonkeyPatch) -> None:
    settings.SECURE_SSL_REDIRECT = True
    settings.ALLOWED_HOSTS = ["dash.example", "other.example"]
    settings.MCDASH_TRUSTED_PROXIES = ["10.0.0.0/8"]
    settings.CSRF_TRUSTED_ORIGINS = ["https://dash.example:8443"]
    for name in logs.ABOUT_STRANGERS:  # caplog listens at the root
        monkeypatch.setattr(logging.getLogger(name), "propagate", True)


def ask(url: str = "/runs/?q=x", **meta: Any) -> Any:
    return Client().get(
        url, **{"HTTP_HOST": "dash.example", "REMOTE_ADDR": "10.0.0.1"} | meta
    )


@pytest.mark.usefixtures("in_earnest")
@pytest.mark.parametrize(
    ("host", "location"),
    [
        ("dash.example", "https://dash.example:8443/runs/?q=x"),
        ("dash.example:8080", "https://dash.example:8443/runs/?q=x"),
        ("other.example", "https://other.example/runs/?q=x"),
    ],
)
def test_plain_http_is_sent_to_the_port_where_https_is(
    host: str, location: str
) -> None:
    answer = ask(HTTP_HOST=host, HTTP_X_FORWARDED_PROTO="http")
    assert (answer.status_code, answer.headers["Location"]) == (301, location)
    assert "no-store" in answer.headers["Cache-Control"]


@pytest.mark.usefixtures("in_earnest")
@pytest.mark.parametrize(
    "sign", [{"HTTP_SEC_FETCH_SITE": "none"}, {"HTTP_ORIGIN": "https://dash.example:1"}]
)
@pytest.mark.parametrize(
    ("peer", "headers", "told"),
    [
        ("10.0.0.1", {}, "10.0.0.1 does not say whether a browser came by https"),
        ("192.0.2.9", {"HTTP_X_FORWARDED_PROTO": "https"}, "192.0.2.9 says how a"),
        ("", {"HTTP_FORWARDED": "proto=https"}, "behind the Unix socket says how a"),
        ("10.0.0.1", {"HTTP_X_FORWARDED_PROTO": "tls"}, "the scheme was 'tls'"),
    ],
)
def test_a_browser_that_came_by_https_is_never_sent_in_a_circle(
    caplog: pytest.LogCaptureFixture,
    sign: dict[str, str],
    peer: str,
    headers: dict[str, str],
    told: str,
) -> None:
    answer = ask(REMOTE_ADDR=peer, **headers, **sign)
    assert answer.status_code == 400
    assert "the proxy in front of mcdash doesn’t say so" in words(answer)
    assert "Location" not in answer.headers
    assert told in caplog.text


@pytest.mark.usefixtures("in_earnest")
@pytest.mark.parametrize("host", ["evil.example", "a\nb", "a b", "[::", "x" * 5000])
def test_an_unknown_host_is_told_to_the_operator_by_name(
    caplog: pytest.LogCaptureFixture, host: str
) -> None:
    answer = ask(HTTP_HOST=host)
    assert answer.status_code == 400
    assert "the name belongs in the setting MCDASH_HOSTS" in words(answer)
    assert "Content-Security-Policy" in answer.headers
    (record,) = (r for r in caplog.records if r.name == "imports.middleware")
    assert repr(host[:200]) in record.getMessage()
    assert "add it to MCDASH_HOSTS" in record.getMessage()
    assert len(record.getMessage()) < 600


@pytest.mark.django_db
@pytest.mark.usefixtures("in_earnest")
@pytest.mark.parametrize(
    ("where", "is_told"),
    [
        ({"HTTP_ORIGIN": "https://dash.example:9443"}, True),
        ({"HTTP_REFERER": "https://dash.example:9443/login/?next=/"}, True),
        ({"HTTP_ORIGIN": "null"}, True),
        # the token is what is wrong with these
        ({"HTTP_ORIGIN": "https://dash.example"}, False),
        ({"HTTP_ORIGIN": "https://dash.example:8443"}, False),
    ],
)
def test_a_form_from_another_address_names_both(
    caplog: pytest.LogCaptureFixture, where: dict[str, Any], is_told: bool
) -> None:
    answer = Client(enforce_csrf_checks=True).post(
        "/login/",
        {"username": "ana"},
        HTTP_HOST="dash.example",
        REMOTE_ADDR="10.0.0.1",
        HTTP_X_FORWARDED_PROTO="https",
        **where,
    )
    assert answer.status_code == 403
    sent = where.get("HTTP_ORIGIN", "https://dash.example:9443")
    said = [r.getMessage() for r in caplog.records if r.name == "imports.views.system"]
    assert bool(said) is is_told
    for text in [words(answer), *said] if is_told else []:
        assert sent in text
        assert "https://dash.example" in text.replace(sent, "")
        assert "MCDASH_TRUSTED_ORIGINS" in text
