"""The dashboard: what needs me, what runs, what ended today."""

from __future__ import annotations

import re
from datetime import timedelta
from typing import Any

import pytest
import time_machine
from django.db import connection
from django.test import Client
from django.test.utils import CaptureQueriesContext
from django.utils import timezone

from imports.models import AccessLevel, Account, EventKind, ImportRun
from tests.factories import (
    AccountFactory,
    ImportDefinitionFactory,
    ImportRunFactory,
    RunEventFactory,
    UserFactory,
    grant,
)

from .reading import (
    a_worker_beats,
    client_of,
    content,
    part,
    reader,
    something_changed,
    viewer,
    words,
)

pytestmark = pytest.mark.django_db


def ended(account: Account, **facts: Any) -> ImportRun:
    """A run that is its definition's last, ended an hour ago unless said otherwise."""
    definition = ImportDefinitionFactory.create(account=account)
    facts = {"occurred_at": timezone.now() - timedelta(seconds=90)} | facts
    run = ImportRunFactory.create(definition=definition, **facts)
    definition.refresh_recent_runs()
    return run


def row_of(page: Any, run: ImportRun) -> str:
    source = part(page, "needs")
    start = source.index(f'id="attention-run-{run.pk}"')
    return source[start : source.index("</li>", start)]


def test_a_failed_run_needs_attention_with_cause_and_start_again(
    client: Client, account: Account
) -> None:
    run = ended(account, failed=True)
    row = row_of(client.get("/"), run)
    assert "Failed." in row
    assert "reported an error and no row counts" in row
    assert f"/definitions/{run.definition_id}/start/?again_of={run.pk}" in row
    assert "Start again…" in row


def test_a_viewer_is_shown_the_next_steps_and_no_start(account: Account) -> None:
    run = ended(account, failed=True)
    lost = ended(account, lost=True)
    page = viewer(account).get("/")
    assert "/start/" not in content(page)
    assert "See next steps" in row_of(page, run)
    assert "<form" not in row_of(page, lost)


def test_an_unknown_run_with_several_candidates_is_to_be_chosen(
    client: Client, account: Account
) -> None:
    run = ended(account, unknown=True)
    one = ended(account, unknown=True)
    tasks = [{"task_id": "1"}, {"task_id": "2"}]
    RunEventFactory.create(
        run=run, kind=EventKind.LOOKED, details={"candidates": tasks}
    )
    page = client.get("/")
    assert f"/runs/{run.pk}/choose/" in row_of(page, run)
    assert "2 runs in Marketing Cloud could be it" in row_of(page, run)
    assert "choose" not in row_of(page, one)


def test_a_lost_run_is_checked_again_by_one_press(
    client: Client, account: Account
) -> None:
    run = ended(account, lost=True, phase="IOWork")
    row = row_of(client.get("/"), run)
    assert f'action="/runs/{run.pk}/check-again/"' in row
    assert "csrfmiddlewaretoken" in row
    assert "the last phase was IOWork" in row


def test_the_most_pressing_comes_first(client: Client, account: Account) -> None:
    errors = ended(account, completed_with_errors=True)
    lost = ended(account, lost=True)
    failed = ended(account, failed=True)
    source = part(client.get("/"), "needs")
    places = [source.index(f"attention-run-{r.pk}") for r in (failed, lost, errors)]
    assert places == sorted(places)


def test_a_good_run_since_settles_an_earlier_failure(
    client: Client, account: Account
) -> None:
    failed = ended(account, failed=True)
    assert failed.definition
    ImportRunFactory.create(completed=True, definition=failed.definition)
    failed.definition.refresh_recent_runs()
    page = client.get("/")
    assert "All quiet" in words(page)
    assert "attention-run" not in content(page)


def test_an_unknown_run_needs_attention_however_old_and_whatever_came_after(
    client: Client, account: Account
) -> None:
    unknown = ended(
        account, unknown=True, occurred_at=timezone.now() - timedelta(days=9)
    )
    assert unknown.definition
    ImportRunFactory.create(outside=True, completed=True, definition=unknown.definition)
    unknown.definition.refresh_recent_runs()
    assert "Outcome unknown" in row_of(client.get("/"), unknown)


def test_a_failure_of_three_days_ago_is_no_news(
    client: Client, account: Account
) -> None:
    ended(account, failed=True, occurred_at=timezone.now() - timedelta(days=3))
    assert "All quiet" in words(client.get("/"))


