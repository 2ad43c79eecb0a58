"""`start_import --wait` against a sandbox: every way in which a start can end."""

from __future__ import annotations

import getpass
import os
from datetime import UTC, datetime
from typing import Any

import pytest
from django.db import OperationalError

from imports.management.commands import start_import
from imports.marketingcloud.errors import UnavailableError
from imports.models import (
    AccessLevel,
    Account,
    ImportDefinition,
    ImportRun,
    Origin,
    Reason,
    RunStatus,
)
from imports.sandbox.server import SandboxServer
from imports.wording.formats import clock_text
from tests.commands.running import run
from tests.factories import AccountFactory, ImportDefinitionFactory, UserFactory, grant
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
    assert (one.status, one.reason) == (RunStatus.NOT_STARTED, Reason.NOT_VALID)
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
    assert "mcdash never sends it again." in ran.out
    assert ImportRun.objects.ours().get().status == RunStatus.UNKNOWN
    assert performed(sandbox) == ["customers-daily"]


def test_a_timeout_ends_with_4_and_the_import_goes_on(
    de: Account, sandbox: SandboxServer
) -> None:
    ran = run(
        "start_import", NAME, "product-catalogue-full", "--wait", "--timeout", "1"
    )
    assert ran.code == 4
    assert "is still running. Stopped waiting." in ran.out
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
    assert (one.status, one.reason, one.sent_at) == (
        RunStatus.NOT_STARTED,
        Reason.UNREACHABLE,
        None,
    )


def test_refused_credentials_end_with_1_and_mark_the_account(
    de: Account, sandbox: SandboxServer
) -> None:
    run("sync_definitions")
    sandbox.control.post(b'{"expire_tokens": true}')
    sandbox.misbehave("refused", operation="token", times=None)
    ran = run("start_import", NAME, "customers-daily", "--wait")
    assert ran.code == 1
    assert ImportRun.objects.ours().get().reason == Reason.CREDENTIALS_REFUSED
    de.refresh_from_db()
    assert de.credentials_refused_at is not None
    assert performed(sandbox) == []


def test_a_database_that_stops_serving_ends_with_3(
    fake: FakeMarketingCloud, monkeypatch: pytest.MonkeyPatch
) -> None:
    def fail(**_: object) -> None:
        raise OperationalError("disk I/O error")

    monkeypatch.setattr(start_import, "look_at_run", fail)
    ran = run("start_import", NAME, "customers-daily", "--wait")
    assert ran.code == 3
    assert "stopped responding (disk I/O error)" in ran.err
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
    followed = {"not_followed": None, "not_followed_since": None}
    assert ran.document == one.as_record() | followed
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
    assert r"No response: It broke off.\x1b[2J" in ran.out
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
    quick: FakeMarketingCloud,
) -> None:
    assert run("start_import", NAME, "customers-daily").code == 0
    first = ImportRun.objects.ours().get()
    ran = run("start_import", NAME, "customers-daily", "--wait", "--json")
    assert ran.code == 1
    assert f"run {first.pk} was started by {first.started_by_name}" in ran.err
    assert ran.document == {"error": ran.err.rstrip("\n")}
    assert ImportRun.objects.ours().count() == 1
    assert quick.performed == []


def test_an_account_with_paused_starts_takes_none(quick: FakeMarketingCloud) -> None:
    Account.objects.update(starts_paused=True)
    ran = run("start_import", NAME, "customers-daily", "--wait")
    assert ran.code == 1
    assert "Starts are paused" in ran.err
    assert not ImportRun.objects.ours().exists()


# --- which definition --------------------------------------------------------------


@pytest.fixture
def quick(fake: FakeMarketingCloud) -> FakeMarketingCloud:
    """The fake, in which every task ends at once."""
    fake.after["start_definition"] = fake.finish
    return fake


SINCE = datetime(2026, 3, 18, 9, 14, tzinfo=UTC)


def with_one_key(cloud: FakeMarketingCloud, **marks: Any) -> ImportDefinition:
    """Another definition of the key customers-daily."""
    facts = cloud.add_definition("customers-daily", Name="Customers, the other")
    made: ImportDefinition = ImportDefinitionFactory.create(
        account=Account.objects.get(),
        customer_key="customers-daily",
        object_id=facts["ObjectID"],
        name="Customers, the other",
        **marks,
    )
    return made


def test_an_empty_key_does_not_start_the_definition_without_one(
    fake: FakeMarketingCloud,
) -> None:
    ImportDefinitionFactory.create(account=Account.objects.get(), customer_key="")
    ran = run("start_import", NAME, "")
    assert ran.code == 2
    assert "has no visible characters" in ran.err
    assert not ImportRun.objects.exists()


def test_a_definition_without_a_key_is_started_by_its_object_id(
    quick: FakeMarketingCloud,
) -> None:
    facts = quick.add_definition("")
    keyless = ImportDefinitionFactory.create(
        account=Account.objects.get(), customer_key="", object_id=facts["ObjectID"]
    )
    ran = run("start_import", NAME, "--object-id", facts["ObjectID"].upper(), "--wait")
    assert (ran.code, ran.err) == (0, "")
    assert ImportRun.objects.ours().get().definition == keyless
    assert quick.performed_ids == [keyless.object_id]


