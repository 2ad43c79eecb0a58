"""A listener on loopback that hears everything and knows how little it was."""

from __future__ import annotations

import contextlib
import socket
import threading
from collections.abc import Callable, Iterator


class Ear:
    """Takes connections, answers each with `says` and keeps what it heard."""

    def __init__(self, says: bytes = b"") -> None:
        self._listener = socket.create_server(("127.0.0.1", 0))
        self._listener.settimeout(0.02)
        self._says = says
        self._over = threading.Event()
        self.connections = 0
        self.heard = b""

    @property
    def port(self) -> int:
        """Where it listens on 127.0.0.1."""
        return int(self._listener.getsockname()[1])

    def listen(self) -> None:
        """Hears one connection after the other, until it is over and none waits."""
        with self._listener:
            while True:
                was_over = self._over.is_set()
                if sock := self._next():
                    self.connections += 1
                    with sock:
                        self._hear(sock)
                elif was_over:
                    return

    def end(self) -> None:
        """The last connections were made."""
        self._over.set()

    def _next(self) -> socket.socket | None:
        try:
            return self._listener.accept()[0]
        except TimeoutError:
            return None

    def _hear(self, sock: socket.socket) -> None:
        sock.settimeout(5)
        with contextlib.suppress(ConnectionError):
            sock.sendall(self._says)
            while data := sock.recv(4096):
                self.heard += data


@contextlib.contextmanager
def listening(says: bytes = b"") -> Iterator[Ear]:
    """An ear that listens; afterwards everything that was said has been heard."""
    ear = Ear(says)
    thread = threading.Thread(target=ear.listen)
    thread.start()
    try:
        yield ear
    finally:
        ear.end()
        thread.join()


def leading_to(*places: tuple[str, int]) -> Callable[..., list[object]]:
    """A `socket.getaddrinfo` by which every name leads to the first place when it is
    looked up first, then to the second, and so on; to the last from then on.
    """
    left = list(places)

    def found(*args: object, **options: object) -> list[object]:
        place = left.pop(0) if len(left) > 1 else left[0]
        return [(socket.AF_INET, socket.SOCK_STREAM, 6, "", place)]

    return found
