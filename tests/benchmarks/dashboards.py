"""Open dashboards: each polls as the page in a browser does, with its own session."""

from __future__ import annotations

import asyncio
import random
import re
import time
from dataclasses import dataclass, field
from html import unescape

from tests.benchmarks.web import HOST, LIVE

SECONDS_SAID = re.compile(r'data-seconds="(\d+)"')
LONGEST_ANSWER_SECONDS = 60.0


@dataclass(kw_only=True)
class Watched:
    """What all dashboards together have met."""

    seconds: list[float] = field(default_factory=list)
    unchanged: int = 0
    changed: int = 0
    errors: list[str] = field(default_factory=list)

    def note(self, status: int, seconds: float) -> None:
        self.seconds.append(seconds)
        self.unchanged += status == 204
        self.changed += status == 200
        if status not in (200, 204):
            self.errors.append(f"HTTP {status}")


def watch(
    port: int, cookies: list[str], *, seconds: float, opening_seconds: float = 3.0
) -> Watched:
    """Open a dashboard for each cookie, spread over `opening_seconds`, and leave all
    of them open for `seconds` more; what is noted is of those.
    """
    watched = Watched()
    asyncio.run(_all(port, cookies, (opening_seconds, seconds), watched))
    return watched


async def _all(
    port: int, cookies: list[str], times: tuple[float, float], watched: Watched
) -> None:
    opening, seconds = times
    begins = time.monotonic() + opening
    async with asyncio.TaskGroup() as group:
        for cookie in cookies:
            open_for = Open(begins=begins, ends=begins + seconds)
            delay = random.uniform(0, opening)
            group.create_task(_dashboard(port, cookie, delay, open_for, watched))


@dataclass(frozen=True, kw_only=True)
class Open:
    """From when to when (monotonic) what dashboards meet is noted."""

    begins: float
    ends: float

    @property
    def counts(self) -> bool:
        return time.monotonic() >= self.begins


async def _dashboard(
    port: int, cookie: str, delay: float, is_open: Open, watched: Watched
) -> None:
    await asyncio.sleep(delay)
    path, pause, is_poll = "/", 3.0, False
    while time.monotonic() < is_open.ends:
        counts, began = is_open.counts, time.monotonic()
        try:
            status, body = await _get(port, path, cookie, is_poll=is_poll)
        except (OSError, EOFError, ValueError, TimeoutError) as error:
            watched.errors.append(f"{type(error).__name__}: {error}")
            await asyncio.sleep(pause)
            continue
        if counts:
            watched.note(status, time.monotonic() - began)
        if status == 200 and (told := LIVE.search(body)):
            path, is_poll = unescape(told[1]), True
            pause = float((SECONDS_SAID.search(body) or ["", "20"])[1]) or 20.0
        await asyncio.sleep(max(0.0, min(pause, is_open.ends - time.monotonic())))


async def _get(port: int, path: str, cookie: str, *, is_poll: bool) -> tuple[int, str]:
    """Status and body; a connection for each, since gunicorn keeps none for 3 s."""
    async with asyncio.timeout(LONGEST_ANSWER_SECONDS):
        reader, writer = await asyncio.open_connection(HOST, port)
        try:
            lines = [f"GET {path} HTTP/1.1", f"Host: {HOST}", f"Cookie: {cookie}"]
            lines += ["HX-Request: true"] if is_poll else []
            writer.write("\r\n".join([*lines, "Connection: close", "", ""]).encode())
            await writer.drain()
            answer = await reader.read(-1)
        finally:
            writer.close()
    head, _, body = answer.partition(b"\r\n\r\n")
    if not head:
        raise EOFError("no answer")
    return int(head.split()[1]), body.decode()
