"""Follow running runs: ask for their results, and write down what the rows mean."""

from __future__ import annotations

import logging
from collections import defaultdict
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any

from django.db import IntegrityError, transaction
from django.db.models import F

from imports import logs
from imports.marketingcloud.dates import read_time
from imports.marketingcloud.records import ImportResult
from imports.models import (
    COUNTS,
    FINISHED,
    ONE_ACTIVE,
    Account,
    Counts,
    EventKind,
    ImportRun,
    InvalidTransitionError,
    Reason,
    RunStatus,
    StaleRunError,
    User,
    are_counts_open,
    bump_revision,
    database_now,
    violated_constraint,
)
from imports.usecases.accounts import (
    ask_account,
    exclusively,
    learn_answers,
    learn_clock,
)
from imports.usecases.audit import AuditAction, record_run_deed
from imports.usecases.errors import UseCaseError
from imports.usecases.settle import settle

log = logging.getLogger(__name__)

# The slowest looks are five minutes apart; after this nobody looked in between.
ABSENT_AFTER = timedelta(minutes=15)
# How far clocks that are right may still differ.
CLOCKS_DIFFER = timedelta(minutes=5)
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


@dataclass(frozen=True, kw_only=True, slots=True)
class RefreshReport:
    """How many runs were looked at, and what came of it."""

    checked: int = 0
    changed: int = 0
    ended: int = 0
    without_row: int = 0


def refresh_runs(
    *, account: Account, holder: str, only_due: bool = False
) -> RefreshReport:
    """Ask for the results of all running runs of `account`, once.

    With `only_due` just those whose time has come. Raises `AccountBusyError`
    while another process does the same, and `MarketingCloudError`.
    """
    with exclusively(account, "refresh", holder):
        runs = account.runs.followed().order_by("definition_id", "pk")
        if only_due:
            runs = runs.due(database_now())
        followed = {run.task_id: run for run in runs if run.task_id}
        if not followed:
            return RefreshReport()
        try:
            with ask_account(account) as client:
                answer = client.results_of_tasks(list(followed))
        except Exception:
            # look again when it is next due, not at once
            for at, keys in _by_next_look(followed.values(), database_now()).items():
                still = ImportRun.objects.followed().filter(pk__in=keys)
                still.update(next_check_at=at)
            raise
        learn_answers(account, answer)
        rows = {row.task_id: row for row in answer.results if row.task_id in followed}
        # the clock first, so that the rows' dates are read by the right one
        new = {
            followed[task_id]: row.start_text
            for task_id, row in rows.items()
            if row.start_text and not followed[task_id].start_text
        }
        if new:
            learn_clock(account, new)
        for run in followed.values():
            run.account = account
        return _record(followed, rows)


def _record(
    followed: Mapping[str, ImportRun], rows: Mapping[str, ImportResult]
) -> RefreshReport:
    now = database_now()
    with transaction.atomic():
        for run in followed.values():
            # Time in which nobody looked (a disabled account, no worker) proves
            # nothing of a run, so it makes none lost.
            known = (run.last_checked_at, run.settled_at, run.answered_at)
            seen_at = max((at for at in known if at), default=run.occurred_at)
            if now - seen_at > ABSENT_AFTER:
                run.unwatched_seconds += int((now - seen_at).total_seconds())
                ImportRun.objects.followed().filter(pk=run.pk).update(
                    unwatched_seconds=run.unwatched_seconds
                )
        counted = _note_counts(followed, rows, now)
        moved = [
            run
            for task_id, run in followed.items()
            if run not in counted and _look_at(run, rows.get(task_id), now)
        ]
        changed = [*counted, *moved]
        same = set(followed.values()).difference(changed)
        for next_check_at, keys in _by_next_look(same, now).items():
            ImportRun.objects.followed().filter(pk__in=keys).update(
                last_checked_at=now, next_check_at=next_check_at, looks=F("looks") + 1
            )
        if changed:
            bump_revision(runs=changed)
    return RefreshReport(
        checked=len(followed),
        changed=len(changed),
        ended=sum(run.has_ended for run in changed),
        without_row=len(followed) - len(rows),
    )


def _note_counts(
    followed: Mapping[str, ImportRun], rows: Mapping[str, ImportResult], now: datetime
) -> set[ImportRun]:
    """Write the runs of which only the counts have changed, all at once."""
    counted = {
        run: counts
        for task_id, run in followed.items()
        if task_id in rows
        and not run.is_too_old(now)
        and (counts := new_counts(run, rows[task_id], at=now))
    }
    if not counted:
        return set()
    if ImportRun.objects.note_counts(counted, at=now) == len(counted):
        return set(counted)
    # fewer rows than runs: somebody else has moved some of them meanwhile
    still = ImportRun.objects.followed().filter(pk__in=[run.pk for run in counted])
    pks = set(still.values_list("pk", flat=True))
    return {run for run in counted if run.pk in pks}


