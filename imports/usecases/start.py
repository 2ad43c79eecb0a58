"""Queue starts, one or several, and cancel what is queued.

Nothing is sent here: a queued run is a promise in the database that the worker keeps
(`send.py`). Whether a definition can be started is `why_not_startable`; that it runs
once at a time is held by the database.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any
from uuid import UUID, uuid5

from django.db import DatabaseError, IntegrityError, transaction
from django.db.models import Exists, OuterRef, Q

from imports import models
from imports.models import ImportDefinition, ImportRun, RunStatus, User, wake_workers
from imports.models.run import LOST_AFTER
from imports.usecases import errors
from imports.usecases.audit import AuditAction, record_audit
from imports.usecases.settle import move_run


def start_import(
    *,
    definition: ImportDefinition,
    started_by: User | None,
    started_by_name: str = "",
    origin: models.Origin = models.Origin.DASHBOARD,
    request_token: UUID | None = None,
    batch: UUID | None = None,
    again_of: ImportRun | None = None,
    ip: str | None = None,
    login: str = "",
) -> ImportRun:
    """A queued run of `definition`, committed; the worker sends it.

    A repeated `request_token` gives the first one's run. The audit keeps the request's
    `ip`, or the system's `login` of a command. Raises `AlreadyRunningError`,
    `RunningElsewhereError` and `NotStartableError`.
    """
    if again := _first_with(request_token, definition):
        return again
    if reason := definition.why_not_startable:
        raise errors.NotStartableError(definition, reason)
    accounts = models.Account.objects.filter(pk=definition.account_id)
    # whoever starts by command, as nobody here, may start everything
    if started_by and not accounts.startable_by(started_by).exists():
        raise errors.NotStartableError(
            definition,
            f"{started_by.shown_name} can’t start imports in “{definition.account}”. "
            "An administrator can give that right.",
        )
    run = ImportRun(
        account=definition.account,
        definition=definition,
        definition_version=definition.versions.first(),
        customer_key=definition.customer_key,
        origin=origin,
        status=RunStatus.QUEUED,
        started_by=started_by,
        started_by_name=started_by_name
        or (started_by.shown_name if started_by else ""),
        request_token=request_token,
        batch=batch,
        again_of=again_of,
    )
    try:
        return _queue(run, ip, login)
    except IntegrityError as error:
        return _already_there(error, run)


def _queue(run: ImportRun, ip: str | None, login: str) -> ImportRun:
    batch, again_of = str(run.batch or ""), run.again_of_id
    known = {"origin": run.origin, "batch": batch, "again_of": again_of, "login": login}
    with transaction.atomic():
        # A disabled account's run, which nobody follows there any more, does not hold
        # the definition for ever: its task may be known here to have ended, adopted
        # as one from outside; else it is as lost as one that is followed in vain.
        same_task = run.account.runs.filter(task_id=OuterRef("task_id"))
        has_ended = Exists(same_task.filter(status__in=models.FINISHED))
        long_ago = models.database_now() - LOST_AFTER
        is_lost = Q(account__is_active=False, sent_at__lt=long_ago)
        released = _held_elsewhere(run).filter(has_ended | is_lost)
        keys = list(released.values_list("pk", flat=True))
        ImportRun.objects.filter(pk__in=keys).update(guard=None)
        run.queued_at = run.occurred_at = models.database_now()
        run.save(force_insert=True)
        ImportDefinition.objects.filter(runs=run).update(last_run=run)
        run.record(
            models.EventKind.QUEUED,
            to_status=RunStatus.QUEUED,
            actor=run.started_by,
            actor_name=run.started_by_name,
            details={"origin": run.origin},
        )
        record_audit(
            actor=run.started_by or run.started_by_name,
            action=AuditAction.RUN_STARTED,
            obj=run,
            ip=ip,
            details={name: value for name, value in known.items() if value},
        )
        run.revision = models.bump_revision(runs=[run])
        # inside: PostgreSQL tells the workers at the commit, not before
        wake_workers()
    return run


def _held_elsewhere(run: ImportRun) -> models.RunQuerySet:
    """Active runs of the same definition, of the same unit's other accounts."""
    guard = models.guard_of(run.definition) if run.definition else None
    runs = ImportRun.objects.ours().active().filter(guard=guard)
    return runs.exclude(account=run.account_id)


