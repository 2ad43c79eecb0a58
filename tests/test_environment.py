"""Lists in the environment: understood however they are written, or refused."""

from __future__ import annotations

import re
from collections.abc import Callable
from pathlib import Path

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


@pytest.mark.parametrize(
    "text",
    [
        *("a.com", " a.com\t", "a.com\r\n", "\N{NO-BREAK SPACE}a.com\N{EM SPACE}"),
        *("\N{ZERO WIDTH NO-BREAK SPACE}a.com", " \N{ZERO WIDTH SPACE} a.com"),
        *("'a.com'", '"a.com"', ' "a.com" '),
    ],
)
def test_what_stands_around_a_value_means_nothing(
    monkeypatch: pytest.MonkeyPatch, text: str
) -> None:
    monkeypatch.setenv(NAME, text)
    assert environment.value_of(NAME) == "a.com"


@pytest.mark.parametrize("text", ["$a", "a # b", "it's", "'", '"a', "''a"])
def test_what_belongs_to_a_value_is_kept(
    monkeypatch: pytest.MonkeyPatch, text: str
) -> None:
    """No variable is looked up in it: a password may begin with a dollar sign."""
    monkeypatch.setenv(NAME, text)
    assert environment.value_of(NAME) == text


def test_a_file_of_settings_is_read_as_people_write_it(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    names = "ABCDEFGH"
    for letter in names:  # afterwards they are as before
        monkeypatch.setenv(f"MCDASH_{letter}", "")
        monkeypatch.delenv(f"MCDASH_{letter}")
    monkeypatch.setenv("MCDASH_G", "of the environment")
    (tmp_path / ".env").write_bytes(
        b"\xef\xbb\xbfMCDASH_A=1\r\n# no setting\r\n\r\nexport MCDASH_B=2\r\n"
        b'  MCDASH_C = three \r\nMCDASH_D=\'4\'\r\nMCDASH_E="5 \\" \\\\"\r\n'
        b"MCDASH_F=a=b#c\r\nMCDASH_G=of the file\r\nMCDASH_H="
    )
    environment.read_file(tmp_path / ".env")
    values = [environment.value_of(f"MCDASH_{letter}", "default") for letter in names]
    assert values == [
        *("1", "2", "three", "4", '5 " \\', "a=b#c", "of the environment", "")
    ]


@pytest.mark.parametrize(
    ("content", "said"),
    [
        (b"MCDASH_A=1\nmy-secret\n", r"^Line 2 of .+\.env is not of the form NAME="),
        (b"MCDASH_A: my-secret", r"^Line 1 of .+\.env is not of the form NAME="),
        (b"MCDASH_A=my-secret\xe4", r"\.env is not UTF-8"),
        ("MCDASH_A=my-secret".encode("utf-16"), r"\.env is not UTF-8"),
    ],
)
def test_a_file_of_settings_that_cannot_be_read_is_told(
    tmp_path: Path, content: bytes, said: str
) -> None:
    (tmp_path / ".env").write_bytes(content)
    with pytest.raises(ImproperlyConfigured, match=said) as refused:
        environment.read_file(tmp_path / ".env")
    assert "secret" not in str(refused.value)


def test_a_file_of_settings_may_be_missing_but_not_unreadable(tmp_path: Path) -> None:
    environment.read_file(tmp_path / ".env")
    (tmp_path / ".env").mkdir()
    with pytest.raises(ImproperlyConfigured, match=r"cannot be read \(Is a dir"):
        environment.read_file(tmp_path / ".env")


@pytest.mark.parametrize(
    ("text", "url"),
    [
        ("", None),
        ("http://proxy.example.com:3128", "http://proxy.example.com:3128"),
        ("proxy:3128", "http://proxy:3128"),
        ("my_proxy:3128", "http://my_proxy:3128"),
        ("user:my@secret@proxy:3128", "http://user:my%40secret@proxy:3128"),
        ("HTTPS://proxy/", "https://proxy"),
        ("http://[2001:db8::1]:3128", "http://[2001:db8::1]:3128"),
        ('"http://10.0.0.1:3128"', "http://10.0.0.1:3128"),
    ],
)
def test_a_proxy_for_calls_is_understood_as_people_write_it(
    monkeypatch: pytest.MonkeyPatch, text: str, url: str | None
) -> None:
    monkeypatch.setenv(NAME, text)
    assert environment.proxy_url(NAME) == url


@pytest.mark.parametrize(
    "text",
    [
        *("foo", "none", "//proxy:3128", "http://", "http://:3128", "socks5://p:1080"),
        *("http://p:0", "http://p:99999", "http://p:port", "http://p:3128/path"),
        *("http://p p:3128", "http://p:3128?x", "http://a:1,http://b:1", "http://[::1"),
        *("http://u:my-secret#x@p:3128", "http://u:my-secret/x@p:3128"),
        *("http://u:my-secret%@p:3128", "http://u:my-secret@p:3128 # note"),
        *("http://u:1/my-secret@p:3128", "u:my-secret@p"),
    ],
)
def test_what_is_no_proxy_for_calls_is_refused_with_a_sentence(
    monkeypatch: pytest.MonkeyPatch, text: str
) -> None:
    monkeypatch.setenv(NAME, text)
    with pytest.raises(ImproperlyConfigured, match=r"^MCDASH_HOSTS .+\.$") as refused:
        environment.proxy_url(NAME)
    assert "my-secret" not in str(refused.value)


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
    "\N{SNOWMAN}" * 70,
]


@pytest.mark.parametrize("text", HOSTS_REFUSED)
@pytest.mark.parametrize("read", [environment.hosts, environment.origins])
def test_a_host_that_nothing_can_match_is_refused_with_a_sentence(
    monkeypatch: pytest.MonkeyPatch, text: str, read: Callable[[str], object]
) -> None:
    monkeypatch.setenv(NAME, f"dash.example.com, {text}")
    with pytest.raises(ImproperlyConfigured, match=r"^MCDASH_HOSTS: .+\.$") as refused:
        read(NAME)
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
        *("'10.0.0.1',", "*", "010.0.0.1", "http://10.0.0.1", "10.0.0.*"),
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
        *("a.com:0", "a.com:99999", "a.com:x", "::1", '"a.com",'),
    ],
)
def test_an_endpoints_host_that_nothing_can_match_is_refused(
    monkeypatch: pytest.MonkeyPatch, text: str
) -> None:
    monkeypatch.setenv(NAME, text)
    with pytest.raises(ImproperlyConfigured, match=re.escape(repr(text.strip(",")))):
        environment.endpoint_hosts(NAME, "")


def test_a_list_of_endpoints_hosts_is_never_empty(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setenv(NAME, "")
    assert environment.endpoint_hosts(NAME, "*.a.com") == ["*.a.com"]
    monkeypatch.setenv(NAME, " , ")
    with pytest.raises(ImproperlyConfigured, match="has no host in it"):
        environment.endpoint_hosts(NAME, "*.a.com")


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
        *("/a\\b", "'/a", "/ä", "/a\nb", "/a;b"),
    ],
)
def test_what_is_no_path_is_refused(monkeypatch: pytest.MonkeyPatch, text: str) -> None:
    monkeypatch.setenv(NAME, text)
    with pytest.raises(ImproperlyConfigured, match="must be a path as in /mcdash"):
        environment.url_path(NAME)
