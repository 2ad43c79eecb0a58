"""One record is one line, with its ids, whatever somebody wrote into it."""

from __future__ import annotations

import json
import logging
import subprocess
import sys
import threading
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
from django.http import HttpResponse
from django.test import Client, RequestFactory
from gunicorn.glogging import SafeAtoms

from imports import logs
from imports.middleware import RequestIdMiddleware
from imports.worker import ThreadPool

FORGED = "2026-01-01T00:00:00.000Z ERROR imports: forged"
HOSTILE = {
    "line feed": f"x\n{FORGED}",
    "carriage return": f"x\r{FORGED}",
    "vertical tab": f"x\v{FORGED}",
    "form feed": f"x\f{FORGED}",
    "file separator": f"x\x1c{FORGED}",
    "next line": f"x\x85{FORGED}",
    "line separator": f"x\u2028{FORGED}",
    "paragraph separator": f"x\u2029{FORGED}",
    "escape sequence": "x\x1b[2J\x1b[1A",
    "one-byte escape": "x\x9b2J",
    "bell and backspace": "x\a\b\b",
    "delete": "x\x7f",
    "null": "x\0y",
    "turned direction": "x\u202egnp.exe",
    "isolate": "x\u2066y\u2069",
    "invisible": "x\u200b\ufeffy",
    "lone surrogate": "x\ud800y",
}
SAFE = frozenset(map(chr, range(0x20, 0x7F)))


def record(message: object, *args: Any, **extra: Any) -> logging.LogRecord:
    made = logging.LogRecord("imports.x", logging.INFO, "x.py", 1, message, args, None)
    vars(made).update(extra)
    logs.AboutFilter().filter(made)
    return made


def failed(error: Exception) -> logging.LogRecord:
    made = record("It failed")
    try:
        raise error
    except type(error):
        made.exc_info = sys.exc_info()
    return made


def line(made: logging.LogRecord) -> str:
    return logs.TextFormatter().format(made)


def fields(made: logging.LogRecord) -> dict[str, Any]:
    found: dict[str, Any] = json.loads(logs.JsonFormatter().format(made))
    return found


@pytest.mark.parametrize("text", HOSTILE.values(), ids=HOSTILE)
def test_a_message_stays_one_line_of_plain_characters(text: str) -> None:
    written = line(record("Marketing Cloud said %s", text))
    assert written.splitlines() == [written]
    assert written.isprintable()


@pytest.mark.parametrize("text", HOSTILE.values(), ids=HOSTILE)
def test_a_json_line_is_ascii_and_gives_the_text_back(text: str) -> None:
    written = logs.JsonFormatter().format(record("Marketing Cloud said %s", text))
    assert SAFE.issuperset(written)
    assert json.loads(written)["message"] == f"Marketing Cloud said {text}"


@pytest.mark.parametrize("text", HOSTILE.values(), ids=HOSTILE)
def test_no_line_of_a_traceback_can_pass_for_a_record(text: str) -> None:
    first, *others = line(failed(ValueError(text))).split("\n")
    assert first.endswith("imports.x: It failed")
    assert len(others) > 3
    assert all(other.startswith(logs.TRACEBACK_BAR) for other in others)
    assert all(other.isprintable() for other in others)


@pytest.mark.parametrize("text", HOSTILE.values(), ids=HOSTILE)
def test_a_traceback_in_json_is_a_field_of_the_same_line(text: str) -> None:
    made = failed(ValueError(text))
    assert SAFE.issuperset(logs.JsonFormatter().format(made))
    assert fields(made)["exc_info"].endswith(f"ValueError: {text}")


def test_where_a_record_was_made_follows_it_as_a_traceback_does() -> None:
    made = record("It happened", stack_info="Stack (most recent call last):\n  here")
    assert line(made).split("\n")[1:] == [
        f"{logs.TRACEBACK_BAR}Stack (most recent call last):",
        f"{logs.TRACEBACK_BAR}  here",
    ]
    assert fields(made)["stack_info"].endswith("\n  here")


