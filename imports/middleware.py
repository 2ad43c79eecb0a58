"""Who asks, over what, for how long, in which time zone, and what answers carry."""

from __future__ import annotations

import logging
import re
import secrets
import time
import zoneinfo
from collections.abc import Callable
from dataclasses import dataclass
from http import HTTPStatus
from ipaddress import ip_address, ip_network

from django.conf import settings
from django.contrib.auth import SESSION_KEY
from django.contrib.sessions import middleware as sessions
from django.contrib.sessions.backends.base import SessionBase, UpdateError
from django.contrib.sessions.exceptions import SessionInterrupted
from django.core.exceptions import DisallowedHost
from django.db import DatabaseError
from django.http import HttpRequest, HttpResponse, HttpResponsePermanentRedirect
from django.http.request import split_domain_port, validate_host
from django.urls import get_script_prefix, resolve, reverse
from django.utils import timezone
from django.utils.cache import add_never_cache_headers, patch_vary_headers

from imports import forwarded, logs, metrics
from imports.models.storage import STORAGE, brief_transaction, refusal_of
from imports.views import system

log = logging.getLogger(__name__)

GetResponse = Callable[[HttpRequest], HttpResponse]
# Seconds since 1970, in the session of whoever is signed in.
SIGNED_IN_AT, SEEN_AT = "signed_in_at", "seen_at"
SEEN_EVERY_SECONDS = 60
# When sessions were used that could not be saved, by their keys.
MOST_REMEMBERED = 10_000
_unsaved_use: dict[str, int] = {}
SAFE_METHODS = ("GET", "HEAD")
PERMISSIONS = "camera=(), geolocation=(), microphone=(), payment=(), usb=()"


REQUEST_ID = re.compile(r"[A-Za-z0-9-]{8,64}")
# What load balancers and scrapers ask.
FOR_MACHINES = ("healthz", "healthz_worker", "metrics")
PEER_KEY = "mcdash.peer"
LONGEST_LOGGED = 200


