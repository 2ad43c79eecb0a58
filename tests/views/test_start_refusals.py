"""Starts that are refused: nothing runs, and the page says why and whose turn it is."""

from __future__ import annotations

import re
import uuid
from datetime import timedelta
from typing import Any

import pytest
from django.test import Client
from django.utils import timezone

from imports.models import Account, ImportDefinition
from imports.wording.formats import clock_text
from tests.factories import (
    DIGEST,
    DefinitionVersionFactory,
    ImportDefinitionFactory,
    ImportRunFactory,
)

from .reading import (
    HTMX,
    content,
    viewer,
    words,
)

pytestmark = pytest.mark.django_db


def url_of(definition: ImportDefinition) -> str:
    return f"/definitions/{definition.pk}/start/"


def form(**changes: Any) -> dict[str, Any]:
    return {"request_token": str(uuid.uuid4()), "digest": DIGEST} | changes


def press(
    client: Client, definition: ImportDefinition, *, htmx: bool = True, **changes: Any
) -> Any:
    headers = HTMX if htmx else {}
    return client.post(url_of(definition), form(**changes), headers=headers)


def hidden(response: Any, name: str) -> str:
    found = re.search(rf'name="{name}" value="([^"]*)"', content(response))
    assert found, f"no field {name}"
    return found[1]


def test_a_second_person_sees_whose_run_is_under_way(
    client: Client, account: Account, definition: ImportDefinition
) -> None:
    began = timezone.now() - timedelta(minutes=4, seconds=5)
    active = ImportRunFactory.create(
        running=True,
        definition=definition,
        started_by_name="Tom Okafor",
        occurred_at=began,
    )
    answer = press(client, definition)
    assert answer.status_code == 409
    text = words(answer)
    assert "Customers daily already has a run in progress" in text
    assert "Nothing was started a second time" in text
    assert "started 4 min ago by Tom Okafor and is running" in text
    assert f'href="/runs/{active.pk}/">Open that run' in content(answer)
    assert definition.runs.count() == 1


@pytest.mark.parametrize("trait", ["queued", "starting", "running", "unknown"])
def test_while_one_is_under_way_the_dialog_offers_no_start(
    client: Client, definition: ImportDefinition, trait: str
) -> None:
    ImportRunFactory.create(**{trait: True}, definition=definition)
    page = client.get(url_of(definition), headers=HTMX)
    assert page.status_code == 200
    assert "already has a run in progress" in words(page)
    assert "<form" not in content(page)


def test_beside_a_run_started_outside_it_can_be_started(
    client: Client, definition: ImportDefinition
) -> None:
    outside = ImportRunFactory.create(outside=True, running=True, definition=definition)
    page = client.get(url_of(definition), headers=HTMX)
    assert "someone started it outside mcdash" in words(page)
    assert f'href="/runs/{outside.pk}/"' in content(page)
    assert press(client, definition).status_code == 200


def test_a_changed_definition_is_shown_again_with_what_changed(
    client: Client, definition: ImportDefinition
) -> None:
    DefinitionVersionFactory.create(
        definition=definition,
        digest=DIGEST,
        facts={"FileSpec": "old.csv", "UpdateType": "AddAndUpdate"},
    )
    definition.facts = {"FileSpec": "new.csv", "UpdateType": "Overwrite"}
    definition.digest = "2" * 64
    definition.save()
    answer = press(client, definition)
    assert answer.status_code == 409
    text = words(answer)
    assert "was changed in Marketing Cloud while you were looking" in text
    assert "File pattern old.csv new.csv" in text
    assert "Update type Add and update Overwrite" in text
    assert hidden(answer, "digest") == "2" * 64
    assert not definition.runs.exists()


@pytest.mark.parametrize(
    ("changes", "sentence"),
    [
        ({"starts_paused": True}, "Starts are paused in this account"),
        ({"credentials_refused_at": timezone.now()}, "refused this account's"),
    ],
)
def test_an_account_that_takes_no_starts_says_why(
    client: Client,
    account: Account,
    definition: ImportDefinition,
    changes: dict[str, Any],
    sentence: str,
) -> None:
    Account.objects.filter(pk=account.pk).update(**changes)
    for htmx in (True, False):
        answer = press(client, definition, htmx=htmx)
        assert answer.status_code == 409
        assert sentence in words(answer)
    assert sentence in words(client.get(url_of(definition)))
    assert not definition.runs.exists()


@pytest.mark.parametrize("mark", ["not_listed_since", "not_seen_since"])
@pytest.mark.parametrize("headers", [HTMX, {}])
def test_what_is_not_listed_is_started_with_a_warning(
    client: Client, definition: ImportDefinition, mark: str, headers: dict[str, str]
) -> None:
    since = timezone.now()
    ImportDefinition.objects.update(**{mark: since})
    page = client.get(url_of(definition), headers=headers)
    told = words(page).split("Marketing Cloud hasn’t listed this definition since ")[1]
    assert told.startswith(
        f"{clock_text(since)} . If it was deleted there, Marketing Cloud refuses the "
        "start and nothing runs."
    )
    assert press(client, definition).status_code == 200
    assert definition.runs.exists()


def test_what_is_listed_is_started_without_a_warning(
    client: Client, definition: ImportDefinition
) -> None:
    assert "hasn’t listed" not in words(client.get(url_of(definition)))


@pytest.mark.parametrize(
    "changes",
    [
        {"request_token": ""},
        {"request_token": "not-a-uuid"},
        {"digest": ""},
        {"digest": "x" * 65},
        {"digest": "\x00"},
        {"again_of": "x"},
        {"again_of": "-1"},
    ],
)
def test_an_incomplete_form_starts_nothing_and_gives_a_fresh_one(
    client: Client, definition: ImportDefinition, changes: dict[str, Any]
) -> None:
    answer = press(client, definition, **changes)
    assert answer.status_code == 400
    assert "nothing was started" in words(answer)
    assert uuid.UUID(hidden(answer, "request_token"))
    assert answer.headers["HX-Reswap"] == "innerHTML"
    assert not definition.runs.exists()


def test_a_viewer_may_not_start_and_nothing_is_queued(
    account: Account, definition: ImportDefinition
) -> None:
    only_looks = viewer(account)
    assert only_looks.get(url_of(definition)).status_code == 403
    assert press(only_looks, definition).status_code == 403
    assert not definition.runs.exists()


def test_what_one_may_not_see_does_not_exist(client: Client) -> None:
    other = ImportDefinitionFactory.create()
    assert client.get(url_of(other)).status_code == 404
    assert press(client, other).status_code == 404
    assert not other.runs.exists()


def test_a_press_after_the_session_ended_starts_nothing(
    definition: ImportDefinition,
) -> None:
    assert press(Client(), definition).status_code == 401
    assert press(Client(), definition, htmx=False).status_code == 302
    assert not definition.runs.exists()


def test_a_press_without_csrf_token_starts_nothing(
    client: Client, definition: ImportDefinition
) -> None:
    strict = Client(enforce_csrf_checks=True)
    strict.cookies = client.cookies
    assert press(strict, definition).status_code == 403
    assert not definition.runs.exists()
