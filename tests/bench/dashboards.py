"""Open dashboards: each polls as the page in a browser does (`static/js/live.js`), with
its own session.
"""

from __future__ import annotations

import asyncio
import random
import re
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from html import unescape

from tests.bench.asking import FAILURES, Answer, Browser
from tests.bench.steps import Steps, steps_in

# live.js gives up on a poll after so long, and waits no longer than that between two.
GIVE_UP_SECONDS, SLOWEST_SECONDS = 15.0, 60.0
LONGEST_OPENING_SECONDS = 60.0
LIVE = re.compile(rb'hx-get="([^"]+)"')
SAID = re.compile(rb'data-seconds="([\d.]+)"')
OVER = (401, 403, 404)


@dataclass(frozen=True, slots=True)
class Met:
    """An answer, or what came instead: when (monotonic), after how many seconds."""

    at: float
    seconds: float
    status: int
    size: int = 0
    error: str = ""


@dataclass(kw_only=True)
class Watched:
    """What all dashboards together have met. With `steps` also how late they were told
    of changes: moments of change (seconds since 1970) and the delays. A poll is given
    up after `give_up` seconds.
    """

    steps: Steps | None = None
    give_up: float = GIVE_UP_SECONDS
    met: list[Met] = field(default_factory=list)
    delays: list[tuple[float, float]] = field(default_factory=list)

    def between(self, began: float, ended: float) -> Watched:
        """What was met in that time (monotonic)."""
        return Watched(met=[one for one in self.met if began <= one.at < ended])

    @property
    def seconds(self) -> list[float]:
        """Until the answer, or until the page gave up."""
        return [one.seconds for one in self.met]

    @property
    def errors(self) -> list[str]:
        return [one.error for one in self.met if one.error]

    def of_status(self, status: int) -> list[Met]:
        return [one for one in self.met if one.status == status]


@dataclass(kw_only=True)
class Dashboard:
    """One open page: what it asks for next, after how many seconds, what it shows."""

    browser: Browser
    path: str = "/"
    said_seconds: float = 3.0
    pause: float = 3.0
    failures: int = 0
    steps: dict[int, int] = field(default_factory=dict)

    @property
    def polls(self) -> bool:
        return "since=" in self.path

    @property
    def wait(self) -> float:
        """The seconds until it asks again; it never does if that is 0."""
        longest = max(self.pause, SLOWEST_SECONDS)
        return min(self.pause * 2.0**self.failures, longest)

    def learn(self, answer: Answer) -> None:
        """What an answer says of the next poll."""
        self.failures = 0 if answer.status in (200, 204) else self.failures + 1
        place = answer.body.rfind(b'<div id="live"')
        if place >= 0:
            live = answer.body[place:]
            if found := LIVE.search(live):
                self.path = unescape(found[1].decode())
            if found := SAID.search(live):
                self.said_seconds = float(found[1])
        said = answer.poll_after
        self.pause = self.said_seconds if said is None else said
        if answer.status in OVER:
            self.pause = 0

    def new_steps(self, answer: Answer) -> list[tuple[int, int]]:
        """Account and step of each change that the page shows from this answer on, also
        of those that came between two polls.
        """
        found: list[tuple[int, int]] = []
        for account, step in steps_in(answer.body):
            shown = self.steps.get(account, 0)
            found += [(account, each) for each in range(shown + 1, step + 1)]
            self.steps[account] = max(shown, step)
        return found


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

    async def _watch() -> Watched:
        watched = Watched()
        async with opened(
            port, cookies, watched, within=opening_seconds, path=poll or "/"
        ):
            began = time.monotonic()
            await asyncio.sleep(seconds)
            return watched.between(began, time.monotonic())

    return asyncio.run(_watch())


@asynccontextmanager
async def opened(
    port: int, cookies: list[str], watched: Watched, *, within: float, path: str = "/"
) -> AsyncIterator[None]:
    """A dashboard for each cookie, opened one after the other `within` these seconds;
    begins when they are over. The dashboards close at the end.
    """
    async with asyncio.TaskGroup() as group:
        tasks = [
            group.create_task(
                _keep_open(
                    Dashboard(browser=Browser(port=port, cookie=cookie), path=path),
                    random.uniform(0, within),
                    watched,
                )
            )
            for cookie in cookies
        ]
        await asyncio.sleep(within)
        yield
        for task in tasks:
            task.cancel()


async def _keep_open(page: Dashboard, delay: float, watched: Watched) -> None:
    await asyncio.sleep(delay)
    while page.wait:
        await _look(page, watched)
        await asyncio.sleep(page.wait)


async def _look(page: Dashboard, watched: Watched) -> None:
    began = time.monotonic()
    longest = watched.give_up if page.polls else LONGEST_OPENING_SECONDS
    try:
        answer = await page.browser.get(page.path, longest, is_htmx=page.polls)
    except FAILURES as error:
        now, text = time.monotonic(), str(error) or "no answer in time"
        error_text = f"{type(error).__name__}: {text}"
        watched.met.append(Met(now, now - began, 0, 0, error_text))
        page.failures += 1
        return
    now = time.monotonic()
    is_good = answer.status in (200, 204)
    text = "" if is_good else f"HTTP {answer.status}"
    watched.met.append(Met(now, now - began, answer.status, answer.size, text))
    if watched.steps and answer.body:
        heard_at = time.time()
        for account, step in page.new_steps(answer):
            changed_at = watched.steps.changed_at(account, step)
            watched.delays.append((changed_at, heard_at - changed_at))
    page.learn(answer)
