"""The table of causes: each row is reached, and says what is known apart from what to
check.
"""

from __future__ import annotations

from datetime import timedelta
from string import Formatter
from typing import Any

import pytest
from django.utils import timezone

from imports.models import Account, ErrorKind, ImportDefinition, ImportRun, RunStatus
from imports.models.account import BREAKER_OPENS_AT
from imports.wording import run as module
from imports.wording.causes import Cause
from imports.wording.run import TABLE, Surroundings, advice, cause, cause_of
from tests.factories import (
    DefinitionVersionFactory,
    ImportDefinitionFactory,
    ImportRunFactory,
)

pytestmark = pytest.mark.django_db
REFUSED = "Marketing Cloud refused to start the import: “{}”."
ALONE = Surroundings()
Case = tuple[str, dict[str, Any]]


def refused(words: str, code: str = "") -> dict[str, Any]:
    return {"not_started": True, "error_code": code, "message": REFUSED.format(words)}


def unsent(kind: ErrorKind, message: str) -> dict[str, Any]:
    return {"not_started": True, "error_kind": kind, "message": message}


def unknown(message: str, **facts: Any) -> dict[str, Any]:
    return {"unknown": True, "message": message} | facts


def counts(total: int | None, loaded: int | None, errors: int | None) -> dict[str, Any]:
    return {"total_rows": total, "successful": loaded, "errors": errors}


K = ErrorKind
# What really happens, as the wall and the worker write it down -> the row it finds.
CASES: list[Case] = [
    ("credentials", unsent(K.CREDENTIALS_REFUSED, "Login failed.")),
    ("not_found", refused("ImportDefinition not found: x.", "43010")),
    ("not_found", refused("ImportDefinition not found")),
    ("not_found", refused("CustomerKey not specified.", "43000")),
    (
        "not_found",
        unsent(
            K.REFUSED,
            "The definition has neither a customer key nor an ObjectID.",
        ),
    ),
    ("permission", refused("API Permission Failed. You need scope x.")),
    ("permission", refused("No access to account 510001.", "4")),
    ("permission", refused("Something.", "11")),
    ("maintenance", refused("Member in maintenance", "9")),
    (
        "throttled",
        unsent(K.REFUSED, "Marketing Cloud refused the request with HTTP 429."),
    ),
    ("throttled", refused("The request was throttled.")),
    ("busy", refused("The import is already running.")),
    ("not_processed", refused("database problems. This request was not processed.")),
    ("wrong_kind", refused("Cannot perform start on objects of type X.", "5")),
    ("not_valid", refused('validation error: "Outlet SFTP" is not active.', "43060")),
    (
        "wrong_address",
        unsent(K.REFUSED, "Marketing Cloud pointed to another address (HTTP 302)."),
    ),
    ("wrong_mid", unsent(K.REFUSED, "The account's MID is not a number.")),
    ("refused", refused("I would rather not.", "999")),
    (
        "secret_unreadable",
        unsent(K.UNAVAILABLE, "A stored secret cannot be read: its key is not there."),
    ),
    (
        "address_refused",
        unsent(K.UNAVAILABLE, "The host “x.y” is not among (MCDASH_ENDPOINT_HOSTS)."),
    ),
    ("no_token", unsent(K.UNAVAILABLE, "Marketing Cloud gave no access token. No.")),
    ("account_busy", unsent(K.UNAVAILABLE, "The account is busy with other calls.")),
    ("unreachable", unsent(K.UNAVAILABLE, "Marketing Cloud could not be reached.")),
    ("expired", unsent(K.EXPIRED, "It waited too long in the queue.")),
    ("held_up", unsent(K.HELD_UP, "The worker was held up.")),
    ("stopped", unsent(K.STOPPED, "The worker was stopped.")),
    ("switched_off", unsent(K.PAUSED, "The account is disabled.")),
    ("paused", unsent(K.PAUSED, "Starts are paused in this account.")),
    ("doubled", unsent(K.DOUBLED, "Another account is the same business unit.")),
    ("not_answering", unsent(K.NOT_ANSWERING, "Marketing Cloud does not answer.")),
    ("declared", unsent(K.NO_TRACE, "Ana looked and said that it did not start.")),
    ("no_trace", unsent(K.NO_TRACE, "Marketing Cloud showed no trace in 3 looks.")),
    ("not_started", unsent(K.NONE, "")),
    ("keyless", unknown("It did not answer in time.", customer_key="")),
    ("worker_vanished", unknown("The worker is gone.", error_kind=K.LEASE_OVER)),
    ("timeout", unknown("Marketing Cloud did not answer in time.")),
    ("timeout", unknown("It did not finish its answer within 180 seconds.")),
    ("outage", unknown("Marketing Cloud reported an error of its own: “Oops”.")),
    ("no_answer", unknown("The connection to Marketing Cloud broke.")),
    ("failed", {"failed": True}),
    ("failed_empty", {"failed": True} | counts(0, 0, 0)),
    ("failed_all_rows", {"failed": True} | counts(9, 0, 9)),
    ("failed_row_errors", {"failed": True} | counts(9, 5, 4)),
    ("failed_counted", {"failed": True} | counts(9, 5, None)),
    ("all_rows_refused", {"completed_with_errors": True} | counts(9, 0, 9)),
    ("rows_unaccounted", {"completed_with_errors": True} | counts(100, 50, None)),
    ("rows_unaccounted", {"completed_with_errors": True} | counts(100, 50, 0)),
    ("counts_not_reported", {"completed_with_errors": True} | counts(9, None, 0)),
    (
        "counts_not_reported",
        {"completed_with_errors": True} | counts(None, None, None),
    ),
    ("rows_refused", {"completed_with_errors": True}),
    (
        "rows_refused_of_unknown",
        {"completed_with_errors": True} | counts(None, None, 4),
    ),
    ("no_rows", {"completed": True} | counts(0, 0, 0)),
    ("nothing_new", {"completed": True} | counts(9, 0, 0)),
    ("lost", {"lost": True, "phase": "IOWork"}),
    ("lost_without_row", {"lost": True, "phase": ""}),
]
AROUND: dict[str, tuple[dict[str, Any], Surroundings]] = {
    "several_candidates": ({"unknown": True}, Surroundings(candidates=2)),
}


