"""`sync_definitions`, `refresh_runs`, `adopt_runs`: one pass now, in this process."""

from __future__ import annotations

import pytest
from django.db import connection

from imports.marketingcloud.errors import UnavailableError
from imports.models import (
    Account,
    ImportDefinition,
    ImportRun,
    Lease,
    Origin,
    RunStatus,
)
from imports.sandbox.server import SandboxServer
from tests.commands.running import run
from tests.factories import AccountFactory, ImportDefinitionFactory, ImportRunFactory
from tests.fakes import FakeDoor, FakeMarketingCloud

PASSES = ("sync_definitions", "refresh_runs", "adopt_runs")


def running(cloud: FakeMarketingCloud, account: Account) -> ImportRun:
    """A run of `account` whose task the fake knows, at its first step."""
    definition = ImportDefinitionFactory.create(account=account)
    task = cloud.add_task(definition.customer_key, step=0)
    return ImportRunFactory.create(
        running=True, definition=definition, task_id=task.task_id, phase=""
    )


# --- sync --------------------------------------------------------------------------


def test_sync_stores_what_the_account_has(de: Account, se: Account) -> None:
    ran = run("sync_definitions")
    assert (ran.code, ran.err) == (0, "")
    assert ran.out.splitlines() == [
        "Nordlicht DE: 26 definitions, 26 new, 0 changed, 0 not listed, "
        "0 believed gone.",
        "Nordlicht SE: 15 definitions, 15 new, 0 changed, 0 not listed, "
        "0 believed gone.",
    ]
    assert ImportDefinition.objects.count() == 41


def test_sync_of_named_accounts_leaves_the_others(de: Account, se: Account) -> None:
    ran = run("sync_definitions", "Nordlicht SE", "--json")
    assert ran.document == [
        {
            "account": "Nordlicht SE",
            "error": None,
            "seen": 15,
            "created": 15,
            "changed": 0,
            "missing": 0,
            "gone": 0,
            "is_doubted": False,
            "refused_properties": [],
        }
    ]
    assert not de.definitions.exists()


def test_a_refused_property_is_told_and_the_rest_is_synced(
    de: Account, sandbox: SandboxServer
) -> None:
    sandbox.misbehave("property_refused", property="NullRepresentation")
    ran = run("sync_definitions")
    assert ran.code == 0
    assert "26 definitions" in ran.out
    assert "Not readable here: ImportDefinition:NullRepresentation." in ran.out


@pytest.mark.parametrize("takes_in", [True, False])
def test_what_is_there_but_not_listed_is_found_by_name(
    de: Account, sandbox: SandboxServer, takes_in: bool
) -> None:
    if not takes_in:
        sandbox.misbehave("in_refused")
    run("sync_definitions")
    sandbox.misbehave("not_listed", key="customers-daily")
    ran = run("sync_definitions")
    assert ran.out == (
        "Nordlicht DE: 25 definitions, 0 new, 0 changed, 0 not listed, "
        "0 believed gone.\n"
    )
    assert not de.definitions.exclude(not_listed_since=None).exists()


# --- refresh -----------------------------------------------------------------------


def test_refresh_asks_once_for_all_running_runs(
    door: FakeDoor, cloud: FakeMarketingCloud, db: None
) -> None:
    account = AccountFactory.create(name="Nordlicht DE")
    runs = [running(cloud, account) for _ in range(3)]
    cloud.finish()
    ran = run("refresh_runs", "Nordlicht DE", "--json")
    assert ran.document == [
        {
            "account": "Nordlicht DE",
            "error": None,
            "checked": 3,
            "changed": 3,
            "ended": 3,
            "without_row": 0,
        }
    ]
    assert cloud.calls["results_of_tasks"] == 1
    for one in runs:
        one.refresh_from_db()
        assert one.status == RunStatus.COMPLETED


def test_refresh_tells_what_it_found(
    door: FakeDoor, cloud: FakeMarketingCloud, db: None
) -> None:
    running(cloud, AccountFactory.create(name="Nordlicht DE"))
    cloud.is_late = True
    assert run("refresh_runs").out == (
        "Nordlicht DE: 1 running runs looked at, 0 changed, 0 ended, "
        "1 without a row yet.\n"
    )


# --- adopt -------------------------------------------------------------------------


def test_adopt_enters_what_others_started_once(
    de: Account, sandbox: SandboxServer
) -> None:
    run("sync_definitions")
    sandbox.world.row_delay_seconds = 0
    task = sandbox.world.start_outside("Nordlicht DE", "customers-daily")
    (report,) = run("adopt_runs", "--json").document
    assert report["adopted"] == report["rows"] == ImportRun.objects.count() > 1
    assert report["waiting"] == 0
    assert ImportRun.objects.get(task_id=str(task.task_id)).origin == Origin.OUTSIDE
    (again,) = run("adopt_runs", "--json").document
    assert again["adopted"] == 0