def _first_with(token: UUID | None, definition: ImportDefinition) -> ImportRun | None:
    same = ImportRun.objects.filter(request_token=token, definition=definition)
    return same.first() if token else None


def _already_there(error: IntegrityError, run: ImportRun) -> ImportRun:
    """The run that the same request has made already. Raises what else the constraint
    that refused `run` means.
    """
    definition: Any = run.definition
    if again := _first_with(run.request_token, definition):
        return again
    violated = models.violated_constraint(error)
    if violated == "run_request_once":
        raise errors.NotStartableError(
            definition, "Its request was already used for another definition."
        ) from error
    if violated not in models.ONE_ACTIVE:
        raise error
    if active := definition.runs.ours().active().first():
        raise errors.AlreadyRunningError(active) from error
    if elsewhere := _held_elsewhere(run).select_related("account").first():
        visible = ImportRun.objects.filter(pk=elsewhere.pk)
        if run.started_by and not visible.still_visible_to(run.started_by).exists():
            raise errors.RunningElsewhereError(definition, None) from error
        raise errors.RunningElsewhereError(definition, elsewhere) from error
    raise errors.NotStartableError(
        definition, "Another run of it has just ended. Please try again."
    ) from error


# Several definitions in one go: as many single starts in one batch

MOST_AT_ONCE = 50
NOT_SAVED = "mcdash can’t save anything right now, so it was not started."
PERHAPS_SAVED = (
    "The database stopped responding. Look in the History before you start it again."
)


@dataclass(frozen=True, slots=True)
class StartOutcome:
    """What became of one definition: its run, or why there is none."""

    definition: ImportDefinition
    run: ImportRun | None = None
    problem: str = ""


def start_imports(
    *,
    definitions: Iterable[ImportDefinition],
    started_by: User,
    batch: UUID,
    ip: str | None = None,
) -> list[StartOutcome]:
    """Queue each definition once; one that is refused does not keep the others.

    `batch` is the press of the button: the same one again gives the same runs.
    Raises `UseCaseError` for more than 50 definitions.
    """
    definitions = list(definitions)
    if len(definitions) > MOST_AT_ONCE:
        raise errors.UseCaseError(
            f"You chose {len(definitions)} definitions, but only {MOST_AT_ONCE} can be "
            "started at once. Nothing was started."
        )
    outcomes: list[StartOutcome] = []
    for definition in definitions:
        try:
            run = start_import(
                definition=definition,
                started_by=started_by,
                request_token=uuid5(batch, str(definition.pk)),
                batch=batch,
                ip=ip,
            )
            outcomes.append(StartOutcome(definition, run=run))
        except errors.UseCaseError as error:
            outcomes.append(StartOutcome(definition, problem=str(error)))
        except DatabaseError as error:
            # what was queued before is there, and the person has to be told so
            if not outcomes or not models.STORAGE.note_refusal(error, has_waited=True):
                raise
            refusal = models.refusal_of(error)
            problem = NOT_SAVED if refusal and refusal.is_certain else PERHAPS_SAVED
            rest = definitions[len(outcomes) :]
            return outcomes + [StartOutcome(d, problem=problem) for d in rest]
    return outcomes


# Cancelling, as long as a run is queued


def cancel_run(
    *, run: ImportRun, by: User | None, by_name: str = "", ip: str | None = None
) -> ImportRun:
    """Cancel `run`. Raises `NotCancellableError` once it is no longer queued."""
    try:
        with transaction.atomic():
            move_run(run, RunStatus.CANCELLED, by=by, by_name=by_name)
            action = AuditAction.RUN_CANCELLED
            record_audit(actor=by or by_name, action=action, obj=run, ip=ip)
    except (models.InvalidTransitionError, models.StaleRunError) as error:
        run.refresh_from_db()
        raise errors.NotCancellableError(
            f"Run {run.pk} can't be cancelled: it is "
            f"{run.get_status_display().lower()}, and an import that was sent can't be "
            "stopped from here."
        ) from error
    return run
