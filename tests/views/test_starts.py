"""Start: names its object and its effect, and starts it once, however often sent."""

from __future__ import annotations

import re
import uuid
from datetime import timedelta
from typing import Any

import pytest
from django.test import Client
from django.utils import timezone

from imports.models import Account, ImportDefinition, ImportRun, RunStatus
from tests.factories import (
    DIGEST,
    ImportDefinitionFactory,
    ImportRunFactory,
)

from .reading import (
    HTMX,
    content,
    poll,
    triggers,
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


# The question


def test_the_dialog_names_object_effect_and_the_last_good_run(
    client: Client, definition: ImportDefinition
) -> None:
    good = ImportRunFactory.create(
        completed=True, definition=definition, total_rows=412_006
    )
    ImportRunFactory.create(
        failed=True,
        definition=definition,
        occurred_at=timezone.now() + timedelta(minutes=1),
    )
    definition.refresh_recent_runs()
    page = client.get(url_of(definition), headers=HTMX)
    assert content(page).lstrip().startswith("<dialog")
    assert page.headers["HX-Retarget"] == "#dialog-slot"
    text = words(page)
    assert "Start Customers daily?" in text
    assert "Nordlicht DE" in text
    assert "Overwrite: replaces every row of the data extension customers." in text
    assert f"Last successful run: 412,006 rows, today at {good.began_at:%H:%M}." in text
    assert "Type Customers daily to confirm" in text
    assert "Last run Failed" in text
    assert "no row count" in text
    assert "Start and replace rows" in text
    assert re.search(r"data-focus autofocus>Cancel", content(page))


@pytest.mark.parametrize(
    ("update_type", "effect"),
    [
        (
            "AddAndUpdate",
            "Add and update: adds new rows to {} and updates existing ones.",
        ),
        (
            "AddAndDoNotUpdate",
            "Add only: adds new rows to {}; existing rows aren’t changed.",
        ),
        (
            "UpdateButDoNotAdd",
            "Update only: updates existing rows of {} and adds none.",
        ),
        ("Merge", "Merge: merges rows into {}."),
        (
            "ColumnBased",
            "Column based: adds, updates or deletes each row of {} as a column of the "
            "file says.",
        ),
        ("", "Update type not known: changes rows of {}."),
        ("Sideways", "Sideways: changes rows of {}."),
    ],
)
def test_only_an_overwrite_warns(
    client: Client,
    definition: ImportDefinition,
    update_type: str,
    effect: str,
) -> None:
    definition.update_type = update_type
    definition.save()
    page = client.get(url_of(definition), headers=HTMX)
    assert effect.format("customers") in words(page)
    assert "careful" not in content(page)
    assert "<span>Start</span>" in content(page)


def test_an_overwrite_of_unknown_size_says_so(
    client: Client, definition: ImportDefinition
) -> None:
    seen = words(client.get(url_of(definition)))
    assert "Row count unknown: there’s no successful run on record." in seen


def test_the_question_works_as_a_page_without_script(
    client: Client, definition: ImportDefinition
) -> None:
    page = client.get(url_of(definition))
    source = content(page)
    assert "<html" in source
    assert "<h1" in source
    asking = source[source.index('class="asking"') :]
    assert "hx-post" not in asking
    assert f'action="{url_of(definition)}"' in asking
    assert f'href="/definitions/{definition.pk}/">Cancel' in asking


def test_every_dialog_has_a_token_of_its_own(
    client: Client, definition: ImportDefinition
) -> None:
    tokens = {hidden(client.get(url_of(definition)), "request_token") for _ in "ab"}
    assert len(tokens) == 2


def test_names_with_html_are_text(client: Client, account: Account) -> None:
    definition = ImportDefinitionFactory.create(
        account=account,
        name="<script>alert(1)</script>",
        file_spec="<img src=x>" + "x" * 60,
        destination="<b>bold</b>",
    )
    for headers in ({}, HTMX):
        source = content(client.get(url_of(definition), headers=headers))
        assert "<script>alert" not in source
        assert "<img" not in source
        assert "<b>bold" not in source
    assert "&lt;script&gt;alert(1)" in content(press(client, definition))


# The press


def test_a_press_queues_one_run(client: Client, definition: ImportDefinition) -> None:
    answer = press(client, definition)
    run = definition.runs.get()
    assert run.status == RunStatus.QUEUED
    assert run.started_by_name == "Ana Ruiz"
    assert answer.status_code == 200
    assert 'hx-swap-oob="beforeend:#toasts"' in content(answer)
    assert f'href="/runs/{run.pk}/"' in content(answer)
    assert "Customers daily is queued." in words(answer)
    assert set(triggers(answer)) == {"mcdash:close-dialog", "mcdash:changed"}


def test_without_script_the_press_leads_to_the_run(
    client: Client, definition: ImportDefinition
) -> None:
    answer = press(client, definition, htmx=False)
    run = definition.runs.get()
    assert answer.status_code == 302
    assert answer.headers["Location"] == f"/runs/{run.pk}/"
    assert "Customers daily is queued." in words(client.get(f"/runs/{run.pk}/"))


def test_the_started_run_appears_on_the_open_dashboard_by_the_next_poll(
    client: Client, definition: ImportDefinition
) -> None:
    dashboard = client.get("/")
    press(client, definition)
    run = definition.runs.get()
    assert f'id="run-{run.pk}"' in content(poll(client, dashboard))


def test_the_same_press_again_gives_the_first_ones_run(
    client: Client, definition: ImportDefinition
) -> None:
    token = str(uuid.uuid4())
    first = press(client, definition, request_token=token)
    second = press(client, definition, request_token=token)
    run = definition.runs.get()
    for answer in (first, second):
        assert answer.status_code == 200
        assert f'href="/runs/{run.pk}/"' in content(answer)


def test_the_same_press_gives_its_run_even_when_all_has_changed_since(
    client: Client, account: Account, definition: ImportDefinition
) -> None:
    token = str(uuid.uuid4())
    press(client, definition, request_token=token)
    run = definition.runs.get()
    ImportRun.objects.filter(pk=run.pk).update(status=RunStatus.CANCELLED)
    ImportDefinition.objects.update(digest="2" * 64)
    Account.objects.update(starts_paused=True)
    answer = press(client, definition, request_token=token, htmx=False)
    assert answer.headers["Location"] == f"/runs/{run.pk}/"
    assert definition.runs.count() == 1


def test_starting_again_keeps_the_lineage(
    client: Client, definition: ImportDefinition
) -> None:
    failed = ImportRunFactory.create(failed=True, definition=definition)
    page = client.get(f"{url_of(definition)}?again_of={failed.pk}", headers=HTMX)
    press(client, definition, again_of=hidden(page, "again_of"))
    assert definition.runs.active().get().again_of == failed


@pytest.mark.parametrize("again_of", ["x", "-1", "9" * 30, "²", "<b>", "0"])
def test_a_malformed_lineage_is_no_lineage(
    client: Client, definition: ImportDefinition, again_of: str
) -> None:
    page = client.get(url_of(definition), {"again_of": again_of})
    assert page.status_code == 200
    assert "<b>" not in content(page).split('name="digest"')[1][:300]


def test_another_definitions_run_is_no_lineage(
    client: Client, definition: ImportDefinition
) -> None:
    other = ImportRunFactory.create(failed=True)
    press(client, definition, again_of=other.pk)
    assert definition.runs.get().again_of is None
