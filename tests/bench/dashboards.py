"""Open dashboards: each polls as the page in a browser does, with its own session."""

from __future__ import annotations

import asyncio
import random
import re
import time
from dataclasses import dataclass, field
from html import unescape

from tests.bench.web import HOST, LIVE

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
    port: int,
    cookies: list[str],
    *,
    seconds: float,
    opening_seconds: float = 3.0,
    poll: str = "",
) -> Watched:
    """Open a dashboard for each cookie, spread over `opening_seconds`, and leave all
    of them open for `seconds` more; what is noted is of those. With `poll`, the
    address of an opened page's next poll, they are open already.
    """
    watched = Watched()
    times = (opening_seconds, seconds)
    asyncio.run(_all(port, cookies, times, poll, watched))
    return watched


async def _all(
    port: int,
    cookies: list[str],
    times: tuple[float, float],
    poll: str,
    watched: Watched,
) -> None:
    opening, seconds = times
    begins = time.monotonic() + opening
    async with asyncio.TaskGroup() as group:
        for cookie in cookies:
            open_for = Open(begins=begins, ends=begins + seconds)
            delay = random.uniform(0, opening)
            page = Dashboard(port=port, cookie=cookie, path=poll or "/")
            group.create_task(_keep_open(page, delay, open_for, watched))


@dataclass(frozen=True, kw_only=True)
class Open:
    """From when to when (monotonic) what dashboards meet is noted."""

    begins: float
    ends: float

    @property
    def counts(self) -> bool:
        return time.monotonic() >= self.begins


@dataclass(kw_only=True)
class Dashboard:
    """One open page: what it asks for next, and after how many seconds."""

    port: int
    cookie: str
    path: str = "/"
    pause: float = 3.0

    def learn(self, body: str) -> None:
        """What an answer says of the next poll."""
        if told := LIVE.search(body):
            self.path = unescape(told[1])
            said = SECONDS_SAID.search(body)
            self.pause = float(said[1]) if said else 20.0


async def _keep_open(
    page: Dashboard, delay: float, is_open: Open, watched: Watched
) -> None:
    await asyncio.sleep(delay)
    while time.monotonic() < is_open.ends:
        counts, began = is_open.counts, time.monotonic()
        try:
            status, body = await _get(page)
        except (OSError, EOFError, ValueError, TimeoutError) as error:
            watched.errors.append(f"{type(error).__name__}: {error}")
            await asyncio.sleep(page.pause)
            continue
        if counts:
            watched.note(status, time.monotonic() - began)
        if status == 200:
            page.learn(body)
        await asyncio.sleep(max(0.0, min(page.pause, is_open.ends - time.monotonic())))


async def _get(page: Dashboard) -> tuple[int, str]:
    """Status and body; a connection for each, since gunicorn keeps none for 3 s."""
    async with asyncio.timeout(LONGEST_ANSWER_SECONDS):
        reader, writer = await asyncio.open_connection(HOST, page.port)
        try:
            lines = [f"GET {page.path} HTTP/1.1", f"Host: {HOST}"]
            lines += [f"Cookie: {page.cookie}", "Connection: close"]
            lines += ["HX-Request: true"] if "since=" in page.path else []
            writer.write("\r\n".join([*lines, "", ""]).encode())
            await writer.drain()
            answer = await reader.read(-1)
        finally:
            writer.close()
    head, _, body = answer.partition(b"\r\n\r\n")
    if not head:
        raise EOFError("no answer")
    return int(head.split()[1]), body.decode()
