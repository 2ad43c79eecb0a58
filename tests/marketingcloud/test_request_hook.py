"""The hook is called once for each request, and changes nothing."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import suppress
from dataclasses import replace

import pytest

from imports.marketingcloud.client import MarketingCloudClient
from imports.marketingcloud.errors import MarketingCloudError
from tests.marketingcloud.conftest import FOR_HANGING, ROOMY, MemoryTokens, oauth_client
from tests.marketingcloud.playing import Play, Stage, answer, cut, hang, raw
from tests.marketingcloud.replies import soap_fault
from tests.marketingcloud.wording import (
    LOGIN_FAILED,
    TOKEN_EXPIRED,
    performed,
    refused,
    retrieved,
    started,
    system_status,
)

TOKEN = answer('{"access_token": "token-two", "expires_in": 1079}')
NO_TOKEN = answer('{"error": "invalid_client"}', status=401)


class Watcher:
    def __init__(self) -> None:
        self.seen: list[tuple[str, str]] = []
        self.seconds: list[float] = []

    def __call__(self, *, operation: str, outcome: str, seconds: float) -> None:
        self.seen.append((operation, outcome))
        self.seconds.append(seconds)


@pytest.fixture
def watcher() -> Watcher:
    return Watcher()


@pytest.fixture
def watched(stage: Stage, watcher: Watcher) -> Iterator[MarketingCloudClient]:
    limits = replace(FOR_HANGING, read_tries=1)
    client = oauth_client(stage, MemoryTokens(), limits=limits, on_request=watcher)
    yield client
    client.close()


@pytest.mark.parametrize(
    ("play", "outcome"),
    [
        (answer(performed(started())), "answered"),
        # what an answer of HTTP 200 says is not for HTTP to judge
        (answer(performed(refused("No."))), "answered"),
        (soap_fault(LOGIN_FAILED), "error"),
        (answer("busy", status=503), "error"),
        (answer("", status=302, Location="/elsewhere"), "refused"),
        (cut(), "unknown"),
        (hang(), "unknown"),
        (raw(b"HTTP/1.1 200 OK\r\nContent-Length: 99\r\n\r\n<"), "unknown"),
    ],
)
def test_a_perform_is_told_of_once_with_its_outcome(
    stage: Stage,
    watched: MarketingCloudClient,
    watcher: Watcher,
    play: Play,
    outcome: str,
) -> None:
    stage.plays(play)
    with suppress(MarketingCloudError):
        watched.start_definition(customer_key="a")
    assert watcher.seen == [("Perform", outcome)]
    assert len(stage.received) == 1
    assert 0 < watcher.seconds[0] < ROOMY.call_deadline_seconds


def test_what_never_left_this_machine_was_unavailable(watcher: Watcher) -> None:
    stage = Stage()
    stage.server_close()
    client = oauth_client(stage, MemoryTokens(), on_request=watcher)
    with pytest.raises(MarketingCloudError):
        client.start_definition(customer_key="a")
    assert watcher.seen == [("Perform", "unavailable")]


def test_a_token_and_the_second_try_are_told_of_too(
    stage: Stage, watched: MarketingCloudClient, watcher: Watcher
) -> None:
    stage.plays(soap_fault(TOKEN_EXPIRED), TOKEN, answer(performed(started())))
    watched.start_definition(customer_key="a")
    assert watcher.seen == [
        ("Perform", "error"),
        ("token", "answered"),
        ("Perform", "answered"),
    ]


def test_a_refused_token_is_an_error(
    stage: Stage, watched: MarketingCloudClient, watcher: Watcher
) -> None:
    stage.plays(soap_fault(TOKEN_EXPIRED), NO_TOKEN)
    with pytest.raises(MarketingCloudError):
        watched.check_connection()
    assert watcher.seen == [("GetSystemStatus", "error"), ("token", "error")]


def test_each_try_of_a_patient_read_is_told_of(stage: Stage, watcher: Watcher) -> None:
    client = oauth_client(
        stage, MemoryTokens(), limits=replace(ROOMY, read_tries=2), on_request=watcher
    )
    busy = answer("busy", status=503, Retry_After="0")
    stage.plays(busy, answer(retrieved()), answer(system_status()))
    client.list_definitions()
    client.check_connection()
    client.close()
    assert watcher.seen == [
        ("Retrieve", "error"),
        ("Retrieve", "answered"),
        ("GetSystemStatus", "answered"),
    ]
