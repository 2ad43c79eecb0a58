"""Settle runs whose start got no answer: look for them in Marketing Cloud, let a person
choose or say that one did not start.
"""

from __future__ import annotations

import logging
from collections.abc import Iterable, Sequence
from dataclasses import asdict, dataclass
from datetime import datetime, timedelta
from typing import Any

from django.conf import settings
from django.db import IntegrityError, transaction
from django.db.models import Q, QuerySet
from django.utils import timezone

from imports import models
from imports.marketingcloud.dates import read_time
from imports.marketingcloud.errors import MarketingCloudError
from imports.marketingcloud.records import ImportResult, ImportResults
from imports.models import EventKind, ImportRun, RunStatus, StaleRunError, database_now
from imports.usecases.accounts import ask_account, exclusively, learn_answers
from imports.usecases.audit import AuditAction, record_audit
from imports.usecases.errors import UseCaseError
from imports.usecases.follow import record_result, refresh_runs
from imports.usecases.settle import move_run, settle_overdue

log = logging.getLogger(__name__)

LEAST_LOOKS = 3
FOUND_LATE_WITHIN = timedelta(hours=24)
SHOWN_WITHIN = timedelta(hours=24)
# The vendor's dates have no certain format and no zone: 26 h cover every zone.
TOO_FAR = timedelta(hours=26)


@dataclass(frozen=True, kw_only=True, slots=True)
class ReconcileReport:
    """How many unsettled runs were looked for, and how they stand now."""

    looked_for: int = 0
    found: int = 0
    no_trace: int = 0
    to_choose: int = 0


def reconcile_runs(
    *, account: models.Account, holder: str, only_due: bool = False
) -> ReconcileReport:
    """Look once for the runs of `account` whose outcome is unknown.

    One candidate → the run takes it; several → a person chooses; none, after the grace
    period and three looks that succeeded → `not_started`. Raises `AccountBusyError` and
    `MarketingCloudError`.
    """
    with exclusively(account, "reconcile", holder):
        runs = list(unsettled(account, only_due=only_due))
        keys = list(dict.fromkeys(run.customer_key for run in runs if run.customer_key))
        if not keys:
            _postpone(runs)
            return ReconcileReport(looked_for=len(runs))
        try:
            with ask_account(account) as client:
                answer = client.results_of_definitions(keys)
        except MarketingCloudError as error:
            # such a look does not count; of several in a row the timeline shows one
            for run in runs:
                last = run.events.last()
                is_noted = last and last.details.get("error") == error.message
                if not is_noted and run.status == RunStatus.UNKNOWN:
                    run.record(EventKind.LOOKED, details={"error": error.message})
            _postpone(runs)
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


def look_at_run(*, run: ImportRun, holder: str) -> None:
    """Look once at `run`, as the worker would: for its result or, while its outcome is
    unknown, for its task. Raises `AccountBusyError` and `MarketingCloudError`.
    """
    # first: a run whose sender vanished is looked for, not asked about
    settle_overdue()
    if run.status == RunStatus.UNKNOWN:
        reconcile_runs(account=run.account, holder=holder, only_due=True)
    else:
        refresh_runs(account=run.account, holder=holder)


def unsettled(
    account: models.Account, *, only_due: bool = False
) -> QuerySet[ImportRun]:
    """Runs whose task is looked for: unknown ones, and those given up without proof,
    which may still turn up.
    """
    now = database_now()
    late = Q(
        status=RunStatus.NOT_STARTED,
        reason__in=models.GIVEN_UP,
        settled_at__gt=now - FOUND_LATE_WITHIN,
    )
    runs = account.runs.ours().filter(Q(status=RunStatus.UNKNOWN) | late)
    if only_due:
        is_due = models.is_due(now) | Q(next_check_at=None)
        runs = runs.filter(is_due, status=RunStatus.UNKNOWN)
    return runs.select_related("account", "definition").order_by("sent_at", "pk")


def settle_with(runs: list[ImportRun], answer: ImportResults) -> None:
    """Settle what the answer settles, each run in a transaction of its own.

    `runs` were read before the answer was asked for. A run waits while another own
    one of its key is being sent or was cut off since: the rows may be that one's.
    All wait where the answer is not whole: the row of one may be what is missing.
    """
    rows = answer.results
    if not answer.is_whole:
        _postpone(runs)
        return
    others = ImportRun.objects.ours().filter(
        account__in={run.account_id for run in runs},
        status__in=(RunStatus.STARTING, RunStatus.UNKNOWN),
    )
    busy = {folded(run) for run in others.exclude(pk__in=[run.pk for run in runs])}
    free = [run for run in runs if run.customer_key and folded(run) not in busy]
    _postpone(run for run in runs if run not in free)

    def nearness(run: ImportRun) -> tuple[timedelta, bool]:
        candidates = find_candidates(run, rows)
        nearest = rank(run, candidates[0]) if candidates else TOO_FAR
        # of two equally near, the one that is still open before one given up
        return nearest, run.status != RunStatus.UNKNOWN

    # of two runs that may be one task, the nearer in time comes first
    for run in sorted(free, key=nearness):
        try:
            with transaction.atomic():
                if _settle_one(run, rows, database_now()):
                    models.bump_revision(runs=[run])
        except StaleRunError as error:
            log.info("%s", error)
            run.refresh_from_db()
        except IntegrityError as error:
            # it was started again, or its task entered the history, meanwhile: the
            # next look sees what is left
            expected = {"run_task_once", *models.ONE_ACTIVE}
            if models.violated_constraint(error) not in expected:
                raise
            run.refresh_from_db()


