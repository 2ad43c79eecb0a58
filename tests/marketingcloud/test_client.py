from __future__ import annotations

import re
from dataclasses import fields

import pytest

from imports.marketingcloud.client import MarketingCloudClient
from imports.marketingcloud.errors import (
    AuthenticationError,
    MarketingCloudError,
    OutcomeUnknownError,
    RequestRefusedError,
)
from imports.marketingcloud.records import (
    ConnectionReport,
    OAuthCredentials,
    Token,
    UsernameCredentials,
)
from imports.marketingcloud.rows import DEFINITION_PROPERTIES, RESULT_PROPERTIES
from tests.marketingcloud.conftest import (
    PASSWORD,
    SECRET,
    MemoryTokens,
    OtherTokens,
    oauth_client,
)
from tests.marketingcloud.playing import Play, Received, Stage, answer
from tests.marketingcloud.wording import (
    LOGIN_FAILED,
    TOKEN_EXPIRED,
    definition,
    fault,
    performed,
    refused,
    result,
    retrieved,
    started,
    system_status,
)

TOKEN_ANSWER = answer(
    '{"access_token": "token-two", "token_type": "Bearer", "expires_in": 1079,'
    ' "soap_instance_url": "https://mc.soap.marketingcloudapis.com/"}',
    content_type="application/json",
)
NO_IN = "Error: The operator IN is not supported for this object."


def _fault(body: str) -> Play:
    return answer(body, status=500)


def _texts(request: Received, name: str) -> list[str]:
    return re.findall(rf"<ns0:{name}>([^<]*)</ns0:{name}>", request.body)


def _no_property(*names: str) -> Play:
    listed = ", ".join(names)
    words = f"Error: The Request Property(s) {listed} do not match with the fields"
    return answer(retrieved(status=words))


# --- Listing


def test_all_pages_are_read_and_each_asks_by_the_latest_request_id(
    stage: Stage, client: MarketingCloudClient
) -> None:
    stage.plays(
        answer(
            retrieved(definition("a"), status="MoreDataAvailable", request_id="one")
        ),
        answer(
            retrieved(definition("b"), status="MoreDataAvailable", request_id="two")
        ),
        answer(retrieved(definition("c"), request_id="three")),
    )
    found = client.list_definitions()
    assert [one.customer_key for one in found.definitions] == ["a", "b", "c"]
    assert found.refused_properties == ()
    assert [_texts(one, "ContinueRequest") for one in stage.received] == [
        [],
        ["one"],
        ["two"],
    ]
    for request in stage.received:
        assert request.headers["soapaction"] == '"Retrieve"'
        assert _texts(request, "ObjectType") == ["ImportDefinition"]
        assert _texts(request, "Properties") == list(DEFINITION_PROPERTIES)


def test_an_account_without_definitions_has_an_empty_list(
    stage: Stage, client: MarketingCloudClient
) -> None:
    stage.plays(answer(retrieved()))
    assert client.list_definitions().definitions == ()


def test_a_definition_that_comes_twice_counts_once_with_its_later_facts(
    stage: Stage, client: MarketingCloudClient
) -> None:
    stage.plays(
        answer(
            retrieved(definition("a", FileSpec="old"), definition("a", FileSpec="new"))
        )
    )
    [found] = client.list_definitions().definitions
    assert found.file_spec == "new"


@pytest.mark.parametrize("request_id", ["same", None])
def test_pages_without_an_end_are_an_error_and_not_a_list(
    stage: Stage, client: MarketingCloudClient, request_id: str | None
) -> None:
    page = retrieved(definition("a"), status="MoreDataAvailable", request_id=request_id)
    stage.plays(answer(page), answer(page), answer(page))
    with pytest.raises(OutcomeUnknownError):
        client.list_definitions()
    assert len(stage.received) <= 2


