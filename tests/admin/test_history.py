from __future__ import annotations

from datetime import timedelta
from typing import Any

import pytest
from django.db import connection
from django.test import Client
from django.test.utils import CaptureQueriesContext
from django.utils import timezone

from imports.admin import base
from imports.admin.history import AuditEntryAdmin, ImportRunAdmin
from imports.models import ImportRun
from tests.factories import (
    AccountFactory,
    AuditEntryFactory,
    ImportDefinitionFactory,
    ImportRunFactory,
    RunEventFactory,
)

RUNS = "/admin/imports/importrun/"
AUDIT = "/admin/imports/auditentry/"


def shown(client: Client, query: dict[str, Any] | None = None) -> list[ImportRun]:
    return list(client.get(RUNS, query or {}).context["cl"].result_list)


@pytest.mark.parametrize(
    "tail",
    [
        "",
        "?q=customers",
        "?status__exact=completed",
        "?occurred_at__gte=2020-01-01+00:00:00Z&occurred_at__lt=2030-01-01+00:00:00Z",
        "?_facets=True",
        "?all=",
        "?p=2",
    ],
)
def test_no_page_of_runs_counts_them(
    admin: Client, monkeypatch: pytest.MonkeyPatch, tail: str
) -> None:
    monkeypatch.setattr(ImportRunAdmin, "list_per_page", 2)
    ImportRunFactory.create_batch(5, completed=True)
    with CaptureQueriesContext(
        connection,
    ) as queries:
        assert admin.get(RUNS + tail).status_code == 200
    asked = [q["sql"] for q in queries if "imports_importrun" in q["sql"]]
    assert asked
    assert not [sql for sql in asked if "COUNT(" in sql.upper()]


def test_a_runs_own_page_counts_no_runs(admin: Client) -> None:
    run = RunEventFactory.create().run
    with CaptureQueriesContext(connection) as queries:
        admin.get(f"{RUNS}{run.pk}/change/")
    assert not [q for q in queries if "COUNT(" in q["sql"].upper()]


