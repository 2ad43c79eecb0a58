"""The believable world and its past."""

from __future__ import annotations

from collections import Counter
from datetime import UTC, datetime, timedelta

from imports.sandbox.catalogue import Behaviour
from imports.sandbox.nordlicht import DE, SE, nordlicht
from imports.sandbox.tasks import Summary
from imports.sandbox.world import World
from tests.sandbox.conftest import NOON, TurnedClock

BOTH = (DE.mid, SE.mid)


def past(now: datetime) -> dict[int, Summary]:
    """The rows by task id, as a world that begins at that moment tells them."""
    world = World(clock=TurnedClock(now))
    rows = [(task.task_id, world.summary(task)) for task in world.tasks(BOTH)]
    return {task_id: row for task_id, row in rows if row}


def test_world_has_two_accounts_and_some_forty_definitions() -> None:
    world = nordlicht()
    assert [one.name for one in world.accounts] == ["Nordlicht DE", "Nordlicht SE"]
    assert len(world.definitions) == 41
    assert {one.behaviour for one in world.definitions} == set(Behaviour)
    assert len({one.object_id for one in world.definitions}) == 41
    assert {one.update_type for one in world.definitions} == {
        *("AddAndUpdate", "AddAndDoNotUpdate", "UpdateButDoNotAdd"),
        *("Merge", "Overwrite", "ColumnBased"),
    }


def test_past_is_the_same_for_every_sandbox_of_the_same_moment() -> None:
    assert past(NOON) == past(NOON)


def test_past_keeps_its_rows_and_task_ids_on_the_next_day() -> None:
    today, tomorrow = past(NOON), past(NOON + timedelta(days=1))
    common = today.keys() & tomorrow.keys()
    oldest = NOON - timedelta(days=29)
    kept = {i for i, row in today.items() if row.task.started_at >= oldest}
    assert common == kept
    assert all(today[i] == tomorrow[i] for i in common)


def test_past_covers_thirty_days_up_to_now_and_nothing_still_runs() -> None:
    rows = past(NOON).values()
    starts = [row.task.started_at for row in rows]
    assert 1_000 < len(rows) < 2_000
    assert NOON - timedelta(days=30) <= min(starts) < NOON - timedelta(days=29)
    assert max(row.task.ends_at for row in rows) <= NOON
    assert max(starts).date() == NOON.date()


def test_past_has_errors_and_failures_but_mostly_neither() -> None:
    ends = Counter(
        "failed" if row.phase == "Error" else "errors" if row.errors else "clean"
        for row in past(NOON).values()
    )
    assert 10 < ends["failed"] < 60
    assert 100 < ends["errors"] < 300
    assert ends["clean"] > 1_000


def test_past_does_not_grow_while_the_sandbox_runs_unless_it_is_alive() -> None:
    for alive, grew in ((False, False), (True, True)):
        clock = TurnedClock(NOON)
        world = World(clock=clock, alive=alive)
        before = {task.task_id for task in world.tasks(BOTH)}
        clock.turn(2 * 3600)
        new = {task.task_id for task in world.tasks(BOTH)} - before
        assert bool(new) is grew


def test_task_ids_grow_with_time_and_fit_into_31_bits() -> None:
    rows = sorted(past(NOON).values(), key=lambda row: row.task.task_id)
    starts = [row.task.started_at for row in rows]
    assert starts == sorted(starts)
    later = past(datetime(2044, 1, 1, tzinfo=UTC))
    assert max(later) < 2**31


def test_some_definitions_have_never_run() -> None:
    ran = {row.task.definition.object_id for row in past(NOON).values()}
    never = {
        one.customer_key for one in nordlicht().definitions if one.object_id not in ran
    }
    assert {"test-import-2019", "influencers-once", "outlet-stock-nightly"} <= never


def test_one_definition_leaves_its_rows_and_errors_open() -> None:
    rows = [
        row
        for row in past(NOON).values()
        if row.task.definition.behaviour is Behaviour.LEAVES_ROWS_OPEN
        and row.phase == "Completed"
    ]
    assert rows
    for row in rows:
        if row.errors is None:
            assert row.total is not None
            assert row.successful is not None
            assert row.successful + (row.duplicated or 0) < row.total
    assert any(row.errors is None for row in rows)
