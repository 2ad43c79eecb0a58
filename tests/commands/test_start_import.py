"""`start_import --wait` against a sandbox: every way in which a start can end."""

from __future__ import annotations

import getpass
import os

import pytest
from django.db import OperationalError

from imports.management.commands import start_import
from imports.models import Account, ErrorKind, ImportRun, Origin, RunStatus
from imports.sandbox.server import SandboxServer
from tests.commands.running import run
from tests.factories import AccountFactory, ImportDefinitionFactory, UserFactory
from tests.fakes import FakeMarketingCloud

pytestmark = [pytest.mark.django_db, pytest.mark.usefixtures("looks_often")]

NAME = "Nordlicht DE"


def performed(sandbox: SandboxServer) -> list[str]:
    """The customer keys of all Performs that Marketing Cloud carried out."""
    return [line["customer_key"] for line in sandbox.world.performed()]


@pytest.fixture
def fake(cloud: FakeMarketingCloud) -> FakeMarketingCloud:
    """A fake whose one definition, customers-daily, mcdash knows."""
    facts = cloud.add_definition("customers-daily")
    ImportDefinitionFactory.create(
        account=AccountFactory.create(name=NAME),
        customer_key="customers-daily",
        object_id=facts["ObjectID"],
    )
    return cloud


# --- exit statuses -----------------------------------------------------------------


@pytest.mark.parametrize(
    ("key", "code", "status", "phase"),
    [
        ("customers-daily", 0, RunStatus.COMPLETED, "Completed"),
        ("price-list-full", 1, RunStatus.FAILED, "Error"),
        ("customer-consents-daily", 5, RunStatus.COMPLETED_WITH_ERRORS, "Completed"),
    ],
)
def test_the_exit_status_tells_how_the_import_ended(
    de: Account, sandbox: SandboxServer, key: str, code: int, status: str, phase: str
) -> None:
    ran = run("start_import", NAME, key, "--wait")
    assert (ran.code, ran.err) == (code, "")
    one = ImportRun.objects.ours().get()
    assert (one.status, one.phase, one.origin) == (status, phase, Origin.COMMAND)
    assert performed(sandbox) == [key]


OPEN_ROWS = {"TotalRows": "100", "NumberSuccessful": "60", "NumberDuplicated": "0"}


@pytest.mark.parametrize(
    ("counts", "words"),
    [
        (
            OPEN_ROWS | {"NumberErrors": None},
            "errors not reported, 40 rows unaccounted for",
        ),
        (
            OPEN_ROWS | {"NumberErrors": "1,000"},
            "errors not reported, 40 rows unaccounted for",
        ),
        (
            OPEN_ROWS | {"NumberErrors": "0"},
            "0 errors reported, but 40 rows are unaccounted for",
        ),
        (
            OPEN_ROWS | {"NumberErrors": "0", "NumberSuccessful": "-1"},
            "0 errors reported, but not how many of 100 rows were loaded",
        ),
        (
            {"NumberErrors": None, "TotalRows": None, "NumberSuccessful": None},
            "errors and rows not reported",
        ),
    ],
)
def test_open_counts_end_with_5_and_say_what_is_open(
    de: Account, sandbox: SandboxServer, counts: dict[str, str | None], words: str
) -> None:
    sandbox.misbehave("rows_say", customer_key="customers-daily", properties=counts)
    ran = run("start_import", NAME, "customers-daily", "--wait")
    assert (ran.code, ran.err) == (5, "")
    assert f"Not clean: {words}." in ran.out
    assert "Completed, check counts" in ran.out
    assert "with errors" not in ran.out
    assert "Completed, check counts" in run("list_runs").out
    (record,) = run("list_runs", "--json", "--origin", "command").document
    one = ImportRun.objects.ours().get()
    assert record["status"] == one.status == RunStatus.COMPLETED_WITH_ERRORS
    assert record["unaccounted_rows"] == one.unaccounted_rows


def test_a_refused_start_ends_with_1_and_the_vendors_words(
    de: Account, sandbox: SandboxServer
) -> None:
    ran = run("start_import", NAME, "outlet-stock-nightly", "--wait")
    assert ran.code == 1
    one = ImportRun.objects.ours().get()
    assert (one.status, one.error_kind) == (RunStatus.NOT_STARTED, ErrorKind.REFUSED)
    assert one.message in ran.out
    assert performed(sandbox) == []


def test_an_answer_that_got_lost_is_looked_for_and_nothing_is_sent_again(
    de: Account, sandbox: SandboxServer
) -> None:
    sandbox.misbehave("reset", when="after", operation="Perform")
    ran = run("start_import", NAME, "customers-daily", "--wait")
    assert ran.code == 0
    assert "Outcome unknown" in ran.out
    assert ImportRun.objects.ours().get().status == RunStatus.COMPLETED
    assert performed(sandbox) == ["customers-daily"]


