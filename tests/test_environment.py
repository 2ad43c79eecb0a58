"""Lists in the environment: understood however they are written, or refused."""

from __future__ import annotations

import re

import pytest
from django.core.exceptions import ImproperlyConfigured

from mcdash import environment

NAME = "MCDASH_HOSTS"


@pytest.mark.parametrize(
    ("text", "allowed", "origins"),
    [
        ("", [], []),
        (" , ,", [], []),
        ("a, b", ["a", "b"], ["https://a", "https://b"]),
        ("a,b,", ["a", "b"], ["https://a", "https://b"]),
        ("a.example,\n b.example", ["a.example", "b.example"], None),
        ("https://a", ["a"], ["https://a"]),
        ("https://a/", ["a"], ["https://a"]),
        ("https://a:8443", ["a"], ["https://a:8443"]),
        ("HTTPS://A:443", ["a"], ["https://a"]),
        ("a:8443", ["a"], ["https://a:8443"]),
        ("a:443", ["a"], ["https://a"]),
        ("*.a", [".a"], ["https://*.a"]),
        (".a", [".a"], ["https://*.a"]),
        ("*.a:8443", [".a"], ["https://*.a:8443"]),
        ("DASH.Example.COM.", ["dash.example.com"], ["https://dash.example.com"]),
        ("2001:db8::1", ["[2001:db8::1]"], ["https://[2001:db8::1]"]),
        ("2001:DB8:0:0::1", ["[2001:db8::1]"], None),
        ("[2001:db8::1]", ["[2001:db8::1]"], None),
        ("[2001:db8:0::1]:8443", ["[2001:db8::1]"], ["https://[2001:db8::1]:8443"]),
        ("https://[2001:db8::1]:8443/", ["[2001:db8::1]"], None),
        ("10.0.0.7", ["10.0.0.7"], ["https://10.0.0.7"]),
        ("bücher.example", ["xn--bcher-kva.example"], None),
        ("http://127.0.0.1:8000", ["127.0.0.1"], ["http://127.0.0.1:8000"]),
    ],
)
def test_a_host_is_understood_as_people_write_it(
    monkeypatch: pytest.MonkeyPatch,
    text: str,
    allowed: list[str],
    origins: list[str] | None,
) -> None:
    monkeypatch.setenv(NAME, text)
    sites = environment.hosts(NAME)
    assert ["." * site.is_parent + site.host for site in sites] == allowed
    if origins is not None:
        assert [site.origin for site in sites] == origins


HOSTS_REFUSED = [
    "*",
    "a;b",
    "a b",
    '"a"',
    "'a'",
    "*a",
    "a*",
    "a.*.b",
    "*.",
    ".",
    "a..b",
    "-a",
    "a_b.example",
    "a:",
    "a:0",
    "a:65536",
    "a:port",
    "a/mcdash",
    "https://a/mcdash",
    "https://",
    "ftp://a",
    "http://a",
    "user@a",
    "a?x",
    "a#x",
    "a\\b",
    "2001:db8::g",
    "[2001:db8::1",
    "fe80::1%eth0",
    "300.1.1.1",
    "1234",
    "[10.0.0.1]",
    "a" * 64,
    ".".join(["a" * 60] * 5),
    "\N{ZERO WIDTH SPACE}",
    "\N{SNOWMAN}" * 70,
]


@pytest.mark.parametrize("text", HOSTS_REFUSED)
@pytest.mark.parametrize("read", [environment.hosts, environment.origins])
def test_a_host_that_nothing_can_match_is_refused_with_a_sentence(
    monkeypatch: pytest.MonkeyPatch, text: str, read: object
) -> None:
    monkeypatch.setenv(NAME, f"dash.example.com, {text}")
    with pytest.raises(ImproperlyConfigured, match=r"^MCDASH_HOSTS: .+\.$") as refused:
        read(NAME)  # type: ignore[operator]
    is_repeated = read is environment.hosts and "@" not in text
    assert not is_repeated or repr(text) in str(refused.value)


