"""Four worker processes on PostgreSQL, and what befalls them."""

from __future__ import annotations

import time

import pytest

from tests.at_most_once.crashing import judge
from tests.e2e.site import Part, wait_until
from tests.engines.fleet import Fleet

pytestmark = pytest.mark.services

FIVE_MINUTES = 300
# Young runs are looked at every second and a half, by whichever worker is first.
WATCHED_SECONDS, MOST_LOOKS = 15, 11


def test_each_start_is_sent_once_though_one_worker_dies_and_one_freezes(
    fleet: Fleet,
) -> None:
    fleet.order(latency_ms=200)
    killed = fleet.hire("on the wire", 2, 0.1, ahead_seconds=FIVE_MINUTES)
    frozen = fleet.hire("frozen on the wire", 2, 0.1)
    fleet.hire(ahead_seconds=-FIVE_MINUTES)
    fleet.hire()
    wait_until(lambda: befell(fleet, killed, frozen), "both fates", seconds=90)
    fleet.order(latency_ms=0)
    fleet.top_up(8)
    fleet.wait_for_rest()
    ended = judge(fleet.ended(), fleet.performed())
    assert ended["completed"] >= 8
    fleet.thaw(frozen)
    fleet.top_up(8)
    fleet.wait_for_rest()
    judge(fleet.ended(), fleet.performed())


def befell(fleet: Fleet, killed: Part, frozen: Part) -> bool:
    """More starts until one worker is dead and one stands still."""
    fleet.top_up(6)
    return killed.process.poll() is not None and fleet.is_frozen(frozen)


def test_another_worker_takes_over_from_one_that_dies(fleet: Fleet) -> None:
    workers = [fleet.hire(ahead_seconds=ahead) for ahead in (0, 90, -90, 0)]
    fleet.top_up(4)
    wait_until(lambda: "running" in fleet.statuses(), "a run to look at")
    fleet.order(rule={"what": "hang", "operation": "Retrieve"})
    name, first = wait_until(lambda: hanging_read(fleet), "a read that hangs")
    next(one for one in workers if one.process.pid == first).kill()

    def successor() -> int | None:
        holder = fleet.held(name).get(name)
        return holder if holder != first else None

    heir = wait_until(successor, "the lease's next holder")
    assert heir in {one.process.pid for one in workers}
    fleet.wait_for_rest()
    assert judge(fleet.ended(), fleet.performed())["completed"]


def hanging_read(fleet: Fleet) -> tuple[str, int] | None:
    """A lease that is held for longer than an answer takes, and who holds it."""
    before = fleet.held("refresh:%").items()
    time.sleep(0.5)
    return next(iter(before & fleet.held("refresh:%").items()), None)


def test_starts_are_sent_though_no_worker_is_told_of_them(fleet: Fleet) -> None:
    """As behind PgBouncer in transaction mode, or after the connections broke."""
    workers = [fleet.hire(deaf=True) for _ in range(2)]
    sql = (
        "SELECT pg_terminate_backend(pid) FROM pg_stat_activity"
        " WHERE datname = current_database() AND query LIKE 'LISTEN %'"
    )
    assert len(fleet.ask(sql)) == 2
    begun = fleet.top_up(6)
    fleet.wait_for_rest()
    judge(fleet.ended(), fleet.performed())
    assert len(begun) == 6
    for one in workers:
        assert one.said.count("Starts are found by looking alone") == 1


def test_four_workers_ask_no_more_often_than_one(fleet: Fleet) -> None:
    fleet.order(rule={"what": "rows_never", "times": 1})
    for _ in range(4):
        fleet.hire()
    fleet.top_up(8)
    wait_until(lambda: under_way(fleet) == ["running"], "calm", seconds=90)
    looks = fleet.calls("Retrieve")
    wait_seconds(fleet, WATCHED_SECONDS)
    assert 1 <= fleet.calls("Retrieve") - looks <= MOST_LOOKS


def under_way(fleet: Fleet) -> list[str]:
    ended = {"completed", "completed_with_errors", "failed", "not_started"}
    return [status for status in fleet.statuses() if status not in ended]


def wait_seconds(fleet: Fleet, seconds: float) -> None:
    """Wait by the database's clock, which is the one that workers go by."""
    (since,) = fleet.ask("SELECT now()")[0]
    sql = f"SELECT now() > timestamptz '{since.isoformat()}' + interval '{seconds} s'"
    wait_until(lambda: fleet.ask(sql)[0][0], "time", seconds=2 * seconds)
