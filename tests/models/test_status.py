"""The life of a run is this table, and nothing else."""

from __future__ import annotations

from typing import Any

import pytest

from imports.models import (
    ACTIVE,
    ENDED,
    FINISHED,
    TRANSITIONS,
    EventKind,
    ImportRun,
    InvalidTransitionError,
    RunStatus,
    StaleRunError,
)
from tests.factories import ImportRunFactory, UserFactory

pytestmark = pytest.mark.django_db

FINAL = {"completed", "completed_with_errors", "failed"}
# Written down apart from the product, row by row.
LIFE: dict[str, set[str]] = {
    "queued": {"starting", "not_started", "cancelled"},
    "starting": {"running", "not_started", "unknown"},
    "running": FINAL | {"lost"},
    "completed": set(),
    "completed_with_errors": set(),
    "failed": set(),
    "not_started": FINAL | {"running"},
    "unknown": FINAL | {"running", "not_started"},
    "lost": FINAL | {"running"},
    "cancelled": set(),
}
WAYS = [(a, b) for a in RunStatus for b in RunStatus]


def made(status: RunStatus) -> ImportRun:
    return ImportRunFactory.create(**{status.value: True})


def test_the_table_is_that_of_the_product() -> None:
    assert {a.value: {b.value for b in ends} for a, ends in TRANSITIONS.items()} == LIFE


def test_an_unknown_start_is_never_queued_or_sent_again() -> None:
    leads_to_a_send = {"queued", "starting"}
    for status in set(RunStatus) - {RunStatus.QUEUED}:
        assert not leads_to_a_send & TRANSITIONS[status]


def test_every_status_is_either_active_or_ended() -> None:
    assert set(RunStatus) == ACTIVE | ENDED
    assert not ACTIVE & ENDED
    assert FINISHED < ENDED


@pytest.mark.parametrize(("before", "after"), WAYS)
def test_a_run_moves_only_as_the_table_says(
    before: RunStatus, after: RunStatus
) -> None:
    run = made(before)
    needed: dict[str, Any] = {"task_id": run.task_id or "1", "sent_at": run.occurred_at}
    if after in TRANSITIONS[before]:
        run.move_to(after, kind=EventKind.FOUND, **needed)
    else:
        with pytest.raises(InvalidTransitionError, match=f"{before} → {after}"):
            run.move_to(after, kind=EventKind.FOUND, **needed)
        after = before
    assert run.status == after
    run.refresh_from_db()
    assert run.status == after


def test_a_move_writes_its_changes_and_leaves_an_event() -> None:
    person = UserFactory.create(first_name="Ada", last_name="Berg")
    run = made(RunStatus.QUEUED)
    run.move_to(
        RunStatus.CANCELLED,
        kind=EventKind.CANCELLED,
        actor=person,
        details={"why": "a mistake"},
        message="Taken back.",
    )
    run.refresh_from_db()
    (event,) = run.events.all()
    assert run.message == "Taken back."
    assert (event.kind, event.from_status, event.to_status) == (
        "cancelled",
        "queued",
        "cancelled",
    )
    assert (event.actor, event.actor_name) == (person, "Ada Berg")
    assert event.details == {"why": "a mistake"}


def test_who_comes_second_moves_nothing_and_leaves_no_event() -> None:
    run = made(RunStatus.QUEUED)
    second = ImportRun.objects.get(pk=run.pk)
    run.move_to(RunStatus.CANCELLED, kind=EventKind.CANCELLED)
    with pytest.raises(StaleRunError):
        second.move_to(RunStatus.STARTING, kind=EventKind.CLAIMED, claimed_by="me")
    assert (second.status, second.claimed_by) == ("queued", "")
    run.refresh_from_db()
    assert (run.status, run.claimed_by) == ("cancelled", "")
    assert run.events.count() == 1


def test_a_change_is_refused_once_the_run_has_moved_on() -> None:
    run = made(RunStatus.RUNNING)
    second = ImportRun.objects.get(pk=run.pk)
    run.move_to(RunStatus.COMPLETED, kind=EventKind.ENDED, phase="Completed")
    with pytest.raises(StaleRunError):
        second.change(phase="IOWork")
    run.refresh_from_db()
    assert run.phase == "Completed"
