"""Record that somebody wants a definition started. Nothing is sent here."""

from __future__ import annotations

from typing import Any
from uuid import UUID

from django.db import IntegrityError, transaction

from imports.models import (
    EventKind,
    ImportDefinition,
    ImportRun,
    Origin,
    RunStatus,
    User,
    database_now,
    publish,
    violated_constraint,
)

from .errors import AlreadyRunningError, NotStartableError
from .record_audit import AuditAction, record_run_deed


def start_import(
    *,
    definition: ImportDefinition,
    started_by: User | None,
    started_by_name: str = "",
    origin: Origin = Origin.DASHBOARD,
    request_token: UUID | None = None,
    batch: UUID | None = None,
    again_of: ImportRun | None = None,
    ip: str | None = None,
    login: str = "",
) -> ImportRun:
    """A queued run of `definition`, committed; the worker sends it.

    For the audit: the request's address `ip`, or the system's `login` of a command.

    A repeated `request_token` gives the first one's run. Raises
    `AlreadyRunningError` while an own run of the definition is active, and
    `NotStartableError` where it cannot be started now.
    """
    if again := _first_with(request_token, definition):
        return again
    if reason := definition.why_not_startable:
        raise NotStartableError(definition, reason)
    run = ImportRun(
        account=definition.account,
        definition=definition,
        definition_version=definition.versions.first(),
        customer_key=definition.customer_key,
        origin=origin,
        status=RunStatus.QUEUED,
        started_by=started_by,
        started_by_name=started_by_name or _name_of(started_by),
        request_token=request_token,
        batch=batch,
        again_of=again_of,
    )
    try:
        return _queue(run, ip, login)
    except IntegrityError as error:
        return _already_there(error, definition, request_token)


def _name_of(person: User | None) -> str:
    return person.shown_name if person else ""


def _queue(run: ImportRun, ip: str | None, login: str) -> ImportRun:
    with transaction.atomic():
        run.queued_at = run.occurred_at = database_now()
        run.save(force_insert=True)
        ImportDefinition.objects.filter(runs=run).update(last_run=run)
        run.record(
            EventKind.QUEUED,
            to_status=RunStatus.QUEUED,
            actor=run.started_by,
            actor_name=run.started_by_name,
            details={"origin": run.origin},
        )
        record_run_deed(
            run=run,
            action=AuditAction.RUN_STARTED,
            by=run.started_by,
            by_name=run.started_by_name,
            ip=ip,
            details=_details(run, login),
        )
        run.revision = publish(runs=[run])
    return run


def _details(run: ImportRun, login: str) -> dict[str, Any]:
    known = {
        "origin": run.origin,
        "batch": str(run.batch or ""),
        "again_of": run.again_of_id,
        "login": login,
    }
    return {name: value for name, value in known.items() if value}


def _first_with(
    request_token: UUID | None, definition: ImportDefinition
) -> ImportRun | None:
    if request_token is None:
        return None
    return ImportRun.objects.filter(
        request_token=request_token, definition=definition
    ).first()


def _already_there(
    error: IntegrityError, definition: ImportDefinition, request_token: UUID | None
) -> ImportRun:
    """The run that the database would not let us double. Raises otherwise."""
    if again := _first_with(request_token, definition):
        return again
    violated = violated_constraint(error)
    if violated == "run_request_once":
        raise NotStartableError(
            definition, "its request was already used for another definition."
        ) from error
    if violated != "run_one_active":
        raise error
    active = definition.runs.ours().active().first()
    if active is None:
        raise NotStartableError(
            definition, "Another run of it ended this moment. Start it again."
        ) from error
    raise AlreadyRunningError(active) from error
