"""How the workers do as a whole, alone or within another query."""

from __future__ import annotations

from django.db.models import Case, CharField, Exists, Max, QuerySet, Value, When

from imports.models.following import WORKER_SILENT_AFTER, WorkerState, overdue_after
from imports.models.lease import Worker
from imports.models.run import ImportRun

ALIVE, STUCK = "alive", "stuck"


def workers_now() -> WorkerState:
    """How the workers do."""
    return workers_of(Worker.objects.aggregate(word=Max(workers_word()))["word"])


def workers_word() -> Case:
    """The same as part of a query: ALIVE, STUCK, or null where none is heard of."""
    return Case(
        When(~Exists(_heard_of()), then=Value(None)),
        When(
            Exists(_at_work()) & Exists(ImportRun.objects.overdue()), then=Value(STUCK)
        ),
        default=Value(ALIVE),
        output_field=CharField(),
    )


def workers_of(word: str | None) -> WorkerState:
    """What `workers_word` found."""
    if word is None:
        return WorkerState(is_silent=True, heard_at=Worker.objects.last_heard_at())
    return WorkerState(is_stuck=word == STUCK)


def _heard_of() -> QuerySet[Worker]:
    return Worker.objects.heard_of(WORKER_SILENT_AFTER.total_seconds())


def _at_work() -> QuerySet[Worker]:
    """One that has just begun is about to do what is overdue."""
    return Worker.objects.at_work_for(overdue_after().total_seconds())
