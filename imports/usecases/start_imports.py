"""Start several definitions in one go: as many single starts in one batch."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from uuid import UUID, uuid5

from imports.models import ImportDefinition, ImportRun, Origin, User

from .errors import UseCaseError
from .start_import import start_import

MOST_AT_ONCE = 50


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
    return [_start(definition, started_by, batch, ip) for definition in definitions]


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
