"""A person looked in Marketing Cloud and says that an unknown run did not start."""

from __future__ import annotations

from datetime import datetime, timedelta

from django.conf import settings
from django.db import transaction

from imports.models import (
    ErrorKind,
    EventKind,
    ImportRun,
    InvalidTransitionError,
    RunStatus,
    StaleRunError,
    User,
    database_now,
    publish,
)
from imports.usecases.errors import UseCaseError
from imports.usecases.reconcile_runs import candidates_of
from imports.usecases.record_audit import AuditAction, record_run_deed


def declare_not_started(
    *, run: ImportRun, by: User, ip: str | None = None
) -> ImportRun:
    """End the unknown `run` as `not_started`, on the word of `by`.

    Nothing is sent. From then on its definition may be started again; the run itself
    still takes a result, or a late answer, that turns up as after "no trace". Raises
    `UseCaseError` where `why_not_declarable` has a reason, or the run was settled.
    """
    try:
        with transaction.atomic():
            # locked and read again: a look that finds it comes before or after
            run = ImportRun.objects.select_for_update().get(pk=run.pk)
            if reason := why_not_declarable(run, database_now()):
                raise UseCaseError(f"{reason} Nothing was changed.")
            record_run_deed(run=run, action=AuditAction.RUN_DECLARED, by=by, ip=ip)
            _declare(run, by)
            publish(runs=[run])
    except (StaleRunError, InvalidTransitionError) as error:
        raise UseCaseError(f"Run {run.pk} was settled just now.") from error
    return run


def _declare(run: ImportRun, by: User) -> None:
    message = (
        f"{by.shown_name} looked in Marketing Cloud and said that it did not start."
    )
    run.move_to(
        RunStatus.NOT_STARTED,
        kind=EventKind.NOT_STARTED,
        actor=by,
        details={"why": ErrorKind.NO_TRACE, "declared": True, "message": message},
        error_kind=ErrorKind.NO_TRACE,
        message=message,
        settled_at=database_now(),
        next_check_at=None,
    )
    if run.definition:
        run.definition.redraw()


def why_not_declarable(run: ImportRun, now: datetime) -> str:
    """Why nobody may say yet that `run` did not start, in a sentence; empty if one
    may: its outcome is unknown, its worker's lease and the grace period are over,
    and the last look that succeeded found no task that it may be.
    """
    if reason := why_wait(run, now):
        return reason
    if candidates_of(run):
        return f"Runs were found in Marketing Cloud that run {run.pk} may be."
    return ""


def why_wait(run: ImportRun, now: datetime) -> str:
    """The same as far as the run's own row tells it, whatever was found."""
    if run.status != RunStatus.UNKNOWN:
        return f"Run {run.pk} is settled: {run.get_status_display().lower()}."
    if run.claim_expires_at is not None and run.claim_expires_at > now:
        return f"The worker that sent run {run.pk} may still get its answer."
    if now < grace_ends_at(run):
        return f"Run {run.pk} may still turn up: it is too early to give it up."
    return ""


def grace_ends_at(run: ImportRun) -> datetime:
    """When the time is over in which an unknown run is waited for: counted from the
    answer that could not be read or, without one, from the end of the lease.
    """
    lease = timedelta(seconds=settings.MCDASH_START_LEASE_SECONDS)
    unanswered = run.answered_at or (run.sent_at or run.occurred_at) + lease
    return unanswered + timedelta(seconds=settings.MCDASH_UNKNOWN_GRACE_SECONDS)
