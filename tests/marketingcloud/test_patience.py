"""Reads are repeated while a failure may pass; a Perform never is."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from email.utils import format_datetime

import pytest

from imports.marketingcloud.errors import (
    OutcomeUnknownError,
    RequestRefusedError,
    UnavailableError,
)
from imports.marketingcloud.http import Answer, retry_read
from imports.marketingcloud.records import Limits

LIMITS = Limits(call_deadline_seconds=60)
OK = Answer(status=200)


@pytest.fixture
def waits(monkeypatch: pytest.MonkeyPatch) -> list[float]:
    """The waits between tries, not waited."""
    waited: list[float] = []
    monkeypatch.setattr("time.sleep", waited.append)
    return waited


class Script:
    """Plays its answers and errors one after the other and counts the calls."""

    def __init__(self, *acts: Answer | Exception) -> None:
        self.acts = list(acts)
        self.calls = 0

    def __call__(self) -> Answer:
        self.calls += 1
        act = self.acts.pop(0)
        if isinstance(act, Exception):
            raise act
        return act


@pytest.mark.parametrize("status", [429, 502, 503, 504])
def test_a_status_that_may_pass_is_asked_again(status: int, waits: list[float]) -> None:
    script = Script(Answer(status=status), OK)
    assert retry_read(script, LIMITS) is OK
    assert (script.calls, len(waits)) == (2, 1)


@pytest.mark.parametrize(
    "error", [UnavailableError("refused"), OutcomeUnknownError("cut off")]
)
def test_a_broken_connection_is_tried_again(
    error: Exception, waits: list[float]
) -> None:
    script = Script(error, error, OK)
    assert retry_read(script, LIMITS) is OK
    assert script.calls == 3


def test_the_waits_grow_and_differ(waits: list[float]) -> None:
    for _ in range(20):
        with pytest.raises(UnavailableError):
            retry_read(Script(*[UnavailableError("no")] * 3), LIMITS)
    first, second = waits[::2], waits[1::2]
    assert all(0.25 <= wait <= 0.5 for wait in first)
    assert all(0.5 <= wait <= 1.0 for wait in second)
    assert len(set(first)) > 1


def test_the_last_answer_stands_where_nothing_helped(waits: list[float]) -> None:
    script = Script(*[Answer(status=503)] * 3)
    assert retry_read(script, LIMITS).status == 503
    assert script.calls == 3


@pytest.mark.parametrize("status", [200, 400, 401, 404, 500])
def test_other_statuses_are_answers(status: int, waits: list[float]) -> None:
    script = Script(Answer(status=status))
    assert retry_read(script, LIMITS).status == status
    assert waits == []


def test_a_refusal_is_not_asked_again(waits: list[float]) -> None:
    script = Script(RequestRefusedError("moved"))
    with pytest.raises(RequestRefusedError):
        retry_read(script, LIMITS)
    assert script.calls == 1


def test_retry_after_in_seconds_is_honoured(waits: list[float]) -> None:
    retry_read(Script(Answer(status=429, retry_after="7"), OK), LIMITS)
    assert waits == [7.0]


def test_retry_after_as_a_date_is_honoured(waits: list[float]) -> None:
    at = format_datetime(datetime.now(UTC) + timedelta(seconds=20), usegmt=True)
    retry_read(Script(Answer(status=503, retry_after=at), OK), LIMITS)
    assert waits == [pytest.approx(20, abs=2)]


@pytest.mark.parametrize(
    "nonsense",
    [
        "soon",
        "-5",
        "1e9",
        "٣",
        "Mon, 01 Jan 99999 00:00:00 GMT",
        "Mon, 01 Jan 2024 00:00:00 +99999999999999999999",
        "Mon, 01 Jan 2024 00:00:00 +9999",
    ],
)
def test_an_unreadable_retry_after_is_passed_over(
    nonsense: str, waits: list[float]
) -> None:
    retry_read(Script(Answer(status=429, retry_after=nonsense), OK), LIMITS)
    assert waits
    assert waits[0] <= 3


def test_a_wait_beyond_the_deadline_is_not_begun(waits: list[float]) -> None:
    script = Script(Answer(status=429, retry_after="61"))
    assert retry_read(script, LIMITS).status == 429
    assert waits == []
