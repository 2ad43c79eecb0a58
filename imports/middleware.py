"""What is done around every request: what any answer needs, who asks and how they came
here, and how long they stay signed in.

What a proxy says is believed only of those in MCDASH_TRUSTED_PROXIES; how it is read is
in `imports/forwarded.py`. While the database cannot be written, pages that only read go
on: it must be no harm that a session cannot be saved, and nobody may be signed out for
not having been seen.
"""

from __future__ import annotations

import logging
import random
import re
import secrets
import time
import zoneinfo
from collections.abc import Callable
from functools import cached_property
from http import HTTPStatus
from ipaddress import IPv4Network, IPv6Network, ip_address, ip_network

from django.conf import settings
from django.contrib.auth import SESSION_KEY
from django.contrib.sessions import middleware as sessions
from django.contrib.sessions.backends.base import SessionBase, UpdateError
from django.contrib.sessions.exceptions import SessionInterrupted
from django.core.exceptions import DisallowedHost
from django.db import DatabaseError
from django.http import HttpRequest, HttpResponse, HttpResponsePermanentRedirect
from django.http.request import split_domain_port, validate_host
from django.urls import resolve
from django.utils import timezone
from django.utils.cache import add_never_cache_headers, patch_vary_headers
from django.utils.deprecation import MiddlewareMixin

from imports import forwarded, logs, metrics
from imports.models.storage import STORAGE, brief_transaction, refusal_of
from imports.views import system
from imports.views.pace import PACE, RETRY_SECONDS

log = logging.getLogger(__name__)


class Middleware(MiddlewareMixin):
    """Django's, for what runs in one thread from a request to its answer."""

    async_capable = False
    get_response: Callable[[HttpRequest], HttpResponse]


# What any answer needs

# As nginx, load balancers and tracers make them: people search the log for it, so it
# must be long enough to be the only one, and hold nothing that a log line could hide.
REQUEST_ID = re.compile(r"[A-Za-z0-9-]{8,64}")
FOR_MACHINES = frozenset({"/healthz", "/healthz/worker", "/metrics"})
SAFE_METHODS = ("GET", "HEAD")
PERMISSIONS = "camera=(), geolocation=(), microphone=(), payment=(), usb=()"


def is_poll(request: HttpRequest) -> bool:
    """Whether a page that is open asks by itself what is new."""
    is_htmx = "HX-Request" in request.headers
    return is_htmx and request.method in SAFE_METHODS and "since" in request.GET


class RequestIdMiddleware(Middleware):
    """An id for every request, on its log lines and in its answer: the one that it
    brings in X-Request-ID, if that is one.
    """

    def __call__(self, request: HttpRequest) -> HttpResponse:
        request_id = request.headers.get("X-Request-ID", "")
        if not REQUEST_ID.fullmatch(request_id):
            request_id = secrets.token_hex(8)
        # Django logs refused requests when its middleware, and `about` with it, is done
        request.META[logs.REQUEST_ID_KEY] = request_id
        with logs.about(request=request_id):
            response = self.get_response(request)
        response.headers["X-Request-ID"] = request_id
        return response


class MetricsMiddleware(Middleware):
    """Counts requests and how long they took, by route: addresses hold ids, and of
    those there are many.
    """

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


class PaceMiddleware(Middleware):
    """Measures what polls cost, and sends one away where they have taken all the
    threads that they may have: before anything is read for it.
    """

    def __call__(self, request: HttpRequest) -> HttpResponse:
        if not is_poll(request):
            return self.get_response(request)
        with PACE.poll() as is_admitted:
            if not is_admitted:
                # as RFC 9110 has it, section 15.6.4
                busy = HttpResponse("Too many pages ask at once.", status=503)
                # Django would log an error for each of them
                vars(busy)["_has_been_logged"] = True
                busy.headers["Retry-After"] = str(random.randint(*RETRY_SECONDS))  # noqa: S311 - no secret
                return busy
            return self.get_response(request)


class ForMachinesMiddleware(Middleware):
    """Answers load balancers and scrapers before anything asks for a host name, a
    session or https: they call a process by its number and have none of these.
    """

    def process_request(self, request: HttpRequest) -> HttpResponse | None:
        if request.path_info not in FOR_MACHINES:
            return None
        match = request.resolver_match = resolve(request.path_info)
        response: HttpResponse = match.func(request, *match.args, **match.kwargs)
        # what CommonMiddleware and the server would do
        response.headers["Content-Length"] = str(len(response.content))
        if request.method == "HEAD":
            response.content = b""
        return response