def test_adopt_tells_what_it_found(
    door: FakeDoor, cloud: FakeMarketingCloud, db: None
) -> None:
    definition = ImportDefinitionFactory.create(account__name="Nordlicht DE")
    cloud.add_task(definition.customer_key)
    assert run("adopt_runs").out == (
        "Nordlicht DE: 1 results read, 1 runs adopted, "
        "0 waiting for a start that is not settled.\n"
    )


# --- what all three share ----------------------------------------------------------


@pytest.mark.parametrize("name", PASSES)
def test_without_names_only_active_accounts_are_passed_over(
    name: str, door: FakeDoor, db: None
) -> None:
    AccountFactory.create(name="Nordlicht DE")
    AccountFactory.create(name="Nordlicht NO", is_active=False)
    document = run(name, "--json").document
    assert [report["account"] for report in document] == ["Nordlicht DE"]


@pytest.mark.parametrize("name", PASSES)
def test_one_bad_account_does_not_keep_the_others_waiting(
    name: str, door: FakeDoor, db: None
) -> None:
    bad = AccountFactory.create(name="Nordlicht DE")
    AccountFactory.create(name="Nordlicht SE")
    running(door.usual, bad)
    door.refuses[bad.pk] = UnavailableError("It could not be reached.")
    ran = run(name)
    assert ran.code == 1
    assert ran.err == "Nordlicht DE: It could not be reached.\n"
    assert ran.out.startswith("Nordlicht SE: ")


@pytest.mark.parametrize("name", PASSES)
def test_a_failure_is_in_the_one_json_document(
    name: str, door: FakeDoor, db: None
) -> None:
    bad = AccountFactory.create(name="Nordlicht DE")
    running(door.usual, bad)
    door.refuses[bad.pk] = UnavailableError("It could not be reached.")
    ran = run(name, "--json")
    assert (ran.code, ran.err) == (1, "")
    assert ran.document == [
        {"account": "Nordlicht DE", "error": "It could not be reached."}
    ]


@pytest.mark.parametrize("name", PASSES)
def test_an_account_that_another_process_is_at_is_told(
    name: str, door: FakeDoor, db: None
) -> None:
    account = AccountFactory.create(name="Nordlicht DE")
    lease = f"{name.partition('_')[0]}:{account.pk}"
    assert Lease.objects.acquire(lease, holder="somebody else", seconds=60)
    ran = run(name)
    assert ran.code == 1
    assert "Another process is already doing this" in ran.err


@pytest.mark.parametrize("name", PASSES)
def test_a_pass_leaves_no_lease_behind(name: str, door: FakeDoor, db: None) -> None:
    AccountFactory.create(name="Nordlicht DE")
    assert [run(name).code, run(name).code] == [0, 0]


@pytest.mark.parametrize("name", PASSES)
def test_an_unknown_name_ends_the_command_before_anything_is_asked(
    name: str, door: FakeDoor, cloud: FakeMarketingCloud, db: None
) -> None:
    AccountFactory.create(name="Nordlicht DE")
    ran = run(name, "Nordlicht DE", "Nordlicht NO", "--json")
    assert ran.code == 1
    assert "There is no account “Nordlicht NO”" in ran.document["error"]
    assert "There is no account “Nordlicht NO”" in ran.err
    assert not cloud.calls


@pytest.mark.parametrize("name", PASSES)
def test_no_account_at_all_says_what_to_do(name: str, db: None) -> None:
    ran = run(name)
    assert (ran.code, ran.out) == (
        0,
        "There is no active account. Add one with add_account.\n",
    )
    assert run(name, "--json").document == []


@pytest.mark.parametrize("name", PASSES)
def test_an_unknown_option_ends_with_2(name: str, db: None) -> None:
    ran = run(name, "--all")
    assert (ran.code, ran.out) == (2, "")
    assert f"usage: manage.py {name}" in ran.err


# --- a database that does not serve --------------------------------------------------


@pytest.mark.django_db(transaction=True)
@pytest.mark.parametrize("name", [*PASSES, "list_runs"])
def test_a_database_without_tables_is_a_sentence(name: str) -> None:
    with connection.cursor() as cursor:
        for table in ("imports_account", "imports_importrun"):
            cursor.execute(f"ALTER TABLE {table} RENAME TO {table}_gone")
        try:
            ran = run(name)
        finally:
            for table in ("imports_account", "imports_importrun"):
                cursor.execute(f"ALTER TABLE {table}_gone RENAME TO {table}")
    assert (ran.code, ran.out) == (1, "")
    assert "was “manage.py migrate” run?" in ran.err
    assert "Traceback" not in ran.err
