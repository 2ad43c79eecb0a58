"""Look at an account's running runs, in as few Retrieves as possible."""

from __future__ import annotations

import logging
from collections import defaultdict
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any

from django.conf import settings
from django.db import IntegrityError, transaction
from django.db.models import F, Q

from imports import logs
from imports.marketingcloud.dates import read_time
from imports.marketingcloud.records import ImportResult
from imports.models import (
    COUNTS,
    FINISHED,
    ONE_ACTIVE,
    TOO_FAR_AHEAD,
    Account,
    Counts,
    ErrorKind,
    EventKind,
    ImportRun,
    InvalidTransitionError,
    Lease,
    RunQuerySet,
    RunStatus,
    StaleRunError,
    User,
    are_counts_open,
    bump_revision,
    database_now,
    violated_constraint,
)
from imports.usecases.accounts import ask_account, learn_answers, learn_clock
from imports.usecases.audit import AuditAction, record_run_deed
from imports.usecases.errors import AccountBusyError, UseCaseError

log = logging.getLogger(__name__)

# The slowest looks are five minutes apart; after this nobody looked in between.
ABSENT_AFTER = timedelta(minutes=15)


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
    name = f"refresh:{account.pk}"
    seconds = 2 * settings.MCDASH_CALL_DEADLINE_SECONDS + 30
    if not Lease.objects.acquire(name, holder=holder, seconds=seconds):
        raise AccountBusyError(f"“{account}” is being refreshed by another process.")
    try:
        return _refresh(account, only_due=only_due)
    finally:
        Lease.objects.release(name, holder=holder)


def _refresh(account: Account, *, only_due: bool) -> RefreshReport:
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
        _postpone(followed.values())
        raise
    learn_answers(account, answer)
    rows = {row.task_id: row for row in answer.results if row.task_id in followed}
    _learn_clock(account, followed, rows)
    return _record(followed, rows)


def _learn_clock(
    account: Account,
    followed: Mapping[str, ImportRun],
    rows: Mapping[str, ImportResult],
) -> None:
    """First, so that the rows' dates are read by the right clock."""
    rows_by_run = {followed[task_id]: row for task_id, row in rows.items()}
    new = {
        run: row.start_text
        for run, row in rows_by_run.items()
        if row.start_text and not run.start_text
    }
    if new:
        learn_clock(account, new)
    for run in followed.values():
        run.account = account


def _record(
    followed: Mapping[str, ImportRun], rows: Mapping[str, ImportResult]
) -> RefreshReport:
    now = database_now()
    with transaction.atomic():
        _note_absences(followed.values(), now)
        counted = _note_counts(followed, rows, now)
        moved = [
            run
            for task_id, run in followed.items()
            if run not in counted and _look_at(run, rows.get(task_id), now)
        ]
        changed = [*counted, *moved]
        _note_looks(set(followed.values()).difference(changed), now)
        if changed:
            bump_revision(runs=changed)
    return RefreshReport(
        checked=len(followed),
        changed=len(changed),
        ended=sum(run.has_ended for run in changed),
        without_row=len(followed) - len(rows),
    )


