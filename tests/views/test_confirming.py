"""What replaces a great many rows is started by whoever typed its name, and by nobody
else: the server compares, with or without a script.
"""

from __future__ import annotations

import html
import re
import uuid
from typing import Any

import pytest
from django.http import QueryDict
from django.test import Client
from pytest_django import Settings

from imports.models import Account, ImportDefinition, ImportRun
from imports.views.start import confirmation_for
from tests.factories import (
    DIGEST,
    ImportDefinitionFactory,
    ImportRunFactory,
)

from .reading import HTMX, content, words

pytestmark = pytest.mark.django_db
SEVERAL = "/definitions/start/"


@pytest.fixture(autouse=True)
def usual_limit(settings: Settings) -> None:
    settings.MCDASH_TYPE_NAME_ROWS = 100_000


def overwrite(
    account: Account, name: str, rows: int | None = 412_006, **facts: Any
) -> ImportDefinition:
    """An Overwrite whose last good run had so many rows."""
    made: ImportDefinition = ImportDefinitionFactory.create(
        account=account, name=name, **{"update_type": "Overwrite"} | facts
    )
    if rows is not None:
        ImportRunFactory.create(definition=made, completed=True, total_rows=rows)
        made.refresh_recent_runs()
    return made


@pytest.fixture
def large(account: Account) -> ImportDefinition:
    return overwrite(account, "Customers daily")


def url_of(definition: ImportDefinition) -> str:
    return f"/definitions/{definition.pk}/start/"


def press(
    client: Client,
    definition: ImportDefinition,
    typed: str | None = None,
    *,
    htmx: bool = True,
    **changes: Any,
) -> Any:
    form = {"request_token": str(uuid.uuid4()), "digest": DIGEST} | changes
    if typed is not None:
        form["confirm_name"] = typed
    headers = HTMX if htmx else {}
    return client.post(url_of(definition), form, headers=headers)


def queued() -> int:
    return ImportRun.objects.active().count()


@pytest.mark.parametrize("headers", [{}, HTMX])
def test_the_question_asks_for_the_name_and_says_why(
    client: Client, large: ImportDefinition, headers: dict[str, str]
) -> None:
    page = client.get(url_of(large), headers=headers)
    assert "Type Customers daily to confirm" in words(page)
    assert "its last successful run replaced more than 100,000 rows" in words(page)
    assert 'data-must-equal="Customers daily"' in content(page)


@pytest.mark.parametrize(
    ("rows", "update_type"),
    [(100_000, "Overwrite"), (None, "Overwrite"), (9_000_000, "AddAndUpdate")],
)
def test_what_replaces_less_or_nothing_is_started_by_a_press(
    client: Client, account: Account, rows: int | None, update_type: str
) -> None:
    definition = overwrite(account, "Small", rows, update_type=update_type)
    assert "to confirm" not in words(client.get(url_of(definition)))
    assert press(client, definition).status_code == 200
    assert queued() == 1


def test_one_row_more_than_the_setting_asks(
    client: Client, account: Account, settings: Settings
) -> None:
    settings.MCDASH_TYPE_NAME_ROWS = 10
    definition = overwrite(account, "Eleven", 11)
    assert "more than 10 rows" in words(client.get(url_of(definition)))
    assert press(client, definition).status_code == 422


@pytest.mark.parametrize("htmx", [True, False])
@pytest.mark.parametrize(
    "typed", [None, "", " ", "customers daily", "Customers", "Customers dailyx", "\x00"]
)
def test_a_wrong_name_starts_nothing_and_loses_nothing(
    client: Client, large: ImportDefinition, typed: str | None, htmx: bool
) -> None:
    token = str(uuid.uuid4())
    first = ImportRun.objects.get()
    answer = press(
        client, large, typed, htmx=htmx, request_token=token, again_of=first.pk
    )
    assert answer.status_code == 422
    assert "That isn’t the definition’s name" in words(answer)
    assert queued() == 0
    page = content(answer)
    assert f'name="request_token" value="{token}"' in page
    assert f'name="again_of" value="{first.pk}"' in page
    shown = re.search(r'name="confirm_name" value="([^"]*)"', page)
    assert shown
    assert html.unescape(shown[1]) == (typed or "")


@pytest.mark.parametrize("htmx", [True, False])
@pytest.mark.parametrize(
    "typed", ["Customers daily", "  Customers   daily ", "Customers\u00a0daily"]
)
def test_the_name_starts_it_however_it_is_spaced(
    client: Client, large: ImportDefinition, typed: str, htmx: bool
) -> None:
    token = str(uuid.uuid4())
    press(client, large, "wrong", htmx=htmx, request_token=token)
    answer = press(client, large, typed, htmx=htmx, request_token=token)
    assert answer.status_code == (200 if htmx else 302)
    assert queued() == 1


