"""What was stored before completed runs and dates were judged as they are now."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from importlib import import_module
from typing import Any

import pytest
from django.apps import apps

from imports.models import (
    EventKind,
    ImportRun,
    Revision,
    RunStatus,
    database_now,
    publish,
)
from imports.usecases.upkeep import rebuild_strips
from tests.factories import (
    ImportDefinitionFactory,
    ImportRunFactory,
    RunEventFactory,
)
from tests.models.test_migrations import later

pytestmark = pytest.mark.django_db

FAR = datetime(2099, 1, 1, tzinfo=UTC)


def module() -> Any:
    name = next(one.name for one in later() if one.name.endswith("_dates_judged"))
    return import_module(f"imports.migrations.{name}")


def migrate() -> None:
    module().judge(apps, None)


def again(run: ImportRun) -> ImportRun:
    return ImportRun.objects.get(pk=run.pk)


@pytest.mark.parametrize("total", [None, 0, 100])
@pytest.mark.parametrize("successful", [None, 0, 60, 100, 150])
@pytest.mark.parametrize("duplicated", [None, 40, 150])
@pytest.mark.parametrize("errors", [None, 0])
def test_completed_runs_are_judged_as_new_ones_are(
    total: int | None,
    successful: int | None,
    duplicated: int | None,
    errors: int | None,
) -> None:
    run = ImportRunFactory.create(
        completed=True,
        total_rows=total,
        successful=successful,
        duplicated=duplicated,
        errors=errors,
    )
    definition = run.definition
    assert definition
    definition.redraw()
    migrate()
    is_clean = run.counts.problem is None
    wanted = RunStatus.COMPLETED if is_clean else RunStatus.COMPLETED_WITH_ERRORS
    assert again(run).status == wanted
    assert rebuild_strips(account=run.account, check=True).wrong == ()


def test_pages_learn_of_runs_that_were_judged_anew() -> None:
    publish()
    run = ImportRunFactory.create(completed=True, errors=None, successful=None)
    migrate()
    run.account.refresh_from_db()
    assert run.account.revision == Revision.objects.get().number == 2


def test_every_run_is_in_a_batch(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module(), "RUNS", 2)
    runs = [
        ImportRunFactory.create(completed=True, errors=None, successful=None)
        for _ in range(5)
    ]
    migrate()
    statuses = {again(run).status for run in runs}
    assert statuses == {RunStatus.COMPLETED_WITH_ERRORS}


def test_other_runs_keep_their_status() -> None:
    counts = {"total_rows": 100, "successful": 60, "errors": None}
    traits = ("failed", "running", "lost", "completed_with_errors")
    runs = [ImportRunFactory.create(**{trait: True}, **counts) for trait in traits]
    migrate()
    assert [again(run).status for run in runs] == list(traits)


def test_dates_that_cannot_be_true_are_forgotten() -> None:
    seen = database_now() - timedelta(hours=2)
    run = ImportRunFactory.create(
        outside=True,
        running=True,
        occurred_at=FAR,
        started_at=FAR,
        last_checked_at=seen,
    )
    RunEventFactory.create(run=run, kind=EventKind.ADOPTED, at=seen)
    ended = ImportRunFactory.create(
        definition=ImportDefinitionFactory.create(),
        outside=True,
        completed=True,
        occurred_at=FAR,
        last_checked_at=seen,
    )
    before = ImportRunFactory.create(
        definition=ended.definition, completed=True, occurred_at=seen
    )
    for definition in (run.definition, ended.definition):
        assert definition
        definition.redraw()
    migrate()
    run, ended = again(run), again(ended)
    assert ended.definition
    bars = [bar["run"] for bar in ended.definition.strip]
    assert bars == [ended.pk, before.pk]
    assert ended.definition.last_run == before
    assert rebuild_strips(account=run.account, check=True).wrong == ()
    assert (run.started_at, run.occurred_at, run.known_since) == (None, seen, seen)
    assert (ended.started_at, ended.finished_at) == (None, None)
    assert ended.occurred_at == ended.settled_at == seen


def test_dates_that_may_be_true_are_kept() -> None:
    run = ImportRunFactory.create(completed=True)
    run.started_at = run.sent_at
    run.finished_at = run.sent_at
    run.save()
    migrate()
    kept = again(run)
    assert (kept.started_at, kept.finished_at) == (run.sent_at, run.sent_at)
    assert kept.occurred_at == run.occurred_at
