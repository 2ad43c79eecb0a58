"""The filters beside the history: counts by status, presets of days, suggestions."""

from __future__ import annotations

import html
import re
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
import time_machine
from django.test import Client
from django.utils import timezone

from imports.models import (
    AccessLevel,
    Account,
    ImportDefinition,
    ImportRun,
    RunStatus,
    bump_revision,
)
from tests.factories import (
    ImportDefinitionFactory,
    ImportRunFactory,
    UserFactory,
    grant,
)
from tests.views.histories import ids, link, some_runs
from tests.views.reading import (
    client_of,
    content,
    part,
    poll,
    something_changed,
    words,
)

pytestmark = pytest.mark.django_db


def counts_on(page: Any) -> dict[str, str]:
    """The statuses offered on the page with the count beside each."""
    pattern = r'</svg></span>\s*([^<]+)<span class="tally">([^<]*)<'
    return dict(re.findall(pattern, part(page, "run-choices")))


def test_beside_each_status_stands_how_many_the_other_filters_leave(
    client: Client, definition: ImportDefinition
) -> None:
    other = ImportDefinitionFactory.create(account=definition.account)
    for one, count in ((definition, 3), (other, 2)):
        for _ in range(count):
            ImportRunFactory.create(failed=True, definition=one)
    ImportRunFactory.create(completed=True, definition=definition)
    ImportRunFactory.create(failed=True)
    assert counts_on(client.get("/runs/")) == {"Completed": "1", "Failed": "5"}
    page = client.get(f"/runs/?definition={definition.pk}&status=failed")
    assert counts_on(page) == {"Completed": "1", "Failed": "3"}


def test_a_status_that_leaves_nothing_is_offered_only_while_it_is_chosen(
    client: Client, definition: ImportDefinition
) -> None:
    ImportRunFactory.create(completed=True, definition=definition)
    page = client.get("/runs/?status=lost")
    assert counts_on(page) == {"Completed": "1", "Lost": "0"}


@pytest.mark.slow
@pytest.mark.parametrize(("count", "word"), [(500, "500"), (501, "500+")])
def test_counts_are_exact_to_500_and_go_no_further(
    client: Client, definition: ImportDefinition, count: int, word: str
) -> None:
    many_runs(definition, count)
    page = client.get("/runs/")
    assert counts_on(page) == {"Completed": word}
    assert f"Export {word} runs" in words(page)


@pytest.mark.slow
def test_an_export_of_several_statuses_names_their_sum(
    client: Client, definition: ImportDefinition
) -> None:
    many_runs(definition, 499)
    ImportRunFactory.create(failed=True, definition=definition)
    ImportRunFactory.create(lost=True, definition=definition)
    assert "Export 501 runs" in words(client.get("/runs/"))
    assert "Export 2 runs" in words(client.get("/runs/?status=lost&status=failed"))
    assert "Export 1 run:" in words(client.get("/runs/?status=lost"))


def many_runs(definition: ImportDefinition, count: int) -> None:
    now = timezone.now()
    runs = ImportRunFactory.build_batch(
        count,
        completed=True,
        outside=True,
        definition=definition,
        account=definition.account,
    )
    for number, run in enumerate(runs):
        run.occurred_at = now - timedelta(minutes=number)
    ImportRun.objects.bulk_create(runs)


def test_no_query_of_the_page_counts_more_than_it_needs(
    client: Client,
    definition: ImportDefinition,
    monkeypatch: pytest.MonkeyPatch,
    django_assert_max_num_queries: Any,
) -> None:
    monkeypatch.setattr("imports.lists.counts.COUNTED_TOGETHER", 100)
    client.get("/runs/")
    with django_assert_max_num_queries(15) as empty:
        client.get("/runs/?status=completed&from=today")
    some_runs(definition, 120)
    other = ImportDefinitionFactory.create()
    some_runs(other, 5)
    something_changed()
    with django_assert_max_num_queries(len(empty) + 3) as full:
        client.get("/runs/?status=completed&from=today")
    assert any("LIMIT 101" in q["sql"] for q in full)
    counting = [
        q["sql"]
        for q in full
        if "COUNT(*)" in q["sql"]
        and 'FROM "imports_importrun"' in q["sql"]
        # whether anything is under way in an account is no count of runs
        and '"imports_account" WHERE' not in q["sql"]
    ]
    assert len(counting) == 1
    each = len(RunStatus)
    assert counting[0].count("COUNT(*)") == counting[0].count("LIMIT 501") == each


