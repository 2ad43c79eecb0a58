"""Runs: which are due, in which order, how long they took."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

import pytest

from imports.models import ImportRun, RunStatus
from tests.factories import ImportDefinitionFactory, ImportRunFactory

pytestmark = pytest.mark.django_db

NOON = datetime(2026, 3, 18, 12, 0, tzinfo=UTC)
MINUTE = timedelta(minutes=1)


def every_status(**fields: object) -> dict[str, ImportRun]:
    return {
        status.value: ImportRunFactory.create(**{status.value: True}, **fields)
        for status in RunStatus
    }


def test_active_runs_are_those_that_may_still_change_by_themselves() -> None:
    every_status()
    statuses = ImportRun.objects.active().values_list("status", flat=True)
    assert sorted(statuses) == ["queued", "running", "starting", "unknown"]


def test_runs_of_ours_are_not_those_from_outside() -> None:
    ours = ImportRunFactory.create(completed=True)
    ImportRunFactory.create(completed=True, outside=True)
    assert list(ImportRun.objects.ours()) == [ours]


def test_due_are_running_runs_whose_time_has_come() -> None:
    runs = every_status(next_check_at=NOON)
    early = ImportRunFactory.create(running=True, next_check_at=NOON - MINUTE)
    ImportRunFactory.create(running=True, next_check_at=NOON + MINUTE)
    assert set(ImportRun.objects.due(NOON)) == {runs["running"], early}


def test_the_history_begins_with_the_latest() -> None:
    moments = (NOON, NOON + MINUTE, NOON - MINUTE, NOON)
    one, latest, oldest, two = (
        ImportRunFactory.create(occurred_at=moment) for moment in moments
    )
    assert list(ImportRun.objects.latest_first()) == [latest, two, one, oldest]


@pytest.mark.parametrize(
    ("age_seconds", "wait_seconds"),
    [
        (0, 1.5),
        (299, 1.5),
        (300, 15),
        (1799, 15),
        (1800, 60),
        (7199, 60),
        (7200, 300),
        (90000, 300),
    ],
)
def test_a_run_is_looked_at_more_slowly_as_it_ages(
    age_seconds: int, wait_seconds: float
) -> None:
    run = ImportRun(occurred_at=NOON)
    now = NOON + timedelta(seconds=age_seconds)
    assert run.next_look(now) - now == timedelta(seconds=wait_seconds)


def test_a_run_in_progress_has_taken_the_time_until_now() -> None:
    run = ImportRunFactory.build(
        definition=None, account=None, status="running", occurred_at=NOON
    )
    run.sent_at = NOON + MINUTE
    assert run.elapsed(NOON + 3 * MINUTE) == 2 * MINUTE


def test_marketing_clouds_times_count_before_ours() -> None:
    run = ImportRun(status="completed", occurred_at=NOON, sent_at=NOON)
    run.started_at, run.finished_at = NOON + MINUTE, NOON + 5 * MINUTE
    run.settled_at = NOON + 9 * MINUTE
    assert run.elapsed(NOON + 60 * MINUTE) == 4 * MINUTE


def test_an_ended_run_without_vendor_times_took_until_it_was_settled() -> None:
    run = ImportRun(status="failed", occurred_at=NOON, settled_at=NOON + MINUTE)
    assert run.elapsed(NOON + 60 * MINUTE) == MINUTE


def test_clocks_that_disagree_never_make_a_negative_time() -> None:
    run = ImportRun(status="completed", occurred_at=NOON, started_at=NOON)
    run.finished_at = NOON - MINUTE
    assert run.elapsed(NOON) == timedelta(0)


def test_a_strip_holds_the_last_twenty_ends_oldest_first() -> None:
    definition = ImportDefinitionFactory.create()
    ends = [
        ImportRunFactory.create(
            definition=definition, completed=True, occurred_at=NOON + n * MINUTE
        )
        for n in range(22)
    ]
    active = ImportRunFactory.create(
        definition=definition, running=True, occurred_at=NOON + 30 * MINUTE
    )
    definition.refresh_recent_runs()
    definition.refresh_from_db()
    assert [bar["run"] for bar in definition.strip] == [run.pk for run in ends[2:]]
    assert definition.last_run == active


def test_a_bar_keeps_unknown_counts_unknown() -> None:
    run = ImportRunFactory.create(failed=True, occurred_at=NOON)
    assert run.as_bar() == {
        "run": run.pk,
        "status": "failed",
        "rows": None,
        "errors": None,
        "at": "2026-03-18T12:00:00+00:00",
    }


def test_a_redrawn_definition_without_runs_has_an_empty_strip() -> None:
    definition = ImportDefinitionFactory.create(strip=[{"run": 7}])
    definition.refresh_recent_runs()
    definition.refresh_from_db()
    assert (definition.strip, definition.last_run) == ([], None)
