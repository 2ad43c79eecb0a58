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
from collections.abc import Collection
from dataclasses import dataclass
from ipaddress import IPv4Network, ip_address, ip_network
from pathlib import Path
from urllib.parse import SplitResult, unquote, urlsplit

from django.core.exceptions import ImproperlyConfigured

from imports.forwarded import UNIX_SOCKET, is_address

HOUR, DAY = 3600, 24 * 3600
LOOPBACK_HOSTS = ["127.0.0.1", "localhost", "[::1]"]
DEFAULT_PORTS = {"https": 443, "http": 80}
LAST_PORT = 65535
LONGEST_NAME = 253
MOST_DIGITS = 15
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
_PORT = re.compile(r"(?P<host>.*?)(?::(?P<port>[0-9]{1,5}))?", re.DOTALL)
_PROXY_HOST = re.compile(r"[a-z0-9](?:[a-z0-9._-]*[a-z0-9])?\.?")
_NOT_IN_ADDRESSES = re.compile(r"[#\s\x00-\x1f\x7f]|%(?![0-9A-Fa-f]{2})")
_FERNET_KEY = re.compile(r"[A-Za-z0-9+/_-]{43}=")
_PATH = re.compile(r"(?:/(?!\.{1,2}(?:/|$))[A-Za-z0-9._~-]+)*")

# What editors and web pages leave around a value, beside what `str.strip` knows.
INVISIBLE = "\N{ZERO WIDTH SPACE}\N{ZERO WIDTH NO-BREAK SPACE}"
_ASSIGNMENT = re.compile(r"(?:export\s+)?([A-Za-z_][A-Za-z_0-9]*)\s*=\s*(.*)")


def read_file(path: Path) -> None:
    """Takes `NAME=value` lines into the environment, which wins over them."""
    try:
        lines = path.read_text(encoding="utf-8-sig").splitlines()
    except FileNotFoundError:
        return
    except OSError as error:
        raise ImproperlyConfigured(
            f"{path} cannot be read ({error.strerror})."
        ) from error
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
    if any("\ud800" <= character <= "\udfff" for character in value):
        raise ImproperlyConfigured(f"{name} is not UTF-8.")
    before = None
    while value != before:  # a blank may stand behind what cannot be seen
        before, value = value, value.strip().strip(INVISIBLE)
    return _without_quotes(value)


def _without_quotes(value: str) -> str:
    """Without the quotes around it. In double ones a backslash keeps what follows."""
    mark = value[:1]
    if len(value) < 2 or mark not in ('"', "'") or not value.endswith(mark):
        return value
    within = value[1:-1]
    if mark == '"':
        return re.sub(r'\\(["\\])', r"\1", within)
    return within


def required(name: str, hint: str) -> str:
    value = value_of(name)
    if not value:
        raise ImproperlyConfigured(f"{name} is not set. {hint}")
    return value


def number(name: str, default: int, *, most: int, least: int = 1) -> int:
    value = value_of(name, str(default))
    is_number = value.isascii() and value.isdecimal() and len(value) <= MOST_DIGITS
    if not is_number or not least <= int(value) <= most:
        raise ImproperlyConfigured(
            f"{name} must be a whole number from {least} to {most}, "
            f"not {_cited(value)}."
        )
    return int(value)


def seconds(name: str, default: int) -> int:
    return number(name, default, most=7 * DAY)


def flag(name: str, default: str = "0") -> bool:
    value = value_of(name, default).lower() or default
    if value not in FLAGS:
        raise ImproperlyConfigured(f"{name} must be 1 or 0, not {_cited(value)}.")
    return FLAGS[value]


def choice(name: str, default: str, choices: Collection[str]) -> str:
    """One of these, in capitals or not."""
    value = value_of(name, default)
    for one in choices:
        if one.lower() == value.lower():
            return one
    raise ImproperlyConfigured(
        f"{name} must be one of {', '.join(choices)}, not {_cited(value)}."
    )


def _cited(value: str) -> str:
    """For a sentence, so that people find it; but an @ may stand behind a password."""
    return "what it is" if "@" in value else repr(value)


