"""How settings are read from the environment; a wrong value ends in a sentence.

Blanks and one pair of quotes around a value mean nothing: some of what sets variables
takes them off (a shell, systemd), some does not (`docker --env-file`). Lists are
separated by commas, blanks around their parts and empty parts mean nothing. What is in
a list is understood in every way in which people write it, or it is refused: a name
that nothing will ever match would only show when each page answers 400. What may hold
a password is never repeated.
"""

from __future__ import annotations

import os
import re
from collections.abc import Callable, Collection
from contextlib import suppress
from ipaddress import IPv4Network, ip_address, ip_network
from pathlib import Path
from typing import NamedTuple, TypeVar
from urllib.parse import SplitResult, unquote, urlsplit

from django.core.exceptions import ImproperlyConfigured

from imports.forwarded import UNIX_SOCKET, is_address

T = TypeVar("T")

HOUR, DAY = 3600, 24 * 3600
LOOPBACK_HOSTS = ["127.0.0.1", "localhost", "[::1]"]
DEFAULT_PORTS = {"https": 443, "http": 80}
LAST_PORT = 65535
FLAGS = {
    **dict.fromkeys(("1", "true", "yes", "on"), True),
    **dict.fromkeys(("0", "false", "no", "off"), False),
}
ENCODED = (
    "Characters of a password that mean something in an address are percent-encoded: "
    "# is %23, % is %25, / is %2F, : is %3A, ? is %3F, @ is %40."
)

_LABEL = r"[a-z0-9](?:[a-z0-9-]{0,61}[a-z0-9])?"
_NAME = re.compile(rf"(?:{_LABEL}\.)*{_LABEL}")
_PATTERN = re.compile(r"(?:[a-z0-9*?-]+\.)*[a-z0-9*?-]+")
_PROXY_HOST = re.compile(r"[a-z0-9](?:[a-z0-9._-]*[a-z0-9])?\.?")
_NOT_IN_ADDRESSES = re.compile(r"[#\s\x00-\x1f\x7f]|%(?![0-9A-Fa-f]{2})")
_FERNET_KEY = re.compile(r"[A-Za-z0-9+/_-]{43}=")
_PATH = re.compile(r"(?:/(?!\.{1,2}(?:/|$))[A-Za-z0-9._~-]+)*")

# Blanks, and what else editors and web pages leave around a value.
_AROUND = re.compile(r"^[\s\u200b\ufeff]+|[\s\u200b\ufeff]+\Z")
_ASSIGNMENT = re.compile(r"(?:export\s+)?([A-Za-z_][A-Za-z_0-9]*)\s*=\s*(.*)")


def read_file(path: Path) -> None:
    """Takes `NAME=value` lines into the environment, which wins over them."""
    try:
        lines = path.read_text(encoding="utf-8-sig").splitlines()
    except FileNotFoundError:
        return
    except OSError as error:
        text = f"{path} cannot be read ({error.strerror})."
        raise ImproperlyConfigured(text) from error
    except UnicodeError:
        raise ImproperlyConfigured(f"{path} is not UTF-8; save it as such.") from None
    for number_of_line, line in enumerate(map(str.strip, lines), start=1):
        if not line or line.startswith("#"):
            continue
        found = _ASSIGNMENT.fullmatch(line)
        if found is None:  # not repeated: it may be part of a key
            raise ImproperlyConfigured(
                f"Line {number_of_line} of {path} is not of the form NAME=value."
            )
        os.environ.setdefault(found[1], _without_quotes(found[2]))


def value_of(name: str, default: str = "") -> str:
    value = os.environ.get(name)
    if value is None:
        return default
    if re.search("[\ud800-\udfff]", value):  # how Python keeps what it can't decode
        raise ImproperlyConfigured(f"{name} is not UTF-8.")
    return _without_quotes(_AROUND.sub("", value))


def _without_quotes(value: str) -> str:
    """Without the quotes around it. In double ones a backslash keeps what follows."""
    if found := re.fullmatch("(['\"])(.*)\\1", value, re.DOTALL):
        value = found[2]
        if found[1] == '"':
            value = re.sub(r'\\(["\\])', r"\1", value)
    return value


