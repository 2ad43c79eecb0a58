"""Runs that Marketing Cloud completed with counts that leave rows or errors open: no
page says that errors happened, none says that there were none.
"""

from __future__ import annotations

from typing import Any

import pytest
from django.test import Client
from django.urls import reverse
from django.utils import timezone

from imports.models import ImportDefinition, ImportRun, bump_revision
from imports.ui.svg import loaded
from imports.views.definitions import normal
from imports.wording.run import Surroundings, advice, compare
from tests.factories import ImportDefinitionFactory, ImportRunFactory
from tests.views.reading import a_worker_beats, poll, reader, triggers, words

pytestmark = pytest.mark.django_db

UNKNOWN_ERRORS = {"total_rows": 100, "successful": 60, "duplicated": 0, "errors": None}
NO_ERRORS = UNKNOWN_ERRORS | {"errors": 0}
NOTHING = dict.fromkeys(UNKNOWN_ERRORS)
NO_LOADED = NO_ERRORS | {"successful": None}
SENTENCES = [
    (UNKNOWN_ERRORS, "errors not reported, 40 rows unaccounted for"),
    (NO_ERRORS, "0 errors reported, but 40 rows are unaccounted for"),
    (NOTHING, "errors and rows not reported"),
    (NO_LOADED, "0 errors reported, but not how many of 100 rows were loaded"),
]


@pytest.fixture
def definition() -> ImportDefinition:
    a_worker_beats()
    return ImportDefinitionFactory.create(name="Customers daily")


def ended(definition: ImportDefinition, **counts: int | None) -> ImportRun:
    """A run that ended so just now."""
    run: ImportRun = ImportRunFactory.create(
        completed_with_errors=True,
        definition=definition,
        finished_at=timezone.now(),
        settled_at=timezone.now(),
        **counts,
    )
    definition.refresh_recent_runs()
    bump_revision(runs=[run])
    return run


@pytest.fixture
def client(definition: ImportDefinition) -> Client:
    return reader(definition.account)


def page(client: Client, route: str, *args: int) -> str:
    return words(client.get(reverse(f"imports:{route}", args=args)))


@pytest.mark.parametrize(("counts", "sentence"), SENTENCES)
def test_the_runs_page_says_what_is_open_and_nothing_else(
    client: Client,
    definition: ImportDefinition,
    counts: dict[str, int | None],
    sentence: str,
) -> None:
    run = ended(definition, **counts)
    shown = page(client, "run", run.pk)
    assert f"{sentence[0].upper()}{sentence[1:]}." in shown
    assert shown.startswith("Completed, check counts: Customers daily")
    assert "Completed with errors" not in shown
    assert "rejected" not in shown


@pytest.mark.parametrize(("counts", "sentence"), SENTENCES)
def test_lists_say_what_is_open(
    client: Client,
    definition: ImportDefinition,
    counts: dict[str, int | None],
    sentence: str,
) -> None:
    ended(definition, **counts)
    for route, args in (
        ("run_list", ()),
        ("dashboard", ()),
        ("definition", (definition.pk,)),
    ):
        assert sentence in page(client, route, *args), route
    assert "Check counts" in page(client, "definition_list")
    assert "1 completed, check counts" in page(client, "definition_list")


def test_what_needs_attention_says_what_is_open(
    client: Client, definition: ImportDefinition
) -> None:
    ended(definition, **UNKNOWN_ERRORS)
    shown = page(client, "dashboard")
    sentence = "Errors not reported, 40 rows unaccounted for."
    assert f"Completed, check counts. {sentence}" in shown


def test_the_announcement_says_what_is_open(
    client: Client, definition: ImportDefinition
) -> None:
    before = client.get(reverse("imports:dashboard"))
    ended(definition, **UNKNOWN_ERRORS)
    said = triggers(poll(client, before))["mcdash:announce"]["sentences"]
    assert said == [
        "Customers daily: Completed, check counts, errors not reported, 40 rows "
        "unaccounted for."
    ]


def test_sums_of_the_day_say_of_how_many_runs_they_know_nothing(
    client: Client, definition: ImportDefinition
) -> None:
    ended(definition, total_rows=1000, successful=990, duplicated=0, errors=10)
    ended(definition, **UNKNOWN_ERRORS)
    ended(definition, **NO_ERRORS)
    ended(definition, **NO_LOADED)
    shown = page(client, "dashboard")
    assert "With errors 4 10 row errors, 3 runs to check" in shown
    assert "Rows imported 1,110 today, 1 run without a count" in shown
    assert "Row errors 1.0 % 10 of 1,000, 3 runs without a count" in shown
    cards = page(client, "account_list")
    assert "With errors 4 today, 3 runs to check" in cards
    assert "Row errors 10 today, 3 runs without a count" in cards