def address(name: str, url: str, *, schemes: Collection[str], hint: str) -> SplitResult:
    """Of a service. An @ in a password is understood: the last one ends it."""
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
    """A folder, made where it is not there yet; relative to `base`."""
    text = value_of(name, default)
    if not text or not text.isprintable() or "$" in text:
        raise ImproperlyConfigured(
            f"{name} must be the whole name of a folder, not {text!r}; "
            "variables are not looked up in it."
        )
    try:
        path = base / Path(text).expanduser()
    except RuntimeError as error:
        raise ImproperlyConfigured(
            f"{name}: {text!r} leads to the home of nobody known here."
        ) from error
    try:
        # what is in it concerns nobody else on the machine
        path.mkdir(mode=0o700, parents=True, exist_ok=True)
    except OSError as error:
        raise ImproperlyConfigured(
            f"{name}: {path} cannot be made a folder ({error.strerror})."
        ) from error
    return path


def fernet_keys(name: str) -> list[str]:
    """The keys that encrypt stored secrets, newest first."""
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
    """`http://host:port`, where `host:port` says enough."""
    value = value_of(name)
    if not value:
        return None
    is_whole = "://" in value
    parts = address(
        name,
        value if is_whole else f"http://{value}",
        schemes=DEFAULT_PORTS,
        hint="http:// or https://",
    )
    is_host = _PROXY_HOST.fullmatch(parts.hostname or "") or _ipv6(parts.hostname or "")
    has_more = parts.path not in ("", "/") or parts.query
    if not is_host or has_more or not (is_whole or parts.port):
        raise ImproperlyConfigured(
            f"{name} must name a host and a port, as in http://proxy.example.com:3128. "
            f"{ENCODED}"
        )
    return parts._replace(path="").geturl()


def parts_of(value: str) -> list[str]:
    """The parts of a list."""
    return [part for one in value.split(",") if (part := one.strip())]


@dataclass(frozen=True, kw_only=True, slots=True)
class Site:
    """Where browsers find mcdash: `https://*.example.com:8443`. `scheme` is empty and
    `port` None where they were not said; `is_parent` where all names below count too.
    """

    scheme: str
    host: str
    port: int | None
    is_parent: bool

    @property
    def origin(self) -> str:
        """As browsers write it: without the port that goes without saying."""
        scheme = self.scheme or "https"
        port = "" if self.port in (None, DEFAULT_PORTS[scheme]) else f":{self.port}"
        return f"{scheme}://{'*.' * self.is_parent}{self.host}{port}"


def hosts(name: str) -> list[Site]:
    """Names under which the dashboard is reached."""
    sites: list[Site] = []
    for text in parts_of(value_of(name)):
        if "@" in text:  # not repeated: it may be a password
            raise ImproperlyConfigured(
                f"{name}: a name of a host has no sign-in (@) in it."
            )
        scheme, is_told, rest = text.lower().rpartition("://")
        if is_told and scheme not in DEFAULT_PORTS:
            raise ImproperlyConfigured(
                f"{name}: {_cited(text)} must begin with https://."
            )
        rest = rest.removesuffix("/")
        if "/" in rest:
            raise ImproperlyConfigured(
                f"{name}: {_cited(text)} has a path, which is a setting of its own: "
                "MCDASH_PATH."
            )
        is_parent = rest.startswith((".", "*."))
        start = rest.index(".") + 1 if is_parent else 0
        host, port = _host_and_port(name, text, rest[start:])
        if scheme == "http" and host not in LOOPBACK_HOSTS:
            raise ImproperlyConfigured(
                f"{name}: {_cited(text)} is plain http, over which nobody but this "
                "machine can sign in; write https://."
            )
        sites.append(Site(scheme=scheme, host=host, port=port, is_parent=is_parent))
    return sites


def origins(name: str) -> list[str]:
    """Origins as browsers send them: a scheme, a host, a port where it is not 443."""
    sites = hosts(name)
    for text, site in zip(parts_of(value_of(name)), sites, strict=True):
        if not site.scheme:
            raise ImproperlyConfigured(
                f"{name}: {_cited(text)} does not say how it is reached; write it as "
                "in the browser's address bar: https://dash.example.com:8443."
            )
    return [site.origin for site in sites]


