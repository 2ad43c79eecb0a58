"""Who asks, and under which address they reached us: what proxies in front change.

What a proxy says is believed only of those in MCDASH_TRUSTED_PROXIES. How it is read,
and which of several values counts, is in `imports/forwarded.py`.
"""

from __future__ import annotations

import logging
from dataclasses import dataclass
from ipaddress import ip_address, ip_network

from django.conf import settings
from django.core.exceptions import DisallowedHost
from django.http import HttpRequest, HttpResponse, HttpResponsePermanentRedirect
from django.http.request import split_domain_port, validate_host

from imports import forwarded
from imports.middleware import GetResponse, Middleware
from imports.views import system

log = logging.getLogger(__name__)

PEER_KEY = "mcdash.peer"
LONGEST_LOGGED = 200


@dataclass(frozen=True, kw_only=True, slots=True)
class Peer:
    """Who holds the other end of the connection, before any header is believed."""

    address: str
    is_trusted: bool

    def __str__(self) -> str:
        return self.address or "behind the Unix socket"


class PathMiddleware(Middleware):
    """Takes MCDASH_PATH off the path of a request, where the proxy in front passes it
    on as it came; one that takes it off itself is as good.
    """

    def __init__(self, get_response: GetResponse) -> None:
        super().__init__(get_response)
        self.prefix = settings.FORCE_SCRIPT_NAME or ""

    def __call__(self, request: HttpRequest) -> HttpResponse:
        path = request.path_info
        if self.prefix and (path == self.prefix or path.startswith(f"{self.prefix}/")):
            # as Django takes an address that ends before its slash
            request.path_info = path.removeprefix(self.prefix) or "/"
            request.META["PATH_INFO"] = request.path_info
            request.path = f"{self.prefix}{request.path_info}"
        return self.get_response(request)


class TrustedProxyMiddleware(Middleware):
    """Takes the client's address, the scheme and the host from what trusted proxies
    say.

    A host is believed only where MCDASH_HOSTS has it: a proxy may pass on whatever a
    client sent along.
    """

    def __init__(self, get_response: GetResponse) -> None:
        super().__init__(get_response)
        proxies = {text.strip() for text in settings.MCDASH_TRUSTED_PROXIES}
        self.trusts_sockets = forwarded.UNIX_SOCKET in proxies
        self.networks = [
            ip_network(text, strict=False) for text in proxies - {forwarded.UNIX_SOCKET}
        ]

    def __call__(self, request: HttpRequest) -> HttpResponse:
        address = request.META.get("REMOTE_ADDR", "")
        peer = Peer(address=address, is_trusted=self.is_trusted(address))
        request.META[PEER_KEY] = peer
        if peer.is_trusted:
            self.believe(request, peer)
        return self.get_response(request)

    def is_trusted(self, address: str) -> bool:
        """Whether `address` is that of a trusted proxy."""
        if not address:  # a Unix socket's other end has none
            return self.trusts_sockets
        try:
            client = ip_address(address.strip())
        except ValueError:
            return False
        # a socket of both families shows IPv4 clients as ::ffff:10.0.0.1
        client = getattr(client, "ipv4_mapped", None) or client
        return any(client in network for network in self.networks)

    def believe(self, request: HttpRequest, peer: Peer) -> None:
        """Makes the request what it was when it met the outermost trusted proxy."""
        original = forwarded.read(
            request.headers, peer=peer.address, is_trusted=self.is_trusted
        )
        request.META["REMOTE_ADDR"] = original.client
        if original.scheme:
            request.META["wsgi.url_scheme"] = original.scheme
        elif original.unknown_scheme:
            log.warning(
                "The proxy %s says that the scheme was %r, which is neither https nor "
                "http, so it counts as not said",
                *(peer, original.unknown_scheme[:LONGEST_LOGGED]),
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


class HttpsMiddleware(Middleware):
    """Sends browsers from http to https, to the port of MCDASH_HOSTS or
    MCDASH_TRUSTED_ORIGINS where one is named for that host, but never in a circle.

    A browser that is on https already cannot be sent there again: it is the proxy that
    does not say so, and the page says what to change.
    """

    def __call__(self, request: HttpRequest) -> HttpResponse:
        if request.is_secure() or not settings.SECURE_SSL_REDIRECT:
            return self.get_response(request)
        _log_a_wrong_proxy(request)
        host = request.get_host()
        name, _ = split_domain_port(host)
        if _came_by_https(request, name):
            return system.not_by_https(request)
        origin = f"https://{host}"
        for known in settings.CSRF_TRUSTED_ORIGINS:
            if known == f"https://{name}" or known.startswith(f"https://{name}:"):
                origin = known
                break
        # never kept by a browser: the proxy may be mended tomorrow
        return HttpResponsePermanentRedirect(f"{origin}{request.get_full_path()}")


def _log_a_wrong_proxy(request: HttpRequest) -> None:
    """Plain http may be what it is, or the fault of a proxy or of a setting."""
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


def _came_by_https(request: HttpRequest, name: str) -> bool:
    """Whether the browser gives away that it did: it sends Sec-Fetch-Site to https
    alone (and to its own machine), and only a page by https has such an Origin.
    """
    is_local = name in settings.LOOPBACK_HOSTS or name.endswith(".localhost")
    if "Sec-Fetch-Site" in request.headers and not is_local:
        return True
    return request.headers.get("Origin", "").startswith(f"https://{name}")
