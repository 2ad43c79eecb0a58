from __future__ import annotations

import re

import pytest

from imports.marketingcloud.client import MarketingCloudClient
from imports.marketingcloud.errors import (
    MarketingCloudError,
    OutcomeUnknownError,
    RequestRefusedError,
)
from imports.marketingcloud.parse import DEFINITION_PROPERTIES, RESULT_PROPERTIES
from tests.marketingcloud.conftest import (
    MemoryTokens,
    oauth_client,
)
from tests.marketingcloud.playing import Play, Stage, answer
from tests.marketingcloud.replies import no_property, soap_fault, texts
from tests.marketingcloud.wording import (
    definition,
    fault,
    result,
    retrieved,
)

NO_IN = "Error: The operator IN is not supported for this object."


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
    pages: list[int] = []
    found = client.list_definitions(on_page=pages.append)
    assert pages == [1, 2, 3]
    assert [one.customer_key for one in found.definitions] == ["a", "b", "c"]
    assert found.is_whole
    assert found.refused_properties == ()
    assert [texts(one, "ContinueRequest") for one in stage.received] == [
        [],
        ["one"],
        ["two"],
    ]
    for request in stage.received:
        assert request.headers["soapaction"] == '"Retrieve"'
        assert texts(request, "ObjectType") == ["ImportDefinition"]
        assert texts(request, "Properties") == list(DEFINITION_PROPERTIES)


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


MORE = "MoreDataAvailable"


@pytest.mark.parametrize(
    "pages",
    [
        (retrieved(definition("a"), status=MORE), retrieved()),
        (retrieved(definition("a"), status=MORE), retrieved(definition("a"))),
        (
            retrieved(definition("a"), definition("b"), status=MORE),
            retrieved(definition("b"), definition("c")),
        ),
        (
            retrieved(definition("a"), status=MORE, request_id="one"),
            retrieved(status=MORE, request_id="two"),
            retrieved(definition("b")),
        ),
    ],
    ids=["an empty page", "a repeated page", "a row moved back", "empty between"],
)
def test_pages_that_do_not_fit_together_make_no_whole_list(
    stage: Stage, client: MarketingCloudClient, pages: tuple[str, ...]
) -> None:
    stage.plays(*map(answer, pages))
    assert not client.list_definitions().is_whole


def test_a_row_that_comes_twice_on_one_page_leaves_the_list_whole(
    stage: Stage, client: MarketingCloudClient
) -> None:
    stage.plays(answer(retrieved(definition("a"), definition("a"))))
    assert client.list_definitions().is_whole


def test_results_whose_pages_do_not_fit_together_are_not_whole(
    stage: Stage, client: MarketingCloudClient
) -> None:
    pages = (
        retrieved(result("1", ImportStatus="New"), status=MORE),
        retrieved(result("1", ImportStatus="Completed")),
    )
    for ask in (client.all_results, lambda: client.results_of_tasks(["1"])):
        stage.plays(*map(answer, pages))
        assert not ask().is_whole


def test_definitions_are_found_by_object_id_then_by_key(
    stage: Stage, client: MarketingCloudClient
) -> None:
    there = definition("a", ObjectID="id-a")
    stage.plays(answer(retrieved(there)), answer(retrieved(definition("b"))))
    wanted = [("id-a", "a"), ("id-b", "b"), (None, "c")]
    found = client.find_definitions(wanted)
    assert [one.customer_key for one in found.definitions] == ["a", "b"]
    by_id, by_key = stage.received
    assert (texts(by_id, "Property"), texts(by_id, "Value")) == (
        ["ObjectID"],
        ["id-a", "id-b"],
    )
    assert (texts(by_key, "Property"), texts(by_key, "Value")) == (
        ["CustomerKey"],
        ["b", "c"],
    )


def test_where_object_ids_cannot_be_asked_for_the_keys_are(
    stage: Stage, client: MarketingCloudClient
) -> None:
    refusal = answer(retrieved(status="Error: ObjectID cannot be filtered by."))
    stage.plays(refusal, refusal, answer(retrieved(definition("a"), definition("b"))))
    found = client.find_definitions([("id-a", "a"), ("id-b", "b")])
    assert [one.customer_key for one in found.definitions] == ["a", "b"]
    assert texts(stage.received[-1], "Property") == ["CustomerKey"]


def test_a_question_that_nothing_replaces_stays_refused(
    stage: Stage, client: MarketingCloudClient
) -> None:
    stage.plays(answer(retrieved(status="Error: ObjectID cannot be filtered by.")))
    with pytest.raises(RequestRefusedError, match="cannot be filtered"):
        client.find_definitions([("id-a", "")])


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
        no_property("Client.ClientID1", "Delimiter"),
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
    assert texts(stage.received[2], "Properties") == kept
    assert texts(stage.received[3], "Properties") == kept


