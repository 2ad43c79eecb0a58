"""Connections that know whether anything was sent and can be cut from outside.

requests and urllib3 raise the same exceptions before and after a request went
out, and their timeouts count from byte to byte. So our connections report to an
`Exchange`: it learns when a socket opens, is asked right before the first byte of
a request leaves, and shuts the socket down when its time is up, whatever the
other side does in the meantime.
"""

from __future__ import annotations

import ipaddress
import socket
import threading
import time
from collections.abc import Callable
from contextlib import suppress
from contextvars import ContextVar
from typing import Any

from requests.adapters import HTTPAdapter
from urllib3.connection import HTTPConnection, HTTPSConnection
from urllib3.connectionpool import HTTPConnectionPool, HTTPSConnectionPool

from imports.marketingcloud.errors import UnavailableError
from imports.reasons import Reason

PeerCheck = Callable[[str], None]

# Connections outlive exchanges, and each must find the one of the thread that uses it.
_current: ContextVar[Exchange] = ContextVar("exchange")


class Exchange:
    """One request and its answer: whether it was sent, and how long it may take.

    `seconds` is the total time from entering to leaving. `send_before` is a
    `time.monotonic()` value after which nothing is sent any more.
    """

    def __init__(
        self,
        *,
        seconds: float,
        send_before: float | None = None,
        check_peer: PeerCheck | None = None,
    ) -> None:
        self.sent = False
        self.expired = False
        self.seconds = seconds
        self._send_before = send_before
        self._check_peer = check_peer
        self._lock = threading.Lock()
        self._handle: socket.socket | None = None
        self._timer = threading.Timer(seconds, self._expire)
        # a process that ends does not wait for it
        self._timer.daemon = True

    def __enter__(self) -> Exchange:
        self._before = _current.set(self)
        self._timer.start()
        return self

    def __exit__(self, *_error: object) -> None:
        self._timer.cancel()
        self._hold(None)
        _current.reset(self._before)

    def opened(self, sock: socket.socket, *, proxied: bool) -> None:
        """A TCP connection stands; nothing has been sent over it.

        The peer check may raise to forbid the address; the socket is closed then.
        Behind a proxy the peer is the proxy, which is not for it to judge.
        """
        try:
            self._hold(sock)
            if self._check_peer is not None and not proxied:
                self._check_peer(sock.getpeername()[0])
        except BaseException:
            sock.close()
            raise

    def about_to_send(self, sock: socket.socket) -> None:
        """The next bytes are the request's. Raises UnavailableError if too late."""
        self._hold(sock)
        if self.expired:
            raise UnavailableError(
                "Marketing Cloud could not be reached within"
                f" {self.seconds:g} seconds. Nothing was sent."
            )
        if self._send_before is not None and time.monotonic() >= self._send_before:
            raise UnavailableError(
                "Connecting to Marketing Cloud took too long, so nothing was sent."
            )
        self.sent = True

    def _hold(self, sock: socket.socket | None) -> None:
        # A handle of our own: TLS takes the descriptor away from the socket that
        # connected, and urllib3 forgets its socket before the body is read.
        handle = socket.socket(fileno=socket.dup(sock.fileno())) if sock else None
        with self._lock:
            old, self._handle = self._handle, handle
            if self.expired:
                _shut(handle)
        if old is not None:
            old.close()

    def _expire(self) -> None:
        with self._lock:
            self.expired = True
            _shut(self._handle)


def _shut(handle: socket.socket | None) -> None:
    if handle is not None:
        # the other side may have been faster: the socket is down already
        with suppress(OSError):
            handle.shutdown(socket.SHUT_RDWR)


class _Connection(HTTPConnection):
    def _new_conn(self) -> socket.socket:
        sock = super()._new_conn()
        _current.get().opened(sock, proxied=self.proxy is not None)
        return sock

    def request(self, *args: Any, **options: Any) -> None:
        """Connects first, so that the announcement is the last thing before."""
        if self.sock is None:
            self.connect()
        _current.get().about_to_send(self.sock)
        super().request(*args, **options)


class _TlsConnection(_Connection, HTTPSConnection):
    pass


class _Pool(HTTPConnectionPool):
    ConnectionCls = _Connection


class _TlsPool(HTTPSConnectionPool):
    ConnectionCls = _TlsConnection


_POOLS: dict[str, type[HTTPConnectionPool]] = {"http": _Pool, "https": _TlsPool}


class ReportingAdapter(HTTPAdapter):
    """requests' adapter over our own connections; it never retries."""

    def __init__(self) -> None:
        # a request that urllib3 repeats by itself could be a second Perform
        super().__init__(pool_connections=2, pool_maxsize=1, max_retries=0)

    def init_poolmanager(self, *args: Any, **options: Any) -> None:
        """Gives the pool manager our connections."""
        super().init_poolmanager(*args, **options)
        self.poolmanager.pool_classes_by_scheme = _POOLS

    def proxy_manager_for(self, proxy: str, **options: Any) -> Any:
        """Gives the proxy's pool manager our connections."""
        manager = super().proxy_manager_for(proxy, **options)
        manager.pool_classes_by_scheme = _POOLS
        return manager


_NAT64 = ipaddress.IPv6Network("64:ff9b::/96")
_GLOBAL_UNICAST = ipaddress.IPv6Network("2000::/3")
# what `is_global` lets pass, in some Python versions at least
_NOT_FOR_US_4 = ipaddress.IPv4Network("192.88.99.0/24")  # relays of 6to4, given up
_NOT_FOR_US_6 = (
    ipaddress.IPv6Network("2001::/23"),  # Teredo, benchmarks, other protocols' own
    ipaddress.IPv6Network("3fff::/20"),  # documentation
)


def check_peer(address: str, *, allow_loopback: bool) -> None:
    """Passes where `address`, a peer's IP address, is a public one, or this machine's
    while `allow_loopback`; an IPv4 address within an IPv6 one counts as itself.

    Raises UnavailableError: it is asked before anything is sent.
    """
    peer = ipaddress.ip_address(address)
    mapped = peer.ipv4_mapped if peer.version == 6 else None
    if allow_loopback and (mapped or peer).is_loopback:
        return
    # Without this check an account's address could make mcdash speak to services of
    # the network it runs in. It looks at the connection that stands, not at a name,
    # which may lead elsewhere a moment later.
    if not _is_public(peer):
        raise UnavailableError(
            f"The account's address leads to {peer}, which is not on the public"
            " Internet, so mcdash does not speak to it. Nothing was sent.",
            reason=Reason.ADDRESS_REFUSED,
        )


def _is_public(peer: ipaddress.IPv4Address | ipaddress.IPv6Address) -> bool:
    if isinstance(peer, ipaddress.IPv4Address):
        return peer.is_global and not peer.is_multicast and peer not in _NOT_FOR_US_4
    inner = peer.ipv4_mapped or peer.sixtofour
    if peer in _NAT64:
        inner = ipaddress.IPv4Address(int(peer) & 0xFFFF_FFFF)
    if inner is not None:
        return _is_public(inner)
    return (
        peer in _GLOBAL_UNICAST
        and peer.is_global
        and not any(peer in network for network in _NOT_FOR_US_6)
    )
