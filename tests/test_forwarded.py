"""What proxies say: every way in which they say it, and every way to say it wrongly."""

from __future__ import annotations

import pytest
from django.http.request import HttpHeaders

from imports.forwarded import OriginalRequest, read

CLIENT, EDGE, INNER = "203.0.113.9", "10.0.0.1", "10.0.0.2"


def told(**headers: str) -> OriginalRequest:
    """What is read of a request that a trusted proxy passed on."""
    environ = {f"HTTP_{name.upper()}": value for name, value in headers.items()}
    return read(
        HttpHeaders(environ), peer=INNER, is_trusted=lambda text: text.startswith("10.")
    )


@pytest.mark.parametrize(
    ("proto", "scheme"),
    [
        ("https", "https"),
        ("HTTPS", "https"),
        (" https ", "https"),
        ('"https"', "https"),
        ("https,http", "https"),
        ("https, http", "https"),
        ("https ,http", "https"),
        ("https,https", "https"),
        ("http,https", "http"),
        (",https", "https"),
        ("https,", "https"),
        ("https,http,http", "https"),
        ("https,garbage", "https"),
        ("wss", "https"),
        ("ws", "http"),
        ("http", "http"),
        ("", None),
        (" , ", None),
        ("garbage", None),
        ("garbage,https", None),
        ("https;http", None),
        ("https http", None),
        ("httpſ", None),
    ],
)
@pytest.mark.parametrize("addresses", ["", CLIENT])
def test_of_several_schemes_the_browsers_own_counts(
    proto: str, scheme: str | None, addresses: str
) -> None:
    found = told(x_forwarded_proto=proto, x_forwarded_for=addresses)
    assert found.scheme == scheme
    assert (found.unknown_scheme != "") is (scheme is None and proto.strip(" ,") != "")


@pytest.mark.parametrize(
    ("addresses", "proto", "scheme"),
    [
        (f"{CLIENT}, {EDGE}", "https, http", "https"),
        (f"{CLIENT}, {EDGE}", "http, https", "http"),
        # what a stranger sent along stands left of what our outermost proxy added
        (f"192.0.2.1, {CLIENT}, {EDGE}", "https, http, http", "http"),
        (f"192.0.2.1, {CLIENT}, {EDGE}", "http, https, http", "https"),
        (f"192.0.2.1, {CLIENT}", "https, http", "http"),
        # one of the hops passed it on as it came
        (f"{CLIENT}, {EDGE}", "https", "https"),
    ],
)
def test_the_outermost_trusted_proxy_says_what_the_browser_used(
    addresses: str, proto: str, scheme: str
) -> None:
    found = told(x_forwarded_for=addresses, x_forwarded_proto=proto)
    assert (found.client, found.scheme) == (CLIENT, scheme)


@pytest.mark.parametrize(
    ("name", "value", "scheme"),
    [
        ("x_forwarded_ssl", "on", "https"),
        ("x_forwarded_ssl", "off", "http"),
        ("front_end_https", "On", "https"),
        ("x_forwarded_protocol", "ssl", "https"),
        ("x_forwarded_scheme", "https", "https"),
        ("x_url_scheme", "https", "https"),
        ("forwarded", "for=203.0.113.9;proto=https", "https"),
        ("forwarded", 'for="203.0.113.9:4711"; Proto="HTTPS";by=10.0.0.1', "https"),
        ("forwarded", "proto=https, proto=http", "https"),
        ("forwarded", "for=203.0.113.9;proto=https, for=10.0.0.1;proto=http", "https"),
        ("forwarded", "proto=https;;", None),
        ("forwarded", "https", None),
        ("forwarded", 'proto="https', None),
        ("forwarded", "=", None),
    ],
)
def test_other_headers_say_the_scheme_too(
    name: str, value: str, scheme: str | None
) -> None:
    assert told(**{name: value}).scheme == scheme


def test_the_usual_header_wins_and_what_is_not_understood_says_nothing() -> None:
    assert told(x_forwarded_proto="https", forwarded="proto=http").scheme == "https"
    assert told(x_forwarded_proto="https", x_forwarded_ssl="off").scheme == "https"
    found = told(x_forwarded_proto="quic", x_forwarded_ssl="on")
    assert (found.scheme, found.unknown_scheme) == ("https", "quic")


@pytest.mark.parametrize(
    ("name", "value", "client"),
    [
        ("x_forwarded_for", CLIENT, CLIENT),
        ("x_forwarded_for", f"{CLIENT}:4711", CLIENT),
        ("x_forwarded_for", "[2001:db8::9]:4711", "2001:db8::9"),
        ("x_forwarded_for", "[2001:db8::9]", "2001:db8::9"),
        ("x_forwarded_for", f'"{CLIENT}"', CLIENT),
        ("x_forwarded_for", f"unknown, {CLIENT}", CLIENT),
        ("x_forwarded_for", f"{CLIENT}, unknown", INNER),
        ("x_forwarded_for", "_hidden", INNER),
        ("x_forwarded_for", "999.1.1.1", INNER),
        ("x_real_ip", CLIENT, CLIENT),
        ("forwarded", f"for={CLIENT}", CLIENT),
        ("forwarded", 'for="[2001:db8::9]:4711", for=10.0.0.1', "2001:db8::9"),
        ("forwarded", "for=unknown", INNER),
        ("forwarded", "for=_gazonk", INNER),
        ("forwarded", 'for="' + "\\" * 4000, INNER),
    ],
)
def test_the_client_is_the_rightmost_stranger(
    name: str, value: str, client: str
) -> None:
    assert told(**{name: value}).client == client


@pytest.mark.parametrize(
    ("headers", "host", "port"),
    [
        ({"x_forwarded_host": "dash.example.com"}, "dash.example.com", ""),
        ({"x_forwarded_host": "a.example, b.internal"}, "a.example", ""),
        ({"forwarded": 'host="a.example:8443"'}, "a.example:8443", ""),
        ({"x_forwarded_port": "8443"}, "", "8443"),
        ({"x_forwarded_port": "8443, 80"}, "", "8443"),
        ({"x_forwarded_port": "65536"}, "", ""),
        ({"x_forwarded_port": "0"}, "", ""),
        ({"x_forwarded_port": "x"}, "", ""),
        ({"x_forwarded_port": "٨٠"}, "", ""),
    ],
)
def test_host_and_port_are_read_the_same_way(
    headers: dict[str, str], host: str, port: str
) -> None:
    found = told(**headers)
    assert (found.host, found.port) == (host, port)