def test_a_failed_run_of_no_known_definition_needs_attention_too(
    client: Client, account: Account
) -> None:
    run = ImportRunFactory.create(
        failed=True, outside=True, definition=None, account=account
    )
    row = row_of(client.get("/"), run)
    assert "See next steps" in row


def test_an_account_that_does_not_answer_needs_attention(
    client: Client, account: Account
) -> None:
    account.failures_in_row = 3
    account.not_answering_since = timezone.now() - timedelta(minutes=20)
    account.save()
    ended(account, running=True)
    page = client.get("/")
    told = words(page)
    assert "Not answering since" in told
    assert "Running imports are shown as they were then" in told
    assert f"/accounts/#account-{account.pk}" in content(page)


def test_one_failure_of_an_account_is_not_yet_trouble(
    client: Client, account: Account
) -> None:
    account.failures_in_row = 1
    account.not_answering_since = timezone.now()
    account.save()
    assert "All quiet" in words(client.get("/"))


def test_refused_credentials_come_first_and_starting_again_is_not_offered(
    client: Client, account: Account
) -> None:
    run = ended(account, failed=True)
    account.credentials_refused_at = timezone.now()
    account.save()
    page = client.get("/")
    source = part(page, "needs")
    assert source.index("Credentials refused") < source.index("Failed.")
    assert "Start again" not in row_of(page, run)


def test_the_cards_count_the_day_and_lead_to_the_lists_behind_them(
    client: Client, account: Account
) -> None:
    ended(account, completed=True)
    ended(account, completed_with_errors=True)
    ended(account, failed=True)
    ended(account, running=True)
    cards = part(client.get("/"), "cards")
    text = " ".join(re.sub(r"<[^>]*>", " ", cards).split())
    assert "Running 1" in text
    assert "Completed today 1" in text
    assert "With errors 1 7 row errors" in text
    assert "Failed 1" in text
    assert "Rows imported 1,973" in text
    assert "Row errors 0.3 % 7 of 2,000" in text
    today = timezone.localdate().isoformat()
    assert f"/runs/?status=failed&amp;from={today}" in cards


def test_the_lists_behind_the_cards_have_as_many_runs_as_the_cards_say(
    client: Client, account: Account
) -> None:
    with time_machine.travel("2026-03-12T00:30:00Z", tick=False):
        a_worker_beats()
        yesterday = timezone.now() - timedelta(hours=1)
        finished = timezone.now() - timedelta(minutes=10)
        run = ended(
            account,
            completed=True,
            occurred_at=yesterday,
            started_at=yesterday,
            finished_at=finished,
            settled_at=finished,
        )
        client = reader(account)
        assert "Completed today</span>" in content(client.get("/"))
        listed = client.get("/runs/?status=completed&from=2026-03-12")
    assert f'id="run-{run.pk}"' in content(listed)


def test_what_is_not_counted_is_a_dash_and_not_nought(
    client: Client, account: Account
) -> None:
    ended(account, failed=True)
    cards = part(client.get("/"), "cards")
    assert '<span class="figure">–</span>' in cards
    assert '<span class="figure">0</span>' in cards  # nothing runs: that is known


def test_today_is_the_readers_day(account: Account) -> None:
    person = UserFactory.create(time_zone="Pacific/Auckland")
    grant(person, account, AccessLevel.VIEW)
    with time_machine.travel("2026-03-12T12:00:00Z", tick=False):
        ended(account, completed=True, occurred_at=timezone.now() - timedelta(hours=3))
        page = client_of(person).get("/")
    assert "Friday 13 March" in words(page)
    assert "No run has ended today" in words(page)


def test_active_runs_show_phase_elapsed_and_who(
    client: Client, account: Account
) -> None:
    run = ended(account, running=True, started_by_name="Tom Okafor")
    row = part(client.get("/"), "active")
    assert f'id="run-{run.pk}"' in row
    assert "Processing" in row
    assert "Tom Okafor" in row
    assert "data-since=" in row


def test_a_run_of_a_silent_account_is_not_shown_as_fresh(
    client: Client, account: Account
) -> None:
    account.not_answering_since, account.failures_in_row = timezone.now(), 2
    account.save()
    ended(account, running=True)
    assert "as-of" in part(client.get("/"), "active")


def test_somebody_without_accounts_is_told_whom_to_ask() -> None:
    page = reader().get("/")
    assert "Ask an administrator" in words(page)
    assert "hidden" in part(page, "cards")[:120]


def test_other_peoples_accounts_do_not_exist(client: Client) -> None:
    other = ended(AccountFactory.create(name="Secret unit"), failed=True)
    page = content(client.get("/"))
    assert "Secret unit" not in page
    assert other.shown_name not in page