def test_an_outcome_that_stays_unknown_ends_with_3(
    de: Account, sandbox: SandboxServer
) -> None:
    sandbox.misbehave("rows_never", operation="Perform")
    sandbox.misbehave("reset", when="after", operation="Perform")
    ran = run("start_import", NAME, "customers-daily", "--wait", "--timeout", "1")
    assert ran.code == 3
    assert "It is never sent again by itself." in ran.out
    assert ImportRun.objects.ours().get().status == RunStatus.UNKNOWN
    assert performed(sandbox) == ["customers-daily"]


def test_a_timeout_ends_with_4_and_the_import_goes_on(
    de: Account, sandbox: SandboxServer
) -> None:
    ran = run(
        "start_import", NAME, "product-catalogue-full", "--wait", "--timeout", "1"
    )
    assert ran.code == 4
    assert "is still under way; no longer waiting." in ran.out
    assert ImportRun.objects.ours().get().status == RunStatus.RUNNING
    assert performed(sandbox) == ["product-catalogue-full"]


def test_an_account_out_of_reach_ends_with_1_and_nothing_was_sent(
    de: Account, sandbox: SandboxServer
) -> None:
    run("sync_definitions")
    sandbox.stop()
    ran = run("start_import", NAME, "customers-daily", "--wait")
    assert ran.code == 1
    assert "Nothing was sent." in ran.out
    one = ImportRun.objects.ours().get()
    assert (one.status, one.error_kind, one.sent_at) == (
        RunStatus.NOT_STARTED,
        ErrorKind.UNAVAILABLE,
        None,
    )


def test_refused_credentials_end_with_1_and_mark_the_account(
    de: Account, sandbox: SandboxServer
) -> None:
    run("sync_definitions")
    sandbox.control.obey(b'{"expire_tokens": true}')
    sandbox.misbehave("refused", operation="token", times=None)
    ran = run("start_import", NAME, "customers-daily", "--wait")
    assert ran.code == 1
    assert ImportRun.objects.ours().get().error_kind == ErrorKind.CREDENTIALS_REFUSED
    de.refresh_from_db()
    assert de.credentials_refused_at is not None
    assert performed(sandbox) == []


def test_a_database_that_stops_serving_ends_with_3(
    fake: FakeMarketingCloud, monkeypatch: pytest.MonkeyPatch
) -> None:
    def fail(**_: object) -> None:
        raise OperationalError("disk I/O error")

    monkeypatch.setattr(start_import, "refresh_runs", fail)
    ran = run("start_import", NAME, "customers-daily", "--wait")
    assert ran.code == 3
    assert "stopped serving (disk I/O error)" in ran.err
    assert "The import may be running" in ran.err


# --- what is shown -----------------------------------------------------------------


def test_the_phases_walk_by_and_the_counts_come_last(
    fake: FakeMarketingCloud,
) -> None:
    fake.before["results_of_tasks"] = fake.advance
    lines = run("start_import", NAME, "customers-daily", "--wait").out.splitlines()
    one = ImportRun.objects.ours().get()
    task = f"task {one.task_id}"
    assert [line.partition(f"Run {one.pk}  ")[2] for line in lines] == [
        "Queued",
        f"Running  {task}",
        f"Running  New  {task}",
        f"Running  Processing  {task}  333 rows  330 loaded  3 duplicates  0 errors",
        f"Running  IOWork  {task}  666 rows  660 loaded  6 duplicates  0 errors",
        f"Completed  Completed  {task}  1,000 rows  990 loaded  10 duplicates  "
        "0 errors",
    ]


def test_json_is_one_document_that_says_how_it_ended(de: Account) -> None:
    ran = run("start_import", NAME, "customer-consents-daily", "--wait", "--json")
    assert (ran.code, ran.err) == (5, "")
    one = ImportRun.objects.ours().get()
    assert ran.document == one.as_record()
    assert ran.document["errors"] > 0


def test_every_step_is_in_the_timeline(de: Account) -> None:
    run("start_import", NAME, "customers-daily", "--wait")
    kinds = list(ImportRun.objects.ours().get().events.values_list("kind", flat=True))
    assert kinds[:3] == ["queued", "claimed", "accepted"]
    assert kinds[-1] == "ended"


