"""A definition's history: its habit in a sentence, the chart, the bars of its strip."""

from __future__ import annotations

import pytest

from imports.models import ImportDefinition
from tests.factories import (
    AccountFactory,
    ImportDefinitionFactory,
    ImportRunFactory,
)

from .reading import a_worker_beats, content, part, reader, something_changed, words
from .test_definition import see, url

pytestmark = pytest.mark.django_db


@pytest.fixture
def prices() -> ImportDefinition:
    a_worker_beats()
    made: ImportDefinition = ImportDefinitionFactory.create(name="Prices")
    return made


def test_a_habit_is_told_from_five_good_runs_on(prices: ImportDefinition) -> None:
    client = reader(prices.account)
    for rows in (1000, 3000, 2000, 4000):
        ImportRunFactory.create(definition=prices, completed=True, total_rows=rows)
    ImportRunFactory.create(definition=prices, failed=True)
    assert see(client, prices).context["normal"] == ""
    ImportRunFactory.create(
        definition=prices, completed_with_errors=True, total_rows=2000, errors=20
    )
    something_changed()
    assert (
        "Typically 2,000 rows in 1:00, none rejected (median of the last 5 successful "
        "runs)." in words(see(client, prices))
    )


def test_a_habit_of_refused_rows_is_never_rounded_to_none(
    prices: ImportDefinition,
) -> None:
    for errors in (1, 1, 1, 900, 800):
        ImportRunFactory.create(
            definition=prices,
            completed_with_errors=True,
            total_rows=5_000_000,
            errors=errors,
        )
    normal = see(reader(prices.account), prices).context["normal"]
    assert ", <0.1\xa0% rejected" in normal


def test_a_habit_says_nothing_about_counts_that_are_not_known(
    prices: ImportDefinition,
) -> None:
    for _ in range(5):
        ImportRunFactory.create(
            definition=prices, completed=True, total_rows=None, errors=None
        )
    normal = see(reader(prices.account), prices).context["normal"]
    assert normal == "Typically takes 1:00 (median of the last 5 successful runs)."


def test_the_history_is_a_chart_that_leads_to_the_runs(
    prices: ImportDefinition,
) -> None:
    run = ImportRunFactory.create(definition=prices, completed=True)
    history = part(see(reader(prices.account), prices), "definition-history")
    assert "Its only run" in history
    assert f'<a class="s-green" href="/runs/{run.pk}/" tabindex="0">' in history


def test_what_never_ran_has_no_chart_but_says_so(prices: ImportDefinition) -> None:
    page = see(reader(prices.account), prices)
    assert page.context["chart"] is None
    assert "Never run" in words(page)


def test_a_list_gets_the_bars_of_a_strip_with_their_words(
    prices: ImportDefinition,
) -> None:
    run = ImportRunFactory.create(definition=prices, completed=True)
    prices.refresh_recent_runs()
    strip = reader(prices.account).get(f"{url(prices)}strip/")
    assert content(strip).startswith('<svg class="strip" ')
    assert f'href="/runs/{run.pk}/"' in content(strip)
    assert "1,000 rows" in content(strip)
    stranger = reader(AccountFactory.create())
    assert stranger.get(f"{url(prices)}strip/").status_code == 404
