"""Follow a lost run once more."""

from __future__ import annotations

from django.db import IntegrityError, transaction

from imports.models import (
    ONE_ACTIVE,
    ErrorKind,
    EventKind,
    ImportRun,
    InvalidTransitionError,
    RunStatus,
    StaleRunError,
    User,
    database_now,
    publish,
    violated_constraint,
)
from imports.usecases.errors import UseCaseError
from imports.usecases.record_audit import AuditAction, record_run_deed


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
                run.definition.redraw()
            publish(runs=[run])
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
