"""The orders of the history: right over ties and what is not known, page after page."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from django.test import Client
from django.utils import timezone

from imports.lists.filters import RunSort
from imports.lists.paging import RunOrder
from imports.models import ImportDefinition, ImportRun
from tests.factories import AccountFactory, ImportDefinitionFactory, ImportRunFactory
from tests.views.histories import ids, link
from tests.views.reading import content, part, reader

pytestmark = [pytest.mark.django_db, pytest.mark.slow]


SORTED = {
    "": lambda run: (-run["at"], -run["pk"]),
    "oldest": lambda run: (run["at"], run["pk"]),
    "errors": lambda run: (-run["errors"], -run["at"], -run["pk"]),
    "duration": lambda run: (-run["took"], -run["at"], -run["pk"]),
}


def runs_with_ties(
    definition: ImportDefinition, count: int = 130
) -> list[dict[str, Any]]:
    """Runs among which times, errors and durations occur several times, or not."""
    now, told = timezone.now().replace(microsecond=0), []
    for number in range(count):
        minutes, errors, took = number // 3, [None, 0, 5, 7][number % 4], number % 5
        at = now - timedelta(minutes=minutes)
        run = ImportRunFactory.create(
            **({"lost": True} if took == 4 else {"completed": True}),
            definition=definition,
            occurred_at=at,
            errors=errors,
            started_at=at,
            finished_at=None if took == 4 else at + timedelta(microseconds=took),
        )
        told.append(
            {
                "pk": run.pk,
                "at": at.timestamp(),
                "errors": -1 if errors is None else errors,
                "took": -1 if took == 4 else took,
            }
        )
    return told


@pytest.mark.parametrize("sort", SORTED)
def test_in_every_order_pages_follow_without_gap_or_double_and_lead_back(
    client: Client, definition: ImportDefinition, sort: str
) -> None:
    told = runs_with_ties(definition)
    expected = [run["pk"] for run in sorted(told, key=SORTED[sort])]
    first = client.get(f"/runs/?from=6-days-ago&sort={sort}")
    second = client.get(link(first, "next"))
    third = client.get(link(second, "next"))
    assert [*ids(first), *ids(second), *ids(third)] == expected
    assert 'rel="next"' not in content(third)
    assert ids(client.get(link(third, "prev"))) == ids(second)
    assert ids(client.get(link(second, "prev"))) == ids(first)


@pytest.mark.parametrize("sort", SORTED)
def test_in_every_order_a_page_stays_while_runs_arrive(
    client: Client, definition: ImportDefinition, sort: str
) -> None:
    told = runs_with_ties(definition, 70)
    expected = [run["pk"] for run in sorted(told, key=SORTED[sort])]
    next_url = link(client.get(f"/runs/?from=6-days-ago&sort={sort}"), "next")
    for at in (timezone.now(), timezone.now() - timedelta(days=2)):
        ImportRunFactory.create(
            completed=True,
            definition=definition,
            occurred_at=at,
            errors=900 if sort != "oldest" else 0,
            finished_at=at + timedelta(hours=1),
        )
    later = ids(client.get(next_url))
    assert [pk for pk in later if pk in expected] == expected[50:]
    assert len(set(later)) == len(later)


@pytest.mark.parametrize("sort", ["", "oldest"])
@pytest.mark.parametrize("counts", [(60, 60), (110, 3), (0, 51)])
def test_the_runs_of_several_accounts_stand_in_one_order(
    counts: tuple[int, int], sort: str
) -> None:
    """The nearest runs are looked for in each account; none may be missed."""
    now, told = timezone.now(), []
    accounts = AccountFactory.create_batch(2)
    for number, (one, count) in enumerate(zip(accounts, counts, strict=True)):
        definition = ImportDefinitionFactory.create(account=one)
        for minute in range(count):
            at = now - timedelta(minutes=minute * (number + 1))
            run = ImportRunFactory.create(
                completed=True, definition=definition, occurred_at=at
            )
            told.append({"pk": run.pk, "at": at.timestamp()})
    expected = [run["pk"] for run in sorted(told, key=SORTED[sort])]
    client, url, seen = reader(*accounts), f"/runs/?sort={sort}", []
    for _ in range(3):
        page = client.get(url)
        seen += ids(page)
        if 'rel="next"' not in content(page):
            break
        url = link(page, "next")
    assert seen == expected


@pytest.mark.parametrize("sort", ["errors", "duration"])
@pytest.mark.parametrize(
    ("days", "is_offered"),
    [
        ("", False),
        ("from=30-days-ago", True),
        ("from=31-days-ago", False),
        ("from=2026-01-01&to=2026-01-31", True),
        ("from=2026-01-01&to=2026-02-01", False),
        ("to=2026-01-31", False),
    ],
)
def test_errors_and_duration_are_orders_within_31_days_only(
    client: Client, definition: ImportDefinition, sort: str, days: str, is_offered: bool
) -> None:
    at = datetime(2026, 1, 20, tzinfo=UTC)
    if "ago" in days or not days:
        at = timezone.now()
    some = runs_at(definition, at)
    # a place in an order that is not in force is none
    place = "" if is_offered else "7_2026-01-20T10:00:00Z_1"
    page = client.get(f"/runs/?{days}&sort={sort}&before={place}")
    assert page.status_code == 200
    offered = part(page, "run-tools")
    assert ("Most errors" in offered and "Longest" in offered) == is_offered
    assert ("Sorted by time." in offered) != is_offered
    if not is_offered:
        assert "choose 31 days or less" in offered
        assert ids(page) == some


def runs_at(definition: ImportDefinition, at: datetime) -> list[int]:
    """Two runs, the newest first, the older with more errors."""
    return [
        ImportRunFactory.create(
            completed_with_errors=True,
            definition=definition,
            occurred_at=at - timedelta(minutes=number),
            errors=number,
        ).pk
        for number in (0, 1)
    ]


@pytest.mark.parametrize("by", [RunSort.NEWEST, RunSort.OLDEST])
def test_no_more_runs_are_sorted_than_each_account_can_bring(by: RunSort) -> None:
    """Of a busy and a quiet account the busy one says how far to look."""
    now, way = timezone.now(), 1 if by == RunSort.OLDEST else -1
    for minutes in (1, 60):
        definition = ImportDefinitionFactory.create()
        for number in range(1, 21):
            at = now + way * timedelta(minutes=minutes * number)
            ImportRunFactory.create(
                completed=True, definition=definition, occurred_at=at
            )
    order = RunOrder(by=by)
    assert order.nearest(ImportRun.objects.all(), None, count=5).count() == 5
    assert order.nearest(ImportRun.objects.all(), None, count=21).count() == 40