@pytest.fixture
def definition() -> ImportDefinition:
    return ImportDefinitionFactory.create(name="Customers daily")


@pytest.mark.parametrize(("name", "facts"), CASES)
def test_what_happens_finds_its_row(
    definition: ImportDefinition, name: str, facts: dict[str, Any]
) -> None:
    run = ImportRunFactory.create(definition=definition, **facts)
    found = cause_of(run, ALONE)
    assert found is not None
    assert found.name == name


@pytest.mark.parametrize(
    ("facts", "name"),
    [
        ({"is_active": False}, "switched_off"),
        ({"is_doubled": True}, "doubled"),
        ({"starts_paused": True}, "paused"),
        ({"credentials_refused_at": timezone.now()}, "credentials"),
        ({"failures_in_row": BREAKER_OPENS_AT}, "not_answering"),
    ],
)
def test_what_an_account_says_of_itself_finds_its_row(
    definition: ImportDefinition, facts: dict[str, Any], name: str
) -> None:
    refusal = Account(**facts).start_refusal
    assert refusal is not None
    run = ImportRunFactory.create(definition=definition, **unsent(*refusal))
    found = cause_of(run, ALONE)
    assert found is not None
    assert found.name == name


@pytest.mark.parametrize("name", AROUND)
def test_what_is_known_beside_the_run_finds_its_row_too(
    definition: ImportDefinition, name: str
) -> None:
    facts, around = AROUND[name]
    run = ImportRunFactory.create(definition=definition, **facts)
    found = cause_of(run, around)
    assert found is not None
    assert found.name == name
    other = cause_of(run, ALONE)
    assert other is None or other.name != name


