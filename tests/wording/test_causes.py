"""The table of causes: each row is reached, and says what is known apart from what to
check.
"""

from __future__ import annotations

from datetime import timedelta
from string import Formatter
from typing import Any

import pytest
from django.utils import timezone

from imports.marketingcloud.errors import RequestRefusedError
from imports.marketingcloud.http import Answer
from imports.marketingcloud.parse import read_message
from imports.marketingcloud.perform import read_started
from imports.models import (
    Account,
    ImportDefinition,
    ImportRun,
    Reason,
    RunStatus,
    message_of,
)
from imports.models.account import BREAKER_OPENS_AT
from imports.usecases.settle import fields_of_error
from imports.wording import run as module
from imports.wording.causes import TABLE, Cause
from imports.wording.run import Surroundings, advice, cause, cause_of
from tests.factories import (
    DefinitionVersionFactory,
    ImportDefinitionFactory,
    ImportRunFactory,
)
from tests.marketingcloud.wording import performed
from tests.marketingcloud.wording import refused as refused_result

pytestmark = pytest.mark.django_db
ALONE = Surroundings()
Case = tuple[str, dict[str, Any]]


def counts(total: int | None, loaded: int | None, errors: int | None) -> dict[str, Any]:
    return {"total_rows": total, "successful": loaded, "errors": errors}


R = Reason
UNKNOWN = [R.WORKER_VANISHED, R.TIMEOUT, R.OUTAGE, R.NO_ANSWER]
NOT_STARTED = [why for why in R if why not in (*UNKNOWN, R.NONE, R.TOO_OLD)]
# A run as the database has it -> the row it finds. That each reason is set where such a
# thing happens is tested in tests/usecases/test_reasons.py.
CASES: list[Case] = [
    *((why.value, {"not_started": True, "reason": why}) for why in NOT_STARTED),
    *((why.value, {"unknown": True, "reason": why}) for why in UNKNOWN),
    ("not_started", {"not_started": True, "reason": R.NONE}),
    ("keyless", {"unknown": True, "customer_key": ""}),
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
        ({"is_active": False}, "disabled"),
        ({"is_doubled": True}, "doubled"),
        ({"starts_paused": True}, "paused"),
        ({"credentials_refused_at": timezone.now()}, "credentials_refused"),
        ({"failures_in_row": BREAKER_OPENS_AT}, "not_answering"),
    ],
)
def test_what_an_account_says_of_itself_finds_its_row(
    definition: ImportDefinition, facts: dict[str, Any], name: str
) -> None:
    refusal = Account(**facts).start_refusal
    assert refusal is not None
    run = ImportRunFactory.create(
        definition=definition, not_started=True, reason=refusal[0]
    )
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


@pytest.mark.parametrize("reason", [*NOT_STARTED, *UNKNOWN])
def test_every_reason_has_a_row_and_a_sentence_of_its_own(reason: Reason) -> None:
    (row,) = [row for row in TABLE if row.reason == reason or row.name == reason]
    others = [other.headline for other in TABLE if other is not row]
    if reason != R.NO_ANSWER:  # as if one without a key got no answer
        assert row.headline not in others
    assert message_of(reason, "").endswith(".")


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


WORDS = 'ImportDefinition validation error: the file location "Outlet SFTP" is gone.'


def refused(definition: ImportDefinition, words: str, code: str = "") -> ImportRun:
    """A run that Marketing Cloud refused, as the use case writes it down."""
    run = ImportRunFactory.create(definition=definition, starting=True)
    answer = performed(refused_result(words, code)).encode()
    message = read_message(Answer(status=200, body=answer), "PerformResponseMsg")
    with pytest.raises(RequestRefusedError) as caught:
        read_started(message, customer_key=run.customer_key)
    for name, value in fields_of_error(caught.value).items():
        setattr(run, name, value)
    run.status = RunStatus.NOT_STARTED
    return run


def test_their_words_are_quoted_once_in_one_sentence(
    definition: ImportDefinition,
) -> None:
    run = refused(definition, WORDS, "43060")
    line = cause(run)
    assert line == f"Marketing Cloud refused the definition as it is: “{WORDS}”"
    assert line.count("“") == 1
    told = advice(run, ALONE)
    assert told is not None
    assert told.words == WORDS
    assert not any(WORDS in sentence for sentence in (told.title, *told.known))
    assert "Marketing Cloud’s error code is 43060, the definition is not valid." in (
        told.known
    )


def test_quotes_inside_their_words_stay_theirs(definition: ImportDefinition) -> None:
    words = "The file “a.csv” is “not found”."
    told = advice(refused(definition, words), ALONE)
    assert told is not None
    assert told.words == words


def test_our_own_words_are_not_called_theirs(definition: ImportDefinition) -> None:
    message = "The host “x.example” is not among the allowed (MCDASH_ENDPOINT_HOSTS)."
    run = ImportRunFactory.create(
        definition=definition,
        not_started=True,
        reason=R.ADDRESS_REFUSED,
        message=message,
    )
    told = advice(run, ALONE)
    assert told is not None
    assert told.words == ""
    assert message in told.known


def test_endless_words_are_cut_in_the_one_line(definition: ImportDefinition) -> None:
    run = refused(definition, "x" * 10_000)
    assert len(run.vendor_message) == 500
    assert len(cause(run)) < 320
    assert cause(run).endswith("…”")


def test_who_declared_it_is_named(definition: ImportDefinition) -> None:
    run = ImportRunFactory.create(
        definition=definition, not_started=True, reason=R.DECLARED
    )
    told = advice(run, Surroundings(declared_by="Ana Ruiz"))
    assert told is not None
    assert any("Ana Ruiz" in sentence for sentence in told.known)


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
        "Marketing Cloud reported an error: 4 of 9 rows have errors, 44.4\xa0%."
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
    assert "last successful one" not in checks
    previous.total_rows = 1000
    other = advice(run, Surroundings(previous=previous))
    assert other is not None
    assert "look inside it" not in " ".join(other.check)
    assert "last successful one" in " ".join(other.check)


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
    assert overdue.check[0].startswith("mcdash keeps looking")
    assert "press “Mark as not started…”" in overdue.check[-1]
