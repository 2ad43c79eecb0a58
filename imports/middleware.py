"""Who asks, over what, and in which time zone they read."""

from __future__ import annotations

import zoneinfo
from collections.abc import Callable
from ipaddress import ip_address, ip_network

from django.conf import settings
from django.http import HttpRequest, HttpResponse
from django.utils import timezone

GetResponse = Callable[[HttpRequest], HttpResponse]


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
