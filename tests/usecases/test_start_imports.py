"""Many single starts in one batch, each with its own outcome."""

from __future__ import annotations

from uuid import uuid4

import pytest

from imports.models import ImportRun
from imports.usecases.errors import UseCaseError
from imports.usecases.start import MOST_AT_ONCE, start_imports
from tests.factories import ImportDefinitionFactory, ImportRunFactory, UserFactory

pytestmark = pytest.mark.django_db


def test_each_definition_starts_or_says_why_not() -> None:
    free, busy, off = (
        ImportDefinitionFactory.create(),
        ImportDefinitionFactory.create(),
        ImportDefinitionFactory.create(account__is_active=False),
    )
    ImportRunFactory.create(definition=busy, running=True)
    batch, person = uuid4(), UserFactory.create(is_superuser=True)
    outcomes = start_imports(
        definitions=[free, busy, off], started_by=person, batch=batch
    )
    started, refused, impossible = outcomes
    assert started.run is not None
    assert (started.run.batch, started.run.started_by) == (batch, person)
    assert (started.problem, started.run.status) == ("", "queued")
    assert refused.run is impossible.run is None
    assert "already running" in refused.problem
    assert "disabled" in impossible.problem


def test_a_repeated_press_gives_the_same_runs() -> None:
    definitions, batch = ImportDefinitionFactory.create_batch(3), uuid4()
    person = UserFactory.create(is_superuser=True)
    one, two = (
        start_imports(definitions=definitions, started_by=person, batch=batch)
        for _ in range(2)
    )
    assert one == two
    assert ImportRun.objects.count() == 3


def test_too_many_at_once_start_nothing() -> None:
    definitions = [ImportDefinitionFactory.create()] * (MOST_AT_ONCE + 1)
    with pytest.raises(UseCaseError, match="only 50 can"):
        start_imports(
            definitions=definitions, started_by=UserFactory.create(), batch=uuid4()
        )
    assert not ImportRun.objects.exists()