class AnswerHeadersMiddleware(Middleware):
    """No answer is kept by browsers or proxies unless it says so itself, none is for
    pages of other sites, and none may use the camera and the like.
    """

    def __call__(self, request: HttpRequest) -> HttpResponse:
        response = self.get_response(request)
        if "Cache-Control" not in response:
            add_never_cache_headers(response)
        response.setdefault("Cross-Origin-Resource-Policy", "same-origin")
        # 204 is the answer to most polls, so it carries no byte that it can do without
        if response.status_code == HTTPStatus.NO_CONTENT:
            del response["Content-Type"]
        else:
            response.setdefault("Permissions-Policy", PERMISSIONS)
        return response


class UnwritableMiddleware(Middleware):
    """What cannot be saved is not done: 503, and a page that says so."""

    def process_exception(
        self, request: HttpRequest, exception: Exception
    ) -> HttpResponse | None:
        refusal = refusal_of(exception)
        if refusal is None:
            return None
        STORAGE.note_refusal(exception, has_waited=True)
        return system.not_saved(request, is_certain=refusal.is_certain)


class ReaderZoneMiddleware(Middleware):
    """Dates are shown in the reader's time zone."""

    def __call__(self, request: HttpRequest) -> HttpResponse:
        try:
            zone = zoneinfo.ZoneInfo(getattr(request.user, "time_zone", "UTC"))
        except (zoneinfo.ZoneInfoNotFoundError, ValueError):
            # saved when the machine's zones were others
            zone = zoneinfo.ZoneInfo("UTC")
        with timezone.override(zone):
            return self.get_response(request)


# Who asks, and under which address they reached us

# Who holds the other end of the connection, before any header is believed, and whether
# it is one of our proxies.
PEER_KEY, IS_TRUSTED_KEY = "mcdash.peer", "mcdash.peer_is_trusted"
LONGEST_LOGGED = 200


class PathMiddleware(Middleware):
    """Takes MCDASH_PATH off the path of a request, where the proxy in front passes it
    on as it came; one that takes it off itself is as good.
    """

    def process_request(self, request: HttpRequest) -> None:
        path, prefix = request.path_info, settings.FORCE_SCRIPT_NAME or ""
        if prefix and (path == prefix or path.startswith(f"{prefix}/")):
            # as Django takes an address that ends before its slash
            request.path_info = path.removeprefix(prefix) or "/"
            request.META["PATH_INFO"] = request.path_info
            request.path = f"{prefix}{request.path_info}"


class TrustedProxyMiddleware(Middleware):
    """Takes the client's address, the scheme and the host from what trusted proxies
    say; a host only where MCDASH_HOSTS has it, since a proxy may pass on whatever a
    client sent along.
    """

    @cached_property
    def networks(self) -> list[IPv4Network | IPv6Network]:
        proxies = {text.strip() for text in settings.MCDASH_TRUSTED_PROXIES}
        networks = proxies - {forwarded.UNIX_SOCKET}
        return [ip_network(text, strict=False) for text in networks]

    def process_request(self, request: HttpRequest) -> None:
        peer = request.META.get("REMOTE_ADDR", "")
        request.META[PEER_KEY] = peer or "behind the Unix socket"
        request.META[IS_TRUSTED_KEY] = self.is_trusted(peer)
        if request.META[IS_TRUSTED_KEY]:
            self.believe(request, peer)

    def is_trusted(self, address: str) -> bool:
        if not address:  # a Unix socket's other end has none
            return forwarded.UNIX_SOCKET in settings.MCDASH_TRUSTED_PROXIES
        try:
            client = ip_address(address.strip())
        except ValueError:
            return False
        # a socket of both families shows IPv4 clients as ::ffff:10.0.0.1
        client = getattr(client, "ipv4_mapped", None) or client
        return any(client in network for network in self.networks)

    def believe(self, request: HttpRequest, peer: str) -> None:
        """Makes the request what it was when it met the outermost trusted proxy."""
        original = forwarded.read(
            request.headers, peer=peer, is_trusted=self.is_trusted
        )
        request.META["REMOTE_ADDR"] = original.client
        if original.scheme:
            request.META["wsgi.url_scheme"] = original.scheme
        elif original.unknown_scheme:
            log.warning(
                "The proxy %s says that the scheme was %r, which is neither https nor "
                "http, so it counts as not said",
                request.META[PEER_KEY],
                original.unknown_scheme[:LONGEST_LOGGED],
            )
        host, port = split_domain_port(original.host.lower())
        if host and validate_host(host, settings.ALLOWED_HOSTS):
            request.META["HTTP_HOST"] = f"{host}:{port}" if port else host
        # the port that the browser asked for, where the host came without it
        host = request.META.get("HTTP_HOST", "").lower()
        usual_port = forwarded.USUAL_PORTS.get(request.scheme or "")
        has_none = split_domain_port(host) == (host, "")
        if has_none and original.port not in ("", usual_port):
            request.META["HTTP_HOST"] = f"{host}:{original.port}"


class KnownHostMiddleware(Middleware):
    """Refuses a request for a host that MCDASH_HOSTS does not have, and says so."""

    def process_request(self, request: HttpRequest) -> HttpResponse | None:
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
            return system.not_set_up(request, system.UNKNOWN_HOST)
        return None


