from __future__ import annotations

import json

import pytest

from imports.marketingcloud.client import MarketingCloudClient
from imports.marketingcloud.errors import AuthenticationError, MarketingCloudError
from imports.marketingcloud.records import OAuthCredentials
from tests.marketingcloud.conftest import ROOMY, SECRET, MemoryTokens, oauth_client
from tests.marketingcloud.playing import Play, Stage, answer

JSON = "application/json"
INVALID_CLIENT = json.dumps(
    {
        "error": "invalid_client",
        "error_description": "Client authentication failed.",
        "error_uri": "https://developer.salesforce.com/docs",
    }
)
NOT_AUTHORIZED = json.dumps(
    {"documentation": "https://x", "errorcode": 0, "message": "Not Authorized"}
)


def _fresh(stage: Stage) -> MarketingCloudClient:
    return oauth_client(stage, MemoryTokens(None))


def _json(content: object, status: int = 200) -> Play:
    return answer(json.dumps(content), status=status, content_type=JSON)


def test_the_token_is_asked_for_with_the_documented_body(stage: Stage) -> None:
    stage.plays(_json({"access_token": "t", "expires_in": 1079}))
    credentials = OAuthCredentials(
        auth_url=f"{stage.url}/",
        client_id="the-id",
        client_secret=SECRET,
        mid="7206381",
    )
    tokens = MemoryTokens(None)
    client = MarketingCloudClient(
        soap_url=stage.url, credentials=credentials, tokens=tokens, limits=ROOMY
    )
    client.authenticate()
    [request] = stage.received
    assert request.path == "/v2/token"
    assert request.headers["content-type"] == JSON
    assert json.loads(request.body) == {
        "grant_type": "client_credentials",
        "client_id": "the-id",
        "client_secret": SECRET,
        "account_id": "7206381",
    }
    assert tokens.token is not None
    assert tokens.token.soap_instance_url is None


def test_without_a_mid_no_account_is_asked_for(stage: Stage) -> None:
    stage.plays(_json({"access_token": "t", "expires_in": 1079}))
    _fresh(stage).authenticate()
    assert "account_id" not in stage.received[0].body


@pytest.mark.parametrize(
    ("play", "words"),
    [
        (answer(INVALID_CLIENT, status=401), "“Client authentication failed.”"),
        (answer(INVALID_CLIENT, status=400), "“Client authentication failed.”"),
        (answer(NOT_AUTHORIZED, status=401), "“Not Authorized”."),
        (answer(NOT_AUTHORIZED, status=403), "“Not Authorized”."),
        (_json({"error": "invalid_grant"}, 400), "“invalid_grant”."),
        (answer("", status=401), "client secret."),
        (answer("<html>", status=401), "client secret."),
    ],
)
def test_refused_credentials_are_told_in_the_vendors_words(
    stage: Stage, play: Play, words: str
) -> None:
    stage.plays(play)
    with pytest.raises(AuthenticationError, match="client ID or client") as caught:
        _fresh(stage).authenticate()
    assert caught.value.message.endswith(words)


GOOD = {"access_token": "t", "expires_in": 1079}


def test_a_life_beyond_a_day_is_taken_for_a_day(stage: Stage) -> None:
    tokens = MemoryTokens(None)
    stage.plays(_json({**GOOD, "expires_in": 10**400}))
    oauth_client(stage, tokens).authenticate()
    assert tokens.token is not None
    assert tokens.token.expires_in_seconds == 86_400


def test_the_client_secret_is_in_no_error(stage: Stage) -> None:
    stage.plays(
        _json({"error": "invalid_client", "error_description": f"No: {SECRET}"}, 401),
        _json({"message": f"No: {SECRET}"}, 500),
    )
    for _ in range(2):
        with pytest.raises(MarketingCloudError) as caught:
            _fresh(stage).authenticate()
        assert "S3cr3t" not in str(caught.value)
