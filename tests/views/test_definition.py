"""`/definitions/<id>/`: what it does in words, its facts, versions, habit and runs."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

import pytest
from django.db import connection
from django.test import Client
from django.test.utils import CaptureQueriesContext
from django.utils import timezone

from imports.models import Account, ImportDefinition
from imports.wording.definition import changes, destination_of
from imports.wording.formats import clock_text
from tests.factories import (
    AccountFactory,
    DefinitionVersionFactory,
    ImportDefinitionFactory,
    ImportRunFactory,
)

from .reading import (
    HTMX,
    a_worker_beats,
    content,
    part,
    poll,
    poll_seconds,
    poll_url,
    reader,
    something_changed,
    viewer,
    words,
)

pytestmark = pytest.mark.django_db
GUID = "745d66b0-683e-5d6c-8cd1-d7188cde494b"
FACTS = {
    "Name": "Prices",
    "CustomerKey": "prices",
    "AllowErrors": "true",
    "UpdateType": "Overwrite",
    "FieldMappingType": "InferFromColumnHeadings",
    "StandardQuotedStrings": "false",
    "NullRepresentation": "",
    "SomethingNew": "verbatim",
}


@pytest.fixture
def prices() -> ImportDefinition:
    a_worker_beats()
    made: ImportDefinition = ImportDefinitionFactory.create(
        account__name="Nordlicht DE",
        name="Prices",
        file_spec="prices_%%Year%%.csv",
        description="Prices for the shops",
        destination=GUID,
        facts=FACTS,
    )
    return made


def url(definition: ImportDefinition) -> str:
    return f"/definitions/{definition.pk}/"


def see(client: Client, definition: ImportDefinition) -> Any:
    return client.get(url(definition))


def test_the_page_says_in_words_what_the_definition_does(
    prices: ImportDefinition,
) -> None:
    ImportRunFactory.create(
        definition=prices,
        completed=True,
        import_type="Data Extensions",
        destination_id="price_list",
    )
    seen = words(see(reader(prices.account), prices))
    assert (
        "Loads prices_%%Year%%.csv into the data extension price_list , replacing all "
        "rows. Rows with errors are skipped and the rest is loaded." in seen
    )
    assert "Prices for the shops" in seen


@pytest.mark.parametrize(
    ("update_type", "how"),
    [
        ("AddAndUpdate", ", adding new rows and updating existing ones."),
        ("AddAndDoNotUpdate", ", adding new rows without changing existing ones."),
        ("UpdateButDoNotAdd", ", updating existing rows and adding none."),
        ("overwrite", ", replacing all rows."),
        ("Merge", ", merging rows."),
        ("ColumnBased", ", doing what a column of the file says, per row."),
        ("SomethingNew", "a data extension. It stops"),
        ("", "a data extension. It stops"),
    ],
)
def test_every_way_of_updating_has_its_words(
    prices: ImportDefinition, update_type: str, how: str
) -> None:
    told = FACTS | {"AllowErrors": "false"}
    ImportDefinition.objects.update(update_type=update_type, facts=told)
    seen = words(see(reader(prices.account), prices))
    assert f"into a data extension{how.removeprefix('a data extension')}" in seen
    assert "It stops at the first row with an error." in seen


def test_the_file_location_is_named_as_far_as_it_has_a_name(
    prices: ImportDefinition,
) -> None:
    name = "RetrieveFileTransferLocation.CustomerKey"
    ImportDefinition.objects.update(facts={name: "ExactTarget Enhanced FTP"})
    page = see(reader(prices.account), prices)
    assert "<em>ExactTarget Enhanced FTP</em>" in content(page)
    assert "from ExactTarget Enhanced FTP into" in words(page)


def test_what_is_not_known_is_left_out_of_the_sentence(
    prices: ImportDefinition,
) -> None:
    ImportDefinition.objects.update(
        file_spec="", destination="", update_type="", facts={}
    )
    seen = words(see(reader(prices.account), prices))
    assert "Loads a file whose pattern isn’t known. Prices for the shops" in seen


def test_all_facts_are_there_in_readable_words(prices: ImportDefinition) -> None:
    facts = dict(see(reader(prices.account), prices).context["facts"])
    assert facts == {
        "Customer key": "prices",
        "Row errors": "left out, the rest is loaded",
        "Update type": "Overwrite",
        "Field mapping": "by column headings",
        "Double quotes qualify texts": "no",
        "Empty value": "–",
        "SomethingNew": "verbatim",
    }


@pytest.mark.parametrize(
    ("result", "destination", "told"),
    [
        (("Data Extensions", "customers"), GUID, "the data extension customers"),
        (("Data Extensions", GUID), GUID, "a data extension"),
        (("Subscriber List", "1942714"), "1942714", "the list 1942714"),
        (("SMS", ""), "", "a SMS"),
        (None, GUID, "a data extension"),
        (None, "1942714", "the list 1942714"),
        (None, "customers", "customers"),
        (None, "", ""),
    ],
)
def test_the_destination_has_the_best_name_that_is_known(
    prices: ImportDefinition,
    result: tuple[str, str] | None,
    destination: str,
    told: str,
) -> None:
    prices.destination = destination
    prices.save()
    if result:
        kind, name = result
        ImportRunFactory.create(
            definition=prices, completed=True, import_type=kind, destination_id=name
        )
    read = ImportDefinition.objects.with_destination().get(pk=prices.pk)
    assert destination_of(read).in_words == told


def test_what_changed_between_versions_is_told_newest_first(
    prices: ImportDefinition,
) -> None:
    for facts in (
        {"UpdateType": "AddAndUpdate", "FileSpec": "a.csv"},
        {"UpdateType": "Overwrite", "FileSpec": "a.csv"},
        {"UpdateType": "Overwrite", "FileSpec": "b.csv"},
    ):
        DefinitionVersionFactory.create(definition=prices, facts=facts)
    seen = part(see(reader(prices.account), prices), "definition-facts")
    first, second, third = (seen.index(f"Version {n}<") for n in (3, 2, 1))
    assert first < second < third
    page = words(see(reader(prices.account), prices))
    assert "File pattern: a.csv → b.csv" in page
    assert "Update type: Add and update → Overwrite" in page
    assert "As mcdash first saw it." in page


def test_a_fact_that_came_or_went_is_a_change_from_or_to_a_dash() -> None:
    told = changes({"A": "1", "Same": "x"}, {"B": "2", "Same": "x"}, Account())
    assert told == [("A", "1", "–"), ("B", "–", "2")]


def test_a_fact_that_cannot_be_read_is_not_said_to_be_empty() -> None:
    account = Account(refused_properties=["ImportDefinition:A", "Another:B"])
    told = changes({"A": "1", "B": "1"}, {}, account)
    assert told == [("A", "1", "not readable"), ("B", "1", "–")]


def test_the_runs_are_listed_latest_first_with_their_counts(
    prices: ImportDefinition,
) -> None:
    now = timezone.now()
    runs = [
        ImportRunFactory.create(
            definition=prices,
            completed_with_errors=True,
            occurred_at=now - timedelta(days=days),
            total_rows=5000 + days,
        )
        for days in range(22)
    ]
    page = see(reader(prices.account), prices)
    assert page.context["runs"] == runs[:20]
    seen = words(page)
    assert "5,000" in seen
    assert "5,019" in seen
    assert page.context["older"] == runs[20:]
    assert "2 older runs in the chart" in seen
    assert "5,021" in seen
    assert f'href="/runs/?definition={prices.pk}"' in content(page)


def test_start_is_there_for_who_may_and_not_for_who_may_only_look(
    prices: ImportDefinition,
) -> None:
    start = f'hx-get="{url(prices)}start/"'
    assert start in content(see(reader(prices.account), prices))
    assert start not in content(see(viewer(prices.account), prices))


def test_a_run_under_way_takes_the_place_of_start(prices: ImportDefinition) -> None:
    run = ImportRunFactory.create(definition=prices, running=True)
    page = see(reader(prices.account), prices)
    assert "data-start" not in content(page)
    assert f'href="/runs/{run.pk}/"' in part(page, "definition-head")
    assert poll_seconds(page) == 3


@pytest.mark.parametrize(
    ("facts", "sentence"),
    [
        ({"starts_paused": True}, "Starts are paused in this account"),
        ({"credentials_refused_at": timezone.now()}, "refused this account's cred"),
    ],
)
def test_an_account_that_takes_no_starts_is_told_instead_of_start(
    prices: ImportDefinition, facts: dict[str, Any], sentence: str
) -> None:
    Account.objects.update(**facts)
    page = see(reader(prices.account), prices)
    assert sentence in words(page)
    assert "data-start" not in content(page)


@pytest.mark.parametrize(
    ("mark", "sentence"),
    [
        ("not_listed_since", "Not listed since {} ."),
        ("not_seen_since", "Gone from Marketing Cloud since {} ."),
    ],
)
def test_what_is_not_listed_says_since_when_and_can_be_started(
    prices: ImportDefinition, mark: str, sentence: str
) -> None:
    since = timezone.now() - timedelta(days=2)
    ImportDefinition.objects.update(**{mark: since})
    client = reader(prices.account)
    page = see(client, prices)
    assert sentence.format(clock_text(since)) in words(page)
    assert "data-start" in content(page)
    Account.objects.update(starts_paused=True)
    something_changed()
    paused = see(client, prices)
    assert sentence.format(clock_text(since)) in words(paused)
    assert "It can’t be started right now. Starts are paused" in words(paused)


def test_a_definition_that_one_may_not_see_does_not_exist(
    prices: ImportDefinition,
) -> None:
    stranger = reader(AccountFactory.create())
    assert see(stranger, prices).status_code == 404
    assert stranger.get(f"{url(prices)}?since=1", headers=HTMX).status_code == 404
    for pk in ("0", "999999999999999999", "9999999999999999999", "x"):
        assert stranger.get(f"/definitions/{pk}/").status_code == 404


def test_texts_from_outside_are_shown_as_text(prices: ImportDefinition) -> None:
    evil = "<script>alert(1)</script>"
    ImportDefinition.objects.update(
        name=evil, description=evil, file_spec=evil, facts={evil: evil, "b": ["<x>"]}
    )
    DefinitionVersionFactory.create(definition=prices, facts={evil: evil})
    DefinitionVersionFactory.create(definition=prices, facts={evil: "x"})
    page = content(see(reader(prices.account), prices))
    assert "<script>alert" not in page
    assert "<x>" not in page


def test_a_name_of_ten_thousand_characters_does_not_fill_the_page(
    prices: ImportDefinition,
) -> None:
    ImportDefinition.objects.update(name="x" * 10_000)
    page = see(reader(prices.account), prices)
    assert page.status_code == 200
    assert len(words(page).split("Loads")[0]) < 3000


def test_a_poll_without_news_is_an_empty_204_of_three_queries(
    prices: ImportDefinition,
) -> None:
    client = reader(prices.account)
    page = see(client, prices)
    with CaptureQueriesContext(connection) as queries:
        answer = poll(client, page)
    assert (answer.status_code, answer.content) == (204, b"")
    assert len(queries) <= 3


def test_a_poll_with_news_brings_every_part_out_of_band(
    prices: ImportDefinition,
) -> None:
    client = reader(prices.account)
    page = see(client, prices)
    ImportRunFactory.create(definition=prices, running=True, phase="IOWork")
    Account.objects.update(revision=9)
    answer = poll(client, page)
    assert answer.status_code == 200
    for name in ("head", "history", "runs", "facts"):
        element = f'id="definition-{name}"'
        tag = content(answer).split(element)[1].split(">")[0]
        assert 'hx-swap-oob="true"' in tag
    assert "IOWork" in words(answer)
    assert "since=9-" in poll_url(answer)


def test_news_of_another_account_do_not_disturb_the_page(
    prices: ImportDefinition,
) -> None:
    other = AccountFactory.create(revision=1)
    client = reader(prices.account, other)
    page = see(client, prices)
    Account.objects.filter(pk=other.pk).update(revision=50)
    assert poll(client, page).status_code == 204


def test_the_number_of_queries_does_not_grow_with_runs_and_versions(
    prices: ImportDefinition,
) -> None:
    client = reader(prices.account)

    def queries() -> int:
        something_changed()
        with CaptureQueriesContext(connection) as found:
            see(client, prices)
        return len(found)

    ImportRunFactory.create(definition=prices, completed=True)
    DefinitionVersionFactory.create(definition=prices)
    prices.refresh_recent_runs()
    few = queries()
    for _ in range(15):
        ImportRunFactory.create(definition=prices, completed=True)
        DefinitionVersionFactory.create(definition=prices)
    prices.refresh_recent_runs()
    assert queries() == few
