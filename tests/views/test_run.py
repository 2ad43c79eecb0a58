"""One run: where it stands, what happened, and what a person may do about it."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

import pytest
from django.test import Client
from django.utils import timezone

from imports.models import (
    ACTIVE,
    Account,
    EventKind,
    ImportDefinition,
    ImportRun,
    Reason,
    RunStatus,
    Worker,
)
from tests.factories import (
    DefinitionVersionFactory,
    ImportRunFactory,
    RunEventFactory,
)

from .reading import (
    content,
    part,
    something_changed,
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


@pytest.mark.parametrize("status", STATUSES)
def test_every_status_has_its_page_with_its_word(
    client: Client, definition: ImportDefinition, status: str
) -> None:
    run = a_run(definition, status)
    page = page_of(client, run)
    assert page.status_code == 200
    title = content(page).split("<h1>")[1].split("</h1>")[0]
    assert RunStatus(status).label in title
    assert "Tom Okafor" in words(page)
    assert "Customers daily in Nordlicht DE" in words(page)


@pytest.mark.parametrize("status", STATUSES)
def test_every_status_offers_what_helps_and_nothing_else(
    client: Client, definition: ImportDefinition, status: str
) -> None:
    page = content(page_of(client, a_run(definition, status)))
    assert ("Start again…" in page) == (status not in ACTIVE)
    assert ("/cancel/" in page) == (status == "queued")
    assert ("/check-again/" in page) == (status == "lost")


@pytest.mark.parametrize("status", STATUSES)
def test_a_viewer_can_do_nothing_about_it(
    account: Account, definition: ImportDefinition, status: str
) -> None:
    run = a_run(definition, status)
    page = page_of(viewer(account), run)
    head = part(page, "run-head")
    assert "<form" not in head
    assert "Start again" not in head


def test_another_accounts_run_does_not_exist(client: Client) -> None:
    run = ImportRunFactory.create(completed=True)
    for path in ("", "choose/"):
        assert client.get(f"/runs/{run.pk}/{path}").status_code == 404
    for path in ("cancel/", "check-again/", "choose/"):
        assert client.post(f"/runs/{run.pk}/{path}").status_code == 404


@pytest.mark.parametrize("pk", ["0", "x", "-1", "9" * 18, "9" * 30, "1.0", "%00"])
def test_a_malformed_id_is_no_page(client: Client, pk: str) -> None:
    assert client.get(f"/runs/{pk}/").status_code == 404


def test_counts_that_are_not_known_are_dashes(
    client: Client, definition: ImportDefinition
) -> None:
    figures = part(page_of(client, a_run(definition, "failed")), "run-figures")
    assert figures.count('<dd class="figure">–</dd>') == 4


def test_a_failed_run_says_what_is_known_and_where_to_look(
    client: Client, definition: ImportDefinition
) -> None:
    definition.facts = {
        "Notification.ResponseAddress": "crm@nordlicht.example",
        "MaxFileAge": "24",
    }
    definition.save()
    text = words(page_of(client, a_run(definition, "failed")))
    assert "Marketing Cloud reported an error and no row counts." in text
    assert "The API does not say why" in text
    assert "crm@nordlicht.example" in text
    assert "a file that fits customers_%%Year%%%%Month%%%%Day%%.csv is there" in text
    assert "Is that file at most 24 hours old?" in text


@pytest.mark.parametrize("kind", [k for k in Reason if k != Reason.NONE])
def test_every_reason_not_to_have_started_has_its_next_step(
    client: Client, definition: ImportDefinition, kind: str
) -> None:
    run = a_run(definition, "not_started", reason=kind)
    advice = part(page_of(client, run), "run-advice")
    assert "What we know" in advice
    assert "What to check" in advice
    assert "<li>" in advice.split("What to check")[1]


def test_their_words_are_quoted_as_theirs_and_html_in_them_is_text(
    client: Client, definition: ImportDefinition
) -> None:
    theirs = "<b>No</b> such file"
    message = f"Marketing Cloud refused to start the import: “{theirs}”."
    run = a_run(definition, "not_started", message=message, vendor_message=theirs)
    advice = part(page_of(client, run), "run-advice")
    assert "<q>&lt;b&gt;No&lt;/b&gt; such file</q>" in advice
    assert advice.count("such file") == 1


def test_a_full_stop_of_theirs_ends_our_sentence_too(
    client: Client, definition: ImportDefinition
) -> None:
    message = "Marketing Cloud refused to start the import: “No such file.”."
    run = a_run(definition, "not_started")
    RunEventFactory.create(
        run=run, kind=EventKind.NOT_STARTED, details={"message": message}
    )
    timeline = part(page_of(client, run), "run-timeline")
    assert "the import: “No such file.”<" in timeline


def test_a_run_that_loaded_no_rows_is_explained(
    client: Client, definition: ImportDefinition
) -> None:
    nothing = dict.fromkeys(("total_rows", "successful", "duplicated"), 0)
    text = words(page_of(client, a_run(definition, "completed", **nothing)))
    assert "It loaded no rows." in text


def test_beside_it_stands_the_previous_run_number_by_number(
    client: Client, definition: ImportDefinition
) -> None:
    before = timezone.now() - timedelta(days=1)
    earlier = a_run(definition, "completed", occurred_at=before)
    a_run(definition, "failed", occurred_at=before + timedelta(hours=1))
    run = a_run(definition, "completed_with_errors", total_rows=1100)
    page = page_of(client, run)
    facts = part(page, "run-facts")
    assert f'href="/runs/{earlier.pk}/"' in facts
    text = words(page)
    assert "Rows 1,100 1,000 +100" in text
    assert "Loaded 983 990 −7" in text
    assert "Errors 7 0 +7" in text
    assert "Error share 0.6 % 0 % +0.6 pts" in text
    assert "Took 1:00 1:00 0:00" in text


def test_fewer_rows_without_errors_are_not_worse(
    client: Client, definition: ImportDefinition
) -> None:
    before = timezone.now() - timedelta(days=1)
    a_run(definition, "completed", occurred_at=before)
    run = a_run(definition, "completed", total_rows=900, successful=890)
    assert "worse" not in part(page_of(client, run), "run-facts")


def test_starting_again_keeps_the_lineage_on_both_pages(
    client: Client, definition: ImportDefinition
) -> None:
    first = a_run(definition, "failed")
    second = a_run(definition, "running", again_of=first)
    assert f"Re-run of run {first.pk}" in words(page_of(client, second))
    assert f"Started again as run {second.pk} : Running" in words(
        page_of(client, first)
    )


def test_a_definition_changed_since_is_said(
    client: Client, definition: ImportDefinition
) -> None:
    version = DefinitionVersionFactory.create(definition=definition, digest="1" * 64)
    run = a_run(definition, "completed", definition_version=version)
    assert "It was changed after this run" in words(page_of(client, run))


def test_a_paused_account_is_not_offered_again_what_is_not_listed_is(
    client: Client, account: Account, definition: ImportDefinition
) -> None:
    run = a_run(definition, "failed")
    account.starts_paused = True
    account.save()
    assert "Start again" not in words(page_of(client, run))
    account.starts_paused = False
    account.save()
    definition.not_seen_since = timezone.now()
    definition.save()
    something_changed()
    assert "Start again" in words(page_of(client, run))


def test_a_run_of_no_known_definition_has_a_page(
    client: Client, account: Account
) -> None:
    run = ImportRunFactory.create(
        completed=True, outside=True, definition=None, account=account
    )
    page = page_of(client, run)
    assert page.status_code == 200
    assert "Started outside mcdash" in words(page)
    assert "Start again" not in words(page)


def test_stale_data_says_so(
    client: Client, account: Account, definition: ImportDefinition
) -> None:
    account.not_answering_since, account.failures_in_row = timezone.now(), 2
    account.save()
    run = a_run(definition, "running", last_checked_at=timezone.now())
    page = page_of(client, run)
    assert "as-of" in part(page, "run-head")
    assert "hasn’t answered since" in part(page, "run-following")


def test_a_copy_for_support_has_ids_and_both_clocks(
    client: Client, definition: ImportDefinition
) -> None:
    run = a_run(definition, "completed", request_id="bda5a2c0-1f2e")
    text = content(page_of(client, run)).split('id="support-text">')[1]
    text = text.split("</pre>")[0]
    for known in ("510001", "bda5a2c0-1f2e", str(run.task_id), run.customer_key):
        assert known in text
    assert " UTC (" in text
    assert "UTC−6)" in text


# The timeline


def tell(run: ImportRun, *events: tuple[float, str, dict[str, Any]]) -> None:
    for seconds, kind, details in events:
        RunEventFactory.create(
            run=run,
            kind=kind,
            at=run.occurred_at + timedelta(seconds=seconds),
            details=details,
        )


def test_the_timeline_tells_what_happened_in_order(
    client: Client, definition: ImportDefinition
) -> None:
    run = a_run(definition, "completed_with_errors")
    tell(
        run,
        (0, EventKind.QUEUED, {"origin": "dashboard"}),
        (1, EventKind.CLAIMED, {}),
        (2, EventKind.ACCEPTED, {"task_id": "129159023"}),
        (5, EventKind.PHASE, {"phase": "IOWork", "total_rows": 900}),
        (65, EventKind.ENDED, {"total_rows": 1000, "errors": 7}),
    )
    text = words(page_of(client, run))
    steps = (
        "Queued from the dashboard",
        "Start sent to Marketing Cloud one Perform request",
        "Accepted as task 129159023",
        "IOWork 900 rows",
        "Completed with errors 1,000 rows, 7 errors",
    )
    places = [text.index(step) for step in steps]
    assert places == sorted(places)
    assert "IOWork 900 rows 1:00" in text


def test_looks_that_found_the_same_are_told_once(
    client: Client, definition: ImportDefinition
) -> None:
    run = a_run(definition, "unknown")
    nothing: dict[str, Any] = {"candidates": []}
    looks = [(n, EventKind.LOOKED, nothing) for n in range(5, 12)]
    tell(run, *looks, (20, EventKind.LOOKED, {"error": "503"}))
    timeline = part(page_of(client, run), "run-timeline")
    assert timeline.count("Looked for it") == 2
    assert "no trace so far · 7 times" in timeline
    assert "no response: 503" in timeline


@pytest.mark.parametrize("kind", list(EventKind))
def test_every_kind_of_event_has_words_even_without_details(
    client: Client, definition: ImportDefinition, kind: str
) -> None:
    run = a_run(definition, "running")
    tell(run, (1, kind, {}))
    assert page_of(client, run).status_code == 200


def test_a_run_started_outside_has_their_times_in_its_timeline(
    client: Client, definition: ImportDefinition
) -> None:
    run = a_run(definition, "completed", origin="outside")
    tell(run, (9000, EventKind.ADOPTED, {"phase": "Completed"}))
    text = words(page_of(client, run))
    assert "Started outside mcdash 1:00" in text
    assert text.index("Ended: Completed") < text.index("Seen by mcdash")


def test_a_step_on_another_day_names_it(
    client: Client, definition: ImportDefinition
) -> None:
    run = a_run(definition, "lost")
    tell(run, (0, EventKind.QUEUED, {}), (200_000, EventKind.LOST, {}))
    later = timezone.localtime(run.occurred_at + timedelta(seconds=200_000))
    assert f"{later.day} {later:%B}: Lost" in words(page_of(client, run))


def test_a_copy_for_support_says_which_ids_are_not_known(
    client: Client, definition: ImportDefinition
) -> None:
    text = content(page_of(client, a_run(definition, "unknown")))
    text = text.split('id="support-text">')[1].split("</pre>")[0]
    assert "Request: not known" in text
    assert "TaskResultID: not known" in text


def test_details_in_their_words_hold_no_words_of_ours(
    client: Client, definition: ImportDefinition
) -> None:
    ours = a_run(definition, "not_started", message="It waited.", reason="expired")
    assert "It waited." not in part(page_of(client, ours), "run-facts")
    message = "Marketing Cloud refused to start the import: “No such file”."
    theirs = a_run(
        definition, "not_started", message=message, vendor_message="No such file"
    )
    facts = part(page_of(client, theirs), "run-facts")
    assert "No such file" in facts
    assert "refused to start" not in facts


def test_a_queued_run_that_no_worker_takes_says_so(
    client: Client, definition: ImportDefinition
) -> None:
    run = a_run(definition, "queued")
    assert "isn’t being sent" not in words(page_of(client, run))
    Worker.objects.all().delete()
    page = words(page_of(client, run))
    assert "This start isn’t being sent: no worker has ever responded." in page
    assert "If it waits too long, mcdash gives it up" in page