def _note_absences(runs: Iterable[ImportRun], now: datetime) -> None:
    """Time in which nobody looked (a disabled account, no worker) proves nothing of a
    run, so it makes none lost.
    """
    for run in runs:
        known = (run.last_checked_at, run.settled_at, run.answered_at)
        seen_at = max((at for at in known if at), default=run.occurred_at)
        if now - seen_at > ABSENT_AFTER:
            run.unwatched_seconds += int((now - seen_at).total_seconds())
            ImportRun.objects.followed().filter(pk=run.pk).update(
                unwatched_seconds=run.unwatched_seconds
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
    still = ImportRun.objects.followed().filter(pk__in=[run.pk for run in counted])
    pks = set(still.values_list("pk", flat=True))
    return {run for run in counted if run.pk in pks}


def _look_at(run: ImportRun, row: ImportResult | None, now: datetime) -> bool:
    """Needs no savepoint: who moved the run first is noticed by the first write."""
    try:
        with logs.about(run=run.pk, task=run.task_id):
            changed = row is not None and record_result(run, row, at=now)
            return _lose_if_too_old(run, now) or changed
    except StaleRunError as error:
        log.info("%s", error)
        return False


def _lose_if_too_old(run: ImportRun, now: datetime) -> bool:
    if run.status != RunStatus.RUNNING or not run.is_too_old(now):
        return False
    run.move_to(
        RunStatus.LOST,
        kind=EventKind.LOST,
        details={"phase": run.phase, "looks": run.looks},
        error_kind=ErrorKind.TOO_OLD,
        settled_at=now,
        next_check_at=None,
    )
    if run.definition:
        run.definition.refresh_recent_runs()
    return True


def _note_looks(runs: Iterable[ImportRun], now: datetime) -> None:
    for next_check_at, keys in _by_next_look(runs, now).items():
        ImportRun.objects.followed().filter(pk__in=keys).update(
            last_checked_at=now, next_check_at=next_check_at, looks=F("looks") + 1
        )


def _postpone(runs: Iterable[ImportRun]) -> None:
    """After a failure: look again when it is next due, not at once."""
    for next_check_at, keys in _by_next_look(runs, database_now()).items():
        ImportRun.objects.followed().filter(pk__in=keys).update(
            next_check_at=next_check_at
        )


def _by_next_look(
    runs: Iterable[ImportRun], now: datetime
) -> Mapping[datetime, list[int]]:
    """The runs' ids, by when they are looked at again."""
    by_time = defaultdict(list)
    for run in runs:
        by_time[run.next_look(now)].append(run.pk)
    return by_time


# What a row of ImportResultsSummary means for its run.


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
    transaction; the caller bumps the revision of what changed.
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
        run.definition.refresh_recent_runs()


def _details(result: ImportResult) -> dict[str, Any]:
    return {"phase": result.phase} | {name: getattr(result, name) for name in COUNTS}


# Settle runs whose time ran out: claims without an answer, starts that waited.


log = logging.getLogger(__name__)

_Move = Callable[[ImportRun, datetime], None]


def settle_overdue() -> list[ImportRun]:
    """Settle every overdue run; returns those that were settled.

    A claim older than its lease becomes `unknown`, never `queued`: its Perform
    may have been sent. A run queued longer than MCDASH_START_EXPIRES_SECONDS
    becomes `not_started`.
    """
    now = database_now()
    settled = []
    for run in out_of_time(now).select_related("definition"):
        move = _expire if run.status == RunStatus.QUEUED else _give_up_claim
        if _settle(run, move, now):
            settled.append(run)
    return settled


def out_of_time(now: datetime) -> RunQuerySet:
    """Claims whose lease is over, and starts that waited too long in the queue."""
    lease = timedelta(seconds=settings.MCDASH_START_LEASE_SECONDS)
    is_over = Q(claim_expires_at__lt=now)
    # made by a clock that ran ahead: nobody holds it for so long
    is_over |= Q(claim_expires_at__gt=now + lease + TOO_FAR_AHEAD)
    expired = now - timedelta(seconds=settings.MCDASH_START_EXPIRES_SECONDS)
    return ImportRun.objects.filter(
        Q(is_over, status=RunStatus.STARTING)
        | Q(status=RunStatus.QUEUED, queued_at__lt=expired)
    )


def _settle(run: ImportRun, move: _Move, now: datetime) -> bool:
    try:
        with transaction.atomic():
            move(run, now)
            bump_revision(runs=[run])
    except StaleRunError as error:
        log.info("%s", error)
        return False
    return True


def _give_up_claim(run: ImportRun, now: datetime) -> None:
    message = (
        "The worker that sent the start vanished before it could write down an "
        "answer. The import may be running."
    )
    run.move_to(
        RunStatus.UNKNOWN,
        kind=EventKind.UNANSWERED,
        details={"message": message, "claimed_by": run.claimed_by},
        error_kind=ErrorKind.LEASE_OVER,
        message=message,
        next_check_at=now,
        claim_expires_at=None,
    )


def _expire(run: ImportRun, now: datetime) -> None:
    message = "It waited too long in the queue; nothing was sent."
    run.move_to(
        RunStatus.NOT_STARTED,
        kind=EventKind.NOT_STARTED,
        details={"why": ErrorKind.EXPIRED, "message": message},
        error_kind=ErrorKind.EXPIRED,
        message=message,
        settled_at=now,
    )
    if run.definition:
        run.definition.refresh_recent_runs()


# Follow a lost run once more.


def check_again(*, run: ImportRun, by: User | None, ip: str | None = None) -> ImportRun:
    """Put a lost run back among those that the worker looks at.

    Raises `UseCaseError` where the run is not lost, or where its definition was
    started again. Only reads follow.
    """
    if run.status != RunStatus.LOST:
        raise UseCaseError(
            f"Run {run.pk} is {run.get_status_display().lower()}; only a lost run is "
            "checked again."
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
                error_kind=ErrorKind.NONE,
            )
            record_run_deed(run=run, action=AuditAction.RUN_CHECKED_AGAIN, by=by, ip=ip)
            if run.definition:  # its strip must not show it as an end any more
                run.definition.refresh_recent_runs()
            bump_revision(runs=[run])
    except (InvalidTransitionError, StaleRunError) as error:
        raise UseCaseError(f"Run {run.pk} was just found; read it again.") from error
    except IntegrityError as error:
        if violated_constraint(error) not in ONE_ACTIVE:
            raise
        run.refresh_from_db()
        raise UseCaseError(
            f"Run {run.pk} was started again meanwhile. It can be checked once that "
            "run has ended."
        ) from error
    return run
