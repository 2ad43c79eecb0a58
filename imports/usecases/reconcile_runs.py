"""Look in Marketing Cloud for runs whose start got no answer."""

from __future__ import annotations

import logging
from collections.abc import Iterable
from dataclasses import asdict, dataclass
from datetime import datetime, timedelta
from typing import Any

from django.conf import settings
from django.db import IntegrityError, transaction
from django.db.models import Q, QuerySet

from imports.marketingcloud.errors import MarketingCloudError
from imports.marketingcloud.records import ImportResult, ImportResults
from imports.models import (
    ONE_ACTIVE,
    Account,
    ErrorKind,
    EventKind,
    ImportRun,
    Lease,
    RunStatus,
    StaleRunError,
    database_now,
    is_due,
    publish,
    violated_constraint,
)
from imports.usecases.ask_account import ask_account
from imports.usecases.errors import AccountBusyError
from imports.usecases.find_candidates import TOO_FAR, find_candidates, rank
from imports.usecases.learn_answers import learn_answers
from imports.usecases.record_result import record_result

log = logging.getLogger(__name__)

LEAST_LOOKS = 3
FOUND_LATE_WITHIN = timedelta(hours=24)
SHOWN_WITHIN = timedelta(hours=24)


@dataclass(frozen=True, kw_only=True, slots=True)
class ReconcileReport:
    """How many unsettled runs were looked for, and how they stand now."""

    looked_for: int = 0
    found: int = 0
    no_trace: int = 0
    to_choose: int = 0


def reconcile_runs(
    *, account: Account, holder: str, only_due: bool = False
) -> ReconcileReport:
    """Look once for the runs of `account` whose outcome is unknown.

    One candidate → the run takes it; several → a person chooses; none, after the
    grace period and three looks that succeeded → `not_started`. Only reads are
    sent. Raises `AccountBusyError` and `MarketingCloudError`.
    """
    name = f"reconcile:{account.pk}"
    seconds = 2 * settings.MCDASH_CALL_DEADLINE_SECONDS + 30
    if not Lease.objects.acquire(name, holder=holder, seconds=seconds):
        raise AccountBusyError(f"“{account}” is being reconciled elsewhere.")
    try:
        return _reconcile(account, only_due=only_due)
    finally:
        Lease.objects.release(name, holder=holder)


def _reconcile(account: Account, *, only_due: bool) -> ReconcileReport:
    runs = list(unsettled(account, only_due=only_due))
    keys = list(dict.fromkeys(run.customer_key for run in runs if run.customer_key))
    if not keys:
        _postpone(runs)
        return ReconcileReport(looked_for=len(runs))
    try:
        with ask_account(account) as client:
            answer = client.results_of_definitions(keys)
    except MarketingCloudError as error:
        _note_failed_look(runs, error)
        raise
    learn_answers(account, answer)
    settle_with(runs, answer)
    statuses = [run.status for run in runs]
    return ReconcileReport(
        looked_for=len(runs),
        found=sum(run.task_id is not None for run in runs),
        no_trace=statuses.count(RunStatus.NOT_STARTED),
        to_choose=sum(
            run.status == RunStatus.UNKNOWN and bool(candidates_of(run)) for run in runs
        ),
    )


def unsettled(account: Account, *, only_due: bool = False) -> QuerySet[ImportRun]:
    """Runs whose task is looked for: unknown ones, and those without a trace that
    may still turn up.
    """
    now = database_now()
    late = Q(
        status=RunStatus.NOT_STARTED,
        error_kind=ErrorKind.NO_TRACE,
        settled_at__gt=now - FOUND_LATE_WITHIN,
    )
    runs = account.runs.ours().filter(Q(status=RunStatus.UNKNOWN) | late)
    if only_due:
        runs = runs.filter(status=RunStatus.UNKNOWN).filter(
            is_due(now) | Q(next_check_at=None)
        )
    return runs.select_related("account", "definition").order_by("sent_at", "pk")


def settle_with(runs: Iterable[ImportRun], answer: ImportResults) -> None:
    """Settle what the answer settles, each run in a transaction of its own.

    `runs` were read before the answer was asked for. A run waits while another own
    one of its key is on the wire or was cut off since: the rows may be that one's.
    All wait where the answer is not whole: the row of one may be what is missing.
    """
    runs, rows = list(runs), list(answer.results)
    if not answer.is_whole:
        _postpone(runs)
        return
    busy = _keys_on_the_wire(runs)
    free = [run for run in runs if run.customer_key and folded(run) not in busy]
    _postpone(run for run in runs if run not in free)
    for run in sorted(free, key=lambda run: _nearness(run, rows)):
        try:
            with transaction.atomic():
                _settle_one(run, rows, database_now())
                publish(runs=[run])
        except StaleRunError as error:
            log.info("%s", error)
            run.refresh_from_db()
        except IntegrityError as error:
            # it was started again, or its task entered the history, meanwhile: the
            # next look sees what is left
            if violated_constraint(error) not in {*ONE_ACTIVE, "run_task_once"}:
                raise
            run.refresh_from_db()