def test_an_origin_says_how_it_is_reached(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv(NAME, "https://a:8443/, HTTPS://B.example, https://*.c")
    assert environment.origins(NAME) == [
        "https://a:8443",
        "https://b.example",
        "https://*.c",
    ]
    monkeypatch.setenv(NAME, "https://a, b")
    with pytest.raises(ImproperlyConfigured, match="'b' does not say how it is"):
        environment.origins(NAME)


@pytest.mark.parametrize(
    ("text", "networks"),
    [
        ("127.0.0.1, ::1", ["127.0.0.1/32", "::1/128"]),
        ("10.1.2.3/8,", ["10.0.0.0/8"]),
        ("[2001:db8::1]", ["2001:db8::1/128"]),
        ("::ffff:10.0.0.1", ["10.0.0.1/32"]),
        ("::ffff:10.0.0.0/104", ["10.0.0.0/8"]),
        ("unix, UNIX:", ["unix", "unix"]),
    ],
)
def test_a_proxy_is_an_address_a_network_or_a_socket(
    monkeypatch: pytest.MonkeyPatch, text: str, networks: list[str]
) -> None:
    monkeypatch.setenv(NAME, text)
    assert environment.networks(NAME) == networks


@pytest.mark.parametrize(
    "text",
    [
        *(
            "proxy",
            "10.0.0.1;10.0.0.2",
            "10.0.0.1 10.0.0.2",
            "10.0.0.1:80",
            "10.0.0.1/33",
        ),
        *("'10.0.0.1'", "*", "010.0.0.1", "http://10.0.0.1", "10.0.0.*"),
    ],
)
def test_what_is_no_proxy_is_refused_with_a_sentence(
    monkeypatch: pytest.MonkeyPatch, text: str
) -> None:
    monkeypatch.setenv(NAME, text)
    with pytest.raises(ImproperlyConfigured, match="is no address and no network"):
        environment.networks(NAME)


@pytest.mark.parametrize(
    ("text", "patterns"),
    [
        ("*.a.com, b.example", ["*.a.com", "b.example"]),
        ("*.A.com.", ["*.a.com"]),
        (".a.com", ["*.a.com"]),
        ("https://soap.example.org:8443/", ["soap.example.org:8443"]),
        ("soap.example.org:443", ["soap.example.org"]),
    ],
)
def test_an_endpoints_host_is_understood_as_people_write_it(
    monkeypatch: pytest.MonkeyPatch, text: str, patterns: list[str]
) -> None:
    monkeypatch.setenv(NAME, text)
    assert environment.endpoint_hosts(NAME, "") == patterns


@pytest.mark.parametrize(
    "text",
    [
        *("a.com;b.com", "a b", "http://a.com", "a.com/path", "10.0.0.1", "[a-z].com"),
        *("a.com:0", "a.com:99999", "a.com:x", "::1", '"a.com"', "a@b.com"),
    ],
)
def test_an_endpoints_host_that_nothing_can_match_is_refused(
    monkeypatch: pytest.MonkeyPatch, text: str
) -> None:
    monkeypatch.setenv(NAME, text)
    with pytest.raises(ImproperlyConfigured, match=re.escape(repr(text))):
        environment.endpoint_hosts(NAME, "")


@pytest.mark.parametrize(
    ("text", "path"),
    [
        ("", ""),
        ("/", ""),
        ("mcdash", "/mcdash"),
        ("/mcdash", "/mcdash"),
        (" /mcdash/ ", "/mcdash"),
        ("/tools/mc-dash_2.0~x", "/tools/mc-dash_2.0~x"),
    ],
)
def test_a_path_begins_with_a_slash_and_ends_without(
    monkeypatch: pytest.MonkeyPatch, text: str, path: str
) -> None:
    monkeypatch.setenv(NAME, text)
    assert environment.url_path(NAME) == path


@pytest.mark.parametrize(
    "text",
    [
        *(
            "/a//b",
            "/../a",
            "/a/.",
            "https://a/mcdash",
            "/a?b",
            "/a#b",
            "/a b",
            "/a%20b",
        ),
        *("/a\\b", "'/a'", "/ä", "/a\nb", "/a;b"),
    ],
)
def test_what_is_no_path_is_refused(monkeypatch: pytest.MonkeyPatch, text: str) -> None:
    monkeypatch.setenv(NAME, text)
    with pytest.raises(ImproperlyConfigured, match="must be a path as in /mcdash"):
        environment.url_path(NAME)
