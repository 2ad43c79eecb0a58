"""What a row of ImportResultsSummary means for its run."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from imports.marketingcloud.records import ImportResult
from imports.models import ImportRun, RunStatus, StaleRunError, database_now
from imports.usecases.follow import fields_of, record_result, status_of
from imports.wording.status import shown_phase
from tests.factories import ImportRunFactory


def row(**fields: Any) -> ImportResult:
    known: dict[str, Any] = {
        "task_id": "129159023",
        "customer_key": "customers-daily",
        "phase": "Processing",
        "import_type": "Data Extensions",
        "destination_id": "customers",
        "object_id": None,
        "start_text": "3/18/2026 6:00:00 AM",
        "end_text": "",
        "total_rows": None,
        "successful": None,
        "duplicated": None,
        "errors": None,
    }
    return ImportResult(**(known | fields))


@pytest.mark.parametrize(
    ("phase", "errors", "status"),
    [
        ("New", None, "running"),
        ("Processing", None, "running"),
        ("IOWork", 3, "running"),
        ("Unknown", None, "running"),
        ("Completed", 0, "completed"),
        ("Completed", None, "completed_with_errors"),
        ("Completed", 1, "completed_with_errors"),
        ("Error", None, "failed"),
        ("Error", 12, "failed"),
        ("COMPLETED", 0, "completed"),
        (" error ", None, "failed"),
        ("iowork", None, "running"),
    ],
)
def test_a_phase_means_a_status(phase: str, errors: int | None, status: str) -> None:
    assert status_of(row(phase=phase, errors=errors)) == status


@pytest.mark.parametrize("phase", ["Canceled", "", "<b>Queued</b>", "Completed!"])
def test_a_phase_outside_the_table_leaves_the_run_running_and_is_logged(
    phase: str, caplog_imports: pytest.LogCaptureFixture
) -> None:
    assert status_of(row(phase=phase)) == RunStatus.RUNNING
    assert "unknown phase" in caplog_imports.text


NOON = datetime(2026, 3, 18, 12, 0, tzinfo=UTC)


def read(
    *, offset_minutes: int = -360, sent_at: datetime | None = None, **fields: str
) -> dict[str, Any]:
    """What a row that is seen an hour after noon gives its run."""
    return fields_of(
        row(**fields),
        offset_minutes=offset_minutes,
        seen_at=NOON + timedelta(hours=1),
        sent_at=sent_at,
    )


def test_dates_are_read_on_the_accounts_clock_and_kept_verbatim() -> None:
    fields = read(end_text="3/18/2026 6:01:00 AM")
    assert fields["started_at"] == datetime(2026, 3, 18, 12, 0, tzinfo=UTC)
    assert fields["finished_at"] == datetime(2026, 3, 18, 12, 1, tzinfo=UTC)
    assert fields["end_text"] == "3/18/2026 6:01:00 AM"
    other = read(offset_minutes=60)
    assert other["started_at"] == datetime(2026, 3, 18, 5, 0, tzinfo=UTC)


def test_unreadable_dates_are_null_and_their_texts_kept() -> None:
    fields = read(start_text="yesterday")
    assert (fields["start_text"], fields["started_at"]) == ("yesterday", None)
    assert (fields["end_text"], fields["finished_at"]) == ("", None)


@pytest.mark.parametrize(
    "text",
    [
        "1/1/2099 6:00:00 AM",
        "2099-01-01T00:00:00Z",
        "3/18/2026 7:06:00 AM",  # six minutes after the look
        "3/18/2026 5:54:00 AM",  # six minutes before the send
        "1/1/1970 12:00:00 AM",
        "1/1/2001 12:00:00 AM",
    ],
)
def test_a_date_that_cannot_be_true_is_null_and_its_text_kept(text: str) -> None:
    fields = read(start_text=text, end_text=text, sent_at=NOON)
    assert (fields["started_at"], fields["finished_at"]) == (None, None)
    assert (fields["start_text"], fields["end_text"]) == (text, text)


def test_clocks_may_differ_by_minutes() -> None:
    fields = read(
        start_text="3/18/2026 5:56:00 AM",
        end_text="3/18/2026 7:04:00 AM",
        sent_at=NOON,
    )
    assert fields["started_at"] == NOON - timedelta(minutes=4)
    assert fields["finished_at"] == NOON + timedelta(hours=1, minutes=4)


def test_an_end_before_its_start_is_null() -> None:
    fields = read(start_text="3/18/2026 6:30:00 AM", end_text="3/18/2026 6:29:59 AM")
    assert fields["started_at"] == NOON + timedelta(minutes=30)
    assert fields["finished_at"] is None


def test_a_run_from_outside_may_have_begun_years_ago() -> None:
    fields = read(start_text="1/1/2009 6:00:00 AM")
    assert fields["started_at"] == datetime(2009, 1, 1, 12, 0, tzinfo=UTC)


@pytest.fixture
def run(db: None) -> ImportRun:
    return ImportRunFactory.create(running=True, phase="New", looks=4)


def record(run: ImportRun, **fields: Any) -> bool:
    changed = record_result(run, row(**fields), at=database_now())
    run.refresh_from_db()
    return changed


def kinds(run: ImportRun) -> list[str]:
    return [event.kind for event in run.events.all()]


def test_progress_is_written_down_and_looked_at_again(run: ImportRun) -> None:
    assert record(run, total_rows=300, successful=290)
    assert (run.status, run.phase) == ("running", "Processing")
    assert (run.total_rows, run.successful, run.errors) == (300, 290, None)
    assert run.looks == 5
    assert run.last_checked_at
    assert run.next_check_at == run.next_look(run.last_checked_at)
    assert kinds(run) == ["phase"]


def test_counts_that_grow_within_a_phase_leave_no_event(run: ImportRun) -> None:
    record(run, total_rows=300)
    assert record(run, total_rows=600)
    assert kinds(run) == ["phase"]


def test_a_row_that_says_nothing_new_changes_nothing(run: ImportRun) -> None:
    record(run, total_rows=300)
    before = run.looks
    assert not record(run, total_rows=300)
    assert run.looks == before


def test_an_end_is_final_and_drawn_on_the_definition(run: ImportRun) -> None:
    assert record(
        run,
        phase="Completed",
        total_rows=1000,
        successful=993,
        duplicated=0,
        errors=7,
        end_text="3/18/2026 6:01:00 AM",
    )
    assert run.status == RunStatus.COMPLETED_WITH_ERRORS
    assert run.settled_at is not None
    assert run.next_check_at is None
    event = run.events.get()
    assert (event.kind, event.from_status) == ("ended", "running")
    assert event.details == {
        "phase": "Completed",
        "total_rows": 1000,
        "successful": 993,
        "duplicated": 0,
        "errors": 7,
    }
    assert run.definition
    (bar,) = run.definition.strip
    assert (bar["run"], bar["errors"]) == (run.pk, 7)


def test_a_failure_without_counts_keeps_them_unknown(run: ImportRun) -> None:
    record(run, phase="Error")
    assert run.status == RunStatus.FAILED
    assert (run.total_rows, run.successful, run.errors) == (None, None, None)


@pytest.mark.parametrize("status", ["lost", "unknown"])
def test_a_run_found_again_runs_or_ends(db: None, status: str) -> None:
    run = ImportRunFactory.create(**{status: True}, task_id="129159023")
    assert record(run)
    assert (run.status, run.reason, run.message) == ("running", "", "")
    assert run.next_check_at is not None
    assert kinds(run) == ["found"]
    record(run, phase="Completed", errors=0)
    assert run.status == RunStatus.COMPLETED


def test_a_run_that_somebody_else_ended_is_not_written_over(run: ImportRun) -> None:
    mine = ImportRun.objects.get(pk=run.pk)
    record(run, phase="Completed", errors=0)
    with pytest.raises(StaleRunError):
        record_result(mine, row(phase="Processing"), at=database_now())


def test_completed_without_any_count_is_looked_at_once_more(run: ImportRun) -> None:
    assert record(run, phase="Completed")
    assert (run.status, run.phase) == ("running", "Completed")
    assert shown_phase(run) == "waiting for its counts"
    assert run.next_check_at is not None
    assert record(run, phase=" COMPLETED")
    assert run.status == RunStatus.COMPLETED_WITH_ERRORS
    assert (run.errors, run.unaccounted_rows) == (None, None)


@pytest.mark.parametrize(
    "first",
    [{}, {"total_rows": 1000}, {"total_rows": 1000, "successful": 600, "errors": 0}],
)
def test_counts_that_come_after_the_phase_are_taken(
    run: ImportRun, first: dict[str, int]
) -> None:
    record(run, phase="Completed", **first)
    record(run, phase="Completed", total_rows=1000, successful=1000, errors=0)
    assert (run.status, run.errors) == ("completed", 0)


def test_completed_without_any_count_is_not_lost_for_its_age(run: ImportRun) -> None:
    old = database_now() - timedelta(hours=25)
    ImportRun.objects.update(occurred_at=old, queued_at=old)
    run.refresh_from_db()
    record(run, phase="Completed")
    assert run.status == RunStatus.COMPLETED_WITH_ERRORS


def test_errors_that_are_reported_need_no_second_look(run: ImportRun) -> None:
    record(run, phase="Completed", total_rows=100, successful=60, errors=7)
    assert run.status == RunStatus.COMPLETED_WITH_ERRORS


def test_an_open_count_is_kept_on_the_definitions_strip(run: ImportRun) -> None:
    for _look in range(2):
        record(run, phase="Completed", total_rows=100, successful=60)
    assert run.status == RunStatus.COMPLETED_WITH_ERRORS
    assert run.definition
    (bar,) = run.definition.strip
    assert (bar["errors"], bar["unaccounted"]) == (None, 40)