def _host_and_port(name: str, text: str, rest: str) -> tuple[str, int | None]:
    if address := _ipv6(rest):
        return f"[{address}]", None
    found = _PORT.fullmatch(rest)
    host, port = (found["host"], found["port"]) if found else (rest, None)
    if port and not 0 < int(port) <= LAST_PORT:
        raise ImproperlyConfigured(
            f"{name}: {_cited(text)} has a port that does not exist."
        )
    if host.startswith("[") and (address := _ipv6(host)):
        host = f"[{address}]"
    else:
        host = _in_ascii(host.removesuffix("."))
        is_number = host.rpartition(".")[2].isdecimal()
        if (
            _NAME.fullmatch(host) is None
            or len(host) > LONGEST_NAME
            or (is_number and not is_address(host))
        ):
            raise ImproperlyConfigured(
                f"{name}: {_cited(text)} is no name of a host. Several are separated "
                "by commas: dash.example.com, *.example.org."
            )
    return host, int(port) if port else None


def _ipv6(text: str) -> str:
    """As browsers write it, without brackets; empty where it is none."""
    try:
        address = ip_address(text.removeprefix("[").removesuffix("]"))
    except ValueError:
        return ""
    is_whole = text.startswith("[") == text.endswith("]") and "%" not in text
    return str(address) if address.version == 6 and is_whole else ""


def _in_ascii(host: str) -> str:
    if host.isascii():
        return host
    try:
        return host.encode("idna").decode()
    except UnicodeError:
        return ""


def networks(name: str) -> list[str]:
    """Addresses and networks, and `unix` for whoever comes by a Unix socket."""
    known: list[str] = []
    for text in parts_of(value_of(name)):
        if text.lower() in (UNIX_SOCKET, f"{UNIX_SOCKET}:"):
            known.append(UNIX_SOCKET)
            continue
        try:
            network = ip_network(text.replace("[", "").replace("]", ""), strict=False)
        except ValueError as error:
            raise ImproperlyConfigured(
                f"{name}: {_cited(text)} is no address and no network."
            ) from error
        # who comes over IPv4 is known by that address, also to a socket of both kinds
        mapped = getattr(network.network_address, "ipv4_mapped", None)
        if mapped is not None and network.prefixlen >= 96:
            network = IPv4Network((mapped, network.prefixlen - 96))
        known.append(str(network))
    return known


def endpoint_hosts(name: str, default: str) -> list[str]:
    """Patterns of host names, with a port where it is not 443."""
    texts = parts_of(value_of(name) or default)
    if default and not texts:
        raise ImproperlyConfigured(
            f"{name} has no host in it, so nothing could be called."
        )
    patterns: list[str] = []
    for text in texts:
        pattern = text.lower().removeprefix("https://").removesuffix("/")
        match = _PORT.fullmatch(f"*{pattern}" if pattern.startswith(".") else pattern)
        host, port = (match["host"], match["port"]) if match else (pattern, None)
        host = _in_ascii(host.removesuffix("."))
        if _PATTERN.fullmatch(host) is None or is_address(host):
            raise ImproperlyConfigured(
                f"{name}: {_cited(text)} is no name of a host. Several are separated "
                "by commas: *.marketingcloudapis.com, soap.example.org:8443."
            )
        if port and not 0 < int(port) <= LAST_PORT:
            raise ImproperlyConfigured(
                f"{name}: {_cited(text)} has a port that does not exist."
            )
        if port and int(port) != DEFAULT_PORTS["https"]:
            host = f"{host}:{int(port)}"
        patterns.append(host)
    return patterns


def url_path(name: str) -> str:
    """The path under which the dashboard lies, as in `/tools/mcdash`; empty at the
    root of its host.
    """
    text = value_of(name)
    path = f"/{text.strip('/')}" if text.strip("/") else ""
    if _PATH.fullmatch(path) is None:
        raise ImproperlyConfigured(
            f"{name} must be a path as in /mcdash or /tools/mcdash, not {_cited(text)}."
        )
    return path