def test_every_run_is_on_exactly_one_page_the_newest_first(
    admin: Client, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(ImportRunAdmin, "list_per_page", 2)
    runs = ImportRunFactory.create_batch(5, completed=True)
    pages = [shown(admin, {"p": str(number)}) for number in (1, 2, 3)]
    assert [len(page) for page in pages] == [2, 2, 1]
    assert [run.pk for page in pages for run in page] == sorted(
        (run.pk for run in runs), reverse=True
    )


def test_a_full_last_page_names_no_page_after_it(
    admin: Client, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(ImportRunAdmin, "list_per_page", 2)
    ImportRunFactory.create_batch(4, completed=True)
    assert "?p=2" in admin.get(RUNS).content.decode()
    assert "?p=3" not in admin.get(RUNS, {"p": "2"}).content.decode()


@pytest.mark.parametrize("number", ["3", "0", "-1", "x", "1001", "9" * 40])
def test_a_page_that_does_not_exist_leads_back_to_the_list(
    admin: Client, monkeypatch: pytest.MonkeyPatch, number: str
) -> None:
    monkeypatch.setattr(ImportRunAdmin, "list_per_page", 2)
    ImportRunFactory.create_batch(3, completed=True)
    response = admin.get(RUNS, {"p": number}, follow=True)
    assert response.status_code == 200
    assert len(response.context["cl"].result_list) == 2


def test_the_list_says_nothing_about_a_number_of_runs(admin: Client) -> None:
    ImportRunFactory.create_batch(3, completed=True)
    page = admin.get(RUNS, {"q": "customers"}).content.decode()
    assert "3 import runs" not in page
    assert "3 results" not in page
    assert "None found." in admin.get(RUNS, {"q": "nothing"}).content.decode()


def test_runs_are_found_by_number_task_and_beginning_of_the_key(admin: Client) -> None:
    definition = ImportDefinitionFactory.create(customer_key="prices-daily")
    ours = ImportRunFactory.create(definition=definition, running=True)
    orphan = ImportRunFactory.create(
        definition=None, customer_key="prices-old", outside=True, completed=True
    )
    ImportRunFactory.create(completed=True)
    assert shown(admin, {"q": f" {ours.pk} "}) == [ours]
    assert shown(admin, {"q": ours.task_id}) == [ours]
    assert shown(admin, {"q": "prices-"}) == [orphan, ours]
    assert shown(admin, {"q": "daily"}) == []


@pytest.mark.parametrize(
    "text", ["%", "'", "9" * 40, "٣", "²", "\x00", "<b>", "a" * 5000, "😀"]
)
def test_any_text_may_be_searched_for(admin: Client, text: str) -> None:
    ImportRunFactory.create(completed=True)
    assert admin.get(RUNS, {"q": text}).status_code == 200
    assert admin.get(AUDIT, {"q": text}).status_code == 200


def test_runs_are_filtered_by_period_through_the_accounts_index(
    admin: Client,
) -> None:
    now = timezone.now()
    recent = ImportRunFactory.create(completed=True, occurred_at=now)
    ImportRunFactory.create(completed=True, occurred_at=now - timedelta(days=9))
    period = {
        "occurred_at__gte": (now - timedelta(days=7)).isoformat(),
        "occurred_at__lt": (now + timedelta(days=1)).isoformat(),
    }
    assert shown(admin, period) == [recent]


def test_a_malformed_filter_leads_back_to_the_list(admin: Client) -> None:
    response = admin.get(RUNS, {"occurred_at__gte": "never"}, follow=True)
    assert response.status_code == 200


def test_the_audit_is_filtered_by_action_account_and_person(admin: Client) -> None:
    account = AccountFactory.create()
    mine = AuditEntryFactory.create(
        account=account,
        action="starts_paused",
        actor_name="Marie Curie",
        object_id="98765",
        object_label="Run 98765: Customers daily",
    )
    AuditEntryFactory.create(action="user_changed")

    def found(query: dict[str, Any]) -> list[Any]:
        return list(admin.get(AUDIT, query).context["cl"].result_list)

    assert found({"action": "starts_paused"}) == [mine]
    assert found({"account__id__exact": account.pk}) == [mine]
    assert found({"actor__id__exact": mine.actor_id}) == [mine]
    assert found({"q": "curie"}) == found({"q": "customers"}) == [mine]
    assert found({"q": mine.object_id}) == [mine]
    day = {"at__gte": "2020-01-01 00:00:00Z", "at__lt": "2020-01-02 00:00:00Z"}
    assert found(day) == []
    assert "Starts paused" in admin.get(AUDIT).content.decode()


@pytest.mark.parametrize(
    "tail", ["?", "?q=n&", "?action=account.check&", "?at__gte=2020-01-01+00:00:00Z&"]
)
def test_the_audit_is_not_counted(
    admin: Client, monkeypatch: pytest.MonkeyPatch, tail: str
) -> None:
    monkeypatch.setattr(AuditEntryAdmin, "list_per_page", 2)
    AuditEntryFactory.create_batch(3)
    with CaptureQueriesContext(connection) as queries:
        assert "p=2" in admin.get(AUDIT + tail).content.decode()
    assert not [q for q in queries if "COUNT(" in q["sql"].upper()]


def test_deep_pages_end_somewhere(
    admin: Client, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(ImportRunAdmin, "list_per_page", 2)
    monkeypatch.setattr(base, "LAST_PAGE", 2)
    runs = ImportRunFactory.create_batch(5, completed=True)
    assert shown(admin, {"p": "2"}) == [runs[2], runs[1]]
    response = admin.get(RUNS, {"p": "3"}, follow=True)
    assert response.redirect_chain
    assert list(response.context["cl"].result_list) == [runs[4], runs[3]]
