"""The figures of a load test: what open dashboards met between two readings."""

from __future__ import annotations

import asyncio
import itertools
import sys
import time
from collections import Counter
from collections.abc import Iterable
from dataclasses import dataclass
from statistics import mean

from tests.bench.asking import Browser
from tests.bench.clicks import Clicks, click_on_start
from tests.bench.dashboards import GIVE_UP_SECONDS, Watched, opened
from tests.bench.figures import Figure, milliseconds, percentile
from tests.bench.processes import family, private_mb, spent_by
from tests.bench.sandboxes import Sandbox
from tests.bench.scene import Scene
from tests.e2e.site import TooLateError, wait_until

# A change that comes later than so before the end of the time is not looked for.
LAST_CHANGE_SECONDS = 15.0
TAKING_SECONDS = 60.0


@dataclass(frozen=True, kw_only=True)
class Reading:
    """A moment, and what had been spent by then."""

    at: float
    clock: float
    web: float
    worker: float
    readers: float
    web_mb: float

    @classmethod
    def of(cls, set_up: Scene) -> Reading:
        pids = family(set_up.served.pid)
        return cls(
            at=time.monotonic(),
            clock=time.time(),
            web=spent_by(pids),
            worker=spent_by(family(set_up.worker_pid)),
            readers=time.process_time(),
            web_mb=sum(private_mb(pid) for pid in pids),
        )


@dataclass(frozen=True, kw_only=True)
class Starts:
    """For how many seconds somebody starts imports, and how often."""

    seconds: float
    every: float = 1.0


NO_STARTS = Starts(seconds=0)


@dataclass(frozen=True, kw_only=True)
class Plan:
    """All dashboards are opened within `opening` seconds, then stay open for `seconds`,
    then longer for starts. A poll is given up after `give_up`.
    """

    opening: float
    seconds: float
    starts: Starts = NO_STARTS
    give_up: float = GIVE_UP_SECONDS


async def measured(set_up: Scene, cookies: list[str], plan: Plan) -> list[Figure]:
    """A dashboard for each cookie is open, and somebody starts imports."""
    watched = Watched(steps=set_up.steps, give_up=plan.give_up)
    clicks, started = Clicks(), None
    async with opened(set_up.served.port, cookies, watched, within=plan.opening):
        began = Reading.of(set_up)
        await asyncio.sleep(plan.seconds)
        ended = Reading.of(set_up)
        if plan.starts.seconds:
            clicks = await click_on_start(
                Browser(port=set_up.served.port, cookie=set_up.starter),
                itertools.cycle(set_up.startable),
                seconds=plan.starts.seconds,
                every=plan.starts.every,
            )
            started = Reading.of(set_up)
    found = figures_of(watched, len(cookies), began, ended, set_up.idle_seconds)
    if started:
        met = watched.between(ended.at, started.at)
        found += figures_of_starts(set_up.sandbox, clicks, met)
    return found


def figures_of(
    watched: Watched,
    dashboards: int,
    began: Reading,
    ended: Reading,
    idle_seconds: float,
) -> list[Figure]:
    """Of the time between two readings."""
    met = watched.between(began.at, ended.at)
    _tell_errors(met.errors)
    news, idle = len(met.of_status(200)), len(met.of_status(204))
    asked, seconds = len(met.met), ended.at - began.at
    web, worker, readers = (
        getattr(ended, name) - getattr(began, name)
        for name in ("web", "worker", "readers")
    )
    counted: dict[str, tuple[float, str]] = {
        "load_requests": (asked, "requests"),
        "load_requests_that_brought_something": (news, "requests"),
        "load_errors": (len(met.errors), "errors"),
        "load_cpu_s": (round(web, 1), "s"),
        "load_cores": (round(web / seconds, 2), "cores"),
        "load_worker_cores": (round(worker / seconds, 2), "cores"),
        "load_reader_cores": (round(readers / seconds, 2), "cores"),
        "load_reader_ms_per_request": (_per(readers, asked), "ms"),
        "load_memory_start": (round(began.web_mb, 1), "MB"),
        "load_memory_end": (round(ended.web_mb, 1), "MB"),
        "load_kb_with_news": (_mean_kb(met), "kB"),
        "load_cpu_ms_idle_poll": (round(idle_seconds * 1000, 2), "ms"),
        # all that the web side spent, but for what its idle polls cost, over its news
        "load_cpu_ms_with_news": (_per(web - idle * idle_seconds, news), "ms"),
    }
    return [
        *(Figure(name=n, value=v, unit=unit) for n, (v, unit) in counted.items()),
        *_percentiles("load", met.seconds, 0.5, 0.99),
        *_of_changes(
            watched, dashboards, began.clock, ended.clock - LAST_CHANGE_SECONDS
        ),
    ]


def _of_changes(
    watched: Watched, dashboards: int, began: float, ended: float
) -> list[Figure]:
    """How late each page was told of each change between two moments. A page that was
    not told of it at all counts as if it had been told now, at the end.
    """
    steps, now = watched.steps, time.time()
    if steps is None:
        return []
    late = [delay for at, delay in watched.delays if began <= at < ended]
    waiting = Counter(dict.fromkeys(steps.changes(began, ended), dashboards))
    waiting.subtract(at for at, _ in watched.delays if began <= at < ended)
    missed = [now - at for at, pages in waiting.items() for _ in range(pages)]
    never = f"{len(missed):,} of {len(late) + len(missed):,} never shown"
    return [
        Figure(
            name=f"load_change_to_page_p{share * 100:g}_s",
            value=round(percentile(late + missed, share), 1),
            unit="s",
            baseline=never if missed else "",
        )
        for share in (0.5, 0.95)
        if late or missed
    ]


def figures_of_starts(sandbox: Sandbox, clicks: Clicks, met: Watched) -> list[Figure]:
    """The clicks, and what the sandbox was sent; it gets a while for the last ones."""
    _tell_errors(clicks.errors)

    def performed() -> int:
        return sum(task["origin"] == "perform" for task in sandbox.tasks())

    wanted = len(clicks.starts)
    try:
        wait_until(lambda: performed() >= wanted, "starts", seconds=TAKING_SECONDS)
    except TooLateError as error:
        sys.stderr.write(f"{error}\n")
    return [
        Figure(name="load_starts", value=wanted, unit="starts"),
        Figure(name="load_starts_performed", value=performed(), unit="starts"),
        Figure(name="load_starts_errors", value=len(clicks.errors), unit="errors"),
        *_percentiles("load_start_dialog", clicks.dialogs, 0.5, 0.95),
        *_percentiles("load_start", clicks.starts, 0.5, 0.95),
        *_percentiles("load_polls_beside_starts", met.seconds, 0.5, 0.99),
    ]


def _percentiles(name: str, seconds: list[float], *shares: float) -> list[Figure]:
    return [
        milliseconds(f"{name}_p{share * 100:g}_ms", percentile(seconds, share))
        for share in shares
        if seconds
    ]


def _per(seconds: float, count: int) -> float:
    """Milliseconds for each."""
    return round(seconds / count * 1000, 2) if count else 0.0


def _mean_kb(met: Watched) -> float:
    """How long answers with news are on the wire."""
    sizes = [one.size / 1000 for one in met.of_status(200)]
    return round(mean(sizes), 1) if sizes else 0.0


def _tell_errors(errors: Iterable[str]) -> None:
    for error, times in Counter(errors).most_common(5):
        sys.stderr.write(f"{times} x {error}\n")