def folded(row: ImportRun | ImportResult) -> str:
    """The customer key as it is compared: the vendor may write it otherwise."""
    return row.customer_key.casefold()


def _settle_one(run: ImportRun, rows: Sequence[ImportResult], now: datetime) -> bool:
    """Write down what `rows` say of the run; whether that changed anything."""
    tasks = find_candidates(run, rows)
    if len(tasks) == 1:
        return record_result(run, tasks[0], at=now)
    if run.status != RunStatus.UNKNOWN:
        # late: nothing, or several that adoption enters; nobody guesses
        return False
    candidates = [asdict(row) for row in tasks]
    if not tasks or candidates != candidates_of(run):  # noted once while it waits
        run.record(EventKind.LOOKED, details={"candidates": candidates})
    run.change(
        looks=run.looks + 1,
        last_checked_at=now,
        next_check_at=now + timedelta(seconds=look_interval_seconds()),
    )
    if tasks:
        return True  # a person chooses
    unanswered = run.events.filter(kind=EventKind.UNANSWERED).last()
    since = unanswered.at if unanswered else run.sent_at or run.occurred_at
    grace = timedelta(seconds=settings.MCDASH_UNKNOWN_GRACE_SECONDS)
    if now - since < grace or run.looks < LEAST_LOOKS:
        return True  # it may still appear
    # An answer that lacks a task of this key which Marketing Cloud showed within a day
    # proves nothing about another.
    shown = ImportRun.objects.filter(
        account=run.account_id,
        customer_key=run.customer_key,
        last_checked_at__gt=now - SHOWN_WITHIN,
    ).exclude(Q(phase="") | Q(task_id=None))
    if {row.task_id for row in rows} >= set(shown.values_list("task_id", flat=True)):
        gone = models.Reason.NO_TRACE
        move_run(run, RunStatus.NOT_STARTED, reason=gone, at=now, is_one_of_many=True)
    return True


def look_interval_seconds() -> float:
    """A fifth of the grace period, from 1 to 60 seconds."""
    return min(60.0, max(1.0, settings.MCDASH_UNKNOWN_GRACE_SECONDS / 5))


def candidates_of(run: ImportRun) -> list[dict[str, Any]]:
    """What the last look that succeeded found, for a person to choose from."""
    looks = run.events.filter(kind=EventKind.LOOKED, details__has_key="candidates")
    found = looks.values_list("details__candidates", flat=True).last()
    return list(found or [])


def _postpone(runs: Iterable[ImportRun]) -> None:
    after = database_now() + timedelta(seconds=look_interval_seconds())
    unknown = ImportRun.objects.filter(status=RunStatus.UNKNOWN)
    unknown.filter(pk__in=[run.pk for run in runs]).update(next_check_at=after)


def find_candidates(run: ImportRun, rows: Iterable[ImportResult]) -> list[ImportResult]:
    """Tasks of the run's key that are nobody's yet, the nearest to the send first.

    A task whose start can be read and lies more than 26 hours from the send is none,
    unless it lies as far in the future and cannot be true; otherwise dates only rank.
    """
    mine = [row for row in rows if folded(row) == folded(run)]
    task_ids = [row.task_id for row in mine]
    runs = ImportRun.objects.filter(account=run.account_id, task_id__in=task_ids)
    known = set(runs.values_list("task_id", flat=True))
    free = {row.task_id: row for row in mine if row.task_id not in known}
    near = [row for row in free.values() if rank(run, row) <= TOO_FAR]
    return sorted(near, key=lambda row: rank(run, row))


def rank(run: ImportRun, row: ImportResult) -> timedelta:
    """How far the task's start lies from the run's send. One that cannot be read, or
    cannot be true, comes last, but is no reason against the task.
    """
    offset = run.account.clock_offset_minutes
    started_at = read_time(row.start_text, offset_minutes=offset)
    if started_at is None or run.sent_at is None:
        return TOO_FAR
    is_possible = started_at <= timezone.now() + TOO_FAR
    return abs(started_at - run.sent_at) if is_possible else TOO_FAR