def _look_at(run: ImportRun, row: ImportResult | None, now: datetime) -> bool:
    """Write down what `row` says of the run, or that the run is lost by now; whether
    that changed anything. Needs no savepoint: its first write fails where somebody else
    moved the run first.
    """
    try:
        with logs.about(run=run.pk, task=run.task_id):
            changed = row is not None and record_result(
                run, row, at=now, is_one_of_many=True
            )
            if run.status != RunStatus.RUNNING or not run.is_too_old(now):
                return changed
            settle(
                run,
                RunStatus.LOST,
                at=now,
                reason=Reason.TOO_OLD,
                details={"phase": run.phase, "looks": run.looks},
                is_one_of_many=True,
            )
            return True
    except StaleRunError as error:
        log.info("%s", error)
        return False


def _by_next_look(
    runs: Iterable[ImportRun], now: datetime
) -> Mapping[datetime, list[int]]:
    """The runs' ids, by when they are looked at again."""
    by_time = defaultdict(list)
    for run in runs:
        by_time[run.next_look(now)].append(run.pk)
    return by_time


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

    def possible(text: str) -> datetime | None:
        moment = read_time(text, offset_minutes=offset_minutes)
        if moment is None or moment > seen_at + CLOCKS_DIFFER:
            return None
        return None if sent_at and moment < sent_at - CLOCKS_DIFFER else moment

    started_at, finished_at = possible(result.start_text), possible(result.end_text)
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


def _fields_for(run: ImportRun, result: ImportResult, at: datetime) -> dict[str, Any]:
    return fields_of(
        result,
        offset_minutes=run.account.clock_offset_minutes,
        seen_at=at,
        sent_at=run.sent_at,
    )


def new_counts(
    run: ImportRun, result: ImportResult, *, at: datetime
) -> dict[str, int | None] | None:
    """All counts of a run that only got on: nothing but counts is new. Else None."""
    fields = _fields_for(run, result, at)
    changed = {name for name, value in fields.items() if getattr(run, name) != value}
    if not changed or not changed.issubset(COUNTS) or status_of(result) != run.status:
        return None
    return {name: fields[name] for name in COUNTS}


def record_result(
    run: ImportRun, result: ImportResult, *, at: datetime, is_one_of_many: bool = False
) -> bool:
    """Write the row into `run`; True where a person would see a difference.

    A run that has no task yet takes the row's. Runs inside the caller's
    transaction; for `is_one_of_many` see `settle`.
    Raises `StaleRunError` where somebody else moved the run first.
    """
    fields = _fields_for(run, result, at)
    fields["task_id"] = result.task_id
    changed = {k: v for k, v in fields.items() if getattr(run, k) != v}
    status = status_of(result)
    # Counts may come after the phase, all or some of them, and one look that misses
    # them proves nothing: such an end is believed when it is seen again.
    is_open = are_counts_open(status, result.errors)
    is_followed = run.status == RunStatus.RUNNING and not run.is_too_old(at)
    if is_open and is_followed and not is_final(run.phase):
        status = RunStatus.RUNNING
    if not changed and status == run.status:
        return False
    changed |= {"last_checked_at": at, "looks": run.looks + 1}
    details = {"phase": result.phase} | {name: fields[name] for name in COUNTS}
    had_ended, is_same = run.has_ended, status == run.status
    if status in FINISHED and not is_same:
        settle(
            run,
            status,
            at=at,
            details=details,
            is_one_of_many=is_one_of_many,
            **changed,
        )
        return True
    changed["next_check_at"] = run.next_look(at)
    if is_same:
        run.change(**changed)
        if "phase" in changed:
            run.record(EventKind.PHASE, details=details)
    else:
        run.move_to(
            status,
            kind=EventKind.FOUND,
            details=details,
            settled_at=None,
            reason=Reason.NONE,
            vendor_message="",
            message="",
            **changed,
        )
        if had_ended and run.definition:
            # found late: its strip must not show it as an end any more
            run.definition.refresh_recent_runs()
    if not is_one_of_many:
        bump_revision(runs=[run])
    return True


def check_again(*, run: ImportRun, by: User | None, ip: str | None = None) -> ImportRun:
    """Put a lost run back among those that the worker looks at.

    Raises `UseCaseError` where the run is not lost, or where its definition was
    started again. Only reads follow.
    """
    if run.status != RunStatus.LOST:
        raise UseCaseError(
            f"Run {run.pk} is {run.get_status_display().lower()}; only a lost run can "
            "be checked again."
        )
    now = database_now()
    try:
        with transaction.atomic():
            run.move_to(
                RunStatus.RUNNING,
                kind=EventKind.CHECKED_AGAIN,
                actor=by,
                settled_at=now,
                next_check_at=now,
                unwatched_seconds=0,
                reason=Reason.NONE,
            )
            record_run_deed(run=run, action=AuditAction.RUN_CHECKED_AGAIN, by=by, ip=ip)
            if run.definition:  # its strip must not show it as an end any more
                run.definition.refresh_recent_runs()
            bump_revision(runs=[run])
    except (InvalidTransitionError, StaleRunError) as error:
        raise UseCaseError(
            f"Run {run.pk} was just found. Reload the page to see it."
        ) from error
    except IntegrityError as error:
        if violated_constraint(error) not in ONE_ACTIVE:
            raise
        run.refresh_from_db()
        raise UseCaseError(
            f"The definition of run {run.pk} has been started again since. You can "
            "check this run once that one has ended."
        ) from error
    return run
