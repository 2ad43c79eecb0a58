"""What a row of ImportResultsSummary means for its run."""

from __future__ import annotations

import logging
from datetime import datetime
from typing import Any

from imports.marketingcloud.clock import read_time
from imports.marketingcloud.records import ImportResult
from imports.models import FINISHED, ErrorKind, EventKind, ImportRun, RunStatus
from imports.models.run import COUNTS

log = logging.getLogger(__name__)

# The vendor documents New, Processing, IOWork, Completed, Error and Unknown and
# declares the property as plain text, so others may come: they leave a run running.
STATUS_BY_PHASE = {
    "new": RunStatus.RUNNING,
    "processing": RunStatus.RUNNING,
    "iowork": RunStatus.RUNNING,
    "unknown": RunStatus.RUNNING,
    "completed": RunStatus.COMPLETED,
    "error": RunStatus.FAILED,
}


def status_of(result: ImportResult) -> RunStatus:
    """Our status for the vendor's phase and counts."""
    status = STATUS_BY_PHASE.get(result.phase.strip().casefold())
    if status is None:
        log.warning("Task %s has an unknown phase %r", result.task_id, result.phase)
        return RunStatus.RUNNING
    if status == RunStatus.COMPLETED and result.errors:
        return RunStatus.COMPLETED_WITH_ERRORS
    return status


def fields_of(result: ImportResult, *, offset_minutes: int) -> dict[str, Any]:
    """The run's fields as the row gives them; unreadable dates become null."""
    counts = {name: getattr(result, name) for name in COUNTS}
    return counts | {
        "phase": result.phase,
        "import_type": result.import_type,
        "destination_id": result.destination_id,
        "start_text": result.start_text,
        "end_text": result.end_text,
        "started_at": read_time(result.start_text, offset_minutes=offset_minutes),
        "finished_at": read_time(result.end_text, offset_minutes=offset_minutes),
    }


def new_counts(run: ImportRun, result: ImportResult) -> dict[str, int | None] | None:
    """All counts of a run that only got on: nothing but counts is new. Else None."""
    fields = fields_of(result, offset_minutes=run.account.clock_offset_minutes)
    changed = {name for name, value in fields.items() if getattr(run, name) != value}
    if not changed or not changed.issubset(COUNTS) or status_of(result) != run.status:
        return None
    return {name: fields[name] for name in COUNTS}


def record_result(run: ImportRun, result: ImportResult, *, at: datetime) -> bool:
    """Write the row into `run`; True where a person would see a difference.

    A run that has no task yet takes the row's. Runs inside the caller's
    transaction; the caller publishes what changed.
    Raises `StaleRunError` where somebody else moved the run first.
    """
    fields = fields_of(result, offset_minutes=run.account.clock_offset_minutes)
    fields["task_id"] = result.task_id
    changed = {k: v for k, v in fields.items() if getattr(run, k) != v}
    status = status_of(result)
    if not changed and status == run.status:
        return False
    looked = {"last_checked_at": at, "looks": run.looks + 1}
    if status == run.status:
        _note_progress(run, result, changed, looked, at)
    else:
        _move(run, status, result, changed, looked, at)
    return True


def _note_progress(
    run: ImportRun,
    result: ImportResult,
    changed: dict[str, Any],
    looked: dict[str, Any],
    at: datetime,
) -> None:
    run.change(next_check_at=run.next_look(at), **changed, **looked)
    if "phase" in changed:
        run.record(EventKind.PHASE, details=_details(result))


def _move(
    run: ImportRun,
    status: RunStatus,
    result: ImportResult,
    changed: dict[str, Any],
    looked: dict[str, Any],
    at: datetime,
) -> None:
    ended = status in FINISHED
    run.move_to(
        status,
        kind=EventKind.ENDED if ended else EventKind.FOUND,
        details=_details(result),
        settled_at=at if ended else None,
        next_check_at=None if ended else run.next_look(at),
        error_kind=ErrorKind.NONE,
        message="",
        **changed,
        **looked,
    )
    if ended and run.definition:
        run.definition.redraw()


def _details(result: ImportResult) -> dict[str, Any]:
    return {"phase": result.phase} | {name: getattr(result, name) for name in COUNTS}
