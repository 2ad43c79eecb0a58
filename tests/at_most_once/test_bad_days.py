"""What else befalls a site: a locked database, workers that freeze or are stopped."""

from __future__ import annotations

import signal
import sqlite3
import time
from collections.abc import Callable
from contextlib import closing

import pytest

from tests.at_most_once.crashing import DEADLINE_SECONDS, CrashSite, judge
from tests.e2e.site import DATABASE, Part, wait_until

pytestmark = pytest.mark.slow

LATENCY_MS = 300
LOCKED_SECONDS = 5


def test_a_database_locked_for_5_seconds_loses_no_answer(site: CrashSite) -> None:
    """Longer than the lease: a claim may be given up while its answer waits."""
    site.order(latency_ms=LATENCY_MS)
    site.start_doomed()
    site.top_up(4)
    wait_until(site.performed, "a Perform on the wire")
    with closing(sqlite3.connect(site.folder / DATABASE, timeout=20)) as database:
        database.execute("BEGIN IMMEDIATE")
        time.sleep(LOCKED_SECONDS)
        database.rollback()
    site.settle()
    ended = judge(site.ended(), site.performed())
    assert not ended["not_started no_trace"]


def frozen(site: CrashSite, *doom: object) -> Part:
    """A worker that froze in the middle of a start; another one goes on."""
    worker = site.start_doomed(*doom)
    site.top_up(1)
    wait_until(lambda: site.is_frozen(worker), "a worker that stands still")
    site.start_doomed()
    return worker


def test_a_worker_frozen_after_its_claim_sends_nothing_when_it_wakes(
    make_site: Callable[..., CrashSite],
) -> None:
    # A lease longer than the 5 s in which a claimed start may still be sent, and a
    # grace period in which the frozen one surely wakes, on a busy machine too.
    site = make_site(MCDASH_START_LEASE_SECONDS="7", MCDASH_UNKNOWN_GRACE_SECONDS="120")
    worker = frozen(site, "frozen after the claim", 1)
    wait_until(lambda: site.statuses() == ["unknown"], "the end of the lease")
    site.thaw(worker)
    wait_until(lambda: site.statuses() == ["not_started"], "the frozen one's word")
    (run,) = site.ended()
    # SIGSTOP may let it run a few steps further, as far as its connection
    assert run.reason in {"held_up", "unreachable"}
    assert site.performed() == []


def test_a_worker_frozen_on_the_wire_finds_its_run_settled(site: CrashSite) -> None:
    site.order(latency_ms=LATENCY_MS)
    worker = frozen(site, "frozen on the wire", 1, 0.15)
    wait_until(lambda: site.statuses() == ["completed"], "a run that was found")
    events = site.events()
    site.thaw(worker)
    time.sleep(2)
    assert site.events() == events
    assert "unanswered" in events
    judge(site.ended(), site.performed())
    assert len(site.performed()) == 1


def test_two_workers_send_each_of_many_starts_once(site: CrashSite) -> None:
    for _ in range(2):
        site.start_doomed()
    site.top_up(30)
    site.settle()
    judge(site.ended(), site.performed())
    assert len(site.ended()) == 30


@pytest.mark.parametrize("asked", [signal.SIGTERM, signal.SIGINT])
def test_a_worker_that_is_asked_to_stop_finishes_what_is_on_the_wire(
    site: CrashSite, asked: signal.Signals
) -> None:
    """The account has two calls at a time: the third start waits."""
    delay = {"what": "delay", "when": "after", "operation": "Perform", "seconds": 1.5}
    site.order(rule=delay | {"times": 2})
    worker = site.start_doomed()
    site.top_up(3, "Nordlicht DE")
    wait_until(lambda: len(site.performed()) == 2, "two Performs on the wire")
    worker.process.send_signal(asked)
    assert worker.wait(2 * DEADLINE_SECONDS + 30) == 0
    assert sorted(site.statuses()) == ["queued", "running", "running"]
    site.settle()
    judge(site.ended(), site.performed())
    assert len(site.performed()) == 3


def test_a_worker_that_is_asked_to_stop_waits_for_no_answer_for_ever(
    site: CrashSite,
) -> None:
    site.order(rule={"what": "hang", "when": "after", "operation": "Perform"})
    worker = site.start_doomed()
    site.top_up(1, "Nordlicht DE")
    wait_until(site.performed, "a Perform that hangs")
    worker.process.send_signal(signal.SIGTERM)
    assert worker.wait(2 * DEADLINE_SECONDS + 30) == 0
    assert site.statuses() == ["unknown"]
    site.settle()
    judge(site.ended(), site.performed())