@dataclass(frozen=True, kw_only=True, slots=True)
class Peer:
    """Who holds the other end of the connection, before any header is believed."""

    address: str
    is_trusted: bool

    def __str__(self) -> str:
        return self.address or "behind the Unix socket"


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
        metrics.count_request(
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
        # addresses begin with MCDASH_PATH, the paths that are asked for do not
        prefix = get_script_prefix()
        self.paths = frozenset(
            "/" + reverse(name).removeprefix(prefix) for name in FOR_MACHINES
        )

    def __call__(self, request: HttpRequest) -> HttpResponse:
        if request.path_info not in self.paths:
            return self.get_response(request)
        match = request.resolver_match = resolve(request.path_info)
        response: HttpResponse = match.func(request, *match.args, **match.kwargs)
        response.headers["Content-Length"] = str(len(response.content))
        if request.method == "HEAD":
            response.content = b""
        return response


class PathMiddleware:
    """Takes MCDASH_PATH off the path of a request, where the proxy in front passes it
    on as it came; one that takes it off itself is as good.
    """

    def __init__(self, get_response: GetResponse) -> None:
        self.get_response = get_response
        self.prefix = settings.FORCE_SCRIPT_NAME or ""

    def __call__(self, request: HttpRequest) -> HttpResponse:
        path = request.path_info
        if self.prefix and (path == self.prefix or path.startswith(f"{self.prefix}/")):
            # as Django takes an address that ends before its slash
            request.path_info = path.removeprefix(self.prefix) or "/"
            request.META["PATH_INFO"] = request.path_info
            request.path = f"{self.prefix}{request.path_info}"
        return self.get_response(request)


class TrustedProxyMiddleware:
    """Takes the client's address, scheme and host from what the proxies of
    MCDASH_TRUSTED_PROXIES say, and from nobody else. How it is read, and which of
    several counts, stands in `imports/forwarded.py`.

    A host is believed only where MCDASH_HOSTS has it: a proxy may pass on whatever a
    client sent along.
    """

    def __init__(self, get_response: GetResponse) -> None:
        self.get_response = get_response
        proxies = [text.strip() for text in settings.MCDASH_TRUSTED_PROXIES]
        self.trusts_sockets = forwarded.UNIX_SOCKET in proxies
        self.networks = [
            ip_network(text, strict=False)
            for text in proxies
            if text != forwarded.UNIX_SOCKET
        ]

    def __call__(self, request: HttpRequest) -> HttpResponse:
        address = request.META.get("REMOTE_ADDR", "")
        peer = Peer(address=address, is_trusted=self._is_trusted(address))
        request.META[PEER_KEY] = peer
        if peer.is_trusted:
            self._believe(request, peer)
        return self.get_response(request)

    def _is_trusted(self, address: str) -> bool:
        if not address:  # a Unix socket's other end has none
            return self.trusts_sockets
        try:
            client = ip_address(address.strip())
        except ValueError:
            return False
        # a socket of both families shows IPv4 clients as ::ffff:10.0.0.1
        client = getattr(client, "ipv4_mapped", None) or client
        return any(client in network for network in self.networks)

    def _believe(self, request: HttpRequest, peer: Peer) -> None:
        told = forwarded.read(
            request.headers, peer=peer.address, is_trusted=self._is_trusted
        )
        request.META["REMOTE_ADDR"] = told.client
        if told.scheme:
            request.META["wsgi.url_scheme"] = told.scheme
        elif told.unread:
            log.warning(
                "The proxy %s says that the scheme was %r, which is neither https nor "
                "http, so it counts as not said",
                *(peer, told.unread[:LONGEST_LOGGED]),
            )
        host, port = split_domain_port(told.host.lower())
        if host and validate_host(host, settings.ALLOWED_HOSTS):
            request.META["HTTP_HOST"] = f"{host}:{port}" if port else host
        _add_port(request, told.port)


def _add_port(request: HttpRequest, port: str) -> None:
    """The port that the browser asked for, where the host was passed on without it."""
    host = request.META.get("HTTP_HOST", "").lower()
    is_usual = port == forwarded.USUAL_PORTS.get(request.scheme or "")
    if port and not is_usual and split_domain_port(host) == (host, ""):
        request.META["HTTP_HOST"] = f"{host}:{port}"


class KnownHostMiddleware:
    """Refuses a request for a host that MCDASH_HOSTS does not have, and says so."""

    def __init__(self, get_response: GetResponse) -> None:
        self.get_response = get_response

    def __call__(self, request: HttpRequest) -> HttpResponse:
        try:
            request.get_host()
        except DisallowedHost:
            log.warning(
                "Refused a request for the host %r from %s. If people reach mcdash "
                "under that name, add it to MCDASH_HOSTS; if a proxy in front made it "
                "up, let it pass on the one that the browser sent",
                request.META.get("HTTP_HOST", "")[:LONGEST_LOGGED],
                request.META[PEER_KEY],
            )
            return system.unknown_host(request)
        return self.get_response(request)


class HttpsMiddleware:
    """Sends browsers from http to https, to the port of MCDASH_HOSTS or
    MCDASH_TRUSTED_ORIGINS where one is named for that host, but never in a circle.

    A browser that is on https already cannot be sent there again: it is the proxy that
    does not say so, and the page says what to change.
    """

    def __init__(self, get_response: GetResponse) -> None:
        self.get_response = get_response

    def __call__(self, request: HttpRequest) -> HttpResponse:
        if request.is_secure() or not settings.SECURE_SSL_REDIRECT:
            return self.get_response(request)
        _tell_why_it_is_http(request)
        host = request.get_host()
        if _came_by_https(request, host):
            return system.not_by_https(request)
        # never kept by a browser: the proxy may be mended tomorrow
        return HttpResponsePermanentRedirect(
            f"{_https_origin(host)}{request.get_full_path()}"
        )


def _tell_why_it_is_http(request: HttpRequest) -> None:
    """On the log, where a proxy may be set up wrongly."""
    peer: Peer = request.META[PEER_KEY]
    names = (*forwarded.SCHEME_HEADERS, "Forwarded")
    is_said = any(name in request.headers for name in names)
    if is_said and not peer.is_trusted:
        log.warning(
            "%s says how a browser reached it, and is not believed: it is not in "
            "MCDASH_TRUSTED_PROXIES. So the request counts as plain http",
            peer,
        )
    elif peer.is_trusted and not is_said:
        log.warning(
            "The proxy %s does not say whether a browser came by https: it must set "
            "X-Forwarded-Proto. So the request counts as plain http",
            peer,
        )


def _came_by_https(request: HttpRequest, host: str) -> bool:
    """Whether the browser gives away that it did: it sends Sec-Fetch-Site to https
    alone (and to its own machine), and only a page by https has such an Origin.
    """
    name, _ = split_domain_port(host)
    is_local = name in settings.LOOPBACK_HOSTS or name.endswith(".localhost")
    if "Sec-Fetch-Site" in request.headers and not is_local:
        return True
    return request.headers.get("Origin", "").startswith(f"https://{name}")


def _https_origin(host: str) -> str:
    name, _ = split_domain_port(host)
    for origin in settings.CSRF_TRUSTED_ORIGINS:
        if origin == f"https://{name}" or origin.startswith(f"https://{name}:"):
            return origin
    return f"https://{host}"


class SessionMiddleware(sessions.SessionMiddleware):
    """Django's, but a database that takes no writes spoils no page. That a session was
    used, or that a message was shown, is saved where that is possible; only a sign-in
    is nothing without its session.
    """

    def process_response(
        self, request: HttpRequest, response: HttpResponse
    ) -> HttpResponse:
        session = request.session
        given = request.COOKIES.get(settings.SESSION_COOKIE_NAME)
        is_known = session.session_key is not None and session.session_key == given
        if is_known and session.modified and request.method in SAFE_METHODS:
            _save_if_possible(session)
        try:
            return super().process_response(request, response)
        except (SessionInterrupted, DatabaseError) as error:
            if not STORAGE.note_refusal(error, has_waited=True):
                raise
        if not is_known:
            return system.not_saved(request, is_certain=False)
        patch_vary_headers(response, ("Cookie",))
        return response


def _save_if_possible(session: SessionBase) -> None:
    """One that was deleted meanwhile is left to Django."""
    try:
        if not STORAGE.was_refused_just_now:
            with brief_transaction():
                session.save()
            STORAGE.note_success()
            _unsaved_use.pop(str(session.session_key), None)
    except (UpdateError, DatabaseError) as error:
        if not STORAGE.note_refusal(error):
            return
    session.modified = False


class UnwritableMiddleware:
    """What cannot be saved is not done: 503, and a page that says so."""

    def __init__(self, get_response: GetResponse) -> None:
        self.get_response = get_response

    def __call__(self, request: HttpRequest) -> HttpResponse:
        return self.get_response(request)

    def process_exception(
        self, request: HttpRequest, exception: Exception
    ) -> HttpResponse | None:
        refusal = refusal_of(exception)
        if refusal is None:
            return None
        STORAGE.note_refusal(exception, has_waited=True)
        return system.not_saved(request, is_certain=refusal.is_certain)


class SessionEndMiddleware:
    """A session ends when nobody used it for MCDASH_SESSION_IDLE_SECONDS, and in any
    case MCDASH_SESSION_SECONDS after the sign-in. Polls are no use: a page that was
    left open asks by itself.

    While the database cannot be written this process remembers the use itself, so that
    somebody who reads is not signed out where nobody can sign in.
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
    now, key = _now(), str(session.session_key)
    idle = now - max(session.get(SEEN_AT, 0), _unsaved_use.get(key, 0))
    if (
        idle > settings.MCDASH_SESSION_IDLE_SECONDS
        or now - session.get(SIGNED_IN_AT, 0) > settings.MCDASH_SESSION_SECONDS
    ):
        _unsaved_use.pop(key, None)
        _end(request, session)
    elif not is_poll(request) and idle >= SEEN_EVERY_SECONDS:
        session[SEEN_AT] = now
        _remember_use(key, now)


def _remember_use(key: str, now: int) -> None:
    _unsaved_use[key] = now
    while len(_unsaved_use) > MOST_REMEMBERED:
        _unsaved_use.pop(next(iter(_unsaved_use)), None)


def _end(request: HttpRequest, session: SessionBase) -> None:
    try:
        with brief_transaction():
            session.flush()
    except DatabaseError as error:
        if not STORAGE.note_refusal(error):
            raise
        # its row stays for now, and is found ended whenever it is used
        request.session = type(session)()


def is_poll(request: HttpRequest) -> bool:
    """Whether a page asks by itself what is new."""
    return (
        request.method in SAFE_METHODS
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