def test_a_poll_brings_the_new_counts(
    client: Client, definition: ImportDefinition
) -> None:
    ImportRunFactory.create(completed=True, definition=definition)
    page = client.get("/runs/")
    failed = ImportRunFactory.create(failed=True, definition=definition)
    bump_revision(runs=[failed])
    news = poll(client, page)
    assert counts_on(news) == {"Completed": "1", "Failed": "1"}
    assert "Export 2 runs" in words(news)


@pytest.mark.parametrize(
    ("preset", "query"),
    [
        ("Today", "from=today"),
        ("Yesterday", "from=yesterday&to=yesterday"),
        ("Last 7 days", "from=6-days-ago"),
        ("Last 31 days", "from=30-days-ago"),
    ],
)
def test_a_preset_means_the_readers_days_whenever_its_address_is_opened(
    account: Account, definition: ImportDefinition, preset: str, query: str
) -> None:
    person = UserFactory.create(time_zone="Pacific/Auckland")
    grant(person, account, AccessLevel.VIEW)
    # in Auckland it is 13 March already
    now = datetime(2026, 3, 12, 12, 0, tzinfo=UTC)
    runs = {
        age: ImportRunFactory.create(
            completed=True, definition=definition, occurred_at=now - timedelta(days=age)
        ).pk
        for age in (0, 1, 6, 7, 30, 31)
    }
    wanted = {"Today": [0], "Yesterday": [1], "Last 7 days": [0, 1, 6]}
    ages = wanted.get(preset, [0, 1, 6, 7, 30])
    with time_machine.travel(now):
        client = client_of(person)
        page = client.get("/runs/")
        assert "Days in Auckland" in words(page)
        link = rf'href="{re.escape(f"/runs/?{html.escape(query)}")}">\s*{preset}'
        assert re.search(link, content(page))
        found = client.get(f"/runs/?{query}")
        assert ids(found) == [runs[age] for age in ages]
        assert f"Days: {preset}" in words(found)
        assert re.search(rf'aria-current="true">\s*{preset}\s*<', content(found))
    with time_machine.travel(now + timedelta(days=100)):
        assert ids(client_of(person).get(f"/runs/?{query}")) == []


def test_days_that_come_to_a_preset_are_that_preset(client: Client) -> None:
    with time_machine.travel(datetime(2026, 3, 12, 12, tzinfo=UTC)):
        page = client.get("/runs/?from=2026-03-11&to=2026-03-11")
        assert "Days: Yesterday" in words(page)
        other = words(client.get("/runs/?from=2026-03-01&to=5-days-ago"))
    assert "From: 2026-03-01" in other
    assert "To: 2026-03-07" in other


@pytest.mark.parametrize("few", [0, 400])
def test_words_find_the_runs_of_the_definitions_that_they_fit(
    client: Client, definition: ImportDefinition, few: int, monkeypatch: Any
) -> None:
    """Whether the definitions are few or many: every page is full and in order."""
    monkeypatch.setattr("imports.lists.filters.FEW_NAMED", few)
    others = ImportDefinitionFactory.create(
        account=definition.account, name="Prices", customer_key="prices"
    )
    weekly = ImportDefinitionFactory.create(
        account=definition.account, name="Customers weekly"
    )
    wanted = [*some_runs(definition, 60), *some_runs(weekly, 30)]
    some_runs(others, 5)
    expected = [
        run.pk for run in sorted(wanted, key=lambda run: (run.occurred_at, run.pk))
    ][::-1]
    first = client.get("/runs/?q=customers")
    assert ids(first) == expected[:50]
    assert ids(client.get(link(first, "next"))) == expected[50:]


def test_every_one_of_the_words_must_fit(
    client: Client, definition: ImportDefinition, monkeypatch: Any
) -> None:
    monkeypatch.setattr("imports.lists.filters.FEW_NAMED", 0)
    wanted = some_runs(definition, 2)
    weekly = ImportDefinitionFactory.create(
        account=definition.account,
        name="Customers weekly",
        customer_key="customers-weekly",
    )
    some_runs(weekly, 2)
    found = client.get("/runs/?q=customers+daily")
    assert set(ids(found)) == {run.pk for run in wanted}


def test_a_task_and_a_key_without_a_definition_are_found_by_few_words(
    client: Client, definition: ImportDefinition
) -> None:
    task = ImportRunFactory.create(definition=definition, completed=True, task_id="815")
    key = ImportRunFactory.create(
        account=definition.account,
        definition=None,
        customer_key="gone-for-good",
        completed=True,
    )
    assert ids(client.get("/runs/?q=815")) == [task.pk]
    assert ids(client.get("/runs/?q=for-good")) == [key.pk]
