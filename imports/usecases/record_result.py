"""What a row of ImportResultsSummary means for its run."""

from __future__ import annotations

import logging
from datetime import datetime, timedelta
from typing import Any

from imports.marketingcloud.clock import read_time
from imports.marketingcloud.records import ImportResult
from imports.models import (
    COUNTS,
    FINISHED,
    Counts,
    ErrorKind,
    EventKind,
    ImportRun,
    RunStatus,
    are_counts_open,
)

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
# How far clocks that are right may still differ.
CLOCKS_DIFFER = timedelta(minutes=5)


def status_of(result: ImportResult) -> RunStatus:
    """Our status for the vendor's phase and counts."""
    status = STATUS_BY_PHASE.get(_folded(result.phase))
    if status is None:
        log.warning("Task %s has an unknown phase %r", result.task_id, result.phase)
        return RunStatus.RUNNING
    if status == RunStatus.COMPLETED and Counts.of(result).problem:
        return RunStatus.COMPLETED_WITH_ERRORS
    return status


def is_final(phase: str) -> bool:
    """Whether Marketing Cloud goes no further after `phase`."""
    return STATUS_BY_PHASE.get(_folded(phase)) in FINISHED


def _folded(phase: str) -> str:
    return phase.strip().casefold()


def fields_of(
    result: ImportResult,
    *,
    offset_minutes: int,
    seen_at: datetime,
    sent_at: datetime | None = None,
) -> dict[str, Any]:
    """The run's fields as the row gives them. A date that cannot be read, or cannot be
    true, becomes null: one after `seen_at`, one before we sent the start, an end before
    its start. Its text is kept.
    """
    started_at, finished_at = (
        _possible(read_time(text, offset_minutes=offset_minutes), seen_at, sent_at)
        for text in (result.start_text, result.end_text)
    )
    if started_at and finished_at and finished_at < started_at:
        finished_at = None
    return {name: getattr(result, name) for name in COUNTS} | {
        "phase": result.phase,
        "import_type": result.import_type,
        "destination_id": result.destination_id,
        "start_text": result.start_text,
        "end_text": result.end_text,
        "started_at": started_at,
        "finished_at": finished_at,
    }


def _possible(
    moment: datetime | None, seen_at: datetime, sent_at: datetime | None
) -> datetime | None:
    if moment is None or moment > seen_at + CLOCKS_DIFFER:
        return None
    return None if sent_at and moment < sent_at - CLOCKS_DIFFER else moment


def _fields_for(run: ImportRun, result: ImportResult, at: datetime) -> dict[str, Any]:
    return fields_of(
        result,
        offset_minutes=run.account.clock_offset_minutes,
        seen_at=at,
        sent_at=run.sent_at,
    )


def _status_for(run: ImportRun, result: ImportResult, at: datetime) -> RunStatus:
    """Our status for the row, but that a running run which is Completed with counts
    that leave something open is looked at once more: counts may come after the phase,
    all or some of them, and one look that misses them proves nothing.
    """
    status = status_of(result)
    is_open = are_counts_open(status, result.errors)
    is_followed = run.status == RunStatus.RUNNING and not run.is_too_old(at)
    if is_open and is_followed and not is_final(run.phase):
        return RunStatus.RUNNING
    return status


def new_counts(
    run: ImportRun, result: ImportResult, *, at: datetime
) -> dict[str, int | None] | None:
    """All counts of a run that only got on: nothing but counts is new. Else None."""
    fields = _fields_for(run, result, at)
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
    fields = _fields_for(run, result, at)
    fields["task_id"] = result.task_id
    changed = {k: v for k, v in fields.items() if getattr(run, k) != v}
    status = _status_for(run, result, at)
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
