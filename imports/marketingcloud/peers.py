"""Which addresses a connection may have reached: those of the public Internet.

Names are checked before; this is about where a name led. Our own table stands
beside `ipaddress`, whose opinion on embedded, reserved and documentation addresses
changes with Python's version.
"""

from __future__ import annotations

from ipaddress import (
    IPv4Address,
    IPv4Network,
    IPv6Address,
    IPv6Network,
    ip_address,
)

from imports.marketingcloud.errors import UnavailableError

_NAT64 = IPv6Network("64:ff9b::/96")
_GLOBAL_UNICAST = IPv6Network("2000::/3")
_NOT_FOR_US_4 = (
    IPv4Network("100.64.0.0/10"),  # shared by the customers of one carrier
    IPv4Network("192.88.99.0/24"),  # relays of 6to4, given up
    IPv4Network("224.0.0.0/3"),  # multicast and reserved
)
_NOT_FOR_US_6 = (
    IPv6Network("2001::/23"),  # Teredo, benchmarks and other protocols' own
    IPv6Network("3fff::/20"),  # documentation
)


def check_peer(address: str, *, allow_loopback: bool) -> None:
    """Passes where `address`, a peer's IP address, is a public one, or this machine's
    while `allow_loopback`; an IPv4 address within an IPv6 one counts as itself.

    Raises UnavailableError: it is asked before anything is sent. Behind a proxy
    nothing is asked here, the proxy looks names up.
    """
    peer = ip_address(address)
    if allow_loopback and _is_loopback(peer):
        return
    if not _is_public(peer):
        raise UnavailableError(
            f"The account's address leads to {peer}, which is not on the public"
            " Internet, so mcdash does not speak to it. Nothing was sent."
        )


def _is_loopback(peer: IPv4Address | IPv6Address) -> bool:
    mapped = peer.ipv4_mapped if isinstance(peer, IPv6Address) else None
    return (mapped or peer).is_loopback


def _is_public(peer: IPv4Address | IPv6Address) -> bool:
    if isinstance(peer, IPv6Address):
        inner = peer.ipv4_mapped or peer.sixtofour or _behind_nat64(peer)
        return _is_public_6(peer) if inner is None else _is_public(inner)
    return peer.is_global and not any(peer in network for network in _NOT_FOR_US_4)


def _is_public_6(peer: IPv6Address) -> bool:
    return (
        peer in _GLOBAL_UNICAST
        and peer.is_global
        and not any(peer in network for network in _NOT_FOR_US_6)
    )


def _behind_nat64(peer: IPv6Address) -> IPv4Address | None:
    return IPv4Address(int(peer) & 0xFFFF_FFFF) if peer in _NAT64 else None
