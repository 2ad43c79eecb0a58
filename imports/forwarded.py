"""What the headers of proxies say about a request: pure functions over texts.

X-Forwarded-For, -Proto and -Host, and Forwarded (RFC 7239), are lists: each proxy that
passes a request on adds to the right what it saw itself. So the left end is about the
browser, if nobody lied; what a stranger sent along stands left of what the first of our
own proxies added, and proves nothing (RFC 7239, sections 4 and 8.1).
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from ipaddress import ip_address

# In MCDASH_TRUSTED_PROXIES: whoever comes by a Unix socket, which has no address.
UNIX_SOCKET = "unix"
SCHEMES = {
    **dict.fromkeys(("https", "wss", "ssl", "on"), "https"),
    **dict.fromkeys(("http", "ws", "off"), "http"),
}
# What says the scheme, the usual one first. Some proxies say it with "on" or "ssl".
SCHEME_HEADERS = (
    *("X-Forwarded-Proto", "X-Forwarded-Scheme", "X-Forwarded-Protocol"),
    *("X-Url-Scheme", "X-Forwarded-Ssl", "Front-End-Https"),
)
USUAL_PORTS = {"https": "443", "http": "80"}

_PAIR = re.compile(r'\s*([!-+\--:<-~]+)\s*=\s*("(?:[^"\\]|\\.)*"|[^\s",;]*)\s*([,;]|$)')
_WITH_PORT = re.compile(r"(\[[^\]]*\]|[^:]*):[0-9A-Za-z._-]+")
_PORT = re.compile(r"[1-9][0-9]{0,4}")


def is_address(text: str) -> bool:
    """Whether it is an IP address, without a port."""
    try:
        return bool(ip_address(text))
    except ValueError:
        return False


@dataclass(frozen=True, kw_only=True, slots=True)
class OriginalRequest:
    """A request as it met the outermost trusted proxy, as far as a header says so."""

    client: str
    scheme: str | None
    host: str
    port: str
    # one that is neither http nor https by any name
    unknown_scheme: str = ""


def read(
    headers: Mapping[str, str], *, peer: str, is_trusted: Callable[[str], bool]
) -> OriginalRequest:
    """What the proxies between the client and `peer`, who is trusted, say.

    The client is the rightmost address that is not itself a trusted proxy. Where a
    list of schemes or hosts has an entry for each address, the one that stands beside
    the client's counts: the outermost trusted proxy added both. Where it is shorter or
    longer, some hop passed on or added only a part, and the browser's own end counts,
    on the left. A stranger can put a lie there, and nobody but themselves is deceived:
    they are not sent to https, or forever.
    """
    forwarded = _parameters(headers.get("Forwarded", ""))
    addresses = _list(headers, "X-Forwarded-For") or forwarded.get("for")
    addresses = addresses or _list(headers, "X-Real-IP")
    hops, client = 0, peer  # how far from the right the client stands
    for text in reversed(addresses):
        address = _address(text)
        if not address:  # what stands left of it cannot be placed
            break
        hops, client = hops + 1, address
        if not is_trusted(address):  # the client; on its left is what it says itself
            break

    def chosen(values: Sequence[str]) -> str:
        is_aligned = hops and len(values) == len(addresses)
        return values[-hops] if is_aligned else values[0] if values else ""

    port = chosen(_list(headers, "X-Forwarded-Port"))
    lists = [_list(headers, name) for name in SCHEME_HEADERS]
    lists.insert(1, forwarded.get("proto", []))
    schemes = [word.lower() for values in lists if (word := chosen(values))]
    return OriginalRequest(
        client=client,
        scheme=next((SCHEMES[word] for word in schemes if word in SCHEMES), None),
        host=chosen(_list(headers, "X-Forwarded-Host") or forwarded.get("host", [])),
        port=port if _PORT.fullmatch(port) and int(port) <= 65535 else "",
        unknown_scheme=next((word for word in schemes if word not in SCHEMES), ""),
    )


def _address(text: str) -> str:
    """An IP address, with a port or without; empty for `unknown` and the like."""
    with_port = _WITH_PORT.fullmatch(text)
    for candidate in (text, with_port[1] if with_port else ""):
        address = candidate.removeprefix("[").removesuffix("]")
        if is_address(address):
            return address
    return ""


def _list(headers: Mapping[str, str], name: str) -> list[str]:
    parts = (part.strip().strip('"') for part in headers.get(name, "").split(","))
    return [part for part in parts if part]


def _parameters(text: str) -> dict[str, list[str]]:
    """The values of each parameter of a `Forwarded` header, from the left."""
    found: dict[str, list[str]] = {}
    at = 0
    while at < len(text):
        pair = _PAIR.match(text, at)
        if pair is None:  # half of it could be a lie about the other half
            return {}
        value = re.sub(r"\\(.)", r"\1", pair[2].strip('"'))
        found.setdefault(pair[1].lower(), []).append(value)
        at = pair.end()
    return found
