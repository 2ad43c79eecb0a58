"""`start_import` that is left: to the worker, by Ctrl-C, or to somebody else."""

from __future__ import annotations

import time
from datetime import UTC, datetime
from typing import Any

import pytest
from django.db import connection

from imports.management.commands import start_import
from imports.marketingcloud.errors import UnavailableError
from imports.models import Account, ImportRun, RunStatus
from imports.usecases.start import cancel_run
from tests.commands.running import run
from tests.factories import AccountFactory, ImportDefinitionFactory, WorkerFactory
from tests.fakes import FakeMarketingCloud

NOON = datetime(2026, 3, 18, 12, tzinfo=UTC)
COMMAND = ("start_import", "Nordlicht DE", "customers-daily")


@pytest.fixture
def fake(cloud: FakeMarketingCloud, db: None) -> FakeMarketingCloud:
    facts = cloud.add_definition("customers-daily")
    ImportDefinitionFactory.create(
        account=AccountFactory.create(name="Nordlicht DE"),
        customer_key="customers-daily",
        object_id=facts["ObjectID"],
    )
    return cloud


def fall_silent() -> None:
    raise UnavailableError("No answer came.")


def interrupt() -> None:
    raise KeyboardInterrupt


# --- to the worker -----------------------------------------------------------------


def test_without_wait_and_without_a_worker_it_says_that_nobody_takes_it(
    fake: FakeMarketingCloud,
) -> None:
    ran = run(*COMMAND)
    assert ran.code == 0
    assert ran.err == "This start isn’t being sent: no worker has ever responded.\n"


def test_without_wait_the_run_is_queued_for_the_worker(
    fake: FakeMarketingCloud,
) -> None:
    WorkerFactory.create()
    ran = run(*COMMAND)
    one = ImportRun.objects.ours().get()
    assert (ran.code, ran.err) == (0, "")
    assert ran.out == f"Run {one.pk} is queued. The worker sends it.\n"
    assert one.status == RunStatus.QUEUED
    assert fake.performed == []


def test_without_wait_json_is_the_queued_run(fake: FakeMarketingCloud) -> None:
    ran = run(*COMMAND, "--json")
    assert ran.document == ImportRun.objects.ours().get().as_record()
    assert ran.document["status"] == "queued"


def test_with_wait_no_worker_is_needed(
    fake: FakeMarketingCloud, looks_often: None
) -> None:
    fake.before["results_of_tasks"] = fake.finish
    assert run(*COMMAND, "--wait").code == 0
    assert fake.performed == ["customers-daily"]


# --- to somebody else --------------------------------------------------------------


def test_a_run_that_a_person_cancels_meanwhile_is_not_sent(
    fake: FakeMarketingCloud,
) -> None:
    fake.before["authenticate"] = lambda: ImportRun.objects.update(status="cancelled")
    ran = run(*COMMAND, "--wait")
    assert ran.code == 1
    assert "Cancelled" in ran.out
    assert fake.performed == []


def test_a_run_that_a_worker_takes_meanwhile_is_only_watched(
    fake: FakeMarketingCloud, looks_often: None
) -> None:
    def take() -> None:
        task = fake.add_task("customers-daily")
        ImportRun.objects.update(status="running", task_id=task.task_id)

    fake.before["authenticate"] = take
    assert run(*COMMAND, "--wait").code == 0
    assert fake.performed == []
    assert ImportRun.objects.ours().get().status == RunStatus.COMPLETED


# --- while nobody can look any more ------------------------------------------------


@pytest.mark.parametrize(
    ("facts", "said"),
    [
        (
            {"is_active": False, "disabled_at": NOON},
            "the account has been disabled since 2026-03-18 12:00 UTC.",
        ),
        (
            {"credentials_refused_at": NOON},
            "Marketing Cloud has refused the account’s credentials since 2026-03-18",
        ),
    ],
)
def test_a_command_that_waits_says_why_nobody_can_look_and_ends(
    fake: FakeMarketingCloud, looks_often: None, facts: dict[str, Any], said: str
) -> None:
    fake.before["results_of_tasks"] = lambda: Account.objects.update(**facts)
    began = time.monotonic()
    ran = run(*COMMAND, "--wait", "--timeout", "60")
    assert time.monotonic() - began < 30
    assert ran.code == 4
    assert f"mcdash isn’t following this run: {said}" in ran.out
    assert "It may already have ended in Marketing Cloud." in ran.out
    assert fake.performed == ["customers-daily"]


