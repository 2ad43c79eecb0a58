"""Start several definitions in one go: as many single starts in one batch."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from uuid import UUID, uuid5

from django.db import DatabaseError

from imports.models import (
    STORAGE,
    ImportDefinition,
    ImportRun,
    Origin,
    User,
    refusal_of,
)
from imports.usecases.errors import UseCaseError
from imports.usecases.start_import import start_import

MOST_AT_ONCE = 50
NOT_SAVED = "mcdash can’t save anything right now, so it was not started."
PERHAPS_SAVED = (
    "The database stopped answering. Look in the History before you start it again."
)


@dataclass(frozen=True, kw_only=True, slots=True)
class StartOutcome:
    """What became of one definition: its run, or why there is none."""

    definition: ImportDefinition
    run: ImportRun | None
    problem: str


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
        raise UseCaseError(
            f"{len(definitions)} definitions were chosen; at most {MOST_AT_ONCE} are "
            "started in one go. Nothing was started."
        )
    outcomes: list[StartOutcome] = []
    for definition in definitions:
        try:
            outcomes.append(_start(definition, started_by, batch, ip))
        except DatabaseError as error:
            # what was queued before is there, and has to be told of
            if not outcomes or not STORAGE.note_refusal(error, has_waited=True):
                raise
            rest = definitions[len(outcomes) :]
            return outcomes + [_not_saved(one, error) for one in rest]
    return outcomes


def _not_saved(definition: ImportDefinition, error: DatabaseError) -> StartOutcome:
    refusal = refusal_of(error)
    problem = NOT_SAVED if refusal and refusal.is_certain else PERHAPS_SAVED
    return StartOutcome(definition=definition, run=None, problem=problem)


def _start(
    definition: ImportDefinition, by: User, batch: UUID, ip: str | None
) -> StartOutcome:
    try:
        run = start_import(
            definition=definition,
            started_by=by,
            origin=Origin.DASHBOARD,
            request_token=uuid5(batch, str(definition.pk)),
            batch=batch,
            ip=ip,
        )
    except UseCaseError as error:
        return StartOutcome(definition=definition, run=None, problem=str(error))
    return StartOutcome(definition=definition, run=run, problem="")
