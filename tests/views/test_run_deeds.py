"""What a person does about a run: cancel, check again, choose."""

from __future__ import annotations

import html
from datetime import timedelta
from typing import Any

import pytest
from django.test import Client

from imports.models import (
    Account,
    EventKind,
    ImportDefinition,
    ImportRun,
    RunStatus,
)
from tests.factories import (
    ImportDefinitionFactory,
    ImportRunFactory,
    RunEventFactory,
)

from .reading import (
    HTMX,
    content,
    reader,
    triggers,
    viewer,
    words,
)

pytestmark = pytest.mark.django_db
STATUSES = [str(status) for status in RunStatus]


def a_run(definition: ImportDefinition, trait: str, **facts: Any) -> ImportRun:
    facts = {"started_by_name": "Tom Okafor"} | facts
    return ImportRunFactory.create(**{trait: True}, definition=definition, **facts)


def page_of(client: Client, run: ImportRun) -> Any:
    return client.get(f"/runs/{run.pk}/")


def tell(run: ImportRun, *events: tuple[float, str, dict[str, Any]]) -> None:
    for seconds, kind, details in events:
        RunEventFactory.create(
            run=run,
            kind=kind,
            at=run.occurred_at + timedelta(seconds=seconds),
            details=details,
        )


def test_a_queued_run_is_cancelled(
    client: Client, definition: ImportDefinition
) -> None:
    run = a_run(definition, "queued")
    answer = client.post(f"/runs/{run.pk}/cancel/", follow=True)
    run.refresh_from_db()
    assert run.status == RunStatus.CANCELLED
    assert "Cancelled: nothing was sent" in words(answer)


def test_what_was_sent_cannot_be_cancelled_and_that_is_said(
    client: Client, definition: ImportDefinition
) -> None:
    run = a_run(definition, "running")
    answer = client.post(f"/runs/{run.pk}/cancel/", follow=True)
    run.refresh_from_db()
    assert run.status == RunStatus.RUNNING
    assert "can't be cancelled" in words(answer)


def test_a_lost_run_is_checked_again(
    client: Client, definition: ImportDefinition
) -> None:
    run = a_run(definition, "lost")
    answer = client.post(f"/runs/{run.pk}/check-again/", follow=True)
    run.refresh_from_db()
    assert run.status == RunStatus.RUNNING
    assert "Checking again" in words(answer)


def test_only_a_lost_run_is_checked_again(
    client: Client, definition: ImportDefinition
) -> None:
    run = a_run(definition, "completed")
    answer = client.post(f"/runs/{run.pk}/check-again/", follow=True)
    assert "only a lost run" in words(answer)


@pytest.mark.parametrize("deed", ["cancel", "check-again", "choose"])
def test_a_viewer_may_not_and_nothing_happens(
    account: Account, definition: ImportDefinition, deed: str
) -> None:
    for status in ("queued", "lost"):
        run = a_run(ImportDefinitionFactory.create(account=account), status)
        answer = viewer(account).post(f"/runs/{run.pk}/{deed}/")
        run.refresh_from_db()
        assert answer.status_code == 403
        assert run.status == status


@pytest.mark.parametrize("deed", ["cancel", "check-again"])
def test_deeds_are_posts_with_a_token(
    client: Client, definition: ImportDefinition, deed: str
) -> None:
    run = a_run(definition, "queued")
    assert client.get(f"/runs/{run.pk}/{deed}/").status_code == 405
    strict = Client(enforce_csrf_checks=True, headers={})
    strict.cookies = client.cookies
    assert strict.post(f"/runs/{run.pk}/{deed}/").status_code == 403


def test_a_run_without_definition_is_guarded_by_its_account(account: Account) -> None:
    run = ImportRunFactory.create(lost=True, definition=None, account=account)
    url = f"/runs/{run.pk}/check-again/"
    assert viewer(account).post(url).status_code == 403
    assert reader(account).post(url).status_code == 302


# Choosing which task an unknown run is


@pytest.fixture
def unknown(definition: ImportDefinition) -> ImportRun:
    run = a_run(definition, "unknown")
    found = [
        {
            "task_id": task,
            "phase": "Processing",
            "start_text": "3/12/2026 2:08:59 AM",
            "total_rows": None,
            "errors": None,
        }
        for task in ("501", "502")
    ]
    tell(run, (130, EventKind.LOOKED, {"candidates": found}))
    return run


def test_the_candidates_are_offered_with_none_of_these(
    client: Client, unknown: ImportRun
) -> None:
    assert f"/runs/{unknown.pk}/choose/" in content(page_of(client, unknown))
    page = client.get(f"/runs/{unknown.pk}/choose/")
    text = words(page)
    assert "Task 501" in text
    assert "Task 502" in text
    assert "None of these" in text
    assert "– rows" in text
    assert "<html" in content(page)


def test_the_choice_opens_as_a_dialog(client: Client, unknown: ImportRun) -> None:
    page = client.get(f"/runs/{unknown.pk}/choose/", headers=HTMX)
    assert content(page).lstrip().startswith("<dialog")
    assert page.headers["HX-Retarget"] == "#dialog-slot"


def test_the_chosen_task_is_followed(client: Client, unknown: ImportRun) -> None:
    answer = client.post(f"/runs/{unknown.pk}/choose/", {"task": "502"}, headers=HTMX)
    unknown.refresh_from_db()
    assert (unknown.status, unknown.task_id) == (RunStatus.RUNNING, "502")
    assert {"mcdash:close-dialog", "mcdash:changed"} <= set(triggers(answer))
    assert "is task 502" in words(answer)


def test_none_of_these_leaves_it_unknown(client: Client, unknown: ImportRun) -> None:
    answer = client.post(f"/runs/{unknown.pk}/choose/", {"task": "none"}, follow=True)
    unknown.refresh_from_db()
    assert unknown.status == RunStatus.UNKNOWN
    assert "None of those" in words(answer)
    assert ImportRun.objects.filter(task_id__in=["501", "502"]).count() == 2


@pytest.mark.parametrize(
    ("task", "status", "sentence"),
    [
        ("", 400, "Choose one of them first"),
        ("777", 409, "isn't one of the tasks"),
        ("<b>", 409, "Task <b> isn't one of the tasks"),
    ],
)
def test_a_choice_that_is_not_open_is_refused_with_a_sentence(
    client: Client, unknown: ImportRun, task: str, status: int, sentence: str
) -> None:
    answer = client.post(f"/runs/{unknown.pk}/choose/", {"task": task})
    unknown.refresh_from_db()
    assert answer.status_code == status
    assert "<b> is" not in content(answer)
    assert sentence in html.unescape(content(answer))
    assert unknown.status == RunStatus.UNKNOWN


def test_a_run_that_was_settled_meanwhile_is_not_chosen_for(
    client: Client, unknown: ImportRun
) -> None:
    unknown.move_to(RunStatus.RUNNING, kind=EventKind.FOUND, task_id="501")
    answer = client.post(f"/runs/{unknown.pk}/choose/", {"task": "502"})
    assert answer.status_code == 409
    assert "This has been settled" in words(answer)
