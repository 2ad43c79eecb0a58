"""A server on loopback that plays prepared answers and misbehaviour, one a request."""

from __future__ import annotations

import contextlib
import itertools
import socket
import threading
from collections import deque
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any


@dataclass(frozen=True, kw_only=True)
class Received:
    """A request as it came in; `port` is the other end's, one a connection."""

    path: str
    headers: dict[str, str]
    body: str
    port: int


class Handler(BaseHTTPRequestHandler):
    """Plays the next piece of its server's programme."""

    protocol_version = "HTTP/1.1"
    server: Stage

    def do_POST(self) -> None:
        """Reads the request, notes it and plays."""
        length = int(self.headers.get("Content-Length", "0"))
        play = self.server.next_play()
        if play.reads:
            self._note(self.rfile.read(length).decode())
        play.act(self)

    def do_GET(self) -> None:
        """Nobody has any business here: noted."""
        self.server.fetched.append(self.path)
        self.send_error(404)

    def _note(self, body: str) -> None:
        self.server.received.append(
            Received(
                path=self.path,
                headers={name.lower(): value for name, value in self.headers.items()},
                body=body,
                port=self.client_address[1],
            )
        )

    def write(self, data: bytes) -> None:
        """Writes raw bytes at once."""
        self.wfile.write(data)
        self.wfile.flush()

    def hang_up(self) -> None:
        """Ends the connection here."""
        self.close_connection = True
        with contextlib.suppress(OSError):
            self.connection.shutdown(socket.SHUT_RDWR)

    def log_message(self, format: str, *args: Any) -> None:  # noqa: A002 - the base's name
        """Nothing: tests are quiet."""


@dataclass(frozen=True, kw_only=True)
class Play:
    """One reaction; `reads` is False for one that does not read the request."""

    act: Callable[[Handler], None]
    reads: bool = True


class Stage(ThreadingHTTPServer):
    """Serves on a free port of 127.0.0.1 and plays its programme in order.

    `fetched` are the paths that anybody asked for by GET; `poured` is how many bytes
    of each flood were written before the other end hung up.
    """

    daemon_threads = True
    block_on_close = False

    def __init__(self) -> None:
        super().__init__(("127.0.0.1", 0), Handler)
        self.received: list[Received] = []
        self.fetched: list[str] = []
        self.poured: list[int] = []
        self.over = threading.Event()
        self._programme: deque[Play] = deque()

    @property
    def url(self) -> str:
        """The server's base address."""
        return f"http://127.0.0.1:{self.server_address[1]}"

    def plays(self, *plays: Play) -> None:
        """Adds to the programme."""
        self._programme.extend(plays)

    def next_play(self) -> Play:
        """The next piece; a request too many gets HTTP 418."""
        return self._programme.popleft() if self._programme else answer(b"", status=418)

    def handle_error(self, request: Any, client_address: Any) -> None:
        """Nothing: clients hang up on us by design."""


@contextlib.contextmanager
def staged() -> Iterator[Stage]:
    """A running stage."""
    stage = Stage()
    thread = threading.Thread(target=stage.serve_forever, args=(0.01,))
    thread.start()
    try:
        yield stage
    finally:
        stage.over.set()
        stage.shutdown()
        thread.join()
        stage.server_close()


def answer(
    body: bytes | str,
    *,
    status: int = 200,
    content_type: str = "text/xml; charset=utf-8",
    **headers: str,
) -> Play:
    """A whole and honest HTTP answer."""
    data = body.encode() if isinstance(body, str) else body
    lines = {"Content-Type": content_type, "Content-Length": str(len(data)), **headers}
    head = "".join(f"{n.replace('_', '-')}: {v}\r\n" for n, v in lines.items())
    return raw(f"HTTP/1.1 {status} Said\r\n{head}\r\n".encode() + data)


def raw(data: bytes) -> Play:
    """Exactly these bytes, then the connection goes on."""
    return Play(act=lambda handler: handler.write(data))


def cut(data: bytes = b"", *, reads: bool = True) -> Play:
    """These bytes, then the connection ends."""

    def act(handler: Handler) -> None:
        if data:
            handler.write(data)
        handler.hang_up()

    return Play(act=act, reads=reads)


def hang(data: bytes = b"") -> Play:
    """These bytes, then nothing more until the test is over."""

    def act(handler: Handler) -> None:
        if data:
            handler.write(data)
        handler.server.over.wait(10)

    return Play(act=act)


def drip(head: bytes, *, every_seconds: float = 0.02) -> Play:
    """The head at once, then one byte after another for some ten seconds."""

    def act(handler: Handler) -> None:
        handler.write(head)
        for _ in range(int(10 / every_seconds)):
            if handler.server.over.wait(every_seconds):
                return
            handler.write(b"a")
        handler.hang_up()

    return Play(act=act)


def flood(head: bytes, piece: bytes, times: int) -> Play:
    """The head, then the piece again and again, as fast as it goes."""
    return pour(head, lambda: itertools.repeat(piece, times))


def pour(head: bytes, pieces: Callable[[], Iterator[bytes]]) -> Play:
    """The head, then piece after piece, made while they flow."""

    def act(handler: Handler) -> None:
        handler.write(head)
        written = 0
        try:
            for piece in pieces():
                handler.write(piece)
                written += len(piece)
        finally:
            handler.server.poured.append(written)
        handler.hang_up()

    return Play(act=act)