def test_plain_words_of_any_language_are_written_as_they_are() -> None:
    assert line(record("Größe ≥ 3, 東京")).endswith(": Größe ≥ 3, 東京")


@pytest.mark.parametrize(
    "text",
    [
        "Authorization: Bearer KEEPOUT",
        "{'Authorization': 'Basic KEEPOUT'}",
        "sent Bearer KEEPOUT on",
        "access_token=KEEPOUT&x=1",
        '{"client_secret": "KEEPOUT"}',
        "password=KEEPOUT",
        '<fueloauth xmlns="http://exacttarget.com">KEEPOUT</fueloauth>',
        "postgresql://mcdash:KEEPOUT@host/name",
        "redis://:KEEPOUT@host/0",
    ],
)
def test_what_follows_the_name_of_a_secret_is_left_out(text: str) -> None:
    for made in (record("It said %s", text), failed(ValueError(text))):
        assert "KEEPOUT" not in line(made)
        assert "KEEPOUT" not in logs.JsonFormatter().format(made)


@pytest.mark.parametrize(
    "text",
    [
        "Another process is still asking for a token.",
        "http://127.0.0.1:8000/x@y",
        "Account 3: credentials refused: API Permission Failed",
    ],
)
def test_ordinary_words_are_left_in(text: str) -> None:
    assert line(record(text)).endswith(text)


def test_ids_are_on_every_line_within_and_on_none_after() -> None:
    with logs.about(account=3, job="send"), logs.about(run=7, task=None):
        inner = record("in")
    outer = record("out")
    assert " imports.x [account=3 job=send run=7]: in" in line(inner)
    assert " imports.x: out" in line(outer)
    assert {"account": 3, "job": "send", "run": 7}.items() <= fields(inner).items()
    assert "run" not in fields(outer)


def test_an_id_that_came_from_outside_forges_nothing() -> None:
    with logs.about(task=f"9]\n{FORGED}"):
        assert "\n" not in line(record("x"))


def test_ids_of_one_thread_are_not_on_the_lines_of_another() -> None:
    made: list[logging.LogRecord] = []
    with logs.about(run=7):
        other = threading.Thread(target=lambda: made.append(record("x")))
        other.start()
        other.join()
    assert "run" not in fields(made[0])


def test_ids_end_with_an_exception_too() -> None:
    with pytest.raises(ValueError, match="x"), logs.about(run=7):
        raise ValueError("x")
    assert "run" not in fields(record("x"))


@pytest.mark.django_db(transaction=True)
def test_the_lines_of_a_pools_threads_name_the_account_and_what_was_done_for_it() -> (
    None
):
    made: list[logging.LogRecord] = []
    pool = ThreadPool(at_once=1, per_account=1)
    pool.submit(("sync", 42), lambda: made.append(record("x")))
    assert pool.join(10)
    assert {"account": 42, "job": "sync"}.items() <= fields(made[0]).items()


def test_only_named_fields_of_a_record_are_written() -> None:
    made = record("x", request="<WSGIRequest: GET '/?q=customer'>", params="private")
    assert set(fields(made)) == {
        *("time", "level", "logger", "message", "process", "thread")
    }


def answer(**headers: str) -> tuple[HttpResponse, dict[str, Any]]:
    """The answer to a request, and the fields of a line written meanwhile."""
    made: list[logging.LogRecord] = []

    def view(_: object) -> HttpResponse:
        made.append(record("x"))
        return HttpResponse()

    request = RequestFactory().get("/", headers=headers)
    return RequestIdMiddleware(view)(request), fields(made[0])


@pytest.mark.parametrize("brought", ["abcdefgh", "A-9" * 21, "0" * 64])
def test_a_request_keeps_the_id_that_it_brings(brought: str) -> None:
    response, written = answer(X_Request_ID=brought)
    assert response["X-Request-ID"] == written["request"] == brought


