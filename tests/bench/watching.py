"""200 open dashboards cost Marketing Cloud no more calls than one.

A sandbox with running tasks, a worker that follows them, a web server; first one
dashboard is open for a while, then 200 are.
"""

from __future__ import annotations

from pathlib import Path
from threading import Timer

from tests.bench.dashboards import Watched, watch
from tests.bench.figures import Figure, milliseconds, percentile
from tests.bench.sandboxes import Sandbox, add_accounts, crowded_sandbox
from tests.bench.sandboxes import follow_tasks as follow
from tests.bench.web import get, poll_of, session_of, web
from tests.bench.worker import worker

DASHBOARDS = 200
ACCOUNTS, RUNS = 3, 2
SECONDS, QUICK_SECONDS = 30.0, 6.0
OPENING_SECONDS = 3.0
ONE = "one open dashboard, for the same time: {calls} calls"


def figures(folder: Path, *, quick: bool) -> list[Figure]:
    """Calls to Marketing Cloud while 200 dashboards are open, and how they fare."""
    seconds = QUICK_SECONDS if quick else SECONDS
    crowd = {"accounts": ACCOUNTS, "definitions": RUNS, "running": RUNS}
    with crowded_sandbox(**crowd) as sandbox:
        add_accounts(sandbox, ACCOUNTS, settled=True)
        follow(sandbox)
        cookies = add_watchers(DASHBOARDS)
        with worker(folder), web(folder, workers=2) as served:
            one, _ = _watched(sandbox, served.port, cookies[:1], seconds)
            many, watched = _watched(sandbox, served.port, cookies, seconds)
    return as_figures(one, many, watched)


def as_figures(one: int, many: int, watched: Watched) -> list[Figure]:
    """Calls with one dashboard and with many, and what the many have met."""
    return [
        Figure(
            name="watching_200_calls",
            value=many,
            unit="calls",
            baseline=ONE.format(calls=one),
        ),
        Figure(name="watching_200_errors", value=len(watched.errors), unit="errors"),
        milliseconds("watching_200_p99_ms", percentile(watched.seconds, 0.99)),
    ]


def add_watchers(count: int) -> list[str]:
    """A marketer who sees every account, signed in so many times: the cookies."""
    from django.contrib.auth.models import Group

    from imports.models import AccessLevel, Account, AccountAccess, User

    person = User.objects.create_user(username="watcher")
    group = Group.objects.create(name="watchers")
    person.groups.add(group)
    for account in Account.objects.all():
        AccountAccess.objects.create(
            account=account, group=group, level=AccessLevel.VIEW
        )
    return [session_of("watcher") for _ in range(count)]


def _watched(
    sandbox: Sandbox, port: int, cookies: list[str], seconds: float
) -> tuple[int, Watched]:
    """How many calls Marketing Cloud meets while all are open, and what they meet."""
    poll = poll_of(get(port, "/", cookies[0]))
    counts: list[int] = []

    def count() -> None:
        counts.append(sum(sandbox.counts().values()))

    timers = [Timer(at, count) for at in (OPENING_SECONDS, OPENING_SECONDS + seconds)]
    for timer in timers:
        timer.start()
    watched = watch(
        port, cookies, seconds=seconds, opening_seconds=OPENING_SECONDS, poll=poll
    )
    for timer in timers:
        timer.join()
    return counts[1] - counts[0], watched
