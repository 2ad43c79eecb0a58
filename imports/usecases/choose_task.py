"""A person says which task an unknown run is, or that it is none of them."""

from __future__ import annotations

from django.db import IntegrityError, transaction

from imports.models import (
    ErrorKind,
    EventKind,
    ImportRun,
    InvalidTransitionError,
    Origin,
    RunStatus,
    StaleRunError,
    User,
    database_now,
    publish,
    violated_constraint,
)
from imports.usecases.errors import UseCaseError
from imports.usecases.reconcile_runs import candidates_of
from imports.usecases.record_audit import AuditAction, record_run_deed


def choose_task(
    *, run: ImportRun, task_id: str | None, by: User, ip: str | None = None
) -> ImportRun:
    """Give the unknown `run` the task `task_id`; None means "none of these".

    Of none of them, each enters the history as started outside, and the run is
    looked for on. Raises `UseCaseError` where the choice is no longer open.
    """
    if run.status != RunStatus.UNKNOWN:
        raise UseCaseError(
            f"Run {run.pk} is settled by now: "
            f"{run.get_status_display().lower()}. Nothing was changed."
        )
    offered = {row["task_id"] for row in candidates_of(run)}
    if task_id is not None and task_id not in offered:
        raise UseCaseError(
            f"Task {task_id} is not among those that run {run.pk} may be."
        )
    try:
        with transaction.atomic():
            details = {"task_id": task_id} if task_id else {"none_of": sorted(offered)}
            record_run_deed(
                run=run, action=AuditAction.TASK_CHOSEN, by=by, ip=ip, details=details
            )
            if task_id is None:
                _none_of_these(run, sorted(offered), by)
            else:
                _take(run, task_id, by)
    except (StaleRunError, InvalidTransitionError) as error:
        raise UseCaseError(f"Run {run.pk} was settled just now.") from error
    except IntegrityError as error:
        if violated_constraint(error) != "run_task_once":
            raise
        raise UseCaseError("That task belongs to another run by now.") from error
    return run


def _take(run: ImportRun, task_id: str, by: User) -> None:
    run.move_to(
        RunStatus.RUNNING,
        kind=EventKind.CHOSEN,
        actor=by,
        details={"task_id": task_id},
        task_id=task_id,
        error_kind=ErrorKind.NONE,
        message="",
        next_check_at=database_now(),
    )
    publish(runs=[run])


def _none_of_these(run: ImportRun, tasks: list[str], by: User) -> None:
    now = database_now()
    outside = [_outside(run, task_id) for task_id in tasks]
    ImportRun.objects.bulk_create(outside)
    for other in outside:
        other.record(EventKind.ADOPTED, to_status=other.status)
    run.record(EventKind.CHOSEN, actor=by, details={"none_of": tasks})
    run.record(EventKind.LOOKED, details={"candidates": []})
    run.change(next_check_at=now)
    publish(runs=[run, *outside])


def _outside(run: ImportRun, task_id: str) -> ImportRun:
    now = database_now()
    return ImportRun(
        account=run.account,
        definition=run.definition,
        customer_key=run.customer_key,
        origin=Origin.OUTSIDE,
        status=RunStatus.RUNNING,
        task_id=task_id,
        occurred_at=run.sent_at or now,
        first_seen_at=now,
        next_check_at=now,
    )