def test_json_says_it_too(fake: FakeMarketingCloud, looks_often: None) -> None:
    disabled = {"is_active": False, "disabled_at": NOON}
    fake.before["results_of_tasks"] = lambda: Account.objects.update(**disabled)
    ran = run(*COMMAND, "--wait", "--json")
    assert ran.document["status"] == "running"
    assert ran.document["not_followed"] == "account_disabled"
    assert ran.document["not_followed_since"] == "2026-03-18T12:00:00+00:00"


def test_an_account_that_does_not_answer_is_asked_until_the_timeout(
    fake: FakeMarketingCloud, looks_often: None
) -> None:
    fake.before["results_of_tasks"] = fall_silent
    ran = run(*COMMAND, "--wait", "--timeout", "3")
    assert ran.code == 4
    assert "No response: No answer came." in ran.out
    assert "Stopped waiting" in ran.out


# --- by Ctrl-C ---------------------------------------------------------------------


def test_ctrl_c_while_queued_cancels(fake: FakeMarketingCloud) -> None:
    fake.before["authenticate"] = interrupt
    ran = run(*COMMAND, "--wait")
    assert (ran.code, ran.err) == (130, "Cancelled: nothing was sent.\n")
    one = ImportRun.objects.ours().get()
    assert one.status == RunStatus.CANCELLED
    assert one.events.last().actor_name == one.started_by_name  # type: ignore[union-attr]  # it has some
    assert fake.performed == []


def test_ctrl_c_leaves_one_json_document_too(fake: FakeMarketingCloud) -> None:
    fake.before["authenticate"] = interrupt
    ran = run(*COMMAND, "--wait", "--json")
    assert ran.code == 130
    assert ran.document == ImportRun.objects.ours().get().as_record()
    assert ran.document["status"] == "cancelled"


def test_ctrl_c_on_the_wire_says_that_the_import_may_be_running(
    fake: FakeMarketingCloud,
) -> None:
    fake.before["start_definition"] = interrupt
    ran = run(*COMMAND, "--wait")
    assert ran.code == 130
    assert "The import may be running" in ran.err
    assert ImportRun.objects.ours().get().status == RunStatus.STARTING


def test_ctrl_c_while_running_lets_the_import_go_on(
    fake: FakeMarketingCloud, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(time, "sleep", lambda _seconds: interrupt())
    ran = run(*COMMAND, "--wait")
    one = ImportRun.objects.ours().get()
    assert (ran.code, ran.err) == (130, f"Stopped waiting. Run {one.pk} continues.\n")
    assert one.status == RunStatus.RUNNING


def test_ctrl_c_just_when_a_worker_takes_the_run_cancels_nothing(
    fake: FakeMarketingCloud, monkeypatch: pytest.MonkeyPatch
) -> None:
    def take_first(**options: ImportRun) -> ImportRun:
        ImportRun.objects.update(status="starting")
        return cancel_run(**options)  # type: ignore[arg-type]  # passed on

    monkeypatch.setattr(start_import, "cancel_run", take_first)
    fake.before["authenticate"] = interrupt
    ran = run(*COMMAND, "--wait")
    assert ran.code == 130
    assert "Cancelled" not in ran.err
    assert ImportRun.objects.ours().get().status == RunStatus.STARTING


# --- a database that does not serve --------------------------------------------------


@pytest.mark.django_db(transaction=True)
def test_a_database_without_tables_is_a_sentence() -> None:
    with connection.cursor() as cursor:
        cursor.execute("ALTER TABLE imports_account RENAME TO gone")
        try:
            ran = run(*COMMAND, "--wait", "--json")
        finally:
            cursor.execute("ALTER TABLE gone RENAME TO imports_account")
    assert ran.code == 1
    assert "was “manage.py migrate” run?" in ran.document["error"]
