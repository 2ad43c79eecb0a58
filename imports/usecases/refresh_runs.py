"""Look at an account's running runs, in as few Retrieves as possible."""

from __future__ import annotations

import logging
from collections import defaultdict
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta

from django.conf import settings
from django.db import transaction
from django.db.models import F

from imports import logs
from imports.marketingcloud.records import ImportResult
from imports.models import (
    Account,
    ErrorKind,
    EventKind,
    ImportRun,
    Lease,
    RunStatus,
    StaleRunError,
    database_now,
    publish,
)
from imports.usecases.ask_account import ask_account
from imports.usecases.errors import AccountBusyError
from imports.usecases.learn_answers import learn_answers
from imports.usecases.learn_clock import learn_clock
from imports.usecases.record_result import new_counts, record_result

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
            publish(runs=changed)
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
        run.definition.redraw()
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
