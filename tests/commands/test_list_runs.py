"""`list_runs`: the history as a table and as JSON."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

import pytest

from imports.models import Account, Origin
from tests.commands.running import run
from tests.factories import AccountFactory, ImportDefinitionFactory, ImportRunFactory

pytestmark = pytest.mark.django_db

NOON = datetime(2026, 3, 18, 12, tzinfo=UTC)
FIELDS = [
    *("id", "account", "customer_key", "status", "phase", "task_id"),
    *("total_rows", "successful", "duplicated", "errors", "origin", "started_by"),
    *("queued_at", "started_at", "finished_at", "message"),
    *("reason", "vendor_message"),
    *("unaccounted_rows", "not_followed", "not_followed_since"),
]


def test_each_run_has_the_fields_of_the_interface_in_order() -> None:
    definition = ImportDefinitionFactory.create(
        account__name="Nordlicht DE", customer_key="customers-daily"
    )
    one = ImportRunFactory.create(
        completed_with_errors=True,
        definition=definition,
        occurred_at=NOON,
        task_id="129159023",
        started_by_name="Mia",
    )
    (record,) = run("list_runs", "--json").document
    assert list(record) == FIELDS
    assert record == {
        "id": one.pk,
        "account": "Nordlicht DE",
        "customer_key": "customers-daily",
        "status": "completed_with_errors",
        "phase": "Completed",
        "task_id": "129159023",
        "total_rows": 1000,
        "successful": 983,
        "duplicated": 10,
        "errors": 7,
        "origin": "dashboard",
        "started_by": "Mia",
        "queued_at": "2026-03-18T12:00:00+00:00",
        "started_at": "2026-03-18T12:00:03+00:00",
        "finished_at": "2026-03-18T12:01:03+00:00",
        "message": "",
        "reason": "",
        "vendor_message": "",
        "not_followed": None,
        "not_followed_since": None,
        "unaccounted_rows": 0,
    }


def test_what_is_unknown_is_null_and_a_dash_and_never_0() -> None:
    ImportRunFactory.create(failed=True)
    (record,) = run("list_runs", "--json").document
    counts = ("total_rows", "successful", "duplicated", "errors")
    assert [record[name] for name in counts] == [None] * 4
    line = run("list_runs").out.splitlines()[1]
    assert line.split()[-5:-3] == ["–", "–"]


def test_the_newest_run_comes_first() -> None:
    for hours in (1, 3, 2):
        ImportRunFactory.create(
            completed=True, occurred_at=NOON + timedelta(hours=hours)
        )
    document = run("list_runs", "--json").document
    assert [record["queued_at"][11:13] for record in document] == ["15", "14", "13"]


def test_the_limit_keeps_the_newest() -> None:
    for hours in range(3):
        ImportRunFactory.create(
            completed=True, occurred_at=NOON + timedelta(hours=hours)
        )
    document = run("list_runs", "--json", "--limit", "2").document
    assert [record["queued_at"][11:13] for record in document] == ["14", "13"]
    assert len(run("list_runs", "--limit", "1").out.splitlines()) == 2


def test_fifty_are_listed_unless_told_otherwise() -> None:
    definition = ImportDefinitionFactory.create()
    ImportRunFactory.create_batch(51, completed=True, definition=definition)
    assert len(run("list_runs", "--json").document) == 50


def test_filters_narrow_the_list_together() -> None:
    de, se = (AccountFactory.create(name=f"Nordlicht {name}") for name in ("DE", "SE"))
    for account in (de, se):
        definition = ImportDefinitionFactory.create(account=account)
        ImportRunFactory.create(completed=True, definition=definition)
        ImportRunFactory.create(failed=True, definition=definition, outside=True)
        ImportRunFactory.create(completed=True, definition=definition, outside=True)

    def found(*filters: str) -> list[tuple[str, str, str]]:
        return sorted(
            (record["account"], record["status"], record["origin"])
            for record in run("list_runs", "--json", *filters).document
        )

    assert len(found()) == 6
    assert {one[0] for one in found("--account", "Nordlicht SE")} == {"Nordlicht SE"}
    assert {one[1] for one in found("--status", "failed")} == {"failed"}
    assert len(found("--origin", Origin.OUTSIDE)) == 4
    assert found(
        *("--account", "Nordlicht DE"),
        *("--status", "completed", "--origin", "outside"),
    ) == [("Nordlicht DE", "completed", "outside")]


def test_an_empty_list_is_an_empty_array() -> None:
    assert run("list_runs", "--json").document == []
    assert run("list_runs").out == "No run matches.\n"


def test_the_table_names_its_columns_and_shows_words() -> None:
    ImportRunFactory.create(
        completed=True,
        occurred_at=NOON,
        definition__customer_key="customers-daily",
        definition__account__name="Nordlicht DE",
    )
    head, line = run("list_runs").out.splitlines()
    assert head.split() == [
        "RUN",
        "STATUS",
        "DEFINITION",
        "ACCOUNT",
        "ROWS",
        "ERRORS",
        "AT",
    ]
    for words in ("Completed", "customers-daily", "Nordlicht DE", "1,000"):
        assert words in line
    assert line.endswith("2026-03-18 12:00 UTC")


def test_a_key_from_outside_cannot_command_the_terminal() -> None:
    ImportRunFactory.create(completed=True, definition__customer_key="a\x1b[2Jb\nc")
    out = run("list_runs").out
    assert r"a\x1b[2Jb\nc" in out
    assert len(out.splitlines()) == 2


@pytest.mark.parametrize(
    "arguments",
    [
        ("--status", "finished"),
        ("--origin", "nowhere"),
        ("--limit", "0"),
        ("--limit", "-1"),
        ("--limit", "many"),
        ("extra",),
    ],
)
def test_wrong_usage_ends_with_2(arguments: tuple[str, ...]) -> None:
    ran = run("list_runs", *arguments)
    assert (ran.code, ran.out) == (2, "")
    assert "usage: manage.py list_runs" in ran.err


def test_an_unknown_account_is_refused() -> None:
    ran = run("list_runs", "--account", "Nordlicht NO")
    assert (ran.code, ran.out) == (1, "")
    assert "There is no account “Nordlicht NO”" in ran.err


def test_a_run_that_nobody_looks_at_is_told_of_with_the_reason() -> None:
    one = ImportRunFactory.create(running=True)
    Account.objects.update(is_active=False, disabled_at=NOON)
    ran = run("list_runs")
    said = "the account has been disabled since 2026-03-18 12:00 UTC."
    assert ran.out.splitlines()[-1] == (
        f"Run {one.pk}: mcdash isn’t following this run: {said}"
    )
    (record,) = run("list_runs", "--json").document
    assert record["not_followed"] == "account_disabled"
    assert record["not_followed_since"] == "2026-03-18T12:00:00+00:00"
