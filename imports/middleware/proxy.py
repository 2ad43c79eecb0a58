"""Who asks, and under which address they reached us: what proxies in front change.

What a proxy says is believed only of those in MCDASH_TRUSTED_PROXIES. How it is read,
and which of several values counts, is in `imports/forwarded.py`.
"""

from __future__ import annotations

import logging
from functools import cached_property
from ipaddress import IPv4Network, IPv6Network, ip_address, ip_network

from django.conf import settings
from django.core.exceptions import DisallowedHost
from django.http import HttpRequest, HttpResponse, HttpResponsePermanentRedirect
from django.http.request import split_domain_port, validate_host

from imports import forwarded
from imports.middleware import Middleware
from imports.views import system

log = logging.getLogger(__name__)

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
    say.

    A host is believed only where MCDASH_HOSTS has it: a proxy may pass on whatever a
    client sent along.
    """

    @cached_property
    def networks(self) -> list[IPv4Network | IPv6Network]:
        proxies = {text.strip() for text in settings.MCDASH_TRUSTED_PROXIES}
        networks = proxies - {forwarded.UNIX_SOCKET}
        return [ip_network(text, strict=False) for text in networks]

    @cached_property
    def trusts_sockets(self) -> bool:
        return forwarded.UNIX_SOCKET in map(str.strip, settings.MCDASH_TRUSTED_PROXIES)

    def process_request(self, request: HttpRequest) -> None:
        peer = request.META.get("REMOTE_ADDR", "")
        request.META[PEER_KEY] = peer or "behind the Unix socket"
        request.META[IS_TRUSTED_KEY] = self.is_trusted(peer)
        if request.META[IS_TRUSTED_KEY]:
            self.believe(request, peer)

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
            return system.unknown_host(request)
        return None


class HttpsMiddleware(Middleware):
    """Sends browsers from http to https, to the port of MCDASH_HOSTS or
    MCDASH_TRUSTED_ORIGINS where one is named for that host, but never in a circle.

    A browser that is on https already cannot be sent there again: it is the proxy that
    does not say so, and the page says what to change.
    """

    def process_request(self, request: HttpRequest) -> HttpResponse | None:
        if request.is_secure() or not settings.SECURE_SSL_REDIRECT:
            return None
        _log_a_wrong_proxy(request)
        host = request.get_host()
        name, _ = split_domain_port(host)
        if _came_by_https(request, name):
            return system.not_by_https(request)
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
