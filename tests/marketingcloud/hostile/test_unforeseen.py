"""What nobody thought of is caught at the edge of the wall, with its traceback."""

from __future__ import annotations

from collections.abc import Callable

import pytest

from imports.marketingcloud.client import MarketingCloudClient
from imports.marketingcloud.errors import (
    MarketingCloudError,
    OutcomeUnknownError,
    UnavailableError,
)
from tests.marketingcloud.conftest import MemoryTokens, oauth_client
from tests.marketingcloud.playing import Stage, answer
from tests.marketingcloud.wording import performed, result, retrieved, started

WALL = "imports.marketingcloud"
STRANGE: tuple[Exception, ...] = (
    ZeroDivisionError("never thought of"),
    MemoryError("never thought of"),
    RecursionError("never thought of"),
    UnicodeError("never thought of"),
    LookupError("never thought of"),
)


def _breaks(monkeypatch: pytest.MonkeyPatch, place: str, exc: Exception) -> None:
    def broken(*args: object, **options: object) -> None:
        raise exc

    monkeypatch.setattr(f"{WALL}.{place}", broken)


def _ends(
    kind: type[MarketingCloudError],
    verb: Callable[[], object],
    caplog: pytest.LogCaptureFixture,
) -> MarketingCloudError:
    with pytest.raises(kind) as caught:
        verb()
    assert caught.type is kind
    assert "Traceback" in caplog.text
    assert "never thought of" in caplog.text
    assert "never thought of" not in caught.value.message
    return caught.value


@pytest.mark.parametrize("exc", STRANGE, ids=lambda exc: type(exc).__name__)
@pytest.mark.parametrize(
    "place", ["soap.read_message", "client.read_started", "http.HttpSession._answer"]
)
def test_something_unforeseen_after_a_perform_was_sent_leaves_its_outcome_unknown(
    stage: Stage,
    client: MarketingCloudClient,
    monkeypatch: pytest.MonkeyPatch,
    caplog: pytest.LogCaptureFixture,
    place: str,
    exc: Exception,
) -> None:
    _breaks(monkeypatch, place, exc)
    stage.plays(answer(performed(started())))
    error = _ends(
        OutcomeUnknownError, lambda: client.start_definition(customer_key="a"), caplog
    )
    assert error.__cause__ is exc
    assert len(stage.received) == 1


@pytest.mark.parametrize("place", ["soap.read_message", "retrieve.children"])
def test_something_unforeseen_in_a_read_is_an_error_like_any_other(
    stage: Stage,
    client: MarketingCloudClient,
    monkeypatch: pytest.MonkeyPatch,
    caplog: pytest.LogCaptureFixture,
    place: str,
) -> None:
    _breaks(monkeypatch, place, STRANGE[0])
    stage.plays(answer(retrieved(result("1"))))
    _ends(OutcomeUnknownError, lambda: client.results_of_tasks(["1"]), caplog)


def test_something_unforeseen_before_a_perform_leaves_nothing_sent(
    stage: Stage, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    client = oauth_client(stage, MemoryTokens(None))
    _breaks(monkeypatch, "auth.read_token", STRANGE[0])
    stage.plays(answer("{}"))
    _ends(UnavailableError, lambda: client.start_definition(customer_key="a"), caplog)
    assert [one.path for one in stage.received] == ["/v2/token"]