def folded(row: ImportRun | ImportResult) -> str:
    """The customer key as it is compared: the vendor may write it otherwise."""
    return row.customer_key.casefold()


def _keys_on_the_wire(runs: list[ImportRun]) -> set[str]:
    accounts = {run.account_id for run in runs}
    others = ImportRun.objects.ours().filter(
        account__in=accounts, status__in=(RunStatus.STARTING, RunStatus.UNKNOWN)
    )
    return {folded(run) for run in others.exclude(pk__in=[run.pk for run in runs])}


def _nearness(run: ImportRun, rows: list[ImportResult]) -> tuple[timedelta, bool]:
    """Of two runs that may be one task, the nearer in time comes first."""
    found = find_candidates(run, rows)
    nearest = rank(run, found[0]) if found else TOO_FAR
    return nearest, run.status != RunStatus.UNKNOWN


def _settle_one(run: ImportRun, rows: list[ImportResult], now: datetime) -> None:
    found = find_candidates(run, rows)
    if len(found) == 1:
        record_result(run, found[0], at=now)
        if run.definition:
            run.definition.redraw()
        return
    if run.status != RunStatus.UNKNOWN:
        return  # late and ambiguous: adoption enters them, nobody guesses
    _note_look(run, found, now)
    if not found and _is_given_up(run, now) and _shows_what_is_known(run, rows, now):
        _no_trace(run, now)


def _note_look(run: ImportRun, found: list[ImportResult], now: datetime) -> None:
    candidates = [asdict(row) for row in found]
    if not found or candidates != candidates_of(run):  # told once while it waits
        run.record(EventKind.LOOKED, details={"candidates": candidates})
    run.change(
        looks=run.looks + 1,
        last_checked_at=now,
        next_check_at=now + timedelta(seconds=look_interval_seconds()),
    )


def look_interval_seconds() -> float:
    """A fifth of the grace period, from 1 to 60 seconds."""
    return min(60.0, max(1.0, settings.MCDASH_UNKNOWN_GRACE_SECONDS / 5))


def _is_given_up(run: ImportRun, now: datetime) -> bool:
    unanswered = run.events.filter(kind=EventKind.UNANSWERED).last()
    since = unanswered.at if unanswered else run.sent_at or run.occurred_at
    grace = timedelta(seconds=settings.MCDASH_UNKNOWN_GRACE_SECONDS)
    return now - since >= grace and run.looks >= LEAST_LOOKS


def _shows_what_is_known(
    run: ImportRun, rows: list[ImportResult], now: datetime
) -> bool:
    """Whether the rows have all tasks of the run's key that Marketing Cloud showed
    within a day. An answer that lacks one of those proves nothing about another.
    """
    known = ImportRun.objects.filter(
        account=run.account_id,
        customer_key=run.customer_key,
        last_checked_at__gt=now - SHOWN_WITHIN,
    ).exclude(phase="")
    shown = {row.task_id for row in rows}
    return shown.issuperset(
        known.exclude(task_id=None).values_list("task_id", flat=True)
    )


def _no_trace(run: ImportRun, now: datetime) -> None:
    message = (
        f"Marketing Cloud showed no trace of it in {run.looks} looks. It very "
        "probably did not start."
    )
    run.move_to(
        RunStatus.NOT_STARTED,
        kind=EventKind.NOT_STARTED,
        details={"why": ErrorKind.NO_TRACE, "message": message},
        error_kind=ErrorKind.NO_TRACE,
        message=message,
        settled_at=now,
        next_check_at=None,
    )
    if run.definition:
        run.definition.redraw()


def candidates_of(run: ImportRun) -> list[dict[str, Any]]:
    """What the last look that succeeded found, for a person to choose from."""
    looks = run.events.filter(kind=EventKind.LOOKED, details__has_key="candidates")
    look = looks.last()
    found: list[dict[str, Any]] = look.details.get("candidates", []) if look else []
    return found


def _note_failed_look(runs: Iterable[ImportRun], error: MarketingCloudError) -> None:
    """A look that failed does not count; the timeline tells it once in a row."""
    for run in runs:
        last = run.events.last()
        told = last is not None and last.details.get("error") == error.message
        if not told and run.status == RunStatus.UNKNOWN:
            run.record(EventKind.LOOKED, details={"error": error.message})
    _postpone(runs)


def _postpone(runs: Iterable[ImportRun]) -> None:
    after = database_now() + timedelta(seconds=look_interval_seconds())
    keys = [run.pk for run in runs]
    ImportRun.objects.filter(pk__in=keys, status=RunStatus.UNKNOWN).update(
        next_check_at=after
    )