def choose_task(
    *, run: ImportRun, task_id: str | None, by: models.User, ip: str | None = None
) -> ImportRun:
    """Give the unknown `run` the task `task_id`; None means "none of these".

    Of none of them, each enters the history as started outside, and mcdash keeps
    looking for the run. Raises `UseCaseError` where the choice is no longer open.
    """
    if run.status != RunStatus.UNKNOWN:
        status = run.get_status_display().lower()
        raise UseCaseError(
            f"Run {run.pk} is already settled: {status}. Nothing was changed."
        )
    offered = sorted({row["task_id"] for row in candidates_of(run)})
    if task_id is not None and task_id not in offered:
        raise UseCaseError(
            f"Task {task_id} isn't one of the tasks that could be run {run.pk}."
        )
    details: dict[str, Any] = {"task_id": task_id} if task_id else {"none_of": offered}
    try:
        with transaction.atomic():
            action = AuditAction.TASK_CHOSEN
            record_audit(actor=by, action=action, obj=run, ip=ip, details=details)
            if task_id is None:
                _none_of_these(run, offered, by)
            else:
                move_run(
                    run,
                    RunStatus.RUNNING,
                    kind=EventKind.CHOSEN,
                    by=by,
                    details=details,
                    task_id=task_id,
                )
    except (StaleRunError, models.InvalidTransitionError) as error:
        raise UseCaseError(f"Run {run.pk} was settled just now.") from error
    except IntegrityError as error:
        if models.violated_constraint(error) != "run_task_once":
            raise
        raise UseCaseError("That task now belongs to another run.") from error
    return run


def _none_of_these(run: ImportRun, tasks: list[str], by: models.User) -> None:
    now = database_now()
    outside = [
        ImportRun(
            account=run.account,
            definition=run.definition,
            customer_key=run.customer_key,
            origin=models.Origin.OUTSIDE,
            status=RunStatus.RUNNING,
            task_id=task_id,
            occurred_at=run.sent_at or now,
            first_seen_at=now,
            next_check_at=now,
        )
        for task_id in tasks
    ]
    ImportRun.objects.bulk_create(outside)
    # each becomes a run of its own: whose they are, nobody here knows
    for other in outside:
        other.record(EventKind.ADOPTED, to_status=other.status)
    run.record(EventKind.CHOSEN, actor=by, details={"none_of": tasks})
    # they are nobody's candidates any more: the choice is over
    run.record(EventKind.LOOKED, details={"candidates": []})
    run.change(next_check_at=now)
    models.bump_revision(runs=[run, *outside])


def declare_not_started(
    *, run: ImportRun, by: models.User, ip: str | None = None
) -> ImportRun:
    """End the unknown `run` as `not_started`, on the word of `by`.

    Nothing is sent. From then on its definition may be started again; the run itself
    still takes a result, or a late answer, that turns up as after "no trace". Raises
    `UseCaseError` where `why_not_declarable` has a reason, or the run was settled.
    """
    try:
        with transaction.atomic():
            # locked and read again: a look that finds it comes before or after this
            run = ImportRun.objects.select_for_update().get(pk=run.pk)
            if reason := why_not_declarable(run, database_now()):
                raise UseCaseError(f"{reason} Nothing was changed.")
            record_audit(actor=by, action=AuditAction.RUN_DECLARED, obj=run, ip=ip)
            move_run(run, RunStatus.NOT_STARTED, reason=models.Reason.DECLARED, by=by)
    except (StaleRunError, models.InvalidTransitionError) as error:
        raise UseCaseError(f"Run {run.pk} was settled just now.") from error
    return run


def why_not_declarable(run: ImportRun, now: datetime) -> str:
    """Why nobody can say yet that `run` did not start; empty where somebody can."""
    several = f"Runs in Marketing Cloud could be run {run.pk}."
    return why_wait(run, now) or (several if candidates_of(run) else "")


def why_wait(run: ImportRun, now: datetime) -> str:
    """The same by the run's own row alone, whatever was found."""
    if run.status != RunStatus.UNKNOWN:
        return f"Run {run.pk} is settled: {run.get_status_display().lower()}."
    if run.claim_expires_at is not None and run.claim_expires_at > now:
        return f"The worker that sent run {run.pk} may still get its answer."
    if now < grace_ends_at(run):
        return f"Too early to tell: run {run.pk} may still appear."
    return ""


def grace_ends_at(run: ImportRun) -> datetime:
    """When the time is over in which an unknown run is waited for: counted from the
    answer that could not be read or, without one, from the end of the lease.
    """
    lease = timedelta(seconds=settings.MCDASH_START_LEASE_SECONDS)
    unanswered = run.answered_at or (run.sent_at or run.occurred_at) + lease
    return unanswered + timedelta(seconds=settings.MCDASH_UNKNOWN_GRACE_SECONDS)
