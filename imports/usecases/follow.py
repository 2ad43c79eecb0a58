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

from imports import logs, models
from imports.marketingcloud.dates import read_time
from imports.marketingcloud.records import ImportResult
from imports.models import COUNTS, Counts, EventKind, ImportRun, RunStatus, database_now
from imports.usecases import accounts
from imports.usecases.audit import AuditAction, record_audit
from imports.usecases.errors import UseCaseError
from imports.usecases.settle import move_run

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
# What a run takes over from its row; the times are read from its texts.
RESULT_TEXTS = ("phase", "import_type", "destination_id", "start_text", "end_text")
# Less than the shortest wait between looks: runs that are due so soon come along, so
# that all young runs of an account fall into one step, and one question.
COME_ALONG = timedelta(seconds=1)
RESULT_FIELDS = (*COUNTS, *RESULT_TEXTS, "started_at", "finished_at")


@dataclass(frozen=True, kw_only=True, slots=True)
class RefreshReport:
    """How many runs were looked at, and what came of it."""

    checked: int = 0
    changed: int = 0
    ended: int = 0
    without_row: int = 0


def refresh_runs(
    *, account: models.Account, holder: str, only_due: bool = False
) -> RefreshReport:
    """Ask for the results of all running runs of `account`, once; with `only_due` just
    of those whose time has come. Raises `AccountBusyError` and `MarketingCloudError`.
    """
    with accounts.exclusively(account, "refresh", holder):
        runs = account.runs.followed().order_by("definition_id", "pk")
        if only_due:
            runs = runs.due(database_now() + COME_ALONG)
        followed = {run.task_id: run for run in runs if run.task_id}
        if not followed:
            return RefreshReport()
        try:
            with accounts.ask_account(account) as client:
                answer = client.results_of_tasks(list(followed))
        except Exception:
            # look again when it is next due, not at once
            _plan_next_look(followed.values(), database_now())
            raise
        accounts.learn_answers(account, answer)
        answered = {row.task_id: row for row in answer.results}
        rows = {run: answered.get(task_id) for task_id, run in followed.items()}
        # the clock first, so that the rows' dates are read by the right one
        dated = {run: row.start_text for run, row in rows.items() if row}
        new = {run: text for run, text in dated.items() if text and not run.start_text}
        if new:
            accounts.learn_clock(account, new)
        changed = _record(rows)
    return RefreshReport(
        checked=len(rows),
        changed=len(changed),
        ended=sum(run.has_ended for run in changed),
        without_row=len(rows) - len(dated),
    )


def _record(rows: Mapping[ImportRun, ImportResult | None]) -> list[ImportRun]:
    """Write down what became of each run by its row, if it has one yet; gives those of
    which a person would see a difference.
    """
    now = database_now()
    counted: dict[ImportRun, dict[str, int | None]] = {}
    with transaction.atomic():
        for run, row in rows.items():
            # Time in which nobody looked (a disabled account, no worker) proves
            # nothing of a run, so it makes none lost.
            known = (run.last_checked_at, run.settled_at, run.answered_at)
            seen_at = max((at for at in known if at), default=run.occurred_at)
            if now - seen_at > ABSENT_AFTER:
                run.unwatched_seconds += int((now - seen_at).total_seconds())
                still = ImportRun.objects.followed().filter(pk=run.pk)
                still.update(unwatched_seconds=run.unwatched_seconds)
            # runs of which only the counts have changed are written all at once
            new = _changes_by(run, row, now).keys() if row else set()
            has_got_on = row and new and new <= set(COUNTS) and not run.is_too_old(now)
            if row and has_got_on and status_of(row) == run.status:
                counted[run] = {name: getattr(row, name) for name in COUNTS}
        changed = list(counted)
        if counted and ImportRun.objects.note_counts(counted, at=now) < len(counted):
            # fewer rows than runs: somebody else has moved some of them meanwhile
            followed = ImportRun.objects.followed()
            changed = list(followed.filter(pk__in=[run.pk for run in counted]))
        others = rows.keys() - set(changed)
        for run, row in rows.items():
            if run in others and _look_at(run, row, now):
                changed.append(run)
        same = rows.keys() - set(changed)
        _plan_next_look(same, now, last_checked_at=now, looks=F("looks") + 1)
        if changed:
            models.bump_revision(runs=changed)
    return changed