def test_every_row_is_reached_by_one_of_the_cases() -> None:
    assert {row.name for row in TABLE} == {name for name, _ in CASES} | set(AROUND)
    assert len({row.name for row in TABLE}) == len(TABLE)


@pytest.mark.parametrize("kind", [kind for kind in ErrorKind if kind != K.NONE])
def test_every_reason_that_is_written_down_has_a_row_of_its_own(kind: str) -> None:
    by_kind = {
        K.NO_ANSWER: RunStatus.UNKNOWN,
        K.LEASE_OVER: RunStatus.UNKNOWN,
        K.TOO_OLD: RunStatus.LOST,
    }
    status = by_kind.get(ErrorKind(kind), RunStatus.NOT_STARTED)
    run = ImportRun(status=status, error_kind=kind, customer_key="a", task_id="1")
    found = cause_of(run, ALONE)
    assert found is not None
    assert found.name != "not_started"


@pytest.mark.parametrize("status", [RunStatus.STARTING, RunStatus.RUNNING])
def test_where_nothing_is_wrong_nothing_is_explained(status: str) -> None:
    run = ImportRun(status=status, task_id="1")
    assert advice(run, ALONE) is None
    assert cause(run) == ""


def test_a_good_run_and_a_cancelled_one_need_no_explanation(
    definition: ImportDefinition,
) -> None:
    for trait in ("completed", "cancelled", "queued"):
        run = ImportRunFactory.create(definition=definition, **{trait: True})
        assert advice(run, ALONE) is None


@pytest.mark.parametrize("row", TABLE, ids=lambda row: row.name)
def test_every_row_has_a_headline_something_known_and_something_to_check(
    row: Cause,
) -> None:
    assert row.headline.endswith(".")
    assert row.known
    assert row.check
    assert not set(row.known) & set(row.check)


@pytest.mark.parametrize("row", TABLE, ids=lambda row: row.name)
def test_every_name_in_a_sentence_is_a_known_one(row: Cause) -> None:
    run = ImportRun(status=row.status, customer_key="a", occurred_at=timezone.now())
    facts = set(module._facts(run, ALONE))
    for sentence in (row.headline, *row.known, *row.check):
        names = {name for _, name, _, _ in Formatter().parse(sentence) if name}
        assert names <= facts


@pytest.mark.parametrize(("name", "facts"), CASES)
def test_every_page_of_it_has_sentences_without_holes(
    definition: ImportDefinition, name: str, facts: dict[str, Any]
) -> None:
    run = ImportRunFactory.create(definition=definition, **facts)
    told = advice(run, ALONE)
    assert told is not None, name
    assert told.check
    for sentence in (told.title, *told.known, *told.check):
        assert sentence.endswith((".", "?")), sentence
        assert "None" not in sentence
        assert "{" not in sentence


def test_their_words_are_quoted_once_in_one_sentence(
    definition: ImportDefinition,
) -> None:
    words = (
        'ImportDefinition validation error: the file location "Outlet SFTP" is gone.'
    )
    run = ImportRunFactory.create(definition=definition, **refused(words, "43060"))
    line = cause(run)
    assert line == f"Marketing Cloud refused the definition as it is: “{words}”"
    assert line.count("“") == 1
    told = advice(run, ALONE)
    assert told is not None
    assert told.words == words
    assert not any(words in sentence for sentence in (told.title, *told.known))
    assert "Marketing Cloud’s error code is 43060, the definition is not valid." in (
        told.known
    )


def test_quotes_inside_their_words_stay_theirs(definition: ImportDefinition) -> None:
    run = ImportRunFactory.create(
        definition=definition, **refused("The file “a.csv” is “not found”.")
    )
    told = advice(run, ALONE)
    assert told is not None
    assert told.words == "The file “a.csv” is “not found”."


def test_our_own_words_are_not_called_theirs(definition: ImportDefinition) -> None:
    message = "The host “x.example” is not among the allowed (MCDASH_ENDPOINT_HOSTS)."
    run = ImportRunFactory.create(
        definition=definition, **unsent(K.UNAVAILABLE, message)
    )
    told = advice(run, ALONE)
    assert told is not None
    assert told.words == ""
    assert message in told.known