@pytest.mark.parametrize(
    "brought", ["", "short", "0" * 65, "with space", "abcdefg_", "abcdefgh\n", "é" * 9]
)
def test_a_request_without_a_proper_id_gets_one(brought: str) -> None:
    response, written = answer(X_Request_ID=brought)
    assert response["X-Request-ID"] == written["request"] != brought
    assert len(written["request"]) == 16


def test_two_requests_have_two_ids() -> None:
    assert answer()[0]["X-Request-ID"] != answer()[0]["X-Request-ID"]


@pytest.mark.django_db
def test_what_django_says_of_a_refused_request_has_its_id(
    client: Client,
    caplog: pytest.LogCaptureFixture,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(logging.getLogger("django"), "propagate", True)
    client.get("/nowhere/", headers={"X-Request-ID": "from-the-test"})
    made = [r for r in caplog.records if r.name == "django.request"]
    assert made
    for one in made:
        logs.AboutFilter().filter(one)
        assert fields(one)["request"] == "from-the-test"


def test_gunicorns_access_line_has_the_requests_id() -> None:
    atoms = SafeAtoms({"m": "GET", "U": "/x\n", "{x-request-id}o": "abcdefgh"})
    made = logging.LogRecord(
        logs.ACCESS_LOGGER, logging.INFO, "x", 1, "%(m)s %(U)s", (atoms,), None
    )
    logs.AboutFilter().filter(made)
    assert line(made).endswith(" gunicorn.access [request=abcdefgh]: GET /x\\n")


def test_a_complaint_that_repeats_itself_is_counted_instead(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    now = 1000.0
    monkeypatch.setattr(logs, "time", SimpleNamespace(monotonic=lambda: now))
    patient = logs.RepetitionFilter()
    written = []
    for now in (1000.0, 1000.1, 1029.9, 1030.1, 1031.0):
        for message in ("Error reading %s", "Something else"):
            made = record(message, *(("schedule",) if "%s" in message else ()))
            if patient.filter(made):
                written.append((now, made.getMessage()))
    again = "(and 2 times more since the last line)"
    assert written == [
        (1000.0, "Error reading schedule"),
        (1000.0, "Something else"),
        (1030.1, f"Error reading schedule {again}"),
        (1030.1, f"Something else {again}"),
    ]


def levels(level: str, *, access: bool = False) -> dict[str, str]:
    found = logs.configuration(form="json", level=level, access=access)
    return {name: one["level"] for name, one in found["loggers"].items()}


def test_debug_is_for_our_own_lines_alone() -> None:
    found = levels("DEBUG")
    assert found["imports"] == "DEBUG"
    # SQL with its values, envelopes with their secrets
    assert (found["django"], found["zeep"]) == ("WARNING", "INFO")


def test_requests_are_logged_only_where_that_is_asked_for() -> None:
    assert levels("INFO")[logs.ACCESS_LOGGER] == "CRITICAL"
    assert levels("ERROR", access=True)[logs.ACCESS_LOGGER] == "INFO"


PROGRAM = """
import logging, logging.config
from imports import logs
logging.config.dictConfig(logs.configuration(form={form!r}, level="INFO", access=True))
with logs.about(run=7):
    for name in ("imports.worker", "psycopg.pool", "django.request", "gunicorn.error",
                 "gunicorn.access", "urllib3", "axes"):
        logging.getLogger(name).warning("of %s\\n%s", name, "x")
"""


@pytest.fixture(params=["text", "json"])
def written(request: pytest.FixtureRequest) -> tuple[str, list[str]]:
    done = subprocess.run(
        [sys.executable, "-c", PROGRAM.format(form=request.param)],
        cwd=Path(__file__).resolve().parent.parent,
        capture_output=True,
        text=True,
        timeout=60,
        check=True,
    )
    return request.param, done.stderr.splitlines()


def test_all_loggers_write_the_same_way(written: tuple[str, list[str]]) -> None:
    form, lines = written
    assert len(lines) == 7
    if form == "json":
        assert all(json.loads(one)["run"] == 7 for one in lines)
    else:
        assert all(" [run=7]: of " in one for one in lines)
