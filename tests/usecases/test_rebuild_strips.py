"""Strips and last runs are drawn anew from the history, or proved right."""

from __future__ import annotations

from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from imports.models import Account, ImportDefinition, ImportRun
from imports.usecases import upkeep as module
from imports.usecases.upkeep import rebuild_strips
from tests.factories import AccountFactory, ImportDefinitionFactory, ImportRunFactory

pytestmark = pytest.mark.django_db

NOON = datetime(2026, 3, 18, 12, tzinfo=UTC)


@pytest.fixture
def account() -> Account:
    return AccountFactory.create()


def a_run(definition: ImportDefinition, minutes: int = 0, **traits: Any) -> ImportRun:
    at = NOON + timedelta(minutes=minutes)
    return ImportRunFactory.create(
        account=definition.account,
        definition=definition,
        occurred_at=at,
        **(traits or {"completed": True}),
    )


def a_definition(account: Account, *, ends: int = 0, **fields: Any) -> ImportDefinition:
    definition = ImportDefinitionFactory.create(account=account, **fields)
    for minutes in range(ends):
        a_run(definition, minutes)
    return definition


def again(definition: ImportDefinition) -> ImportDefinition:
    return ImportDefinition.objects.get(pk=definition.pk)


def bars(definition: ImportDefinition) -> list[int]:
    return [bar["run"] for bar in again(definition).strip]


def test_a_wrong_strip_is_rebuilt_from_the_history(account: Account) -> None:
    definition = a_definition(account, ends=3, name="Prices")
    report = rebuild_strips(account=account)
    assert report.checked == 1
    (wrong,) = report.wrong
    assert (wrong.definition, wrong.name) == (definition.pk, "Prices")
    last = definition.runs.latest("occurred_at")
    assert wrong.what == f"last run –, not {last.pk}; 0 ends, not 3"
    assert bars(definition) == sorted(run.pk for run in definition.runs.all())
    assert again(definition).last_run == last
    assert rebuild_strips(account=account).wrong == ()


def test_a_check_tells_and_changes_nothing(account: Account) -> None:
    definition = a_definition(account, ends=2)
    assert len(rebuild_strips(account=account, check=True).wrong) == 1
    assert (again(definition).strip, again(definition).last_run) == ([], None)
    assert len(rebuild_strips(account=account, check=True).wrong) == 1


def test_other_ends_of_the_same_number_are_told(account: Account) -> None:
    definition = a_definition(account, ends=1)
    definition.refresh_recent_runs()
    run = definition.runs.get()
    ImportRun.objects.filter(pk=run.pk).update(total_rows=7)
    (wrong,) = rebuild_strips(account=account, check=True).wrong
    assert wrong.what == "other ends"


def test_an_active_run_is_the_last_one_and_no_end(account: Account) -> None:
    definition = a_definition(account, ends=1)
    active = a_run(definition, 5, running=True)
    rebuild_strips(account=account)
    assert again(definition).last_run == active
    assert len(bars(definition)) == 1


def test_many_active_runs_do_not_crowd_out_the_ends(account: Account) -> None:
    definition = a_definition(account, ends=20)
    for minutes in range(30, 40):
        a_run(definition, minutes, outside=True, running=True)
    rebuild_strips(account=account)
    assert len(bars(definition)) == 20


def test_a_strip_without_runs_is_emptied(account: Account) -> None:
    definition = a_definition(account, strip=[{"run": 7}])
    rebuild_strips(account=account)
    assert bars(definition) == []


def test_other_accounts_are_left_alone(account: Account) -> None:
    other = a_definition(AccountFactory.create(), ends=1)
    assert rebuild_strips(account=account).checked == 0
    assert bars(other) == []


def test_every_batch_is_looked_at(
    account: Account, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(module, "BATCH", 2)
    definitions = [a_definition(account, ends=1) for _ in range(5)]
    report = rebuild_strips(account=account)
    assert [wrong.definition for wrong in report.wrong] == [d.pk for d in definitions]


def test_what_a_worker_drew_in_the_meantime_is_not_told_as_wrong(
    account: Account, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The first look is without a lock; the second one, which counts, holds the row."""
    definition = a_definition(account, ends=1)
    definition.refresh_recent_runs()
    recent: Callable[[ImportDefinition], Any] = ImportDefinition.recent_runs

    def a_run_ends_first(self: ImportDefinition) -> Any:
        monkeypatch.setattr(ImportDefinition, "recent_runs", recent)
        a_run(definition, 10)
        again(definition).refresh_recent_runs()
        return recent(self)

    monkeypatch.setattr(ImportDefinition, "recent_runs", a_run_ends_first)
    assert rebuild_strips(account=account, check=True).wrong == ()