def _look_at(run: ImportRun, row: ImportResult | None, now: datetime) -> bool:
    """Write down what `row` says of the run, or that it is lost by now; whether that
    changed anything. Needs no savepoint: its first write fails where the run was moved.
    """
    try:
        with logs.about(run=run.pk, task=run.task_id):
            changed = row is not None and record_result(run, row, at=now)
            if run.status != RunStatus.RUNNING or not run.is_too_old(now):
                return changed
            move_run(
                run,
                RunStatus.LOST,
                at=now,
                reason=models.Reason.TOO_OLD,
                details={"phase": run.phase, "looks": run.looks},
                is_one_of_many=True,
            )
            return True
    except models.StaleRunError as error:
        log.info("%s", error)
        return False


def _plan_next_look(runs: Iterable[ImportRun], now: datetime, **changes: Any) -> None:
    """Write when those that are still followed are looked at again, and `changes`."""
    by_time = defaultdict(list)
    for run in runs:
        by_time[run.next_look(now)].append(run.pk)
    for at, keys in by_time.items():
        still = ImportRun.objects.followed().filter(pk__in=keys)
        still.update(next_check_at=at, **changes)


def status_of(result: ImportResult) -> RunStatus:
    """Our status for the vendor's phase and counts."""
    status = STATUS_BY_PHASE.get(result.phase.strip().casefold())
    if status is None:
        log.warning("Task %s has an unknown phase %r", result.task_id, result.phase)
        return RunStatus.RUNNING
    if status == RunStatus.COMPLETED and Counts.of(result).problem:
        return RunStatus.COMPLETED_WITH_ERRORS
    return status


def is_final(phase: str) -> bool:
    """Whether Marketing Cloud goes no further after `phase`."""
    return STATUS_BY_PHASE.get(phase.strip().casefold()) in models.FINISHED


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
    fields = {name: getattr(result, name) for name in (*COUNTS, *RESULT_TEXTS)}
    return fields | {"started_at": started_at, "finished_at": finished_at}


def _changes_by(run: ImportRun, result: ImportResult, at: datetime) -> dict[str, Any]:
    """The fields of `run` that the row gives otherwise than it has them."""
    offset = run.account.clock_offset_minutes
    fields = fields_of(result, offset_minutes=offset, seen_at=at, sent_at=run.sent_at)
    fields["task_id"] = result.task_id
    return {k: value for k, value in fields.items() if getattr(run, k) != value}


def record_result(run: ImportRun, result: ImportResult, *, at: datetime) -> bool:
    """Write the row into `run`; True where a person would see a difference.

    A run that has no task yet takes the row's. The caller opens the transaction, and
    bumps the revision. Raises `StaleRunError`.
    """
    changed = _changes_by(run, result, at)
    status = status_of(result)
    # Counts may come after the phase, all or some of them, and one look that misses
    # them proves nothing: such an end is believed when it is seen again.
    is_open = models.are_counts_open(status, result.errors)
    is_followed = run.status == RunStatus.RUNNING and not run.is_too_old(at)
    if is_open and is_followed and not is_final(run.phase):
        status = RunStatus.RUNNING
    if not changed and status == run.status:
        return False
    changed |= {"last_checked_at": at, "looks": run.looks + 1}
    details = {name: getattr(result, name) for name in ("phase", *COUNTS)}
    if status not in models.FINISHED:
        changed["next_check_at"] = run.next_look(at)
    if status == run.status:
        run.change(**changed)
        if "phase" in changed:
            run.record(EventKind.PHASE, details=details)
    else:
        move_run(
            run,
            status,
            kind=EventKind.ENDED if status in models.FINISHED else EventKind.FOUND,
            at=at,
            details=details,
            is_one_of_many=True,
            **changed,
        )
    return True


def check_again(
    *, run: ImportRun, by: models.User | None, ip: str | None = None
) -> ImportRun:
    """Put a lost run back among those that the worker looks at. Raises `UseCaseError`
    where it is not lost, or its definition was started again.
    """
    if run.status != RunStatus.LOST:
        raise UseCaseError(
            f"Run {run.pk} is {run.get_status_display().lower()}; only a lost run can "
            "be checked again."
        )
    now = database_now()
    try:
        with transaction.atomic():
            move_run(
                run,
                RunStatus.RUNNING,
                kind=EventKind.CHECKED_AGAIN,
                at=now,
                by=by,
                settled_at=now,  # from which its age counts now
                unwatched_seconds=0,
            )
            record_audit(actor=by, action=AuditAction.RUN_CHECKED_AGAIN, obj=run, ip=ip)
    except (models.InvalidTransitionError, models.StaleRunError) as error:
        raise UseCaseError(
            f"Run {run.pk} was just found. Reload the page to see it."
        ) from error
    except IntegrityError as error:
        if models.violated_constraint(error) not in models.ONE_ACTIVE:
            raise
        run.refresh_from_db()
        raise UseCaseError(
            f"The definition of run {run.pk} has been started again since. You can "
            "check this run once that one has ended."
        ) from error
    return run