def test_letters_may_be_composed_or_not(client: Client, account: Account) -> None:
    definition = overwrite(account, "Cafe\u0301 prices")
    press(client, definition, "Caf\u00e9 prices")
    assert queued() == 1


def test_a_press_that_is_repeated_needs_no_name_again(
    client: Client, large: ImportDefinition
) -> None:
    token = str(uuid.uuid4())
    press(client, large, "Customers daily", request_token=token)
    assert press(client, large, request_token=token).status_code == 200
    assert queued() == 1


def test_what_became_large_while_the_dialog_was_open_asks_first(
    client: Client, account: Account
) -> None:
    definition = overwrite(account, "Grows", 90_000)
    assert "to confirm" not in words(client.get(url_of(definition)))
    ImportRunFactory.create(definition=definition, completed=True, total_rows=200_000)
    answer = press(client, definition)
    assert answer.status_code == 422
    assert "Type Grows to confirm" in words(answer)
    assert queued() == 0


def test_a_name_with_html_is_text_in_the_question(
    client: Client, account: Account
) -> None:
    name = '<b>x</b>" autofocus onfocus="alert(1)'
    definition = overwrite(account, name)
    page = content(press(client, definition, '"><script>alert(2)</script>'))
    assert "<b>x" not in page
    assert "<script>" not in page
    assert 'onfocus="alert' not in page
    press(client, definition, name)
    assert queued() == 1


# Several at once


def ask(client: Client, *chosen: ImportDefinition) -> Any:
    return client.get(SEVERAL, {"definition": [one.pk for one in chosen]})


def press_several(client: Client, question: Any, typed: str | None = None) -> Any:
    page = content(question)
    batch = re.search(r'name="batch" value="([^"]+)"', page)
    assert batch
    form: dict[str, Any] = {
        "batch": batch[1],
        "chosen": re.findall(r'name="chosen" value="([^"]+)"', page),
    }
    if typed is not None:
        form["confirm_name"] = typed
    return client.post(SEVERAL, form)


def test_the_only_large_one_among_several_asks_for_its_name(
    client: Client, account: Account, large: ImportDefinition
) -> None:
    question = ask(client, large, overwrite(account, "Small", 10))
    assert "Type Customers daily to confirm" in words(question)
    refused = press_several(client, question, "Small")
    assert refused.status_code == 422
    assert "That isn’t what you were asked to type" in words(refused)
    assert queued() == 0
    assert press_several(client, refused, "Customers daily").status_code == 200
    assert queued() == 2


def test_several_large_ones_are_named_and_their_number_is_typed(
    client: Client, account: Account, large: ImportDefinition
) -> None:
    small = overwrite(account, "A small one", 10)
    question = ask(client, small, large, overwrite(account, "Price list"))
    seen = words(question)
    assert "2 of these replace a great many rows: Customers daily , Price list" in seen
    assert "Type replace 2 to confirm" in seen
    assert seen.index("Price list Nordlicht DE") < seen.index("A small one Nord")
    for wrong in (None, "", "replace", "replace 3", "2", "Customers daily"):
        assert press_several(client, question, wrong).status_code == 422
    assert queued() == 0
    press_several(client, question, " Replace  2 ")
    assert queued() == 3


def test_a_batch_that_began_harmlessly_opens_no_way_round_the_question(
    client: Client, account: Account, large: ImportDefinition
) -> None:
    harmless = ask(client, overwrite(account, "Small", 10))
    press_several(client, harmless)
    batch = re.search(r'name="batch" value="([^"]+)"', content(harmless))
    assert batch
    form = {"batch": batch[1], "chosen": [f"{large.pk}:{large.digest}"]}
    assert client.post(SEVERAL, form).status_code == 422
    assert not large.runs.active().exists()


def test_a_repeated_press_of_several_needs_no_words_again(
    client: Client, account: Account, large: ImportDefinition
) -> None:
    question = ask(client, large)
    press_several(client, question, "Customers daily")
    assert press_several(client, question).status_code == 200
    assert queued() == 1


def test_what_is_under_way_is_not_counted_among_the_large_ones(
    client: Client, account: Account, large: ImportDefinition
) -> None:
    other = overwrite(account, "Price list")
    ImportRunFactory.create(definition=other, running=True)
    assert "Type Customers daily to confirm" in words(ask(client, large, other))


def test_nothing_large_asks_for_nothing() -> None:
    assert confirmation_for([], QueryDict()) is None
