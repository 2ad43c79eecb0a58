"""A run's page says who did what, also when they are gone."""

from __future__ import annotations

from collections.abc import Callable
from uuid import uuid4

import pytest

from imports.models import AccessLevel, EventKind, ImportRun, User
from imports.usecases.follow import check_again
from imports.usecases.resolve import choose_task
from imports.usecases.start import cancel_run, start_import, start_imports
from tests.factories import (
    ImportDefinitionFactory,
    ImportRunFactory,
    RunEventFactory,
    UserFactory,
    grant,
)

from .reading import part, viewer

pytestmark = pytest.mark.django_db


def queue(person: User) -> ImportRun:
    definition = ImportDefinitionFactory.create()
    grant(person, definition.account, AccessLevel.START)
    return start_import(definition=definition, started_by=person)


def queue_several(person: User) -> ImportRun:
    definition = ImportDefinitionFactory.create()
    grant(person, definition.account, AccessLevel.START)
    (outcome,) = start_imports(
        definitions=[definition], started_by=person, batch=uuid4()
    )
    assert outcome.run
    return outcome.run


def cancel(person: User) -> ImportRun:
    return cancel_run(run=ImportRunFactory.create(queued=True), by=person)


def look_again(person: User) -> ImportRun:
    return check_again(run=ImportRunFactory.create(lost=True), by=person)


def _unknown() -> ImportRun:
    run: ImportRun = ImportRunFactory.create(unknown=True)
    found = [{"task_id": "501"}, {"task_id": "502"}]
    RunEventFactory.create(
        run=run, kind=EventKind.LOOKED, details={"candidates": found}
    )
    return run


def choose(person: User) -> ImportRun:
    return choose_task(run=_unknown(), task_id="501", by=person)


def choose_none(person: User) -> ImportRun:
    return choose_task(run=_unknown(), task_id=None, by=person)


@pytest.mark.parametrize(
    ("deed", "kind", "words"),
    [
        (queue, "queued", "Queued by Ana Ruiz"),
        (queue_several, "queued", "Queued by Ana Ruiz"),
        (cancel, "cancelled", "Cancelled by Ana Ruiz"),
        (look_again, "checked_again", "Checked again by Ana Ruiz"),
        (choose, "chosen", "Task 501 chosen by Ana Ruiz"),
        (choose_none, "chosen", "“None of these” chosen by Ana Ruiz"),
    ],
)
def test_the_timeline_names_who_did_it_also_when_they_are_gone(
    deed: Callable[[User], ImportRun], kind: str, words: str
) -> None:
    person = UserFactory.create(first_name="Ana", last_name="Ruiz")
    run = deed(person)
    event = run.events.get(kind=kind)
    assert (event.actor, event.actor_name) == (person, "Ana Ruiz")
    person.delete()
    page = viewer(run.account).get(f"/runs/{run.pk}/")
    assert words in part(page, "run-timeline")
