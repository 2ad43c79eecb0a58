"""A person says that an unknown run did not start: what it means stands there, the box
must be ticked, and only who may start may say it.
"""

from __future__ import annotations

import re
from datetime import timedelta
from typing import Any

import pytest
import time_machine
from django.test import Client
from django.utils import timezone

from imports.models import Account, EventKind, ImportDefinition, ImportRun, RunStatus
from tests.factories import (
    ImportRunFactory,
    RunEventFactory,
)

from .reading import (
    HTMX,
    a_worker_beats,
    content,
    part,
    poll,
    reader,
    triggers,
    viewer,
    words,
)

pytestmark = pytest.mark.django_db
LOOKED = {"looked": "yes"}


@pytest.fixture
def run(definition: ImportDefinition) -> ImportRun:
    """Unknown for two hours."""
    past = timezone.now() - timedelta(hours=2)
    return ImportRunFactory.create(
        definition=definition, unknown=True, occurred_at=past, customer_key=""
    )


def url_of(run: ImportRun) -> str:
    return f"/runs/{run.pk}/not-started/"


def status_of(run: ImportRun) -> str:
    return ImportRun.objects.get(pk=run.pk).status


def test_the_run_offers_it_to_who_may_start_once_the_grace_is_over(
    client: Client, account: Account, run: ImportRun
) -> None:
    head = part(client.get(f"/runs/{run.pk}/"), "run-head")
    assert f'hx-get="{url_of(run)}"' in head
    assert "Mark as not started…" in head
    assert "not-started" not in part(
        viewer(account).get(f"/runs/{run.pk}/"), "run-head"
    )


def test_a_page_that_stays_open_offers_it_by_itself_when_the_grace_is_over(
    client: Client, definition: ImportDefinition
) -> None:
    began = timezone.now()
    run = ImportRunFactory.create(definition=definition, unknown=True)
    page = client.get(f"/runs/{run.pk}/")
    assert "not-started" not in content(page)
    with time_machine.travel(began + timedelta(hours=1), tick=False):
        a_worker_beats()
        news = content(poll(client, page))
    assert url_of(run) in news


@pytest.mark.parametrize("headers", [{}, HTMX])
def test_the_question_says_what_it_means(
    client: Client, run: ImportRun, headers: dict[str, str]
) -> None:
    page = client.get(url_of(run), headers=headers)
    text = words(page)
    assert page.status_code == 200
    assert "Mark Customers daily as not started?" in text
    assert "its definition can be started again" in text
    assert "added to the history as started outside" in text
    assert "would import the same file twice" in text
    assert "Nothing is sent. Your name is recorded." in text
    assert ("<html" in content(page)) == (not headers)
    assert status_of(run) == RunStatus.UNKNOWN


def test_of_a_run_with_a_key_it_says_that_the_run_takes_a_late_result(
    client: Client, run: ImportRun
) -> None:
    ImportRun.objects.update(customer_key="customers-daily")
    assert "within 24 hours, it’s added to this run" in words(client.get(url_of(run)))


def test_without_script_the_form_alone_does_it(client: Client, run: ImportRun) -> None:
    page = client.get(url_of(run))
    action = re.search(r'<form method="post" action="([^"]+)"', content(page))
    assert action
    assert "hx-post" not in content(page).split('class="asking"')[1]
    answer = client.post(url_of(run), LOOKED, follow=True)
    assert status_of(run) == RunStatus.NOT_STARTED
    assert "Marked as not started. Its definition can be started again." in words(
        answer
    )
    assert "A person looked for it and said that it did not start." in words(answer)
    assert "Marked as not started by Ana Ruiz" in words(answer)
    assert "Start again…" in words(answer)


def test_in_a_dialog_it_closes_and_the_page_looks_at_once(
    client: Client, run: ImportRun
) -> None:
    answer = client.post(url_of(run), LOOKED, headers=HTMX)
    assert status_of(run) == RunStatus.NOT_STARTED
    assert set(triggers(answer)) == {"mcdash:close-dialog", "mcdash:changed"}
    assert "#toasts" in content(answer)


@pytest.mark.parametrize("sent", [{}, {"looked": ""}, {"looked": "no"}])
@pytest.mark.parametrize("headers", [{}, HTMX])
def test_without_the_tick_nothing_is_changed(
    client: Client, run: ImportRun, sent: dict[str, str], headers: dict[str, str]
) -> None:
    answer = client.post(url_of(run), sent, headers=headers)
    assert answer.status_code == 400
    assert "Look in Marketing Cloud first" in words(answer)
    assert status_of(run) == RunStatus.UNKNOWN


def test_before_the_grace_is_over_the_page_says_from_when_on(
    client: Client, definition: ImportDefinition
) -> None:
    run = ImportRunFactory.create(definition=definition, unknown=True)
    page = client.get(url_of(run))
    assert "may still appear. You can do this from" in words(page)
    assert 'name="looked"' not in content(page)
    answer = client.post(url_of(run), LOOKED)
    assert answer.status_code == 409
    assert status_of(run) == RunStatus.UNKNOWN


def test_while_runs_were_found_it_is_not_offered_and_not_done(
    client: Client, run: ImportRun
) -> None:
    found: dict[str, Any] = {"candidates": [{"task_id": "501"}]}
    RunEventFactory.create(run=run, kind=EventKind.LOOKED, details=found)
    assert "not-started" not in content(client.get(f"/runs/{run.pk}/"))
    answer = client.post(url_of(run), LOOKED, headers=HTMX)
    assert answer.status_code == 409
    assert "Runs in Marketing Cloud could be run" in words(answer)
    assert status_of(run) == RunStatus.UNKNOWN


def test_a_run_that_was_settled_meanwhile_stays_as_it_is(
    client: Client, run: ImportRun
) -> None:
    run.move_to(RunStatus.RUNNING, kind=EventKind.FOUND, task_id="501")
    answer = client.post(url_of(run), LOOKED)
    assert answer.status_code == 409
    assert "is settled: running. Nothing was changed." in words(answer)
    assert status_of(run) == RunStatus.RUNNING


def test_a_viewer_may_not_and_a_stranger_finds_nothing(
    account: Account, run: ImportRun
) -> None:
    for somebody, status in ((viewer(account), 403), (reader(), 404)):
        assert somebody.get(url_of(run)).status_code == status
        assert somebody.post(url_of(run), LOOKED).status_code == status
    assert Client().post(url_of(run), LOOKED).status_code == 302
    assert status_of(run) == RunStatus.UNKNOWN


def test_a_press_without_csrf_token_changes_nothing(
    client: Client, run: ImportRun
) -> None:
    strict = Client(enforce_csrf_checks=True)
    strict.cookies = client.cookies
    assert strict.post(url_of(run), LOOKED).status_code == 403
    assert status_of(run) == RunStatus.UNKNOWN
