from __future__ import annotations

from dataclasses import fields

import pytest

from imports.marketingcloud.client import MarketingCloudClient
from imports.marketingcloud.errors import (
    AuthenticationError,
    OutcomeUnknownError,
    RequestRefusedError,
)
from imports.marketingcloud.records import (
    ConnectionReport,
    OAuthCredentials,
    Token,
    UsernameCredentials,
)
from tests.marketingcloud.conftest import (
    PASSWORD,
    SECRET,
    MemoryTokens,
    OtherTokens,
    oauth_client,
)
from tests.marketingcloud.playing import Stage, answer
from tests.marketingcloud.replies import soap_fault
from tests.marketingcloud.wording import (
    LOGIN_FAILED,
    TOKEN_EXPIRED,
    fault,
    performed,
    refused,
    retrieved,
    started,
    system_status,
)

TOKEN_ANSWER = answer(
    '{"access_token": "token-two", "token_type": "Bearer", "expires_in": 1079,'
    ' "soap_instance_url": "https://mc.soap.marketingcloudapis.com/"}',
    content_type="application/json",
)


def test_a_definition_without_key_and_object_id_is_refused_unsent(
    stage: Stage, client: MarketingCloudClient
) -> None:
    with pytest.raises(RequestRefusedError, match="neither"):
        client.start_definition(customer_key="")
    assert stage.received == []


def test_a_mid_that_is_no_number_is_refused_unsent(stage: Stage) -> None:
    client = MarketingCloudClient(
        soap_url=stage.url,
        credentials=UsernameCredentials(username="u", password=PASSWORD, mid="x1"),
        tokens=MemoryTokens(None),
    )
    with pytest.raises(RequestRefusedError, match="MID is not a number"):
        client.start_definition(customer_key="a")
    assert stage.received == []


def test_an_expired_token_is_renewed_once_and_the_perform_repeated(
    stage: Stage, client: MarketingCloudClient, tokens: MemoryTokens
) -> None:
    stage.plays(soap_fault(TOKEN_EXPIRED), TOKEN_ANSWER, answer(performed(started())))
    assert client.start_definition(customer_key="a").task_id == "129159023"
    assert tokens.renewals == ["token-one"]
    first, token, second = stage.received
    assert (first.path, token.path) == ("/Service.asmx", "/v2/token")
    assert ">token-one</fueloauth>" in first.body
    assert ">token-two</fueloauth>" in second.body
    assert first.port != second.port


def test_a_token_that_another_process_fetched_is_used(stage: Stage) -> None:
    tokens = OtherTokens()
    client = oauth_client(stage, tokens)
    stage.plays(soap_fault(TOKEN_EXPIRED), answer(retrieved()))
    client.list_definitions()
    assert ">token-of-another-process</fueloauth>" in stage.received[1].body
    client.close()


def test_a_second_expired_token_is_refused_credentials(
    stage: Stage, client: MarketingCloudClient
) -> None:
    stage.plays(soap_fault(TOKEN_EXPIRED), TOKEN_ANSWER, soap_fault(TOKEN_EXPIRED))
    with pytest.raises(AuthenticationError, match="Token Expired"):
        client.start_definition(customer_key="a")
    assert len(stage.received) == 3


def test_an_expired_token_of_a_user_name_account_is_not_repeated(
    stage: Stage, username_client: MarketingCloudClient
) -> None:
    stage.plays(soap_fault(TOKEN_EXPIRED))
    with pytest.raises(AuthenticationError):
        username_client.start_definition(customer_key="a")
    assert len(stage.received) == 1


def test_a_failed_login_is_refused_credentials(
    stage: Stage, username_client: MarketingCloudClient
) -> None:
    stage.plays(soap_fault(LOGIN_FAILED))
    with pytest.raises(AuthenticationError, match="Login failed"):
        username_client.list_definitions()
    assert PASSWORD in stage.received[0].body


