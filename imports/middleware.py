"""Who asks, over what, for how long, in which time zone, and what answers carry."""

from __future__ import annotations

import re
import secrets
import time
import zoneinfo
from collections.abc import Callable
from http import HTTPStatus
from ipaddress import ip_address, ip_network

from django.conf import settings
from django.contrib.auth import SESSION_KEY
from django.contrib.sessions.backends.base import SessionBase
from django.http import HttpRequest, HttpResponse
from django.urls import resolve, reverse
from django.utils import timezone
from django.utils.cache import add_never_cache_headers

from imports import logs, measures

GetResponse = Callable[[HttpRequest], HttpResponse]
# Seconds since 1970, in the session of whoever is signed in.
SIGNED_IN_AT, SEEN_AT = "signed_in_at", "seen_at"
SEEN_EVERY_SECONDS = 60
PERMISSIONS = "camera=(), geolocation=(), microphone=(), payment=(), usb=()"


REQUEST_ID = re.compile(r"[A-Za-z0-9-]{8,64}")
# What load balancers and scrapers ask.
FOR_MACHINES = ("healthz", "healthz_worker", "metrics")


class RequestIdMiddleware:
    """Every request has an id, on its log lines and in its answer: the one that it
    brings in X-Request-ID if that is one, else a new one.
    """

    def __init__(self, get_response: GetResponse) -> None:
        self.get_response = get_response

    def __call__(self, request: HttpRequest) -> HttpResponse:
        brought = request.headers.get("X-Request-ID", "")
        known = REQUEST_ID.fullmatch(brought) is not None
        request_id = brought if known else secrets.token_hex(8)
        # Django tells of refused requests once its middleware is done
        request.META[logs.REQUEST_ID_KEY] = request_id
        with logs.about(request=request_id):
            response = self.get_response(request)
        response.headers["X-Request-ID"] = request_id
        return response


class MeasureMiddleware:
    """Counts requests and how long they took, by route, never by address."""

    def __init__(self, get_response: GetResponse) -> None:
        self.get_response = get_response

    def __call__(self, request: HttpRequest) -> HttpResponse:
        began = time.monotonic()
        response = self.get_response(request)
        match = request.resolver_match
        measures.note_request(
            route=(match and match.view_name) or "unresolved",
            method=request.method or "",
            status=response.status_code,
            seconds=time.monotonic() - began,
        )
        return response


class ForMachinesMiddleware:
    """Answers load balancers and scrapers before anything asks for a host name, a
    session or https: they call processes by number and have none of these.
    """

    def __init__(self, get_response: GetResponse) -> None:
        self.get_response = get_response
        self.paths = frozenset(reverse(name) for name in FOR_MACHINES)

    def __call__(self, request: HttpRequest) -> HttpResponse:
        if request.path_info not in self.paths:
            return self.get_response(request)
        match = request.resolver_match = resolve(request.path_info)
        response: HttpResponse = match.func(request, *match.args, **match.kwargs)
        response.headers["Content-Length"] = str(len(response.content))
        if request.method == "HEAD":
            response.content = b""
        return response


class TrustedProxyMiddleware:
    """Take the client's address and scheme from the proxies of
    MCDASH_TRUSTED_PROXIES, and from nobody else.

    The rightmost address in X-Forwarded-For that is not itself a trusted proxy
    is the client (RFC 7239, section 8.1 on why the others prove nothing).
    """

    def __init__(self, get_response: GetResponse) -> None:
        self.get_response = get_response
        self.networks = [
            ip_network(text.strip(), strict=False)
            for text in settings.MCDASH_TRUSTED_PROXIES
        ]

    def __call__(self, request: HttpRequest) -> HttpResponse:
        if self._is_trusted(request.META.get("REMOTE_ADDR", "")):
            self._believe(request)
        return self.get_response(request)

    def _is_trusted(self, address: str) -> bool:
        try:
            client = ip_address(address.strip())
        except ValueError:
            return False
        # a socket of both families shows IPv4 clients as ::ffff:10.0.0.1
        client = getattr(client, "ipv4_mapped", None) or client
        return any(client in network for network in self.networks)

    def _believe(self, request: HttpRequest) -> None:
        chain = request.META.get("HTTP_X_FORWARDED_FOR", "").split(",")
        for address in reversed([part.strip() for part in chain if part.strip()]):
            if not _is_address(address):
                break
            request.META["REMOTE_ADDR"] = address
            if not self._is_trusted(address):
                break
        if request.META.get("HTTP_X_FORWARDED_PROTO", "").strip().lower() == "https":
            request.META["wsgi.url_scheme"] = "https"


def _is_address(text: str) -> bool:
    try:
        ip_address(text)
    except ValueError:
        return False
    return True


class SessionEndMiddleware:
    """A session ends when nobody used it for MCDASH_SESSION_IDLE_SECONDS, and in any
    case MCDASH_SESSION_SECONDS after the sign-in. Polls are no use: a page that was
    left open asks by itself.
    """

    def __init__(self, get_response: GetResponse) -> None:
        self.get_response = get_response

    def __call__(self, request: HttpRequest) -> HttpResponse:
        if SESSION_KEY in request.session:
            _end_or_note_use(request, request.session)
        return self.get_response(request)


def begin_session(request: HttpRequest, **_: object) -> None:
    """Somebody signed in: their session's time runs from now."""
    now = _now()
    request.session[SIGNED_IN_AT] = request.session[SEEN_AT] = now


def _end_or_note_use(request: HttpRequest, session: SessionBase) -> None:
    now = _now()
    idle = now - session.get(SEEN_AT, 0)
    if (
        idle > settings.MCDASH_SESSION_IDLE_SECONDS
        or now - session.get(SIGNED_IN_AT, 0) > settings.MCDASH_SESSION_SECONDS
    ):
        session.flush()
    elif not is_poll(request) and idle >= SEEN_EVERY_SECONDS:
        session[SEEN_AT] = now


def is_poll(request: HttpRequest) -> bool:
    """Whether a page asks by itself what is new."""
    return (
        request.method in ("GET", "HEAD")
        and "since" in request.GET
        and "HX-Request" in request.headers
    )


def _now() -> int:
    return int(timezone.now().timestamp())


class AnswerHeadersMiddleware:
    """No answer is kept by browsers or proxies unless it says so itself, none is for
    pages of other sites, and none may use what the browser could give it.
    """

    def __init__(self, get_response: GetResponse) -> None:
        self.get_response = get_response

    def __call__(self, request: HttpRequest) -> HttpResponse:
        response = self.get_response(request)
        if "Cache-Control" not in response:
            add_never_cache_headers(response)
        response.setdefault("Cross-Origin-Resource-Policy", "same-origin")
        if response.status_code == HTTPStatus.NO_CONTENT:  # each byte is often sent
            del response["Content-Type"]
        else:
            response.setdefault("Permissions-Policy", PERMISSIONS)
        return response


class ReaderZoneMiddleware:
    """Dates are shown in the reader's time zone."""

    def __init__(self, get_response: GetResponse) -> None:
        self.get_response = get_response

    def __call__(self, request: HttpRequest) -> HttpResponse:
        name = getattr(request.user, "time_zone", "UTC")
        with timezone.override(_zone(name)):
            return self.get_response(request)


def _zone(name: str) -> zoneinfo.ZoneInfo:
    try:
        return zoneinfo.ZoneInfo(name)
    except (zoneinfo.ZoneInfoNotFoundError, ValueError):
        return zoneinfo.ZoneInfo("UTC")