def test_a_property_refused_on_a_later_page_starts_the_list_anew(
    stage: Stage, client: MarketingCloudClient
) -> None:
    first = retrieved(definition("a"), status="MoreDataAvailable", request_id="one")
    stage.plays(
        answer(first),
        no_property("Delimiter"),
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
    assert "Delimiter" not in texts(stage.received[0], "Properties")
    assert "ID" not in texts(stage.received[1], "Properties")
    client.close()


@pytest.mark.parametrize("name", ["CustomerKey", "ObjectID"])
def test_a_property_that_names_the_definition_cannot_be_dropped(
    stage: Stage, tokens: MemoryTokens, name: str
) -> None:
    client = oauth_client(
        stage, tokens, refused_properties=[f"ImportDefinition:{name}"]
    )
    stage.plays(no_property(name, "Delimiter"))
    with pytest.raises(RequestRefusedError, match=name):
        client.list_definitions()
    assert name in texts(stage.received[0], "Properties")
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


def test_results_of_one_task_are_asked_for_by_equals(
    stage: Stage, client: MarketingCloudClient
) -> None:
    stage.plays(answer(retrieved(result("129159023", ImportStatus="New"))))
    found = client.results_of_tasks(["129159023"])
    assert [(one.task_id, one.phase) for one in found.results] == [("129159023", "New")]
    assert found.takes_in is None
    [request] = stage.received
    assert texts(request, "Property") == ["TaskResultID"]
    assert texts(request, "SimpleOperator") == ["equals"]
    assert texts(request, "Value") == ["129159023"]
    assert texts(request, "Properties") == list(RESULT_PROPERTIES)


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
    assert [texts(one, "SimpleOperator") for one in stage.received] == [
        ["IN"],
        ["IN"],
        ["equals"],
    ]
    asked = [value for one in stage.received for value in texts(one, "Value")]
    assert asked == tasks


@pytest.mark.parametrize(
    "refusal",
    [
        answer(retrieved(status=NO_IN)),
        soap_fault(fault("soap:Client", "No such operator")),
    ],
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
    operators = [texts(one, "SimpleOperator")[0] for one in stage.received]
    assert operators == ["IN", "equals", "equals", "equals", "equals"]


def test_an_account_known_to_refuse_in_is_not_asked_with_it(
    stage: Stage, tokens: MemoryTokens
) -> None:
    client = oauth_client(stage, tokens, takes_in=False)
    stage.plays(answer(retrieved(result("1"))), answer(retrieved(result("2"))))
    assert client.results_of_tasks(["1", "2"]).takes_in is None
    assert [texts(one, "SimpleOperator")[0] for one in stage.received] == [
        "equals",
        "equals",
    ]
    client.close()


@pytest.mark.parametrize(
    "refusal",
    [
        answer(retrieved(status="Error: API Permission Failed.")),
        soap_fault(fault("soap:Server", "Maintenance", detail_code="9")),
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


def test_all_results_are_asked_for_without_a_filter_over_all_pages(
    stage: Stage, client: MarketingCloudClient
) -> None:
    stage.plays(
        answer(
            retrieved(
                result("1", ImportDefinitionCustomerKey="prices"),
                status="MoreDataAvailable",
                request_id="one",
            )
        ),
        answer(retrieved(result("2", ImportDefinitionCustomerKey=""))),
    )
    found = client.all_results()
    assert [one.task_id for one in found.results] == ["1", "2"]
    assert all(not texts(request, "Property") for request in stage.received)
    assert texts(stage.received[1], "ContinueRequest") == ["one"]


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
        assert texts(request, "Property") == ["ImportDefinitionCustomerKey"]
        assert texts(request, "Value") == ["prices"]
    assert texts(stage.received[1], "ContinueRequest") == ["one"]


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
    stage.plays(no_property("ID"), answer(retrieved(result("1"), result("2"))))
    found = client.results_of_tasks(["1", "2"])
    assert found.refused_properties == ("ImportResultsSummary:ID",)
    assert found.takes_in is True
    assert "ID" not in texts(stage.received[1], "Properties")


@pytest.mark.parametrize("name", ["TaskResultID", "ImportDefinitionCustomerKey"])
def test_a_property_that_names_the_task_or_its_definition_cannot_be_dropped(
    stage: Stage, client: MarketingCloudClient, name: str
) -> None:
    stage.plays(no_property(name))
    with pytest.raises(RequestRefusedError, match=name):
        client.results_of_tasks(["1"])
