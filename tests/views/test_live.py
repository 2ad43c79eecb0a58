"""Polling: 204 with no body when nothing changed, the changed parts otherwise."""

from __future__ import annotations

import re
from datetime import timedelta
from typing import Any

import pytest
from django.db import connection
from django.test import Client
from django.test.utils import CaptureQueriesContext
from django.utils import timezone

from imports.models import (
    Account,
    AccountQuerySet,
    ImportRun,
    Reader,
    RunStatus,
    Worker,
    bump_revision,
)
from imports.views import live
from tests.factories import (
    AccountFactory,
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
    triggers,
    words,
)

pytestmark = pytest.mark.django_db
PAGES = ("/", "/runs/")


@pytest.fixture
def account() -> Account:
    a_worker_beats()
    now = timezone.now()
    return AccountFactory.create(last_contact_at=now, last_synced_at=now)


@pytest.fixture
def client(account: Account) -> Client:
    return reader(account)


@pytest.fixture
def running(account: Account) -> ImportRun:
    definition = ImportDefinitionFactory.create(account=account)
    return ImportRunFactory.create(running=True, definition=definition)


def finish(run: ImportRun) -> None:
    run.move_to(
        RunStatus.COMPLETED,
        kind="ended",
        phase="Completed",
        total_rows=12_345,
        errors=0,
        settled_at=timezone.now(),
        finished_at=timezone.now(),
    )
    bump_revision(runs=[run])


@pytest.mark.parametrize("page", [*PAGES, "run"])
def test_a_poll_of_an_unchanged_page_is_204_without_body_in_three_queries(
    client: Client, running: ImportRun, page: str
) -> None:
    shown = client.get(f"/runs/{running.pk}/" if page == "run" else page)
    url = poll_url(shown)
    with CaptureQueriesContext(
        connection,
    ) as queries:
        answer = client.get(url, headers=HTMX)
    assert answer.status_code == 204
    assert answer.content == b""
    assert len(queries) <= 3, [q["sql"] for q in queries]


@pytest.mark.parametrize("page", PAGES)
def test_an_unchanged_answer_is_small_and_kept_by_nobody(
    client: Client, page: str
) -> None:
    answer = poll(client, client.get(page))
    head = "".join(f"{name}: {value}\r\n" for name, value in answer.headers.items())
    assert len(head) < 700
    assert "no-store" in answer.headers["Cache-Control"]
    assert "ETag" not in answer.headers
    assert "Set-Cookie" not in answer.headers


@pytest.mark.parametrize("page", [*PAGES, "run"])
def test_a_poll_after_a_change_brings_parts_to_swap_and_a_new_since(
    client: Client, running: ImportRun, page: str
) -> None:
    shown = client.get(f"/runs/{running.pk}/" if page == "run" else page)
    finish(running)
    answer = poll(client, shown)
    assert answer.status_code == 200
    source = content(answer)
    assert "<html" not in source
    assert source.count('hx-swap-oob="true"') >= 2
    assert poll_url(answer) != poll_url(shown)
    assert "12,345" in source


@pytest.mark.parametrize("page", [*PAGES, "run"])
def test_every_part_that_is_swapped_exists_on_the_page(
    client: Client, running: ImportRun, page: str
) -> None:
    shown = client.get(f"/runs/{running.pk}/" if page == "run" else page)
    finish(running)
    ids = re.findall(
        r'<\w+ [^>]*?id="([\w-]+)"[^>]*hx-swap-oob="true"', content(poll(client, shown))
    )
    assert len(ids) >= 2
    for one in ids:
        assert f'id="{one}"' in content(shown), one


def changed_ids(answer: Any) -> set[str]:
    return set(re.findall(r'id="([\w-]+)" hx-swap-oob="true"', content(answer))) | {
        "live"
    }


def test_a_poll_with_three_changed_runs_brings_those_rows_and_the_cards_alone(
    client: Client, account: Account
) -> None:
    definitions = ImportDefinitionFactory.create_batch(8, account=account)
    runs = [ImportRunFactory.create(running=True, definition=d) for d in definitions]
    dashboard, history = client.get("/"), client.get("/runs/")
    for run in runs[:3]:
        run.errors = 7
        run.save(update_fields=["errors"])
    bump_revision(runs=runs[:3])
    rows = {f"run-{run.pk}" for run in runs[:3]}
    assert changed_ids(poll(client, dashboard)) == rows | {"cards", "live"}
    assert changed_ids(poll(client, history)) == rows | {"live"}


def test_the_poll_after_the_news_has_none(client: Client, running: ImportRun) -> None:
    shown = client.get("/")
    finish(running)
    news = poll(client, shown)
    Account.objects.update(revision=999)
    assert changed_ids(poll(client, news)) == {"live"}


def test_a_poll_tells_in_sentences_what_ended_meanwhile(
    client: Client, running: ImportRun
) -> None:
    shown = client.get("/")
    finish(running)
    told = triggers(poll(client, shown))["mcdash:announce"]["sentences"]
    assert told == [f"{running.shown_name}: Completed."]


def test_a_page_asks_fast_only_while_something_on_it_can_change(
    client: Client, running: ImportRun
) -> None:
    assert poll_seconds(client.get("/")) == 3
    assert poll_seconds(client.get("/runs/")) == 3
    assert poll_seconds(client.get(f"/runs/{running.pk}/")) == 3
    finish(running)
    assert poll_seconds(client.get("/")) == 20
    assert poll_seconds(client.get("/runs/")) == 20
    assert poll_seconds(client.get(f"/runs/{running.pk}/")) == 0


