"""Tokens, UsernameTokens, and whose account is meant."""

from __future__ import annotations

import pytest

from imports.sandbox.server import SandboxServer
from tests.sandbox.conftest import OUR_WSDL, Caller, TurnedClock

STATUS = '<SystemStatusRequestMsg xmlns="http://exacttarget.com/wsdl/partnerAPI"/>'


def test_token_names_its_lifetime_and_the_service_it_is_for(caller: Caller) -> None:
    answer = caller.ask_token(account_id="510001")
    assert answer.status_code == 200
    assert answer.json()["expires_in"] == 1079
    assert answer.json()["token_type"] == "Bearer"
    assert answer.json()["soap_instance_url"] == f"{caller.server.url}/"


@pytest.mark.parametrize(
    ("changes", "status", "field", "words"),
    [
        ({"client_secret": "wrong"}, 401, "error", "invalid_client"),
        ({"client_id": "nobody"}, 401, "error", "invalid_client"),
        ({"account_id": "510002"}, 401, "message", "Not Authorized"),
        ({"grant_type": "password"}, 400, "error", "unsupported_grant_type"),
    ],
)
def test_token_is_refused_in_the_vendors_words(
    caller: Caller, changes: dict[str, str], status: int, field: str, words: str
) -> None:
    answer = caller.ask_token(**changes)
    assert (answer.status_code, answer.json()[field]) == (status, words)


def test_token_works_until_it_expires_and_then_says_so(
    caller: Caller, clock: TurnedClock
) -> None:
    clock.turn(1078)
    assert caller.soap("GetSystemStatus", STATUS).find("SystemStatus") == "OK"
    clock.turn(1)
    expired = caller.soap("GetSystemStatus", STATUS)
    assert expired.status == 500
    assert expired.find("faultcode") == "q0:Security"
    assert expired.find("faultstring") == "Token Expired"


def test_token_outlives_a_restart_of_the_sandbox(
    caller: Caller, server: SandboxServer
) -> None:
    with SandboxServer(OUR_WSDL, world=server.world) as restarted:
        again = Caller(restarted)
        again.header = caller.header
        assert again.soap("GetSystemStatus", STATUS).status == 200


def test_tampered_token_and_missing_header_are_failed_logins(caller: Caller) -> None:
    for header in ("", caller.header.replace("510001.", "510002.")):
        caller.header = header
        answer = caller.soap("GetSystemStatus", STATUS)
        assert (answer.status, answer.find("faultstring")) == (500, "Login failed")


def test_wrong_password_is_a_failed_login(server: SandboxServer) -> None:
    answer = Caller(server).with_password("wrong").soap("GetSystemStatus", STATUS)
    assert (answer.status, answer.find("faultcode")) == (500, "q0:Security")
    assert answer.find("faultstring") == "Login failed"


def test_api_user_means_its_home_account_or_the_one_it_names(
    server: SandboxServer,
) -> None:
    user = Caller(server).with_password()
    asked = ["Client.ClientID1", "Name"]
    names = {
        mid: user.retrieve("ImportDefinition", asked, mid=mid).rows
        for mid in (None, 510001, 510002)
    }
    assert names[None] == names[510001]
    assert [len(rows) for rows in names.values()] == [26, 26, 15]


def test_api_user_starts_in_the_account_that_it_names(server: SandboxServer) -> None:
    user = Caller(server).with_password()
    assert user.perform("customers-daily", mid=510002).find("OverallStatus") == "OK"
    assert [line["account"] for line in server.world.performed()] == ["Nordlicht SE"]


def test_accounts_out_of_reach_are_refused_and_nothing_is_done(
    caller: Caller, server: SandboxServer
) -> None:
    started = caller.perform("customers-daily", mid=510002)
    assert (started.find("StatusCode"), started.find("ErrorCode")) == ("Error", "4")
    read = caller.retrieve("ImportDefinition", ["Name"], mid=510002)
    assert (read.find("OverallStatus") or "").startswith("Error: API Permission Failed")
    assert server.world.performed() == []


def test_query_all_accounts_reads_every_account_of_the_user(
    server: SandboxServer,
) -> None:
    user = Caller(server).with_password()
    everything = user.retrieve(
        "ImportDefinition",
        ["Name"],
        rest="<QueryAllAccounts>true</QueryAllAccounts>",
    )
    assert len(everything.rows) == 41