def test_endless_words_are_cut_in_the_one_line(definition: ImportDefinition) -> None:
    run = ImportRunFactory.create(definition=definition, **refused("x" * 10_000))
    assert len(cause(run)) < 320
    assert cause(run).endswith("…”")


def test_braces_in_what_others_wrote_are_text() -> None:
    definition = ImportDefinitionFactory.create(file_spec="{0}{rows}{self.pk}.csv")
    run = ImportRunFactory.create(definition=definition, failed=True)
    told = advice(run, ALONE)
    assert told is not None
    assert any("{0}{rows}{self.pk}.csv" in sentence for sentence in told.check)


def test_what_the_definition_tells_is_said_where_it_helps() -> None:
    definition = ImportDefinitionFactory.create(
        update_type="Overwrite",
        facts={
            "AllowErrors": "false",
            "MaxFileAge": "24",
            "Notification.ResponseAddress": "crm@nordlicht.example",
            "RetrieveFileTransferLocation.CustomerKey": "Outlet SFTP",
        },
    )
    run = ImportRunFactory.create(
        definition=definition, failed=True, **counts(9, 5, 4), duplicated=None
    )
    told = advice(run, ALONE)
    assert told is not None
    assert told.title == (
        "Marketing Cloud ended it in Error: 4 of 9 rows have errors, 44.4 %."
    )
    assert "It counted 9 rows: 5 loaded, 4 with errors." in told.known
    assert any("does not tolerate row errors" in text for text in told.known)
    checks = " ".join(told.check)
    assert "crm@nordlicht.example" in checks
    assert "Look in Outlet SFTP for the error file" in checks
    assert "this import replaces every row" in checks


def test_a_file_as_long_as_the_previous_one_points_inside_it(
    definition: ImportDefinition,
) -> None:
    previous = ImportRunFactory.create(
        definition=definition, completed=True, total_rows=397_941
    )
    run = ImportRunFactory.create(
        definition=definition, completed_with_errors=True, total_rows=398_214
    )
    told = advice(run, Surroundings(previous=previous))
    assert told is not None
    checks = " ".join(told.check)
    assert "about as long as the previous one (+273 rows), so look inside it" in checks
    assert "last good one" not in checks
    previous.total_rows = 1000
    other = advice(run, Surroundings(previous=previous))
    assert other is not None
    assert "look inside it" not in " ".join(other.check)
    assert "last good one" in " ".join(other.check)


def test_a_definition_changed_since_the_previous_run_is_known(
    definition: ImportDefinition,
) -> None:
    old = DefinitionVersionFactory.create(definition=definition)
    new = DefinitionVersionFactory.create(definition=definition, digest="1" * 64)
    previous = ImportRunFactory.create(
        definition=definition, completed=True, definition_version=old
    )
    run = ImportRunFactory.create(
        definition=definition, failed=True, definition_version=new
    )
    told = advice(run, Surroundings(previous=previous))
    assert told is not None
    assert any("changed after the previous run" in text for text in told.known)
    run.definition_version = old
    same = advice(run, Surroundings(previous=previous))
    assert same is not None
    assert not any("changed after" in text for text in same.known)


def test_an_unknown_run_says_until_when_to_wait_and_then_who_may_end_it(
    definition: ImportDefinition,
) -> None:
    run = ImportRunFactory.create(definition=definition, unknown=True)
    waiting = advice(run, ALONE)
    assert waiting is not None
    assert "settles it by itself, at the earliest at" in waiting.check[0]
    assert "Mark as not started…" not in " ".join(waiting.check)
    run.answered_at = run.sent_at = timezone.now() - timedelta(hours=1)
    overdue = advice(run, Surroundings(can_declare=True))
    assert overdue is not None
    assert overdue.check[0].startswith("mcdash goes on looking")
    assert "press “Mark as not started…”" in overdue.check[-1]