def required(name: str, hint: str) -> str:
    value = value_of(name)
    if not value:
        raise ImproperlyConfigured(f"{name} is not set. {hint}")
    return value


def number(
    name: str, default: int, *, most: int, least: int = 1, unit: str = ""
) -> int:
    value = value_of(name, str(default))
    is_number = value.isascii() and value.isdecimal() and len(value) <= 15
    if not is_number or not least <= int(value) <= most:
        raise ImproperlyConfigured(
            f"{name} must be a whole number{unit and f' of {unit}'} from {least} to "
            f"{most}, not {_cited(value)}."
        )
    return int(value)


def seconds(name: str, default: int) -> int:
    return number(name, default, most=7 * DAY, unit="seconds")


def flag(name: str, default: str = "0") -> bool:
    value = value_of(name, default).lower() or default
    if value not in FLAGS:
        raise ImproperlyConfigured(f"{name} must be 1 or 0, not {_cited(value)}.")
    return FLAGS[value]


def choice(name: str, default: str, choices: Collection[str]) -> str:
    """One of these, in capitals or not."""
    value = value_of(name, default)
    known = {one.lower(): one for one in choices}
    if value.lower() not in known:
        raise ImproperlyConfigured(
            f"{name} must be one of {', '.join(choices)}, not {_cited(value)}."
        )
    return known[value.lower()]


def _cited(value: str) -> str:
    """For a sentence, so that people find it; but an @ may stand behind a password."""
    return "what it is" if "@" in value else repr(value)


def address(name: str, url: str, *, schemes: Collection[str], hint: str) -> SplitResult:
    """An address of a service. The last @ ends a password, which may have others."""
    if not url.lower().startswith(tuple(f"{scheme}://" for scheme in schemes)):
        raise ImproperlyConfigured(f"{name} must start with {hint}.")
    if wrong := _NOT_IN_ADDRESSES.search(url):
        what = {"#": "a #", "%": "a % that encodes nothing"}.get(wrong[0], "a blank")
        raise ImproperlyConfigured(f"{name} has {what} in it. {ENCODED}")
    try:
        parts = urlsplit(url)
        is_right = parts.port != 0 and "@" not in parts.path + parts.query
    except ValueError:  # its words repeat what stands where the port was expected
        is_right = False
    if not is_right:
        raise ImproperlyConfigured(
            f"{name} is not an address, or its port is no number from 1 to "
            f"{LAST_PORT}. {ENCODED}"
        )
    user, at, host = parts.netloc.rpartition("@")
    return parts._replace(netloc=user.replace("@", "%40") + at + host)


def folder(name: str, default: str, *, base: Path) -> Path:
    """A folder, made where it is not there yet."""
    text = value_of(name, default)
    if not text or not text.isprintable() or "$" in text:
        raise ImproperlyConfigured(
            f"{name} must be the whole name of a folder, not {text!r}; "
            "variables are not looked up in it."
        )
    try:
        path = base / Path(text).expanduser()
        # what is in it concerns nobody else on the machine
        path.mkdir(mode=0o700, parents=True, exist_ok=True)
    except RuntimeError as error:
        raise ImproperlyConfigured(
            f"{name}: {text!r} leads to the home of nobody known here."
        ) from error
    except OSError as error:
        raise ImproperlyConfigured(
            f"{name}: {path} cannot be made a folder ({error.strerror})."
        ) from error
    return path


def fernet_keys(name: str) -> list[str]:
    hint = (
        "It holds the Fernet keys that encrypt stored secrets, newest first; "
        "`make setup` makes one."
    )
    # a key holds none of these, so whatever separates two of them is understood
    keys = re.split(r"[,\s]+", required(name, hint).strip(", "))
    if not any(keys):
        raise ImproperlyConfigured(f"{name} has no key in it. {hint}")
    for position, key in enumerate(keys, start=1):
        # Fernet itself skips what is no base64: two keys in one, and it takes the first
        if not _FERNET_KEY.fullmatch(key):
            raise ImproperlyConfigured(
                f"Key {position} of {name} is not a Fernet key "
                "(32 bytes in URL-safe base64)."
            )
    return keys


