"""The export of the history: whole, safe to open, light on memory and database."""

from __future__ import annotations

import csv
import gzip
import io
import json
import logging
import re
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
import time_machine
from django.test import Client
from django.utils import timezone

from imports.models import AccessLevel, Account, ImportDefinition, ImportRun
from imports.views import runs as runs_views
from tests.factories import (
    AccountFactory,
    ImportDefinitionFactory,
    ImportRunFactory,
    UserFactory,
    grant,
)

from .reading import client_of, content, reader

pytestmark = pytest.mark.django_db

NOON = datetime(2026, 3, 18, 12, tzinfo=UTC)
DOCS = Path(__file__).parents[2] / "docs" / "exports.md"


@pytest.fixture
def account() -> Account:
    return AccountFactory.create(name="Nordlicht DE")


def body(response: Any) -> bytes:
    assert response.status_code == 200
    return b"".join(response.streaming_content)


def from_json(client: Client, query: str = "") -> list[dict[str, Any]]:
    found: list[dict[str, Any]] = json.loads(
        body(client.get("/runs/export.json" + query))
    )
    return found


def from_csv(client: Client, query: str = "") -> list[dict[str, str]]:
    text = body(client.get("/runs/export.csv" + query)).decode("utf-8-sig")
    return list(csv.DictReader(io.StringIO(text, newline="")))


