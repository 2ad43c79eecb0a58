"""The believable world and its past."""

from __future__ import annotations

from collections import Counter
from datetime import UTC, datetime, timedelta
from typing import Any

from imports.sandbox.catalogue import Behaviour
from imports.sandbox.nordlicht import DE, SE, nordlicht
from imports.sandbox.tasks import Task, summary_at
from imports.sandbox.world import World
from tests.sandbox.conftest import NOON, TurnedClock

BOTH = (DE.mid, SE.mid)


def past(now: datetime) -> dict[int, tuple[Task, dict[str, Any]]]:
    """Tasks that have a row, and that row, as a world that begins then tells them."""
    tasks = World(clock=TurnedClock(now)).tasks(BOTH)
    rows = [(task, summary_at(task, now)) for task in tasks]
    return {task.task_id: (task, dict(row)) for task, row in rows if row}


def test_world_has_two_accounts_and_some_forty_definitions() -> None:
    world = nordlicht()
    assert [one.name for one in world.accounts] == ["Nordlicht DE", "Nordlicht SE"]
    assert len(world.definitions) == 41
    assert {one.behaviour for one in world.definitions} == set(Behaviour)
    assert len({one.object_id for one in world.definitions}) == 41
    assert {one.facts["UpdateType"] for one in world.definitions} == {
        *("AddAndUpdate", "AddAndDoNotUpdate", "UpdateButDoNotAdd"),
        *("Merge", "Overwrite", "ColumnBased"),
    }


def test_past_is_the_same_for_every_sandbox_of_the_same_moment() -> None:
    assert past(NOON) == past(NOON)


def test_past_keeps_its_rows_and_task_ids_on_the_next_day() -> None:
    today, tomorrow = past(NOON), past(NOON + timedelta(days=1))
    common = today.keys() & tomorrow.keys()
    oldest = NOON - timedelta(days=29)
    kept = {i for i, (task, _row) in today.items() if task.started_at >= oldest}
    assert common == kept
    assert all(today[i] == tomorrow[i] for i in common)


def test_past_covers_thirty_days_up_to_now_and_nothing_still_runs() -> None:
    rows = past(NOON).values()
    starts = [task.started_at for task, _row in rows]
    assert 1_000 < len(rows) < 2_000
    assert NOON - timedelta(days=30) <= min(starts) < NOON - timedelta(days=29)
    assert max(task.ends_at for task, _row in rows) <= NOON
    assert max(starts).date() == NOON.date()


def test_past_has_errors_and_failures_but_mostly_neither() -> None:
    ends = Counter(
        "failed"
        if row["ImportStatus"] == "Error"
        else "errors"
        if row["NumberErrors"]
        else "clean"
        for _task, row in past(NOON).values()
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
    rows = sorted(past(NOON).items())
    starts = [task.started_at for _task_id, (task, _row) in rows]
    assert starts == sorted(starts)
    later = past(datetime(2044, 1, 1, tzinfo=UTC))
    assert max(later) < 2**31


def test_some_definitions_have_never_run() -> None:
    ran = {task.definition.object_id for task, _row in past(NOON).values()}
    never = {
        one.customer_key for one in nordlicht().definitions if one.object_id not in ran
    }
    assert {"test-import-2019", "influencers-once", "outlet-stock-nightly"} <= never


def test_one_definition_leaves_its_rows_and_errors_open() -> None:
    rows = [
        row
        for task, row in past(NOON).values()
        if task.definition.behaviour is Behaviour.LEAVES_ROWS_OPEN
        and row["ImportStatus"] == "Completed"
    ]
    assert rows
    for row in rows:
        if row["NumberErrors"] is None:
            loaded = row["NumberSuccessful"] + (row["NumberDuplicated"] or 0)
            assert loaded < row["TotalRows"]
    assert any(row["NumberErrors"] is None for row in rows)