def metrics_token(name: str) -> str:
    token = value_of(name)
    if not re.fullmatch(r"[!-~]*", token):
        raise ImproperlyConfigured(
            f"{name} must be of ASCII letters, digits and signs, without a blank: "
            "nothing else comes through a header as it was sent."
        )
    if token and len(token) < 16:
        raise ImproperlyConfigured(
            f"{name} must have at least 16 characters, or be empty: then /metrics "
            "answers this machine alone."
        )
    return token


def sqlite_file(name: str, url: str, *, folder: Path) -> str:
    """The file of `sqlite:///relative/to/folder` or `sqlite:////absolute`."""
    is_local = url.lower().startswith("sqlite:///")
    path = folder / unquote(url[len("sqlite:///") :])
    if not is_local or path == folder or ":memory:" in url or {"?", "#"} & set(url):
        raise ImproperlyConfigured(
            f"{name}: SQLite needs a file, and nothing behind its name: "
            "sqlite:////srv/mcdash/mcdash.sqlite3 (%23 for # and %3F for ?)."
        )
    if not path.parent.is_dir():
        raise ImproperlyConfigured(f"{name}: there is no folder {path.parent}.")
    if path.is_dir():
        raise ImproperlyConfigured(f"{name}: {path} is a folder, not a file.")
    return str(path)


def proxy_url(name: str) -> str | None:
    """`http://host:port`, or `host:port`."""
    value = value_of(name)
    if not value:
        return None
    is_whole = "://" in value
    url, hint = value if is_whole else f"http://{value}", "http:// or https://"
    parts = address(name, url, schemes=DEFAULT_PORTS, hint=hint)
    host = parts.hostname or ""
    is_host = _PROXY_HOST.fullmatch(host) or _ipv6(host)
    has_more = parts.path not in ("", "/") or parts.query
    if not is_host or has_more or not (is_whole or parts.port):
        raise ImproperlyConfigured(
            f"{name} must name a host and a port, as in http://proxy.example.com:3128. "
            f"{ENCODED}"
        )
    return parts._replace(path="").geturl()


def _parts(name: str, parse: Callable[[str], T], default: str = "") -> list[T]:
    """The parts of a list, as `parse` reads each; its ValueError says what is wrong."""
    parts: list[T] = []
    for text in filter(None, map(str.strip, (value_of(name) or default).split(","))):
        try:
            parts.append(parse(text))
        except ValueError as error:
            raise ImproperlyConfigured(f"{name}: {_cited(text)} {error}") from None
    return parts


class Site(NamedTuple):
    """Where browsers find mcdash; `is_parent` where all names below it count too."""

    host: str
    port: int | None
    is_parent: bool
    origin: str


def hosts(name: str, *, needs_scheme: bool = False) -> list[Site]:
    """Names under which the dashboard is reached."""
    if "@" in value_of(name):  # not repeated: it may be a password
        text = f"{name}: a name of a host has no sign-in (@) in it."
        raise ImproperlyConfigured(text)

    def site(text: str) -> Site:
        scheme, is_told, rest = text.lower().rpartition("://")
        if is_told and scheme not in DEFAULT_PORTS:
            raise ValueError("must begin with https://.")
        rest = rest.removesuffix("/")
        if "/" in rest:
            raise ValueError("has a path, which is a setting of its own: MCDASH_PATH.")
        is_parent = rest.startswith((".", "*."))
        if is_parent:
            rest = rest[rest.index(".") + 1 :]
        host, port = _host_and_port(rest, is_pattern=False)
        if scheme == "http" and host not in LOOPBACK_HOSTS:
            raise ValueError(
                "is plain http, over which nobody but this machine can sign in; write "
                "https://."
            )
        if needs_scheme and not scheme:
            raise ValueError(
                "does not say how it is reached; write it as in the browser's address "
                "bar: https://dash.example.com:8443."
            )
        scheme = scheme or "https"
        # as browsers write it: without the port that goes without saying
        end = "" if port in (None, DEFAULT_PORTS[scheme]) else f":{port}"
        origin = f"{scheme}://{'*.' * is_parent}{host}{end}"
        return Site(host, port, is_parent, origin)

    return _parts(name, site)


