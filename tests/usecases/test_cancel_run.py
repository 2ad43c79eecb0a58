"""A queued run can be taken back; what was sent cannot."""

from __future__ import annotations

import pytest

from imports.models import ImportRun, RunStatus
from imports.usecases.errors import NotCancellableError
from imports.usecases.start import cancel_run
from tests.factories import ImportRunFactory, UserFactory

pytestmark = pytest.mark.django_db


def test_a_queued_run_is_cancelled_by_a_person() -> None:
    run, person = ImportRunFactory.create(), UserFactory.create(username="ada")
    cancel_run(run=run, by=person)
    run.refresh_from_db()
    assert run.status == RunStatus.CANCELLED
    assert run.settled_at is not None
    event = run.events.get()
    assert (event.kind, event.actor, event.actor_name) == ("cancelled", person, "ada")
    assert run.definition
    assert [bar["status"] for bar in run.definition.strip] == ["cancelled"]
    assert run.revision == run.account.revision > 0


@pytest.mark.parametrize("status", sorted(set(RunStatus) - {RunStatus.QUEUED}), ids=str)
def test_a_run_that_is_not_queued_stays_as_it_is(status: RunStatus) -> None:
    run = ImportRunFactory.create(**{status.value: True})
    with pytest.raises(NotCancellableError, match=f"Run {run.pk} can't be cancelled"):
        cancel_run(run=run, by=None)
    run.refresh_from_db()
    assert run.status == status


def test_a_worker_that_was_quicker_keeps_the_run() -> None:
    run = ImportRunFactory.create()
    ImportRun.objects.filter(pk=run.pk).update(status=RunStatus.STARTING)
    with pytest.raises(NotCancellableError, match="it is starting"):
        cancel_run(run=run, by=None)
    run.refresh_from_db()
    assert run.status == RunStatus.STARTING
    assert not run.events.exists()
