"""Connections that know whether anything was sent and can be cut from outside.

requests and urllib3 raise the same exceptions before and after a request went
out, and their timeouts count from byte to byte. So our connections report to an
`Exchange`: it learns when a socket opens, is asked right before the first byte of
a request leaves, and shuts the socket down when its time is up, whatever the
other side does in the meantime.
"""

from __future__ import annotations

import socket
import threading
import time
from collections.abc import Callable
from types import TracebackType
from typing import Any, ClassVar

from requests.adapters import HTTPAdapter
from urllib3.connection import HTTPConnection, HTTPSConnection
from urllib3.connectionpool import HTTPConnectionPool, HTTPSConnectionPool

from imports.marketingcloud.errors import UnavailableError

PeerCheck = Callable[[str], None]


class Exchange:
    """One request and its answer: what was sent, and how long it may take.

    `seconds` is the total time from entering to leaving. `send_before` is a
    `time.monotonic()` value after which nothing may be sent any more.
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
        self._timer.daemon = True

    def __enter__(self) -> Exchange:
        self._timer.start()
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self._timer.cancel()
        self._hold(None)

    def opened(self, sock: socket.socket, *, proxied: bool) -> None:
        """A TCP connection stands; nothing has been sent over it.

        The peer check may raise to forbid the address. Behind a proxy the peer
        is the proxy, which is not for it to judge.
        """
        self._hold(sock)
        if self._check_peer is not None and not proxied:
            self._check_peer(sock.getpeername()[0])

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
        handle = _second_handle(sock) if sock is not None else None
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


def _second_handle(sock: socket.socket) -> socket.socket:
    return socket.socket(fileno=socket.dup(sock.fileno()))


def _shut(handle: socket.socket | None) -> None:
    if handle is None:
        return
    try:
        handle.shutdown(socket.SHUT_RDWR)
    except OSError:
        return  # the other side was faster: the socket is down already


class Watch:
    """The exchange that is under way, for connections which outlive it."""

    exchange: Exchange

    def opened(self, sock: socket.socket, *, proxied: bool) -> None:
        """Passes the news on; a socket that is refused is closed."""
        try:
            self.exchange.opened(sock, proxied=proxied)
        except BaseException:
            sock.close()
            raise


class _WatchedConnection(HTTPConnection):
    watch: ClassVar[Watch]

    def _new_conn(self) -> socket.socket:
        sock = super()._new_conn()
        self.watch.opened(sock, proxied=self.proxy is not None)
        return sock

    def request(self, *args: Any, **options: Any) -> None:
        """Connects first, so that the announcement is the last thing before."""
        if self.sock is None:
            self.connect()
        self.watch.exchange.about_to_send(self.sock)
        super().request(*args, **options)


def _pool_classes(watch: Watch) -> dict[str, type[HTTPConnectionPool]]:
    kept = watch

    class PlainConnection(_WatchedConnection):
        watch = kept

    class TlsConnection(_WatchedConnection, HTTPSConnection):
        watch = kept

    class PlainPool(HTTPConnectionPool):
        ConnectionCls = PlainConnection

    class TlsPool(HTTPSConnectionPool):
        ConnectionCls = TlsConnection

    return {"http": PlainPool, "https": TlsPool}


class WatchedAdapter(HTTPAdapter):
    """requests' adapter over watched connections; it never retries."""

    def __init__(self, watch: Watch) -> None:
        self._pool_classes = _pool_classes(watch)
        super().__init__(pool_connections=2, pool_maxsize=1, max_retries=0)

    def init_poolmanager(self, *args: Any, **options: Any) -> None:
        """Gives the pool manager our connections."""
        super().init_poolmanager(*args, **options)
        self.poolmanager.pool_classes_by_scheme = self._pool_classes

    def proxy_manager_for(self, proxy: str, **options: Any) -> Any:
        """Gives the proxy's pool manager our connections."""
        manager = super().proxy_manager_for(proxy, **options)
        manager.pool_classes_by_scheme = self._pool_classes
        return manager
