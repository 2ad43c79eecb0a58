"""How settings are read from the environment; a wrong value ends in a sentence.

Lists are separated by commas, blanks around their parts and empty parts mean nothing.
What is in a list is understood in every way in which people write it, or it is refused:
a name that nothing will ever match would only show when each page answers 400.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from ipaddress import IPv4Network, IPv6Network, ip_address, ip_network
from pathlib import Path
from urllib.parse import unquote, urlsplit

import environ
from django.core.exceptions import ImproperlyConfigured

from imports.forwarded import UNIX_SOCKET

HOUR, DAY = 3600, 24 * 3600
LOOPBACK_HOSTS = ["127.0.0.1", "localhost", "[::1]"]
DEFAULT_PORTS = {"https": 443, "http": 80}
LAST_PORT = 65535
LONGEST_NAME = 253

_LABEL = r"[a-z0-9](?:[a-z0-9-]{0,61}[a-z0-9])?"
_NAME = re.compile(rf"(?:{_LABEL}\.)*{_LABEL}")
_PATTERN = re.compile(r"(?:[a-z0-9*?-]+\.)*[a-z0-9*?-]+")
_PORT = re.compile(r"(?P<host>.*?)(?::(?P<port>[0-9]{1,5}))?", re.DOTALL)
_PATH = re.compile(r"(?:/(?!\.{1,2}(?:/|$))[A-Za-z0-9._~-]+)*")

env = environ.Env()


def required(name: str, hint: str) -> str:
    value = env.str(name, default="")
    if not value:
        raise ImproperlyConfigured(f"{name} is not set. {hint}")
    return str(value)


def number(name: str, default: int, *, most: int, least: int = 1) -> int:
    text = env.str(name, default=str(default))
    if not (text.isascii() and text.isdecimal()) or not least <= int(text) <= most:
        raise ImproperlyConfigured(
            f"{name} must be a whole number from {least} to {most}, not {text!r}."
        )
    return int(text)


def seconds(name: str, default: int) -> int:
    return number(name, default, most=7 * DAY)


def flag(name: str, default: str = "0") -> bool:
    text = env.str(name, default=default).strip().lower() or default
    if text not in {"0", "1", "true", "false", "yes", "no"}:
        raise ImproperlyConfigured(f"{name} must be 1 or 0, not {text!r}.")
    return text in {"1", "true", "yes"}


def scheme_of(name: str, url: str) -> str:
    try:
        parts = urlsplit(url)
        _ = parts.port
    except ValueError as error:
        raise ImproperlyConfigured(f"{name} is not an address: {error}.") from error
    return parts.scheme


def sqlite_file(name: str, url: str) -> str:
    path = Path(unquote(url.removeprefix("sqlite:///")))
    if not path.parent.is_dir():
        raise ImproperlyConfigured(f"{name}: there is no folder {path.parent}.")
    return str(path)


def parts_of(text: str) -> list[str]:
    """The parts of a list."""
    return [part for one in text.split(",") if (part := one.strip())]


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
    return [_site(name, text) for text in parts_of(env.str(name, default=""))]


def origins(name: str) -> list[str]:
    """Origins as browsers send them: a scheme, a host, a port where it is not 443."""
    sites = hosts(name)
    for text, site in zip(parts_of(env.str(name, default="")), sites, strict=True):
        if not site.scheme:
            raise ImproperlyConfigured(
                f"{name}: {text!r} does not say how it is reached; write it as in the "
                "browser's address bar: https://dash.example.com:8443."
            )
    return [site.origin for site in sites]


def _site(name: str, text: str) -> Site:
    if "@" in text:  # not repeated: it may be a password
        raise ImproperlyConfigured(
            f"{name}: a name of a host has no sign-in (@) in it."
        )
    scheme, is_told, rest = text.lower().rpartition("://")
    if is_told and scheme not in DEFAULT_PORTS:
        raise ImproperlyConfigured(f"{name}: {text!r} must begin with https://.")
    rest = rest.removesuffix("/")
    if "/" in rest:
        raise ImproperlyConfigured(
            f"{name}: {text!r} has a path, which is a setting of its own: MCDASH_PATH."
        )
    is_parent = rest.startswith((".", "*."))
    start = rest.index(".") + 1 if is_parent else 0
    host, port = _host_and_port(name, text, rest[start:])
    if scheme == "http" and host not in LOOPBACK_HOSTS:
        raise ImproperlyConfigured(
            f"{name}: {text!r} is plain http, over which nobody but this machine may "
            "sign in; write https://."
        )
    return Site(scheme=scheme, host=host, port=port, is_parent=is_parent)


def _host_and_port(name: str, text: str, rest: str) -> tuple[str, int | None]:
    if address := _ipv6(rest):
        return f"[{address}]", None
    found = _PORT.fullmatch(rest)
    host, port = (found["host"], found["port"]) if found else (rest, None)
    if port and not 0 < int(port) <= LAST_PORT:
        raise ImproperlyConfigured(f"{name}: {text!r} has a port that does not exist.")
    if host.startswith("[") and (address := _ipv6(host)):
        host = f"[{address}]"
    else:
        host = _host_name(name, text, host)
    return host, int(port) if port else None


def _ipv6(text: str) -> str:
    """As browsers write it, without brackets; empty where it is none."""
    try:
        address = ip_address(text.removeprefix("[").removesuffix("]"))
    except ValueError:
        return ""
    is_whole = text.startswith("[") == text.endswith("]") and "%" not in text
    return str(address) if address.version == 6 and is_whole else ""


def _host_name(name: str, text: str, host: str) -> str:
    """In ASCII, without the dot that ends a full name."""
    ascii_name = _in_ascii(host.removesuffix("."))
    is_number = ascii_name.rpartition(".")[2].isdecimal()
    if (
        _NAME.fullmatch(ascii_name) is None
        or len(ascii_name) > LONGEST_NAME
        or (is_number and not _is_address(ascii_name))
    ):
        raise ImproperlyConfigured(
            f"{name}: {text!r} is no name of a host. Several are separated by commas: "
            "dash.example.com, *.example.org."
        )
    return ascii_name


def _in_ascii(host: str) -> str:
    if host.isascii():
        return host
    try:
        return host.encode("idna").decode()
    except UnicodeError:
        return ""


def _is_address(text: str) -> bool:
    try:
        ip_address(text)
    except ValueError:
        return False
    return True


def networks(name: str) -> list[str]:
    """Addresses and networks, and `unix` for whoever comes by a Unix socket."""
    return [_network(name, text) for text in parts_of(env.str(name, default=""))]


def _network(name: str, text: str) -> str:
    if text.lower() in (UNIX_SOCKET, f"{UNIX_SOCKET}:"):
        return UNIX_SOCKET
    try:
        network = ip_network(text.replace("[", "").replace("]", ""), strict=False)
    except ValueError as error:
        raise ImproperlyConfigured(
            f"{name}: {text!r} is no address and no network."
        ) from error
    return str(_as_ipv4(network))


def _as_ipv4(network: IPv4Network | IPv6Network) -> IPv4Network | IPv6Network:
    """Who comes over IPv4 is known by that address, also to a socket of both kinds."""
    mapped = getattr(network.network_address, "ipv4_mapped", None)
    if mapped is None or network.prefixlen < 96:
        return network
    return IPv4Network((mapped, network.prefixlen - 96))


def endpoint_hosts(name: str, default: str) -> list[str]:
    """Patterns of host names, with a port where it is not 443."""
    texts = parts_of(env.str(name, default=default))
    return [_endpoint_host(name, text) for text in texts]


def _endpoint_host(name: str, text: str) -> str:
    pattern = text.lower().removeprefix("https://").removesuffix("/")
    found = _PORT.fullmatch(f"*{pattern}" if pattern.startswith(".") else pattern)
    host, port = (found["host"], found["port"]) if found else (pattern, None)
    host = _in_ascii(host.removesuffix("."))
    if _PATTERN.fullmatch(host) is None or _is_address(host):
        raise ImproperlyConfigured(
            f"{name}: {text!r} is no name of a host. Several are separated by commas: "
            "*.marketingcloudapis.com, soap.example.org:8443."
        )
    if port and not 0 < int(port) <= LAST_PORT:
        raise ImproperlyConfigured(f"{name}: {text!r} has a port that does not exist.")
    if port and int(port) != DEFAULT_PORTS["https"]:
        return f"{host}:{int(port)}"
    return host


def url_path(name: str) -> str:
    """The path under which the dashboard lies, as in `/tools/mcdash`; empty at the
    root of its host.
    """
    text = env.str(name, default="").strip()
    path = f"/{text.strip('/')}" if text.strip("/") else ""
    if _PATH.fullmatch(path) is None:
        raise ImproperlyConfigured(
            f"{name} must be a path as in /mcdash or /tools/mcdash, not {text!r}."
        )
    return path