def test_a_day_of_which_all_is_known_says_so_without_more_words(
    client: Client, definition: ImportDefinition
) -> None:
    ended(definition, total_rows=1000, successful=990, duplicated=0, errors=10)
    assert "not reported" not in page(client, "dashboard")
    assert "not reported" not in page(client, "account_list")


def five(definition: ImportDefinition, **counts: Any) -> list[ImportRun]:
    return [ended(definition, **counts) for _ in range(5)]


def test_what_is_usual_says_nothing_of_errors_that_too_few_runs_told(
    definition: ImportDefinition,
) -> None:
    known = {"total_rows": 100, "successful": 90, "duplicated": 0, "errors": 10}
    one = ended(definition, **known)
    unknown = ImportRunFactory.create_batch(
        5, completed=True, definition=definition, errors=None
    )
    said = normal([one, *unknown])
    assert said.startswith("Typically 1,000 rows")
    assert "rejected" not in said
    assert ", 10.0\xa0% rejected (" in normal([*five(definition, **known), *unknown])


def test_a_run_with_open_counts_is_no_good_one(definition: ImportDefinition) -> None:
    clean = ImportRunFactory.create_batch(5, completed=True, definition=definition)
    said = normal([*clean, *five(definition, **UNKNOWN_ERRORS)])
    assert said.endswith(", none rejected (median of the last 5 successful runs).")
    assert normal(five(definition, **NO_ERRORS)) == ""


@pytest.mark.parametrize(
    ("update_type", "is_said"),
    [("AddAndDoNotUpdate", True), ("UpdateButDoNotAdd", True), ("Overwrite", False)],
)
def test_an_update_type_that_leaves_rows_alone_is_among_the_reasons(
    definition: ImportDefinition, update_type: str, is_said: bool
) -> None:
    definition.update_type = update_type
    told = advice(ended(definition, **NO_ERRORS), Surroundings())
    assert told
    assert any("update type" in step for step in told.check) is is_said


def test_a_comparison_has_a_row_for_what_is_unaccounted_for(
    definition: ImportDefinition,
) -> None:
    clean = ImportRunFactory.create(completed=True, definition=definition)
    open_run = ended(definition, **UNKNOWN_ERRORS)
    rows = {row.label: row for row in compare(open_run, clean)}
    assert rows["Unaccounted for"].change == "+40"
    assert rows["Unaccounted for"].is_worse
    assert rows["Errors"].change == rows["Error share"].change == "–"
    said_none = {
        row.label: row for row in compare(ended(definition, **NO_ERRORS), clean)
    }
    assert said_none["Errors"].this == "0"
    assert (said_none["Error share"].this, said_none["Error share"].change) == (
        "–",
        "–",
    )
    assert "Unaccounted for" not in {row.label for row in compare(clean, clean)}


def test_of_refused_rows_the_rest_is_called_loaded_only_where_it_is(
    definition: ImportDefinition,
) -> None:
    counts = {"total_rows": 100, "duplicated": 0, "errors": 10}
    for successful, words_of_it in (
        (
            90,
            "10 of 100 rows were rejected, 10.0\xa0%; the rest is loaded.",
        ),
        (
            50,
            "10 of 100 rows were rejected, 10.0\xa0%; 40 rows unaccounted for.",
        ),
        (None, "10 of 100 rows were rejected, 10.0\xa0%."),
    ):
        run = ended(definition, **counts, successful=successful)
        told = advice(run, Surroundings())
        assert told
        assert told.title == words_of_it


def test_a_strip_says_what_is_open_and_is_drawn_for_what_was_loaded(
    client: Client, definition: ImportDefinition
) -> None:
    ImportRunFactory.create(completed=True, definition=definition, total_rows=100)
    run = ended(definition, **UNKNOWN_ERRORS)
    shown = client.get(reverse("imports:run", args=[run.pk])).content.decode()
    assert "100 rows, errors not reported, 40 unaccounted for</title>" in shown
    assert loaded(run.as_bar()) == 60
    assert loaded(ended(definition, **NO_LOADED).as_bar()) == 0


def test_the_timeline_says_what_is_open(
    client: Client, definition: ImportDefinition
) -> None:
    run = ended(definition, **NO_ERRORS)
    run.record("ended", to_status=run.status, details=NO_ERRORS)
    shown = page(client, "run", run.pk)
    sentence = "0 errors reported, but 40 rows are unaccounted for"
    assert f"Completed, check counts 100 rows, {sentence}" in shown