class HttpsMiddleware(Middleware):
    """Sends browsers from http to https, to the port of MCDASH_HOSTS or
    MCDASH_TRUSTED_ORIGINS where one is named for that host. One that is on https
    already would come in a circle: it is the proxy that does not say so, and the page
    says what to change.
    """

    def process_request(self, request: HttpRequest) -> HttpResponse | None:
        if request.is_secure() or not settings.SECURE_SSL_REDIRECT:
            return None
        _log_a_wrong_proxy(request)
        host = request.get_host()
        name, _ = split_domain_port(host)
        if _came_by_https(request, name):
            return system.not_set_up(request, system.NOT_BY_HTTPS)
        origin = f"https://{name}"
        named = (
            known
            for known in settings.CSRF_TRUSTED_ORIGINS
            if known == origin or known.startswith(f"{origin}:")
        )
        # never kept by a browser: the proxy may be mended tomorrow
        return HttpResponsePermanentRedirect(
            f"{next(named, f'https://{host}')}{request.get_full_path()}"
        )


def _log_a_wrong_proxy(request: HttpRequest) -> None:
    """Plain http may be what it is, or the fault of a proxy or of a setting."""
    names = (*forwarded.SCHEME_HEADERS, "Forwarded")
    is_said = any(name in request.headers for name in names)
    is_trusted = request.META[IS_TRUSTED_KEY]
    if is_said and not is_trusted:
        log.warning(
            "%s says how a browser reached it, and is not believed: it is not in "
            "MCDASH_TRUSTED_PROXIES. So the request counts as plain http",
            request.META[PEER_KEY],
        )
    elif is_trusted and not is_said:
        log.warning(
            "The proxy %s does not say whether a browser came by https: it must set "
            "X-Forwarded-Proto. So the request counts as plain http",
            request.META[PEER_KEY],
        )


def _came_by_https(request: HttpRequest, name: str) -> bool:
    """Whether the browser gives away that it did: it sends Sec-Fetch-Site to https
    alone (and to its own machine), and only a page by https has such an Origin.
    """
    is_local = name in settings.LOOPBACK_HOSTS or name.endswith(".localhost")
    if "Sec-Fetch-Site" in request.headers and not is_local:
        return True
    return request.headers.get("Origin", "").startswith(f"https://{name}")


# How long somebody stays signed in

# Seconds since 1970, in the session of whoever is signed in.
SIGNED_IN_AT, SEEN_AT = "signed_in_at", "seen_at"
# Each time it is noted is a write, and a page is often several requests.
SEEN_EVERY_SECONDS = 60
# When sessions were last used, by their keys, until that is saved; the oldest first.
MOST_REMEMBERED = 10_000
_unsaved_use: dict[str, int] = {}


class SessionMiddleware(sessions.SessionMiddleware):
    """Django's, but a database that takes no writes spoils no page: only a sign-in is
    nothing without its session.
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
        if not is_known:  # somebody who signed in, and is not signed in
            return system.not_saved(request, is_certain=False)
        # as Django does, after the step that failed
        patch_vary_headers(response, ("Cookie",))
        return response


def _save_if_possible(session: SessionBase) -> None:
    """Leaves a session that was deleted meanwhile to Django."""
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


class SessionEndMiddleware(Middleware):
    """A session ends when nobody used it for MCDASH_SESSION_IDLE_SECONDS, and in any
    case MCDASH_SESSION_SECONDS after the sign-in.
    """

    def process_request(self, request: HttpRequest) -> None:
        session = request.session
        if SESSION_KEY not in session:
            return
        now, key = int(time.time()), str(session.session_key)
        idle = now - max(session.get(SEEN_AT, 0), _unsaved_use.get(key, 0))
        age = now - session.get(SIGNED_IN_AT, 0)
        most_idle = settings.MCDASH_SESSION_IDLE_SECONDS
        if idle > most_idle or age > settings.MCDASH_SESSION_SECONDS:
            _unsaved_use.pop(key, None)
            _end(request)
        # a poll is no use: a page that was left open asks by itself
        elif idle >= SEEN_EVERY_SECONDS and not is_poll(request):
            session[SEEN_AT] = _unsaved_use[key] = now
            while len(_unsaved_use) > MOST_REMEMBERED:
                _unsaved_use.pop(next(iter(_unsaved_use)), None)


def _end(request: HttpRequest) -> None:
    try:
        with brief_transaction():
            request.session.flush()
    except DatabaseError as error:
        if not STORAGE.note_refusal(error):
            raise
        # its row stays for now, and is found ended whenever it is used
        request.session = type(request.session)()


def begin_session(request: HttpRequest, **_: object) -> None:
    """Somebody signed in: their session's time runs from now."""
    request.session[SIGNED_IN_AT] = request.session[SEEN_AT] = int(time.time())