def origins(name: str) -> list[str]:
    """Origins as browsers send them: a scheme, a host, a port where it is not 443."""
    return [site.origin for site in hosts(name, needs_scheme=True)]


def _host_and_port(text: str, *, is_pattern: bool) -> tuple[str, int | None]:
    """The host as it is compared: in ASCII, an IPv6 address in brackets. Only patterns
    may have wildcards, and no pattern is an address. Raises ValueError.
    """
    host, _, port = text.rpartition(":")
    if _ipv6(text) or not re.fullmatch("[0-9]{1,5}", port):
        host, port = text, ""
    if port and not 0 < int(port) <= LAST_PORT:
        raise ValueError("has a port that does not exist.")
    number = int(port) if port else None
    address = _ipv6(host) if host.startswith("[") or not port else ""
    if address and not is_pattern:
        return f"[{address}]", number
    host = host.removesuffix(".")
    with suppress(UnicodeError):  # what has no such form is no name either
        host = host if host.isascii() else host.encode("idna").decode()
    is_name = (_PATTERN if is_pattern else _NAME).fullmatch(host)
    is_numeric = host.rpartition(".")[2].isdecimal()
    is_wrong_number = is_numeric and (is_pattern or not is_address(host))
    if not is_name or len(host) > 253 or is_wrong_number:
        examples = "dash.example.com, *.example.org"
        if is_pattern:
            examples = "*.marketingcloudapis.com, soap.example.org:8443"
        text = f"is no name of a host. Several are separated by commas: {examples}."
        raise ValueError(text)
    return host, number


def _ipv6(text: str) -> str:
    """As browsers write it, without brackets; empty where it is none."""
    try:
        address = ip_address(text.removeprefix("[").removesuffix("]"))
    except ValueError:
        return ""
    is_whole = text.startswith("[") == text.endswith("]") and "%" not in text
    return str(address) if address.version == 6 and is_whole else ""


def networks(name: str) -> list[str]:
    """Addresses and networks, and `unix` for whoever comes by a Unix socket."""

    def network(text: str) -> str:
        if text.lower() in (UNIX_SOCKET, f"{UNIX_SOCKET}:"):
            return UNIX_SOCKET
        try:
            known = ip_network(text.replace("[", "").replace("]", ""), strict=False)
        except ValueError:
            raise ValueError("is no address and no network.") from None
        # who comes over IPv4 is known by that address, also to a socket of both kinds
        mapped = getattr(known.network_address, "ipv4_mapped", None)
        if mapped is not None and known.prefixlen >= 96:
            known = IPv4Network((mapped, known.prefixlen - 96))
        return str(known)

    return _parts(name, network)


def endpoint_hosts(name: str, default: str) -> list[str]:
    """Patterns of host names, with a port where it is not 443."""

    def pattern(text: str) -> str:
        text = text.lower().removeprefix("https://").removesuffix("/")
        text = f"*{text}" if text.startswith(".") else text
        host, port = _host_and_port(text, is_pattern=True)
        return host if port in (None, DEFAULT_PORTS["https"]) else f"{host}:{port}"

    patterns = _parts(name, pattern, default)
    if default and not patterns:
        text = f"{name} has no host in it, so nothing could be called."
        raise ImproperlyConfigured(text)
    return patterns


def url_path(name: str) -> str:
    """The path under which the dashboard lies; empty at the root of its host."""
    text = value_of(name)
    path = f"/{text.strip('/')}" if text.strip("/") else ""
    if _PATH.fullmatch(path) is None:
        raise ImproperlyConfigured(
            f"{name} must be a path as in /mcdash or /tools/mcdash, not {_cited(text)}."
        )
    return path
