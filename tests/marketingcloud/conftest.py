"""What the wall's tests share: a stage, a token store, a client."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import replace

import pytest

from imports.marketingcloud.client import MarketingCloudClient
from imports.marketingcloud.records import (
    Limits,
    OAuthCredentials,
    Token,
    UsernameCredentials,
)
from tests.marketingcloud.playing import Stage, staged

SECRET = "client-secret-S3cr3t-marked"
PASSWORD = "pass-word-S3cr3t-marked"
# Roomy where time is not the matter, so that a busy machine changes nothing.
ROOMY = Limits(
    connect_timeout_seconds=10,
    read_timeout_seconds=20,
    call_deadline_seconds=30,
    max_answer_bytes=200_000,
    read_tries=1,
)
FOR_HANGING = replace(ROOMY, read_timeout_seconds=0.3)
FOR_DRIPPING = replace(ROOMY, call_deadline_seconds=0.5)


class MemoryTokens:
    """A token store in memory."""

    def __init__(self, token: str | None = "token-one") -> None:
        self.token = _token(token) if token else None
        self.renewals: list[str | None] = []

    def current(self) -> Token | None:
        """The token, if there is one."""
        return self.token

    def renew(self, fetch: Callable[[], Token], *, refused: str | None = None) -> Token:
        """Fetches always; notes which token was refused."""
        self.renewals.append(refused)
        self.token = fetch()
        return self.token


class OtherTokens(MemoryTokens):
    """A store to which another process has brought a new token meanwhile."""

    def renew(self, fetch: Callable[[], Token], *, refused: str | None = None) -> Token:
        """Gives the other process's token without fetching."""
        del fetch
        self.renewals.append(refused)
        self.token = _token("token-of-another-process")
        return self.token


def _token(value: str) -> Token:
    return Token(value=value, expires_in_seconds=1000)


@pytest.fixture
def stage() -> Iterator[Stage]:
    """A server that plays prepared answers."""
    with staged() as running:
        yield running


@pytest.fixture
def tokens() -> MemoryTokens:
    """A store with a good token."""
    return MemoryTokens()


def oauth_client(
    stage: Stage, tokens: MemoryTokens, *, limits: Limits = ROOMY, **more: object
) -> MarketingCloudClient:
    """A client with OAuth credentials for the stage."""
    options: dict[str, object] = {
        "soap_url": f"{stage.url}/Service.asmx",
        "credentials": OAuthCredentials(
            auth_url=stage.url, client_id="the-id", client_secret=SECRET
        ),
        "tokens": tokens,
        "limits": limits,
        **more,
    }
    return MarketingCloudClient(**options)  # type: ignore[arg-type]  # each of its own type


@pytest.fixture
def client(stage: Stage, tokens: MemoryTokens) -> Iterator[MarketingCloudClient]:
    """A client with OAuth credentials and a good token."""
    made = oauth_client(stage, tokens)
    yield made
    made.close()


@pytest.fixture
def username_client(stage: Stage) -> Iterator[MarketingCloudClient]:
    """A client with an API user's name, password and MID."""
    made = MarketingCloudClient(
        soap_url=f"{stage.url}/Service.asmx",
        credentials=UsernameCredentials(
            username="api-user", password=PASSWORD, mid="7206381"
        ),
        tokens=MemoryTokens(None),
        limits=ROOMY,
    )
    yield made
    made.close()