def test_an_account_that_does_not_answer_in_between_is_asked_again(
    fake: FakeMarketingCloud,
) -> None:
    from imports.marketingcloud.errors import OutcomeUnknownError

    fake.fail("results_of_tasks", OutcomeUnknownError("It broke off.\x1b[2J"))
    fake.after["results_of_tasks"] = fake.finish
    ran = run("start_import", NAME, "customers-daily", "--wait")
    assert ran.code == 0
    assert r"Not answering: It broke off.\x1b[2J" in ran.out
    assert fake.performed == ["customers-daily"]


# --- which definition --------------------------------------------------------------


def test_a_key_that_is_not_known_yet_is_looked_for_once(
    de: Account, sandbox: SandboxServer
) -> None:
    assert run("start_import", NAME, "customers-daily", "--wait").code == 0
    assert de.definitions.count() == 26
    before = sandbox.calls.count("Retrieve")
    ran = run("start_import", NAME, "no-such-key", "--wait")
    assert ran.code == 1
    assert "has no definition with the customer key “no-such-key”" in ran.err
    assert sandbox.calls.count("Retrieve") > before
    assert ImportRun.objects.ours().count() == 1


def test_a_key_that_cannot_be_looked_for_is_told(
    de: Account, sandbox: SandboxServer
) -> None:
    sandbox.stop()
    ran = run("start_import", NAME, "customers-daily", "--json")
    assert ran.code == 1
    assert "definitions could not be fetched" in ran.document["error"]
    assert not ImportRun.objects.ours().exists()


def test_an_unknown_account_is_refused_with_the_known_names(de: Account) -> None:
    ran = run("start_import", "Nordlicht NO", "customers-daily", "--wait")
    assert (ran.code, ran.out) == (1, "")
    assert "Known accounts: “Nordlicht DE”." in ran.err


def test_a_definition_under_way_is_not_started_twice(
    fake: FakeMarketingCloud,
) -> None:
    assert run("start_import", NAME, "customers-daily").code == 0
    first = ImportRun.objects.ours().get()
    ran = run("start_import", NAME, "customers-daily", "--wait", "--json")
    assert ran.code == 1
    assert f"run {first.pk} was started by {first.started_by_name}" in ran.err
    assert ran.document == {"error": ran.err.rstrip("\n")}
    assert ImportRun.objects.ours().count() == 1
    assert fake.performed == []


def test_an_account_with_paused_starts_takes_none(fake: FakeMarketingCloud) -> None:
    Account.objects.update(starts_paused=True)
    ran = run("start_import", NAME, "customers-daily", "--wait")
    assert ran.code == 1
    assert "Starts are paused" in ran.err
    assert not ImportRun.objects.ours().exists()


# --- who started it ----------------------------------------------------------------


def test_as_names_the_person(fake: FakeMarketingCloud) -> None:
    mia = UserFactory.create(username="mia", first_name="Mia", last_name="Berg")
    run("start_import", NAME, "customers-daily", "--as", "mia")
    one = ImportRun.objects.ours().get()
    assert (one.started_by, one.started_by_name) == (mia, mia.shown_name)


def test_an_unknown_person_starts_nothing(fake: FakeMarketingCloud) -> None:
    ran = run("start_import", NAME, "customers-daily", "--wait", "--as", "nobody")
    assert (ran.code, ran.err) == (1, "There is no user “nobody”.\n")
    assert not ImportRun.objects.ours().exists()


def test_without_as_it_is_the_systems_login(fake: FakeMarketingCloud) -> None:
    run("start_import", NAME, "customers-daily")
    one = ImportRun.objects.ours().get()
    assert (one.started_by, one.started_by_name) == (None, getpass.getuser())


def test_a_login_without_a_name_is_its_number(
    fake: FakeMarketingCloud, monkeypatch: pytest.MonkeyPatch
) -> None:
    def fail() -> str:
        raise KeyError("getpwuid(): uid not found")

    monkeypatch.setattr(getpass, "getuser", fail)
    run("start_import", NAME, "customers-daily")
    assert ImportRun.objects.ours().get().started_by_name == f"uid {os.getuid()}"


# --- usage -------------------------------------------------------------------------


@pytest.mark.parametrize(
    "arguments",
    [
        (),
        (NAME,),
        (NAME, "customers-daily", "--timeout", "0"),
        (NAME, "customers-daily", "--timeout", "soon"),
        (NAME, "customers-daily", "--as"),
        (NAME, "customers-daily", "--again"),
    ],
)
def test_wrong_usage_ends_with_2(arguments: tuple[str, ...]) -> None:
    ran = run("start_import", *arguments)
    assert (ran.code, ran.out) == (2, "")
    assert "usage: manage.py start_import" in ran.err
    assert not ImportRun.objects.ours().exists()
