"""Marketing Cloud accepted a start: write its task into the run."""

from __future__ import annotations

from django.db import IntegrityError, transaction

from imports.marketingcloud.records import StartedImport
from imports.models import (
    ONE_ACTIVE,
    ErrorKind,
    EventKind,
    ImportDefinition,
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
    run for ever. An answer that comes after the lease still counts, even where no
    trace was found meanwhile. Raises `StaleRunError` where the run was settled
    otherwise.
    """
    try:
        _record(run, started)
    except StaleRunError:
        run.refresh_from_db()
        if not _is_open(run):
            _note_contradiction(run, started)
            raise
        _record(run, started)


def _is_open(run: ImportRun) -> bool:
    is_given_up = run.status == RunStatus.NOT_STARTED
    return run.status == RunStatus.UNKNOWN or (
        is_given_up and run.error_kind == ErrorKind.NO_TRACE
    )


def _record(run: ImportRun, started: StartedImport) -> None:
    try:
        if not _take(run, started):
            _share(run, started)
    except IntegrityError as error:
        run.refresh_from_db()
        if violated_constraint(error) not in ONE_ACTIVE:
            raise
        # given up and started again meanwhile: the task is taken when it turns up
        raise StaleRunError(f"Run {run.pk} was started again.") from error


def _take(run: ImportRun, started: StartedImport) -> bool:
    """Whether the run has its task now; False where the history has that already.
    Of two constraints that are violated at once, engines name one or the other.
    """
    try:
        with transaction.atomic():
            _accept(run, started)
            publish(runs=[run])
    except IntegrityError as error:
        if violated_constraint(error) != "run_task_once":
            raise
        run.refresh_from_db()
        return False
    return True


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
        settled_at=None,
        next_check_at=now,
        claim_expires_at=None,
    )
    if started.contradiction:
        run.record(EventKind.CONTRADICTED, details={"words": started.contradiction})


def _note_contradiction(run: ImportRun, started: StartedImport) -> None:
    """A run that was found by looking, and an answer that names another task."""
    if run.task_id not in (None, started.task_id):
        words = f"A late answer names task {started.task_id}."
        run.record(EventKind.CONTRADICTED, details={"words": words})


def _share(run: ImportRun, started: StartedImport) -> None:
    """The task is in the history already: an adopted one is ours, in truth."""
    other = ImportRun.objects.get(account=run.account_id, task_id=started.task_id)
    if other.origin == Origin.OUTSIDE:
        _merge(run, other, started)
    else:
        _leave_open(run, other, started)


def _merge(run: ImportRun, adopted: ImportRun, started: StartedImport) -> None:
    """Fold `adopted` into `run`, events and all."""
    with transaction.atomic():
        adopted = ImportRun.objects.select_for_update().get(pk=adopted.pk)
        known = {name: getattr(adopted, name) for name in TAKEN_OVER}
        adopted.events.update(run=run)
        adopted.again.update(again_of=run)
        ImportDefinition.objects.filter(last_run=adopted).update(last_run=run)
        adopted.delete()
        _accept(run, started)
        run.change(**known)
        run.record(EventKind.MERGED, details={"adopted_run": adopted.pk})
        for definition in {run.definition, adopted.definition}:
            if definition:
                definition.redraw()
        publish(runs=[run])


def _leave_open(run: ImportRun, other: ImportRun, started: StartedImport) -> None:
    """Another run of ours was taken for this task: `run` is looked for on."""
    message = (
        f"Marketing Cloud's answer names task {started.task_id}, for which run "
        f"{other.pk} was taken. A task that is left over is this run's."
    )
    with transaction.atomic():
        run.record(EventKind.CONTRADICTED, details={"words": message})
        if run.status == RunStatus.STARTING:
            now = database_now()
            run.move_to(
                RunStatus.UNKNOWN,
                kind=EventKind.UNANSWERED,
                details={"message": message},
                error_kind=ErrorKind.NO_ANSWER,
                message=message,
                answered_at=now,
                next_check_at=now,
            )
        publish(runs=[run])