def some_runs(definition: ImportDefinition, count: int) -> list[int]:
    """Runs, the newest first, three at each moment."""
    return [
        ImportRunFactory.create(
            completed=True,
            definition=definition,
            occurred_at=NOON - timedelta(minutes=number // 3),
        ).pk
        for number in range(count)
    ][::-1]


def test_a_run_in_json_has_its_times_in_utc_and_their_words_verbatim(
    client: Client, definition: ImportDefinition
) -> None:
    run = ImportRunFactory.create(
        completed_with_errors=True,
        definition=definition,
        occurred_at=NOON,
        start_text="3/18/2026 6:00:03 AM",
        started_by_name="Mia",
    )
    (row,) = from_json(client)
    assert list(row) == [*runs_views.COLUMNS, runs_views.UNACCOUNTED]
    assert row["occurred_at"] == "2026-03-18T12:00:00+00:00"
    assert row["start_text"] == "3/18/2026 6:00:03 AM"
    assert (row["total_rows"], row["errors"], row["phase"]) == (1000, 7, "Completed")
    told = run.as_record()
    assert {name: row[name] for name in told} == told


def test_what_is_unknown_is_null_or_an_empty_cell_and_never_0(
    client: Client, definition: ImportDefinition
) -> None:
    ImportRunFactory.create(failed=True, definition=definition)
    assert from_json(client)[0]["errors"] is None
    assert from_csv(client)[0]["errors"] == ""


def test_csv_has_the_same_columns_and_rows_as_json(
    client: Client, definition: ImportDefinition
) -> None:
    some_runs(definition, 5)
    rows = from_json(client)
    told = [
        {name: "" if value is None else str(value) for name, value in row.items()}
        for row in rows
    ]
    assert from_csv(client) == told
    assert len(rows) == 5


def test_csv_begins_as_excel_wants_utf_8_and_its_lines_end_as_the_rfc_says(
    client: Client, definition: ImportDefinition
) -> None:
    some_runs(definition, 2)
    text = body(client.get("/runs/export.csv"))
    assert text.startswith(b"\xef\xbb\xbfid,account,")
    assert text.count(b"\r\n") == text.count(b"\n") == 3


def test_an_export_of_nothing_is_whole_too(client: Client) -> None:
    assert from_json(client) == []
    assert from_csv(client) == []
    assert body(client.get("/runs/export.csv")).count(b"\r\n") == 1


@pytest.mark.parametrize("count", [1, 3, 4, 7, 8])
def test_an_export_is_whole_wherever_its_batches_end(
    client: Client,
    definition: ImportDefinition,
    monkeypatch: pytest.MonkeyPatch,
    count: int,
) -> None:
    monkeypatch.setattr(runs_views, "BATCH", 4)
    expected = sorted(some_runs(definition, count))
    for query in ("", "?sort=oldest", "?from=2026-03-01&to=2026-03-18&sort=errors"):
        assert sorted(row["id"] for row in from_json(client, query)) == expected
    assert [int(row["id"]) for row in from_csv(client)] == [
        row["id"] for row in from_json(client)
    ]


@pytest.mark.parametrize("sort", ["", "oldest", "errors", "duration"])
def test_an_export_has_the_filters_and_the_order_of_the_page(
    client: Client,
    definition: ImportDefinition,
    monkeypatch: pytest.MonkeyPatch,
    sort: str,
) -> None:
    monkeypatch.setattr(runs_views, "BATCH", 3)
    some_runs(definition, 10)
    for number in range(9):
        ImportRunFactory.create(
            completed_with_errors=True,
            definition=definition,
            occurred_at=NOON,
            errors=[None, 1, 2][number % 3],
            finished_at=NOON + timedelta(seconds=number // 2),
        )
    query = f"?status=completed_with_errors&from=2026-03-01&to=2026-03-20&sort={sort}"
    page = re.findall(r'<tr id="run-(\d+)"', content(client.get(f"/runs/{query}")))
    assert [row["id"] for row in from_json(client, query)] == [int(pk) for pk in page]
    assert len(page) == 9


def test_what_one_may_not_see_is_in_no_export(
    client: Client, definition: ImportDefinition
) -> None:
    ImportRunFactory.create(completed=True)
    mine = ImportRunFactory.create(completed=True, definition=definition)
    assert [row["id"] for row in from_json(client)] == [mine.pk]
    assert from_json(reader()) == []


@pytest.mark.parametrize("form", ["csv", "json"])
def test_strangers_are_sent_to_the_sign_in(form: str) -> None:
    answer = Client().get(f"/runs/export.{form}?status=failed")
    assert answer.status_code == 302
    assert "/login/?next=/runs/export" in answer["Location"]


@pytest.mark.parametrize("is_of_one", [False, True])
def test_access_that_is_taken_away_ends_an_export_at_the_next_batch(
    account: Account,
    definition: ImportDefinition,
    monkeypatch: pytest.MonkeyPatch,
    is_of_one: bool,
) -> None:
    monkeypatch.setattr(runs_views, "BATCH", 2)
    some_runs(definition, 6)
    person = UserFactory.create()
    grant(person, account, AccessLevel.VIEW)
    answer: Any = client_of(person).get(
        f"/runs/export.json?definition={definition.pk if is_of_one else ''}"
    )
    chunks = iter(answer.streaming_content)
    begun = next(chunks)
    person.groups.clear()
    rows = json.loads(begun + b"".join(chunks))
    assert 0 < len(rows) < 6


@pytest.mark.parametrize("query", ["?status=exploded", "?q=%00", "?from=someday"])
def test_a_filter_that_cannot_be_read_is_refused_with_a_sentence(
    client: Client, query: str
) -> None:
    answer = client.get("/runs/export.csv" + query)
    assert answer.status_code == 400
    assert answer["Content-Type"].startswith("text/plain")
    assert content(answer).endswith(".")


def test_an_export_is_a_file_with_the_readers_date_that_nobody_keeps(
    account: Account,
) -> None:
    person = UserFactory.create(time_zone="Pacific/Auckland")
    grant(person, account, AccessLevel.VIEW)
    with time_machine.travel(NOON):
        client = client_of(person)
        answers = {form: client.get(f"/runs/export.{form}") for form in ("csv", "json")}
    types = {"csv": "text/csv; charset=utf-8", "json": "application/json"}
    for form, answer in answers.items():
        name = f"mcdash-runs-2026-03-19.{form}"
        assert answer["Content-Disposition"] == f'attachment; filename="{name}"'
        assert answer["Content-Type"] == types[form]
        assert "no-store" in answer["Cache-Control"]
        assert answer["X-Content-Type-Options"] == "nosniff"


def test_only_get_exports(client: Client) -> None:
    assert client.post("/runs/export.csv").status_code == 405
    assert client.head("/runs/export.csv").status_code == 405


FORMULAS = [
    "=1+1",
    "+1",
    "-1",
    "@SUM(A1)",
    "\t=1",
    "\r=1",
    "\n=1",
    "  =1",
    "\u00a0=1",
    "\u200d=1",
    "\uff1d1+1",
    '=HYPERLINK("http://evil.example";"x")',
]


@pytest.mark.parametrize("text", FORMULAS)
def test_a_text_that_a_spreadsheet_would_run_is_disarmed(
    client: Client, account: Account, text: str
) -> None:
    definition = ImportDefinitionFactory.create(account=account, name=text)
    ImportRunFactory.create(failed=True, definition=definition, message=text)
    (row,) = from_csv(client)
    assert row["definition"] == row["message"] == "'" + text
    assert from_json(client)[0]["message"] == text


def test_our_own_numbers_stay_numbers() -> None:
    assert runs_views.cell(-5) == -5
    assert runs_views.cell(None) is None
    assert runs_views.cell("a-b=c@d") == "a-b=c@d"


def test_characters_that_command_are_shown_in_csv(
    client: Client, account: Account
) -> None:
    name = "a\x1b[2J\u202eb\u2028c 👩\u200d💻"
    definition = ImportDefinitionFactory.create(account=account, name=name)
    ImportRunFactory.create(completed=True, definition=definition)
    (row,) = from_csv(client)
    assert row["definition"] == "a\\x1b[2J\\u202eb\\u2028c 👩\u200d💻"


def test_line_breaks_quotes_and_commas_stay_inside_their_cell(
    client: Client, account: Account
) -> None:
    text = 'one\r\ntwo\nthree\rfour, "five"'
    definition = ImportDefinitionFactory.create(account=account, name=text)
    ImportRunFactory.create(completed=True, definition=definition)
    (row,) = from_csv(client)
    assert row["definition"] == text


def test_nothing_in_json_could_end_a_script_element(
    client: Client, account: Account
) -> None:
    name = "</script><!-- & \u2028 \u202e 🎈"
    definition = ImportDefinitionFactory.create(account=account, name=name)
    ImportRunFactory.create(completed=True, definition=definition)
    text = body(client.get("/runs/export.json")).decode()
    assert text.isascii()
    assert not set("<>&") & set(text)
    assert json.loads(text)[0]["definition"] == name


def breaking_off(
    monkeypatch: pytest.MonkeyPatch, client: Client, form: str
) -> Iterator[bytes]:
    """The export while the database fails after the first batch."""

    def fail(*_args: Any, **_options: Any) -> Iterator[list[dict[str, Any]]]:
        yield from first
        raise RuntimeError("the database went away")

    runs = ImportRun.objects.order_by("-occurred_at", "-id")
    first = [list(runs.values("pk", *runs_views.COLUMNS.values()))]
    monkeypatch.setattr(runs_views, "batches", fail)
    return iter(client.get(f"/runs/export.{form}").streaming_content)  # type: ignore[attr-defined]  # it streams


def test_a_csv_that_broke_off_says_so_in_its_last_line(
    client: Client,
    definition: ImportDefinition,
    monkeypatch: pytest.MonkeyPatch,
    caplog_imports: pytest.LogCaptureFixture,
) -> None:
    some_runs(definition, 3)
    text = b"".join(breaking_off(monkeypatch, client, "csv")).decode()
    last = text.splitlines()[-1]
    assert last == "INCOMPLETE: this export broke off after 3 runs. Export again."
    (record,) = [r for r in caplog_imports.records if r.levelno == logging.ERROR]
    assert record.exc_info


def test_a_json_that_breaks_off_is_no_json(
    client: Client, definition: ImportDefinition, monkeypatch: pytest.MonkeyPatch
) -> None:
    some_runs(definition, 3)
    chunks = breaking_off(monkeypatch, client, "json")
    text = next(chunks)
    with pytest.raises(RuntimeError, match="went away"):
        next(chunks)
    assert text.startswith(b"[")
    with pytest.raises(json.JSONDecodeError):
        json.loads(text)


def test_an_export_is_compressed_as_it_goes(
    client: Client, definition: ImportDefinition, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(runs_views, "BATCH", 50)
    monkeypatch.setattr(runs_views, "cell", lambda value: value)
    read = []

    def many(*_args: Any, **_options: Any) -> Iterator[list[dict[str, Any]]]:
        for number in range(200):
            read.append(number)
            # what does not compress, so that each batch must leave at once
            noise = [UserFactory.build().password + str(number) for _ in range(3)]
            row = dict.fromkeys(["pk", *runs_views.COLUMNS.values()], None)
            yield [row | {"message": "".join(noise) + str(n)} for n in range(50)]

    monkeypatch.setattr(runs_views, "batches", many)
    answer: Any = client.get("/runs/export.csv", headers={"Accept-Encoding": "gzip"})
    assert answer["Content-Encoding"] == "gzip"
    assert "Content-Length" not in answer
    chunks = iter(answer.streaming_content)
    early = next(chunks) + next(chunks)
    assert len(read) < 150
    text = gzip.decompress(early + b"".join(chunks)).decode()
    assert len(text.splitlines()) == 1 + 200 * 50


def test_nothing_is_held_open_between_two_batches(
    client: Client, definition: ImportDefinition, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(runs_views, "BATCH", 2)
    some_runs(definition, 6)
    chunks = iter(client.get("/runs/export.json").streaming_content)  # type: ignore[attr-defined]  # it streams
    text = next(chunks)
    # what a writer changes meanwhile is in the batches that are read later
    ImportRun.objects.update(message="changed meanwhile")
    rows = json.loads(text + b"".join(chunks))
    assert [row["message"] for row in rows] == [""] * 3 + ["changed meanwhile"] * 3


def test_runs_that_arrive_meanwhile_come_neither_twice_nor_in_between(
    client: Client, definition: ImportDefinition, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(runs_views, "BATCH", 2)
    expected = some_runs(definition, 6)
    chunks = iter(client.get("/runs/export.json").streaming_content)  # type: ignore[attr-defined]  # it streams
    text = next(chunks)
    ImportRunFactory.create(
        completed=True, definition=definition, occurred_at=timezone.now()
    )
    rows = json.loads(text + b"".join(chunks))
    assert sorted(row["id"] for row in rows) == sorted(expected)


def test_every_column_is_documented_and_in_its_order() -> None:
    told = re.findall(r"^\| `(\w+)` \|", DOCS.read_text(), re.MULTILINE)
    assert told == [*runs_views.COLUMNS, runs_views.UNACCOUNTED]