@pytest.mark.parametrize("wait", [(), ("--wait",), ("--json",)])
def test_two_definitions_with_one_key_are_told_and_neither_started(
    quick: FakeMarketingCloud, wait: tuple[str, ...]
) -> None:
    first, other = ImportDefinition.objects.get(), with_one_key(quick)
    ran = run("start_import", NAME, "customers-daily", *wait)
    assert ran.code == 2
    assert "has 2 definitions with the customer key “customers-daily”" in ran.err
    for one in (first, other):
        assert f"“{one.name}”, ObjectID {one.object_id}\n" in ran.err
    assert "with --object-id" in ran.err
    assert quick.performed == []
    assert not ImportRun.objects.exists()


@pytest.mark.parametrize("key", [("customers-daily",), ()])
def test_the_one_of_the_object_id_is_what_runs(
    quick: FakeMarketingCloud, key: tuple[str, ...]
) -> None:
    other = with_one_key(quick)
    named = (NAME, *key, "--object-id", str(other.object_id))
    ran = run("start_import", *named, "--wait")
    assert ran.code == 0
    assert ImportRun.objects.ours().get().definition == other
    assert quick.performed_ids == [other.object_id]


def test_an_object_id_of_another_key_or_account_is_not_taken(
    fake: FakeMarketingCloud,
) -> None:
    elsewhere = ImportDefinitionFactory.create()
    mine = ImportDefinition.objects.get(customer_key="customers-daily")
    for key, one in (("customers-daily", elsewhere), ("another-key", mine)):
        ran = run("start_import", NAME, key, "--object-id", str(one.object_id))
        assert ran.code == 1
        assert f"and the ObjectID “{one.object_id}”" in ran.err
    assert not ImportRun.objects.exists()


def test_of_two_with_one_key_the_listed_one_is_started_and_that_is_said(
    quick: FakeMarketingCloud,
) -> None:
    listed = ImportDefinition.objects.get()
    other = with_one_key(quick, not_listed_since=SINCE)
    ran = run("start_import", NAME, "customers-daily", "--wait")
    assert ran.code == 0
    assert "2 definitions have this customer key." in ran.err
    assert f"“{listed}”, ObjectID {listed.object_id}, the one that" in ran.err
    assert quick.performed_ids == [listed.object_id]
    chosen = ("--object-id", str(other.object_id), "--wait")
    assert run("start_import", NAME, *chosen).code == 0
    assert quick.performed_ids == [listed.object_id, other.object_id]


def test_a_re_used_key_is_the_listed_ones_and_needs_no_word(
    quick: FakeMarketingCloud,
) -> None:
    listed = ImportDefinition.objects.get()
    with_one_key(quick, not_seen_since=SINCE)
    ran = run("start_import", NAME, "customers-daily", "--wait")
    assert (ran.code, ran.err) == (0, "")
    assert quick.performed_ids == [listed.object_id]


@pytest.mark.parametrize("mark", ["not_listed_since", "not_seen_since"])
def test_what_is_not_listed_is_started_with_a_warning(
    quick: FakeMarketingCloud, mark: str
) -> None:
    ImportDefinition.objects.update(**{mark: SINCE})
    quick.unlisted = {"customers-daily"}
    quick.fail("find_definitions", UnavailableError("No."))
    ran = run("start_import", NAME, "customers-daily", "--wait")
    assert ran.code == 0
    assert "hasn't listed “Customers daily" in ran.err
    assert f"since {clock_text(SINCE)}. If it was deleted there, the start" in ran.err
    assert quick.performed == ["customers-daily"]


def test_what_was_deleted_is_refused_by_marketing_cloud_and_nothing_runs(
    quick: FakeMarketingCloud,
) -> None:
    ImportDefinition.objects.update(not_seen_since=SINCE)
    quick.definitions.clear()
    ran = run("start_import", NAME, "customers-daily", "--wait")
    assert ran.code == 1
    one = ImportRun.objects.ours().get()
    assert (one.status, one.reason) == (RunStatus.NOT_STARTED, Reason.NOT_FOUND)
    assert quick.performed == []


def test_a_key_made_anew_is_looked_for_before_the_deleted_one_is_started(
    quick: FakeMarketingCloud,
) -> None:
    ImportDefinition.objects.update(not_seen_since=SINCE)
    quick.definitions.clear()
    anew = quick.add_definition("customers-daily", ObjectID="anew")
    ran = run("start_import", NAME, "customers-daily", "--wait")
    assert (ran.code, ran.err) == (0, "")
    assert quick.performed_ids == [anew["ObjectID"]]


def test_an_account_is_meant_by_its_very_name(fake: FakeMarketingCloud) -> None:
    AccountFactory.create(name=NAME.upper())
    for name in (NAME.lower(), f"{NAME} ", ""):
        ran = run("start_import", name, "customers-daily")
        assert ran.code == 1
        assert f"There is no account “{name}”" in ran.err
    assert not ImportRun.objects.exists()


# --- who started it ----------------------------------------------------------------


def test_as_names_the_person(fake: FakeMarketingCloud) -> None:
    mia = UserFactory.create(username="mia", first_name="Mia", last_name="Berg")
    grant(mia, Account.objects.get(), AccessLevel.START)
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
        (NAME, ""),
        (NAME, " \t "),
        (NAME, "\u200b\u00a0"),
        (NAME, "--object-id", ""),
        (NAME, "", "--object-id", "x"),
    ],
)
def test_wrong_usage_ends_with_2(arguments: tuple[str, ...]) -> None:
    ran = run("start_import", *arguments)
    assert (ran.code, ran.out) == (2, "")
    assert "start_import" in ran.err or "Which definition?" in ran.err
    assert not ImportRun.objects.ours().exists()