def test_the_number_of_pages_is_bounded(
    stage: Stage, client: MarketingCloudClient, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("imports.marketingcloud.retrieve._MOST_PAGES", 5)
    for number in range(20):
        page = retrieved(status="MoreDataAvailable", request_id=f"page {number}")
        stage.plays(answer(page))
    with pytest.raises(OutcomeUnknownError, match="does not come to an end"):
        client.list_definitions()
    assert len(stage.received) == 6


def test_a_page_that_breaks_off_makes_the_whole_list_an_error(
    stage: Stage, client: MarketingCloudClient
) -> None:
    page = retrieved(definition("a"), status="MoreDataAvailable", request_id="one")
    last = retrieved(definition("b"), definition("c"))
    stage.plays(answer(page), answer(last[:-150]))
    with pytest.raises(OutcomeUnknownError, match="broken XML"):
        client.list_definitions()


def test_a_refused_property_is_dropped_remembered_and_reported(
    stage: Stage, client: MarketingCloudClient
) -> None:
    stage.plays(
        _no_property("Client.ClientID1", "Delimiter"),
        answer(retrieved(status="Error: Invalid column name 'HeaderLines'.")),
        answer(retrieved(definition("a"))),
        answer(retrieved(definition("b"))),
    )
    dropped = ["Client.ClientID1", "Delimiter", "HeaderLines"]
    found = client.list_definitions()
    assert [one.customer_key for one in found.definitions] == ["a"]
    assert found.refused_properties == tuple(f"ImportDefinition:{n}" for n in dropped)
    client.list_definitions()
    kept = [name for name in DEFINITION_PROPERTIES if name not in dropped]
    assert _texts(stage.received[2], "Properties") == kept
    assert _texts(stage.received[3], "Properties") == kept


def test_a_property_refused_on_a_later_page_starts_the_list_anew(
    stage: Stage, client: MarketingCloudClient
) -> None:
    first = retrieved(definition("a"), status="MoreDataAvailable", request_id="one")
    stage.plays(
        answer(first),
        _no_property("Delimiter"),
        answer(first),
        answer(retrieved(definition("b"))),
    )
    found = client.list_definitions()
    assert [one.customer_key for one in found.definitions] == ["a", "b"]


def test_what_an_earlier_client_learned_is_not_asked_for(
    stage: Stage, tokens: MemoryTokens
) -> None:
    known = ("ImportDefinition:Delimiter", "ImportResultsSummary:ID")
    client = oauth_client(stage, tokens, refused_properties=known)
    stage.plays(answer(retrieved()), answer(retrieved()))
    assert client.list_definitions().refused_properties == known
    assert client.results_of_tasks(["1"]).refused_properties == known
    assert "Delimiter" not in _texts(stage.received[0], "Properties")
    assert "ID" not in _texts(stage.received[1], "Properties")
    client.close()


@pytest.mark.parametrize("name", ["CustomerKey", "ObjectID"])
def test_a_property_that_names_the_definition_cannot_be_dropped(
    stage: Stage, tokens: MemoryTokens, name: str
) -> None:
    client = oauth_client(
        stage, tokens, refused_properties=[f"ImportDefinition:{name}"]
    )
    stage.plays(_no_property(name, "Delimiter"))
    with pytest.raises(RequestRefusedError, match=name):
        client.list_definitions()
    assert name in _texts(stage.received[0], "Properties")
    assert len(stage.received) == 1
    client.close()


@pytest.mark.parametrize(
    ("status", "kind"),
    [
        (
            "Error: API Permission Failed. Scope data_extensions_read",
            RequestRefusedError,
        ),
        ("Error", RequestRefusedError),
        ("Has Errors", RequestRefusedError),
        ("Error: Unable to find a handler for object type: X.", RequestRefusedError),
        ("Perhaps", OutcomeUnknownError),
        ("", OutcomeUnknownError),
    ],
)
def test_a_list_that_is_refused_in_its_status_is_an_error(
    stage: Stage,
    client: MarketingCloudClient,
    status: str,
    kind: type[MarketingCloudError],
) -> None:
    stage.plays(answer(retrieved(definition("a"), status=status)))
    with pytest.raises(kind, match=f"“.*{re.escape(status)}"):
        client.list_definitions()
    assert len(stage.received) == 1


def test_a_list_that_says_ok_under_http_500_is_not_believed(
    stage: Stage, client: MarketingCloudClient
) -> None:
    stage.plays(answer(retrieved(definition("a")), status=500))
    with pytest.raises(OutcomeUnknownError, match="HTTP 500"):
        client.list_definitions()


# --- Results


def test_results_of_one_task_are_asked_for_by_equals(
    stage: Stage, client: MarketingCloudClient
) -> None:
    stage.plays(answer(retrieved(result("129159023", ImportStatus="New"))))
    found = client.results_of_tasks(["129159023"])
    assert [(one.task_id, one.phase) for one in found.results] == [("129159023", "New")]
    assert found.takes_in is None
    [request] = stage.received
    assert _texts(request, "Property") == ["TaskResultID"]
    assert _texts(request, "SimpleOperator") == ["equals"]
    assert _texts(request, "Value") == ["129159023"]
    assert _texts(request, "Properties") == list(RESULT_PROPERTIES)


def test_no_row_yet_is_a_normal_answer(
    stage: Stage, client: MarketingCloudClient
) -> None:
    stage.plays(answer(retrieved()))
    assert client.results_of_tasks(["1"]).results == ()


def test_no_tasks_ask_nothing(stage: Stage, client: MarketingCloudClient) -> None:
    assert client.results_of_tasks([]).results == ()
    assert client.results_of_tasks([""]).results == ()
    assert stage.received == []


def test_many_tasks_are_asked_for_by_in_200_at_a_time(
    stage: Stage, client: MarketingCloudClient
) -> None:
    stage.plays(
        answer(retrieved(result("1"), result("2"))),
        answer(retrieved(result("201"))),
        answer(retrieved(result("401"))),
    )
    tasks = [str(number) for number in range(1, 402)]
    found = client.results_of_tasks([*tasks, "1"])
    assert [one.task_id for one in found.results] == ["1", "2", "201", "401"]
    assert found.takes_in is True
    assert [_texts(one, "SimpleOperator") for one in stage.received] == [
        ["IN"],
        ["IN"],
        ["equals"],
    ]
    asked = [value for one in stage.received for value in _texts(one, "Value")]
    assert asked == tasks


@pytest.mark.parametrize(
    "refusal",
    [answer(retrieved(status=NO_IN)), _fault(fault("soap:Client", "No such operator"))],
)
def test_an_account_that_refuses_in_is_asked_one_by_one_and_remembered(
    stage: Stage, client: MarketingCloudClient, refusal: Play
) -> None:
    stage.plays(
        refusal,
        answer(retrieved(result("1"))),
        answer(retrieved(result("2"))),
        answer(retrieved(result("1"))),
        answer(retrieved(result("2"))),
    )
    found = client.results_of_tasks(["1", "2"])
    assert [one.task_id for one in found.results] == ["1", "2"]
    assert found.takes_in is False
    client.results_of_tasks(["1", "2"])
    operators = [_texts(one, "SimpleOperator")[0] for one in stage.received]
    assert operators == ["IN", "equals", "equals", "equals", "equals"]


def test_an_account_known_to_refuse_in_is_not_asked_with_it(
    stage: Stage, tokens: MemoryTokens
) -> None:
    client = oauth_client(stage, tokens, takes_in=False)
    stage.plays(answer(retrieved(result("1"))), answer(retrieved(result("2"))))
    assert client.results_of_tasks(["1", "2"]).takes_in is None
    assert [_texts(one, "SimpleOperator")[0] for one in stage.received] == [
        "equals",
        "equals",
    ]
    client.close()


@pytest.mark.parametrize(
    "refusal",
    [
        answer(retrieved(status="Error: API Permission Failed.")),
        _fault(fault("soap:Server", "Maintenance", detail_code="9")),
        answer("<html>Forbidden</html>", status=403),
    ],
)
def test_a_refusal_that_is_not_about_in_is_not_blamed_on_it(
    stage: Stage, client: MarketingCloudClient, refusal: Play
) -> None:
    stage.plays(refusal)
    with pytest.raises(RequestRefusedError):
        client.results_of_tasks(["1", "2"])
    assert len(stage.received) == 1


def test_when_equals_is_refused_too_nothing_is_learned_about_in(
    stage: Stage, client: MarketingCloudClient
) -> None:
    stage.plays(
        answer(retrieved(status="Error: today nothing works")),
        answer(retrieved(status="Error: today nothing works")),
        answer(retrieved(result("1"), result("2"))),
    )
    with pytest.raises(RequestRefusedError):
        client.results_of_tasks(["1", "2"])
    assert client.results_of_tasks(["1", "2"]).takes_in is True


def test_results_of_definitions_are_asked_for_by_key_over_all_pages(
    stage: Stage, client: MarketingCloudClient
) -> None:
    first = result("1", ImportDefinitionCustomerKey="prices")
    second = result("2", ImportDefinitionCustomerKey="PRICES")
    stage.plays(
        answer(retrieved(first, status="MoreDataAvailable", request_id="one")),
        answer(retrieved(second)),
    )
    found = client.results_of_definitions(["prices"])
    assert [one.task_id for one in found.results] == ["1", "2"]
    for request in stage.received:
        assert _texts(request, "Property") == ["ImportDefinitionCustomerKey"]
        assert _texts(request, "Value") == ["prices"]
    assert _texts(stage.received[1], "ContinueRequest") == ["one"]


def test_rows_of_other_tasks_and_repeated_rows_are_left_out(
    stage: Stage, client: MarketingCloudClient, caplog: pytest.LogCaptureFixture
) -> None:
    stage.plays(answer(retrieved(result("1"), result("9"), result("1"))))
    found = client.results_of_tasks(["1", "2"])
    assert [one.task_id for one in found.results] == ["1"]
    assert "Left out 1 rows not asked for" in caplog.text


def test_a_refused_property_of_results_is_dropped_and_reported(
    stage: Stage, client: MarketingCloudClient
) -> None:
    stage.plays(_no_property("ID"), answer(retrieved(result("1"), result("2"))))
    found = client.results_of_tasks(["1", "2"])
    assert found.refused_properties == ("ImportResultsSummary:ID",)
    assert found.takes_in is True
    assert "ID" not in _texts(stage.received[1], "Properties")


@pytest.mark.parametrize("name", ["TaskResultID", "ImportDefinitionCustomerKey"])
def test_a_property_that_names_the_task_or_its_definition_cannot_be_dropped(
    stage: Stage, client: MarketingCloudClient, name: str
) -> None:
    stage.plays(_no_property(name))
    with pytest.raises(RequestRefusedError, match=name):
        client.results_of_tasks(["1"])


# --- Starting, tokens and credentials


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
    stage.plays(_fault(TOKEN_EXPIRED), TOKEN_ANSWER, answer(performed(started())))
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
    stage.plays(_fault(TOKEN_EXPIRED), answer(retrieved()))
    client.list_definitions()
    assert ">token-of-another-process</fueloauth>" in stage.received[1].body
    client.close()


def test_a_second_expired_token_is_refused_credentials(
    stage: Stage, client: MarketingCloudClient
) -> None:
    stage.plays(_fault(TOKEN_EXPIRED), TOKEN_ANSWER, _fault(TOKEN_EXPIRED))
    with pytest.raises(AuthenticationError, match="Token Expired"):
        client.start_definition(customer_key="a")
    assert len(stage.received) == 3


def test_an_expired_token_of_a_user_name_account_is_not_repeated(
    stage: Stage, username_client: MarketingCloudClient
) -> None:
    stage.plays(_fault(TOKEN_EXPIRED))
    with pytest.raises(AuthenticationError):
        username_client.start_definition(customer_key="a")
    assert len(stage.received) == 1


def test_a_failed_login_is_refused_credentials(
    stage: Stage, username_client: MarketingCloudClient
) -> None:
    stage.plays(_fault(LOGIN_FAILED))
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
        _fault(fault("soap:Client", words)),
        answer(performed(refused(words))),
        answer(performed(started().replace("AsyncID", f"{token} AsyncID"))),
        _fault(fault("soap:Client", f"{padding} got {PASSWORD}")),
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


def test_records_do_not_show_their_secrets() -> None:
    shown = [
        repr(OAuthCredentials(auth_url="u", client_id="i", client_secret=SECRET)),
        repr(UsernameCredentials(username="u", password=PASSWORD)),
        repr(Token(value=SECRET, expires_in_seconds=1)),
    ]
    assert "S3cr3t" not in "".join(shown)
    assert {field.name for field in fields(Token)} >= {"value"}
