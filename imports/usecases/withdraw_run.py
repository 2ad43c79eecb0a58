"""Take a queued run back before the worker takes it."""

from __future__ import annotations

from django.db import transaction

from imports.models import (
    EventKind,
    ImportRun,
    InvalidTransitionError,
    RunStatus,
    StaleRunError,
    User,
    database_now,
    publish,
)
from imports.usecases.errors import NotWithdrawableError
from imports.usecases.record_audit import AuditAction, record_run_deed


def withdraw_run(
    *, run: ImportRun, by: User | None, by_name: str = "", ip: str | None = None
) -> ImportRun:
    """Withdraw `run`. Raises `NotWithdrawableError` once it is no longer queued."""
    try:
        with transaction.atomic():
            run.move_to(
                RunStatus.WITHDRAWN,
                kind=EventKind.WITHDRAWN,
                actor=by,
                actor_name=by_name,
                settled_at=database_now(),
            )
            record_run_deed(
                run=run,
                action=AuditAction.RUN_WITHDRAWN,
                by=by,
                by_name=by_name,
                ip=ip,
            )
            if run.definition:
                run.definition.redraw()
            publish(runs=[run])
    except (InvalidTransitionError, StaleRunError) as error:
        run.refresh_from_db()
        raise NotWithdrawableError(run) from error
    return run
