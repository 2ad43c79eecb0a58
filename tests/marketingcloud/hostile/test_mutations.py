"""Answers spoilt at random: each way to spoil one names the ends it may come to.

No HTTP here: status, headers and bytes are handed to the layers that read them.
"""

from __future__ import annotations

import logging
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from imports.marketingcloud.client import MarketingCloudClient
from imports.marketingcloud.errors import MarketingCloudError
from imports.marketingcloud.http import Answer
from imports.marketingcloud.records import (
    ImportResults,
    Limits,
    OAuthCredentials,
    StartedImport,
)
from tests.marketingcloud.conftest import MemoryTokens
from tests.marketingcloud.hostile.endings import End
from tests.marketingcloud.hostile.mutations import (
    MUTATIONS,
    PERFORMS,
    RETRIEVES,
    TASK,
    TOKEN_MUTATIONS,
    TOKENS,
)

pytestmark = pytest.mark.slow

quickly = settings(
    max_examples=25,
    deadline=None,
    print_blob=True,
    suppress_health_check=[HealthCheck.too_slow],
)


class Mouth:
    """Stands in for the HTTP session and says one thing, whatever it is asked."""

    def __init__(self, answer: Answer) -> None:
        self.answer = answer
        self.sent = False
        self.asked = 0

    def post(self, *args: object, **options: object) -> Answer:
        """The one thing."""
        del args, options
        self.asked += 1
        self.sent = True
        return self.answer

    def close(self) -> None:
        """Nothing is open."""


class Unforeseen(logging.Handler):
    """Hears of what nobody had thought of."""

    def __init__(self) -> None:
        super().__init__(logging.ERROR)
        self.told: list[str] = []

    def emit(self, record: logging.LogRecord) -> None:
        """Keeps it."""
        self.told.append(f"{record.getMessage()} {record.exc_info}")


@contextmanager
def nothing_unforeseen() -> Iterator[None]:
    """Fails where the outermost edge had to catch something."""
    heard, logger = Unforeseen(), logging.getLogger("imports.marketingcloud")
    logger.addHandler(heard)
    try:
        yield
    finally:
        logger.removeHandler(heard)
    assert heard.told == []


@pytest.fixture(scope="module")
def client() -> MarketingCloudClient:
    """One for all examples; its HTTP sessions are replaced."""
    return MarketingCloudClient(
        soap_url="http://127.0.0.1:9/Service.asmx",
        credentials=OAuthCredentials(auth_url="x", client_id="i", client_secret="s"),
        tokens=MemoryTokens(),
        limits=Limits(read_tries=1),
    )


def _says(
    client: MarketingCloudClient,
    answer: Answer,
    *,
    token_answer: Answer | None = None,
) -> tuple[Mouth, MemoryTokens]:
    """Has the service say `answer`; a token is at hand unless one has to be got."""
    mouth, tokens = Mouth(answer), MemoryTokens(None if token_answer else "token-one")
    signer: Any = client._signer
    signer._tokens, signer._http = tokens, Mouth(token_answer or Answer(status=500))
    client._http = client._soap.http = mouth  # type: ignore[assignment]  # a stand-in
    return mouth, tokens


def _end(verb: Callable[[], object]) -> tuple[End, object]:
    with nothing_unforeseen():
        try:
            return End.READ, verb()
        except MarketingCloudError as error:
            error.message.encode()
            return next(e for e in End if e.error and isinstance(error, e.error)), error


@pytest.mark.parametrize("sample", PERFORMS)
@pytest.mark.parametrize("name", MUTATIONS)
@quickly
@given(data=st.data())
def test_a_spoilt_answer_to_a_start_ends_as_foreseen(
    client: MarketingCloudClient, name: str, sample: str, data: st.DataObject
) -> None:
    answer = MUTATIONS[name].apply(data, PERFORMS[sample])
    mouth, _ = _says(client, answer)
    end, found = _end(lambda: client.start_definition(customer_key="customers-daily"))
    assert end in MUTATIONS[name].ends[sample]
    assert mouth.asked == 1
    if isinstance(found, StartedImport):
        assert found.task_id.encode() in answer.body
        assert found.task_id == TASK or found.contradiction is not None


@pytest.mark.parametrize("sample", RETRIEVES)
@pytest.mark.parametrize("name", MUTATIONS)
@quickly
@given(data=st.data())
def test_a_spoilt_answer_to_a_read_ends_as_foreseen(
    client: MarketingCloudClient, name: str, sample: str, data: st.DataObject
) -> None:
    _says(client, MUTATIONS[name].apply(data, RETRIEVES[sample]))
    end, found = _end(lambda: client.results_of_tasks([TASK]))
    assert end in MUTATIONS[name].ends[sample]
    if isinstance(found, ImportResults):
        assert {row.task_id for row in found.results} <= {TASK}
        for row in found.results:
            assert all(
                count is None or 0 <= count < 2**31
                for count in (row.errors, row.total_rows)
            )


@pytest.mark.parametrize("sample", TOKENS)
@pytest.mark.parametrize("name", TOKEN_MUTATIONS)
@quickly
@given(data=st.data())
def test_a_spoilt_token_answer_ends_as_foreseen_and_nothing_is_performed(
    client: MarketingCloudClient, name: str, sample: str, data: st.DataObject
) -> None:
    answer = TOKEN_MUTATIONS[name].apply(data, TOKENS[sample])
    mouth, tokens = _says(client, Answer(status=200), token_answer=answer)
    end, _ = _end(client.authenticate)
    assert end in TOKEN_MUTATIONS[name].ends[sample]
    assert mouth.asked == 0
    assert (tokens.token is not None) is (end is End.READ)
    if tokens.token:
        assert 0 < tokens.token.expires_in_seconds <= 86_400
        assert tokens.token.value.isascii()
