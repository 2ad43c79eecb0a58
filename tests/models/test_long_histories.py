"""What lists ask of runs, and that an index answers it, however long the history."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from django.db import connection

from imports.models import (
    AccessLevel,
    ImportDefinition,
    ImportRun,
    RunQuerySet,
    RunStatus,
    User,
)
from imports.models.database import FULL, NORMAL, relax_commits
from tests.factories import (
    AccountFactory,
    ImportDefinitionFactory,
    ImportRunFactory,
    UserFactory,
    grant,
)

pytestmark = pytest.mark.django_db

NOON = datetime(2026, 3, 18, 12, tzinfo=UTC)
HOUR = timedelta(hours=1)
only_sqlite = pytest.mark.skipif(
    connection.vendor != "sqlite", reason="PostgreSQL's plans depend on statistics"
)


def test_a_run_ended_when_marketing_cloud_says_and_else_when_we_noticed() -> None:
    def ended(finished: datetime | None, settled: datetime) -> ImportRun:
        return ImportRunFactory.create(
            completed=True, finished_at=finished, settled_at=settled
        )

    late_by_both = ended(NOON + HOUR, NOON + HOUR)
    late_by_ours = ended(None, NOON + HOUR)
    ended(NOON - HOUR, NOON + HOUR)
    ended(None, NOON - HOUR)
    at_noon = ended(NOON, NOON)
    assert set(ImportRun.objects.ended_since(NOON)) == {
        late_by_both,
        late_by_ours,
        at_noon,
    }


def test_an_active_run_has_not_ended_whatever_its_dates_are() -> None:
    """A lost run that is checked again has the date of that."""
    ImportRunFactory.create(running=True, settled_at=NOON + HOUR)
    assert not ImportRun.objects.ended_since(NOON).exists()


def test_a_persons_name_is_found_in_any_case() -> None:
    ImportRunFactory.create(completed=True, started_by_name="Ada Lind")
    ImportRunFactory.create(completed=True, started_by_name="Ada Lindgren")
    for name in ("Ada Lind", "ada lind", "ADA LIND"):
        assert ImportRun.objects.started_by_person(name).count() == 1


def test_counts_are_written_at_once_with_the_look() -> None:
    runs = [ImportRunFactory.create(running=True, looks=3) for _ in range(3)]
    counts = {"total_rows": 10, "successful": 7, "duplicated": 1, "errors": None}
    assert ImportRun.objects.note_counts(dict.fromkeys(runs, counts), at=NOON) == 3
    for run in runs:
        stored = ImportRun.objects.get(pk=run.pk)
        assert {name: getattr(stored, name) for name in counts} == counts
        assert (stored.looks, stored.last_checked_at) == (4, NOON)
        assert stored.next_check_at == run.next_look(NOON)


def test_counts_of_a_run_that_has_ended_are_not_written() -> None:
    running, ended = (ImportRunFactory.create(running=True) for _ in range(2))
    ImportRun.objects.filter(pk=ended.pk).update(
        status=RunStatus.FAILED, total_rows=None
    )
    counts = dict.fromkeys(("total_rows", "successful", "duplicated", "errors"), 5)
    written = ImportRun.objects.note_counts(
        dict.fromkeys((running, ended), counts), at=NOON
    )
    assert written == 1
    assert ImportRun.objects.get(pk=ended.pk).total_rows is None


@only_sqlite
@pytest.mark.parametrize(
    ("index", "narrow"),
    [
        ("run_by_state", lambda runs: runs.active()),
        ("run_by_end", lambda runs: runs.ended_since(NOON)),
        ("run_by_person", lambda runs: runs.started_by_person("Ada")),
        ("run_by_origin", lambda runs: runs.filter(origin="command")),
        (
            "run_by_state",
            lambda runs: runs.filter(status="failed", occurred_at__gte=NOON),
        ),
    ],
)
def test_readers_find_runs_by_index_even_without_statistics(
    index: str, narrow: Any
) -> None:
    """Of 1,000,000 runs only those are touched that are shown or counted."""
    plan = plan_of(narrow(ImportRun.objects.visible_to(a_reader())))
    assert f"INDEX {index} (" in plan
    assert "SCAN imports_importrun" not in plan


def plan_of(runs: RunQuerySet) -> str:
    return runs.order_by().explain()


def a_reader() -> User:
    reader = UserFactory.create()
    grant(reader, AccountFactory.create(), AccessLevel.VIEW)
    return reader


@only_sqlite
@pytest.mark.django_db(transaction=True)
def test_commits_of_reading_threads_need_not_wait_for_the_disk() -> None:
    with connection.cursor() as cursor:
        cursor.execute(f"PRAGMA synchronous={FULL}")
    relax_commits()
    with connection.cursor() as cursor:
        cursor.execute("PRAGMA synchronous")
        assert cursor.fetchone()[0] == NORMAL
    connection.close()


@only_sqlite
@pytest.mark.django_db(transaction=True)
def test_commits_that_wait_for_nothing_are_left_so() -> None:
    with connection.cursor() as cursor:
        cursor.execute("PRAGMA synchronous=OFF")
    relax_commits()
    with connection.cursor() as cursor:
        cursor.execute("PRAGMA synchronous")
        assert cursor.fetchone()[0] == 0
    connection.close()


def test_redrawing_tells_whether_anything_differed() -> None:
    definition = ImportDefinitionFactory.create()
    ImportRunFactory.create(definition=definition, completed=True)
    assert definition.refresh_recent_runs()
    assert not ImportDefinition.objects.get(pk=definition.pk).refresh_recent_runs()
