"""Workers killed again and again at every point: never twice, never lost."""

from __future__ import annotations

import sys

import pytest

from tests.at_most_once.crashing import CrashSite, judge

pytestmark = pytest.mark.slow

KILLS = 30
LATENCY_SECONDS = 0.3
MOST_WAITING = 4
SETTLING = ("giving up a claim", "rows in hand", "row written")


def verdict(site: CrashSite, kills: int, point: str) -> None:
    """What the journal says, also for who reads the test's output."""
    site.settle()
    ended = judge(site.ended(), site.performed())
    said = f"{kills} kills, {len(site.performed())} performed, ended: {dict(ended)}"
    sys.stdout.write(f"\n{point}: {said}\n")


@pytest.mark.parametrize(
    "point", ["before the claim", "after the claim", "before the record"]
)
def test_killed_while_starting_nothing_is_sent_twice_or_lost(
    site: CrashSite, point: str
) -> None:
    for number in range(KILLS):
        site.top_up(MOST_WAITING)
        site.let_one_die(point, 1 + number % 3)
    verdict(site, KILLS, point)


def test_killed_on_the_wire_nothing_is_sent_twice_or_lost(site: CrashSite) -> None:
    site.order(latency_ms=LATENCY_SECONDS * 1000)
    for number in range(KILLS):
        site.top_up(MOST_WAITING)
        seconds = LATENCY_SECONDS * number / (KILLS - 1)
        site.let_one_die("on the wire", 1 + number % 3, seconds)
    site.order(latency_ms=0)
    verdict(site, KILLS, "on the wire")


def test_killed_while_settling_nothing_is_sent_twice_or_lost(site: CrashSite) -> None:
    for number in range(KILLS):
        point = SETTLING[number % len(SETTLING)]
        if point == "giving up a claim":
            site.top_up(1)
            site.let_one_die("after the claim", 1)
        else:
            answer_lost = {"what": "close", "when": "after", "operation": "Perform"}
            site.order(rule=answer_lost)
            site.top_up(1)
        site.let_one_die(point, 1)
    verdict(site, KILLS, "while settling")
