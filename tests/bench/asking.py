"""Requests as a browser sends them, many at once and at little cost of their own."""

from __future__ import annotations

import asyncio
import re
import zlib
from dataclasses import dataclass, field

from tests.bench.web import HOST

GZIP = 31  # zlib's number for it
POLL_AFTER = re.compile(rb"\r\nPoll-After: *([\d.]+)", re.IGNORECASE)
# What an asker meets instead of an answer.
FAILURES = (OSError, EOFError, ValueError, TimeoutError)


@dataclass(frozen=True, slots=True)
class Answer:
    """One answer, its body unpacked; `size` counts the bytes that came."""

    status: int
    head: bytes
    body: bytes
    size: int

    @property
    def poll_after(self) -> float | None:
        """The pause in seconds that the header asks for."""
        found = POLL_AFTER.search(self.head)
        return float(found[1]) if found else None


@dataclass(frozen=True, kw_only=True)
class Browser:
    """Somebody's session. Every request has a connection of its own: gunicorn closes
    one that was silent for 2 s, and pages poll more rarely.
    """

    port: int
    cookie: str

    async def get(self, path: str, seconds: float, *, is_htmx: bool = False) -> Answer:
        return await self._ask(_Request("GET", path, is_htmx=is_htmx), seconds)

    async def post(self, path: str, seconds: float, body: bytes) -> Answer:
        """A form that htmx sends."""
        form = ("Content-Type: application/x-www-form-urlencoded",)
        asked = _Request("POST", path, is_htmx=True, body=body, headers=form)
        return await self._ask(asked, seconds)

    async def _ask(self, request: _Request, seconds: float) -> Answer:
        async with asyncio.timeout(seconds):
            reader, writer = await asyncio.open_connection(HOST, self.port)
            try:
                writer.write(request.as_bytes(self))
                answer = await reader.read(-1)
            finally:
                writer.close()
        return _read(answer)


@dataclass(frozen=True, slots=True)
class _Request:
    method: str
    path: str
    is_htmx: bool = False
    body: bytes = b""
    headers: tuple[str, ...] = field(default_factory=tuple)

    def as_bytes(self, browser: Browser) -> bytes:
        lines = [
            f"{self.method} {self.path} HTTP/1.1",
            f"Host: {HOST}:{browser.port}",
            f"Cookie: {browser.cookie}",
            "Accept-Encoding: gzip, deflate",
            "Connection: close",
            *self.headers,
        ]
        if self.is_htmx:
            lines.append("HX-Request: true")
        if self.method == "POST":
            lines.append(f"Origin: http://{HOST}:{browser.port}")
            lines.append(f"Content-Length: {len(self.body)}")
        return "\r\n".join([*lines, "", ""]).encode() + self.body


def _read(answer: bytes) -> Answer:
    head, _, body = answer.partition(b"\r\n\r\n")
    if not head:
        raise EOFError("no answer")
    if b"Content-Encoding: gzip" in head:
        try:
            body = zlib.decompress(body, GZIP)
        except zlib.error as error:
            raise EOFError(f"half an answer: {error}") from None
    return Answer(int(head[9:12]), head, body, len(answer))