def test_names_and_messages_with_html_are_text(
    client: Client, account: Account
) -> None:
    definition = ImportDefinitionFactory.create(
        account=account, name="<script>alert(1)</script>"
    )
    ImportRunFactory.create(
        not_started=True,
        definition=definition,
        vendor_message="<img src=x onerror=alert(2)>",
    )
    definition.refresh_recent_runs()
    page = content(client.get("/"))
    assert "<script>alert" not in page
    assert "<img" not in page
    assert "&lt;img src=x" in page


def _queries(client: Client, path: str) -> int:
    something_changed()
    with CaptureQueriesContext(connection) as queries:
        assert client.get(path).status_code == 200
    return len(queries)


@pytest.mark.parametrize("path", ["/", "/runs/"])
def test_a_page_asks_as_many_queries_for_many_rows_as_for_few(
    account: Account, path: str
) -> None:
    client = reader(account)
    traits = ("running", "failed", "unknown", "lost", "completed_with_errors")
    for trait in traits:
        ended(account, **{trait: True})
    few = _queries(client, path)
    for trait in traits * 3:
        ended(account, **{trait: True})
    assert _queries(client, path) == few


def test_the_page_is_drawn_with_ten_queries(account: Account) -> None:
    for trait in ("running", "failed", "unknown", "completed"):
        ended(account, **{trait: True})
    assert _queries(reader(account), "/") == 10


def test_what_needs_the_reader_is_asked_for_once(
    client: Client, account: Account
) -> None:
    ended(account, failed=True)
    with CaptureQueriesContext(connection) as queries:
        page = client.get("/")
    assert "(1 failed) mcdash" in content(page)
    asked = [query["sql"] for query in queries if "UNION" in query["sql"]]
    assert len(asked) == 1


@pytest.mark.parametrize("path", ["/", "/runs/"])
def test_every_page_counts_the_same_that_needs_the_reader(
    client: Client, account: Account, path: str
) -> None:
    for trait in ("failed", "failed", "lost", "completed"):
        ended(account, **{trait: True})
    account.credentials_refused_at = timezone.now()
    account.save()
    live = client.get(path).context["live"]
    assert live["attention_count"] == 4
    assert live["title"].startswith("(2 failed) ")


def test_more_than_twenty_needs_lead_to_the_history(
    client: Client, account: Account
) -> None:
    for _ in range(22):
        ended(account, completed_with_errors=True)
    page = client.get("/")
    assert content(page).count('id="attention-run-') == 20
    assert "All 22 in History" in words(page)


# One line, one action


def test_a_refused_start_quotes_marketing_cloud_once(
    client: Client, account: Account
) -> None:
    run = ended(
        account,
        not_started=True,
        reason="not_valid",
        error_code="43060",
        vendor_message="validation error.",
        message="Marketing Cloud refused to start the import: “validation error.”.",
    )
    row = row_of(client.get("/"), run)
    assert "Marketing Cloud refused the definition as it is: “validation error.”" in row
    assert row.count("“") == 1
    assert "See next steps" in row


def test_what_was_never_reached_is_started_again_by_one_press(
    client: Client, account: Account
) -> None:
    run = ended(account, not_started=True, reason="unreachable", message="Not reached.")
    assert "Start again…" in row_of(client.get("/"), run)


def test_an_overdue_unknown_run_may_be_said_not_to_have_started(
    client: Client, account: Account
) -> None:
    past = timezone.now() - timedelta(hours=2)
    run = ended(account, unknown=True, occurred_at=past)
    found = ended(account, unknown=True, occurred_at=past)
    RunEventFactory.create(
        run=found, kind=EventKind.LOOKED, details={"candidates": [{"task_id": "1"}]}
    )
    young = ended(account, unknown=True)
    page = client.get("/")
    assert f'hx-get="/runs/{run.pk}/not-started/"' in row_of(page, run)
    for other in (found, young):
        assert "not-started" not in row_of(page, other)
        assert "Open run" in row_of(page, other)
    assert "not-started" not in content(viewer(account).get("/"))


def test_the_numbers_of_rows_lead_to_the_runs_that_have_rows(
    client: Client, account: Account
) -> None:
    ended(account, completed=True)
    cards = client.get("/").context["cards"]
    urls = {card["label"]: card["url"] for card in cards}
    for label in ("Rows imported", "Row errors"):
        assert (
            "status=completed&status=completed_with_errors&status=failed"
            in (urls[label])
        )
