"""What ran out of time is settled, on the database's clock."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

import pytest
import time_machine
from pytest_django import Settings

from imports.models import ImportRun, Reason, RunStatus, database_now
from imports.usecases import settle as module
from imports.usecases.settle import settle_overdue
from tests.factories import ImportRunFactory

pytestmark = pytest.mark.django_db

SECOND = timedelta(seconds=1)


def in_a_minute() -> datetime:
    return database_now() + 60 * SECOND


def test_a_claim_older_than_its_lease_is_unknown_and_never_queued() -> None:
    run = ImportRunFactory.create(
        starting=True, claim_expires_at=database_now() - SECOND
    )
    assert settle_overdue() == [run]
    run.refresh_from_db()
    assert (run.status, run.reason) == (RunStatus.UNKNOWN, Reason.WORKER_VANISHED)
    assert "may be running" in run.as_record()["message"]
    assert run.claim_expires_at is None
    event = run.events.get()
    assert (event.kind, event.details["claimed_by"]) == ("unanswered", run.claimed_by)


def test_a_claim_within_its_lease_is_left_alone() -> None:
    ImportRunFactory.create(
        starting=True, claim_expires_at=database_now() + 60 * SECOND
    )
    assert settle_overdue() == []


def test_a_start_that_waited_too_long_was_not_started(settings: Settings) -> None:
    settings.MCDASH_START_EXPIRES_SECONDS = 60
    late = ImportRunFactory.create(queued_at=database_now() - 61 * SECOND)
    ImportRunFactory.create(queued_at=database_now() - 50 * SECOND)
    assert settle_overdue() == [late]
    late.refresh_from_db()
    assert (late.status, late.reason) == (RunStatus.NOT_STARTED, Reason.EXPIRED)
    assert late.settled_at is not None
    assert late.definition
    assert [bar["status"] for bar in late.definition.strip] == ["not_started"]


def test_the_clock_of_the_process_does_not_matter() -> None:
    ImportRunFactory.create(
        starting=True, claim_expires_at=database_now() + 60 * SECOND
    )
    with time_machine.travel(datetime(2040, 1, 1, tzinfo=UTC)):
        assert settle_overdue() == []


def test_a_run_that_moved_on_in_the_meantime_is_left_alone(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    first, second = ImportRunFactory.create_batch(
        2, starting=True, claim_expires_at=database_now() - SECOND
    )

    def bump_revision(*, runs: list[ImportRun]) -> int:
        others = ImportRun.objects.exclude(pk__in=[run.pk for run in runs])
        others.update(status="running", task_id="1")
        return 1

    monkeypatch.setattr(module, "bump_revision", bump_revision)
    assert settle_overdue() == [first]
    second.refresh_from_db()
    assert second.status == RunStatus.RUNNING


def test_running_and_unknown_runs_are_not_overdue() -> None:
    old = database_now() - timedelta(days=30)
    for status in ("running", "unknown", "lost"):
        ImportRunFactory.create(**{status: True}, queued_at=old, occurred_at=old)
    assert settle_overdue() == []