def test_authenticate_fetches_a_token_only_where_there_is_none(
    stage: Stage, username_client: MarketingCloudClient
) -> None:
    tokens = MemoryTokens(None)
    stage.plays(TOKEN_ANSWER)
    client = oauth_client(stage, tokens)
    client.authenticate()
    client.authenticate()
    username_client.authenticate()
    assert [one.path for one in stage.received] == ["/v2/token"]
    assert tokens.token == Token(
        value="token-two",
        expires_in_seconds=1079,
        soap_instance_url="https://mc.soap.marketingcloudapis.com/",
    )


@pytest.mark.parametrize("word", ["OK", "InMaintenance", "UnplannedOutage"])
def test_the_connection_check_reports_the_vendors_word(stage: Stage, word: str) -> None:
    stage.plays(TOKEN_ANSWER, answer(system_status(word)))
    client = oauth_client(stage, MemoryTokens(None))
    assert client.check_connection() == ConnectionReport(
        system_status=word,
        system_message="System Status Retrieved",
        soap_instance_url="https://mc.soap.marketingcloudapis.com/",
    )
    assert stage.received[1].headers["soapaction"] == '"GetSystemStatus"'
    client.close()


def test_a_connection_check_without_a_status_is_an_error(
    stage: Stage, username_client: MarketingCloudClient
) -> None:
    stage.plays(
        answer(system_status("")),
        answer(system_status(overall="Error")),
        answer(system_status(overall="Odd")),
    )
    with pytest.raises(OutcomeUnknownError, match="names no system status"):
        username_client.check_connection()
    with pytest.raises(RequestRefusedError):
        username_client.check_connection()
    with pytest.raises(OutcomeUnknownError, match="unknown status"):
        username_client.check_connection()


@pytest.mark.parametrize("padding", ["", "x" * 470])
def test_secrets_that_the_vendor_echoes_are_never_repeated(
    stage: Stage, username_client: MarketingCloudClient, padding: str
) -> None:
    token = "a.long.token-" + "0123456789" * 60
    client = oauth_client(stage, MemoryTokens(token))
    words = f"{padding} got {token} and {SECRET}."
    stage.plays(
        soap_fault(fault("soap:Client", words)),
        answer(performed(refused(words))),
        answer(performed(started().replace("AsyncID", f"{token} AsyncID"))),
        soap_fault(fault("soap:Client", f"{padding} got {PASSWORD}")),
    )
    told = []
    for _ in range(2):
        with pytest.raises(RequestRefusedError) as caught:
            client.start_definition(customer_key="a")
        told += [str(caught.value), caught.value.message, repr(caught.value)]
    told.append(client.start_definition(customer_key="a").status_message)
    with pytest.raises(RequestRefusedError) as caught:
        username_client.list_definitions()
    told.append(str(caught.value))
    for text in told:
        assert "0123456789" not in text
        assert "S3cr3t" not in text
    client.close()


def test_secrets_that_the_vendor_echoes_are_never_logged(
    stage: Stage, caplog: pytest.LogCaptureFixture
) -> None:
    client = MarketingCloudClient(
        soap_url=stage.url,
        credentials=UsernameCredentials(username="u", password=PASSWORD),
        tokens=MemoryTokens(None),
    )
    stage.plays(
        answer(f"<html>{PASSWORD}</html>", status=503, Retry_After="0"),
        soap_fault(fault("soap:Client", f"No such operator: {PASSWORD}")),
        answer(retrieved()),
        answer(retrieved()),
    )
    with caplog.at_level("INFO", "imports"):
        assert client.results_of_tasks(["1", "2"]).takes_in is False
    client.close()
    assert "A read failed" in caplog.text
    assert "No such operator: •••" in caplog.text
    assert "S3cr3t" not in caplog.text
    assert PASSWORD not in caplog.text


def test_records_do_not_show_their_secrets() -> None:
    shown = [
        repr(OAuthCredentials(auth_url="u", client_id="i", client_secret=SECRET)),
        repr(UsernameCredentials(username="u", password=PASSWORD)),
        repr(Token(value=SECRET, expires_in_seconds=1)),
    ]
    assert "S3cr3t" not in "".join(shown)
    assert {field.name for field in fields(Token)} >= {"value"}