@pytest.mark.parametrize("reason", ["no_trace", "declared"])
def test_a_run_that_was_given_up_may_still_turn_up_so_its_page_goes_on(
    client: Client, account: Account, reason: str
) -> None:
    run = ImportRunFactory.create(
        not_started=True,
        reason=reason,
        definition=ImportDefinitionFactory.create(account=account),
    )
    assert poll_seconds(client.get(f"/runs/{run.pk}/")) == 20


def test_a_run_page_is_not_swapped_for_what_happens_in_another_account(
    running: ImportRun,
) -> None:
    other = AccountFactory.create()
    both = reader(running.account, other)
    shown = both.get(f"/runs/{running.pk}/")
    bump_revision(accounts=[other])
    assert poll(both, shown).status_code == 204


def test_when_marketing_cloud_was_last_heard_of_stays_true_on_an_open_page(
    client: Client, account: Account
) -> None:
    shown = client.get("/")
    account.last_contact_at = timezone.now() + timedelta(seconds=40)
    account.save()
    assert poll(client, shown).status_code == 200


@pytest.mark.parametrize("page", PAGES)
def test_a_silent_worker_is_told_in_a_banner_also_by_the_poll(
    client: Client, page: str
) -> None:
    shown = client.get(page)
    assert "The worker hasn’t responded" not in content(shown)
    Worker.objects.update(seen_at=timezone.now() - timedelta(seconds=61))
    answer = poll(client, shown)
    assert "The worker hasn’t responded for a minute" in part(answer, "banner")
    assert "Queued starts are safe." in words(answer)
    assert "The worker hasn’t responded for a minute" in content(client.get(page))
    a_worker_beats()
    assert "hasn’t responded" not in content(poll(client, answer))


def test_a_session_that_ended_answers_a_poll_with_401_and_no_form(
    client: Client, running: ImportRun
) -> None:
    for page in (*PAGES, f"/runs/{running.pk}/"):
        url = poll_url(client.get(page))
        answer = Client().get(url, headers=HTMX)
        assert answer.status_code == 401
        assert b"<form" not in answer.content


def test_a_stranger_is_led_to_the_sign_in_page_and_back(running: ImportRun) -> None:
    url = f"/runs/{running.pk}/?since=4"
    answer = Client().get(url)
    assert answer.status_code == 302
    assert answer.headers["Location"].startswith("/login/?next=/runs/")


def test_the_session_is_not_prolonged_by_polls(
    client: Client, running: ImportRun
) -> None:
    shown = client.get("/")
    finish(running)
    assert "Set-Cookie" not in poll(client, shown).headers


@pytest.mark.parametrize("since", ["", "x", "-1", "9" * 40, "<b>", "1-2-3-4", "é"])
@pytest.mark.parametrize("page", PAGES)
def test_any_since_is_answered(client: Client, page: str, since: str) -> None:
    answer = client.get(page, {"since": since}, headers=HTMX)
    assert answer.status_code == 200
    assert "<b>" not in content(answer).split("hx-get=")[1][:200]


def test_without_script_the_same_address_is_the_whole_page(client: Client) -> None:
    assert "<html" in content(client.get("/", {"since": "1"}))


def test_a_run_that_went_out_of_sight_is_404_for_its_poll(
    client: Client, running: ImportRun
) -> None:
    shown = client.get(f"/runs/{running.pk}/")
    running.account.accesses.all().delete()
    assert poll(client, shown).status_code == 404


def _title(response: Any) -> str:
    return content(response).split("data-title=")[1].split('"')[1]


def test_title_and_icon_carry_how_things_stand(
    client: Client, running: ImportRun
) -> None:
    assert 'data-state="running"' in content(client.get("/"))
    definition = ImportDefinitionFactory.create(account=running.account)
    failed = ImportRunFactory.create(failed=True, definition=definition)
    definition.refresh_recent_runs()
    something_changed()
    page = client.get("/")
    assert _title(page) == "(1 failed) mcdash"
    assert 'data-state="failed"' in content(page)
    assert _title(client.get(f"/runs/{failed.pk}/")).startswith("Failed: ")


def test_pages_have_no_inline_script_or_style(
    client: Client, running: ImportRun
) -> None:
    for page in (*PAGES, f"/runs/{running.pk}/"):
        source = content(client.get(page))
        assert " style=" not in source
        assert "<script>" not in source
        assert " onclick=" not in source


@pytest.mark.parametrize("page", [*PAGES, "/definitions/", "/accounts/"])
def test_what_changes_while_a_page_is_read_is_asked_for_soon(
    client: Client, account: Account, monkeypatch: pytest.MonkeyPatch, page: str
) -> None:
    """Else half of the change could stand there for the quiet interval."""
    assert poll_seconds(client.get(page)) == live.QUIET_SECONDS
    visible_to = AccountQuerySet.visible_to

    def changes_meanwhile(rows: AccountQuerySet, reader: Reader) -> AccountQuerySet:
        bump_revision(accounts=[account])
        return visible_to(rows, reader)

    something_changed()
    # each page asks for the reader's accounts, after it has read its version
    monkeypatch.setattr(AccountQuerySet, "visible_to", changes_meanwhile)
    assert poll_seconds(client.get(page)) == live.FAST_SECONDS
