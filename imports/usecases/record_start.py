"""Marketing Cloud accepted a start: write its task into the run."""

from __future__ import annotations

from django.db import IntegrityError, transaction

from imports.marketingcloud.records import StartedImport
from imports.models import (
    ErrorKind,
    EventKind,
    ImportRun,
    Origin,
    RunStatus,
    StaleRunError,
    database_now,
    publish,
    violated_constraint,
)

# What an adopted row already knows and the run takes over.
TAKEN_OVER = (
    "phase",
    "import_type",
    "destination_id",
    "start_text",
    "end_text",
    "started_at",
    "finished_at",
    "total_rows",
    "successful",
    "duplicated",
    "errors",
)


def record_start(*, run: ImportRun, started: StartedImport) -> None:
    """Move `run` to running with the task id of `started`.

    A task that was adopted in the meantime is merged into `run`: a task is one
    run for ever. An answer that comes after the lease still counts. Raises
    `StaleRunError` where the run was settled otherwise.
    """
    try:
        _record(run, started)
    except StaleRunError:
        run.refresh_from_db()
        if run.status != RunStatus.UNKNOWN:
            raise
        _record(run, started)


def _record(run: ImportRun, started: StartedImport) -> None:
    try:
        with transaction.atomic():
            _accept(run, started)
            publish(runs=[run])
    except IntegrityError as error:
        if violated_constraint(error) != "run_task_once":
            raise
        _merge(run, started)


def _accept(run: ImportRun, started: StartedImport) -> None:
    now = database_now()
    run.move_to(
        RunStatus.RUNNING,
        kind=EventKind.ACCEPTED,
        details={"task_id": started.task_id, "words": started.status_message},
        task_id=started.task_id,
        request_id=started.request_id or "",
        error_code=started.error_code or "",
        error_kind=ErrorKind.NONE,
        message="",
        answered_at=now,
        next_check_at=now,
        claim_expires_at=None,
    )
    if started.contradiction:
        run.record(EventKind.CONTRADICTED, details={"words": started.contradiction})


def _merge(run: ImportRun, started: StartedImport) -> None:
    """Fold the adopted run of the same task into `run`, events and all."""
    run.refresh_from_db()
    with transaction.atomic():
        adopted = ImportRun.objects.select_for_update().get(
            account=run.account, task_id=started.task_id, origin=Origin.OUTSIDE
        )
        known = {name: getattr(adopted, name) for name in TAKEN_OVER}
        adopted.events.update(run=run)
        if adopted.definition:
            type(adopted.definition).objects.filter(last_run=adopted).update(
                last_run=run
            )
        adopted.delete()
        _accept(run, started)
        run.change(**known)
        run.record(EventKind.MERGED, details={"adopted_run": adopted.pk})
        publish(runs=[run])
