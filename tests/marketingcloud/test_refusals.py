from __future__ import annotations

import pytest

from imports.marketingcloud.errors import (
    AuthenticationError,
    MarketingCloudError,
    OutcomeUnknownError,
    RequestRefusedError,
    TokenExpiredError,
    named_properties,
)
from imports.marketingcloud.http import Answer
from imports.marketingcloud.parse import RESULTS, read_message
from imports.marketingcloud.perform import read_started
from imports.marketingcloud.records import StartedImport
from imports.marketingcloud.retrieve import Retriever
from tests.marketingcloud.wording import (
    API,
    LOGIN_FAILED,
    REQUEST_ID,
    TOKEN_EXPIRED,
    envelope,
    fault,
    performed,
    refused,
    retrieved,
    started,
)

ERROR_ID = "Exception occurred during [Perform] ErrorID: 1234"
SOAP_12_REFUSAL = envelope(
    "<soap:Fault><soap:Code><soap:Value>soap:Sender</soap:Value></soap:Code>"
    "<soap:Reason><soap:Text>Not so</soap:Text></soap:Reason></soap:Fault>"
)

CLIENT_FAULT = (
    "<soap:Fault><faultcode>soap:Client</faultcode><faultstring>No</faultstring>"
    "</soap:Fault>"
)
STRAY_TASK = performed(refused("no") + "<Task><ID>129159023</ID></Task>")
STRAY_WORDS = performed(refused("no")).replace(
    "<OverallStatusMessage/>",
    "<OverallStatusMessage>AsyncID:129159023</OverallStatusMessage>",
)


def _start(body: str, status: int = 200) -> StartedImport:
    answer = Answer(status=status, content_type="text/xml", body=body.encode())
    message = read_message(answer, "PerformResponseMsg")
    return read_started(message, customer_key="customers-daily")


@pytest.mark.parametrize("status", [200, 400, 500])
@pytest.mark.parametrize(
    ("body", "kind"),
    [
        (TOKEN_EXPIRED, TokenExpiredError),
        (fault("wsse:Security", "token expired."), TokenExpiredError),
        (LOGIN_FAILED, AuthenticationError),
        (fault("soap:Client", "Login Failed"), AuthenticationError),
        (fault("soap:Client", "User is not authorized"), RequestRefusedError),
        (fault("soap:Client.Sub", "No"), RequestRefusedError),
        (fault("q0:Security", "No such thing"), RequestRefusedError),
        (fault("soap:MustUnderstand", "Header"), RequestRefusedError),
        (fault("soap:VersionMismatch", "1.2"), RequestRefusedError),
        (SOAP_12_REFUSAL, RequestRefusedError),
        (fault("soap:Server", "Maintenance", detail_code="9"), RequestRefusedError),
        (
            fault("soap:Server", "Database. This request was not processed."),
            RequestRefusedError,
        ),
        (
            fault(
                "soap:Server", "x", detail_code="1", detail_words="it was Not Processed"
            ),
            RequestRefusedError,
        ),
        (fault("soap:Server", "Oops"), OutcomeUnknownError),
        (fault("soap:Server", "Oops", detail_code="2"), OutcomeUnknownError),
        (fault("soap:Server", "Token Expired"), OutcomeUnknownError),
        (fault("soap:Client", ERROR_ID), OutcomeUnknownError),
        (fault("soap:Client", "Oops", detail_code="2"), OutcomeUnknownError),
        (fault("", ""), OutcomeUnknownError),
        (fault("soap:Odd", "Never seen"), OutcomeUnknownError),
        (envelope("<soap:Fault/>"), OutcomeUnknownError),
    ],
)
def test_a_fault_is_read_before_the_http_status_is_judged(
    body: str, kind: type[MarketingCloudError], status: int
) -> None:
    with pytest.raises(MarketingCloudError) as caught:
        _start(body, status)
    assert caught.type is kind or caught.type.__mro__[1] is kind


def test_a_faults_words_and_code_are_kept() -> None:
    body = fault("soap:Server", "Outage", detail_code="2", detail_words="See below")
    with pytest.raises(OutcomeUnknownError, match="“Outage See below”") as caught:
        _start(body, 500)
    assert caught.value.code == "2"


def test_a_full_stop_of_theirs_ends_our_sentence_too() -> None:
    with pytest.raises(RequestRefusedError) as caught:
        _start(fault("soap:Client", "No such file."))
    assert caught.value.message.endswith(": “No such file.”")


def test_long_vendor_words_are_cut() -> None:
    with pytest.raises(RequestRefusedError) as caught:
        _start(fault("soap:Client", "no\n " * 10_000))
    assert len(caught.value.message) < 600
    assert "no no no" in caught.value.message


def test_an_answer_with_a_task_id_is_a_start() -> None:
    assert _start(performed(started())) == StartedImport(
        task_id="129159023",
        request_id=REQUEST_ID,
        status_code="OK",
        status_message="ImportDefinition performed AsyncID:129159023",
        error_code=None,
        contradiction=None,
    )


@pytest.mark.parametrize(
    ("body", "status", "words"),
    [
        (performed(started(), overall="Error"), 200, "OverallStatus “Error”"),
        (performed(started()), 500, "HTTP 500"),
        (performed(started()), 403, "HTTP 403"),
        (
            performed(started().replace("<StatusCode>OK", "<StatusCode>Error", 1)),
            200,
            "StatusCode “Error”, StatusMessage “ImportDefinition performed",
        ),
        (
            performed(
                started().replace("<Object ", "<ErrorCode>2</ErrorCode><Object ")
            ),
            200,
            "ErrorCode “2”",
        ),
        (
            performed(started().replace("customers-daily", "prices")),
            200,
            "CustomerKey “prices”",
        ),
        (performed(refused("no") + started()), 200, "2 results"),
        (
            performed(started().replace("<ID>129159023", "<ID>129159023</ID><ID>7")),
            200,
            "task 7",
        ),
        (performed(started().replace("AsyncID:129159023", "AsyncID:7")), 200, "task 7"),
        (
            performed(started()).replace("<soap:Body>", f"<soap:Body>{CLIENT_FAULT}"),
            200,
            "refused the request: “No”",
        ),
        (
            performed(started()).replace(
                "<soap:Body>", f"<soap:Body>{CLIENT_FAULT}</soap:Body><soap:Body>"
            ),
            500,
            "refused the request: “No”",
        ),
        (
            performed(started()).replace(
                "<Results>", f"<Results>{refused('no')}</Results><Results>"
            ),
            200,
            "2 results",
        ),
    ],
)
def test_a_start_that_contradicts_itself_is_a_start_with_the_contradiction_kept(
    body: str, status: int, words: str
) -> None:
    found = _start(body, status)
    assert found.task_id == "129159023"
    assert found.contradiction is not None
    assert words in found.contradiction


@pytest.mark.parametrize(
    "task",
    [
        "",
        "<Task><StatusCode>OK</StatusCode></Task>",
        '<Task><ID xsi:nil="true"/></Task>',
        "<Task><ID>0</ID></Task>",
        "<Task><ID>not a number</ID></Task>",
    ],
)
def test_the_task_id_is_also_read_from_the_status_message(task: str) -> None:
    row = (
        "<Result><StatusCode>OK</StatusCode><StatusMessage>ImportDefinition performed"
        f" AsyncID:77</StatusMessage>{task}</Result>"
    )
    assert _start(performed(row)).task_id == "77"


@pytest.mark.parametrize(
    ("body", "status", "kind", "words"),
    [
        (performed(refused("Not found")), 200, RequestRefusedError, "“Not found”"),
        (performed(refused("Guid", None)), 200, RequestRefusedError, "“Guid”"),
        (performed(refused("Oops", "2")), 200, OutcomeUnknownError, "“Oops”"),
        (performed(refused(ERROR_ID, "99")), 200, OutcomeUnknownError, "ErrorID"),
        (performed(refused("No")), 403, RequestRefusedError, "HTTP 403"),
        (performed(refused("No")), 503, OutcomeUnknownError, "HTTP 503"),
        (performed(""), 200, OutcomeUnknownError, "does not say"),
        (performed("", overall="Error"), 200, OutcomeUnknownError, "Error"),
        (
            performed("", overall="Error: API Permission Failed."),
            200,
            RequestRefusedError,
            "permission",
        ),
        (
            performed("<Result><StatusCode>OK</StatusCode></Result>"),
            200,
            OutcomeUnknownError,
            "without a task id",
        ),
        (
            performed(refused("No") + "<Result><StatusCode>OK</StatusCode></Result>"),
            200,
            OutcomeUnknownError,
            "without a task id",
        ),
        (
            performed("<Result><StatusMessage>AsyncID:0</StatusMessage></Result>"),
            200,
            OutcomeUnknownError,
            "without a task id",
        ),
        (
            envelope(f'<PerformResponseMsg xmlns="{API}"/>'),
            200,
            OutcomeUnknownError,
            "does not say",
        ),
    ],
)
def test_an_answer_without_a_task_id_is_a_refusal_or_nobody_can_tell(
    body: str, status: int, kind: type[MarketingCloudError], words: str
) -> None:
    with pytest.raises(kind, match=words):
        _start(body, status)


@pytest.mark.parametrize("status", [200, 403])
@pytest.mark.parametrize(
    "body",
    [
        STRAY_TASK,
        STRAY_WORDS,
        performed(refused("no")).replace("<soap:Body>", f"<soap:Body>{CLIENT_FAULT}"),
        performed("").replace("<soap:Body>", f"<soap:Body>{CLIENT_FAULT}"),
    ],
)
def test_an_answer_that_contradicts_itself_proves_no_refusal(
    body: str, status: int
) -> None:
    with pytest.raises(OutcomeUnknownError, match="contradicts itself"):
        _start(body, status)


def test_a_fault_beside_a_list_makes_the_list_unreadable() -> None:
    body = retrieved().replace("<soap:Body>", f"<soap:Body>{CLIENT_FAULT}")
    answer = Answer(status=200, content_type="text/xml", body=body.encode())
    message = read_message(answer, "RetrieveResponseMsg")
    retriever = Retriever(lambda *_: message, refused=(), takes_in=None)
    with pytest.raises(OutcomeUnknownError, match="contradicts itself"):
        retriever.rows(RESULTS)


def test_a_refusal_keeps_code_and_request_id() -> None:
    with pytest.raises(RequestRefusedError) as caught:
        _start(performed(refused("Not found", "43010"), overall="Error"))
    assert caught.value.code == "43010"
    assert caught.value.request_id == REQUEST_ID


@pytest.mark.parametrize(
    ("words", "named"),
    [
        (
            "Error: The Request Property(s) Delimiter, Client.ClientID1 do not match"
            " with the fields of ImportDefinition retrieve",
            ("Client.ClientID1", "Delimiter"),
        ),
        ("Error: Invalid column name 'Delimiter'.", ("Delimiter",)),
        ("Error: Invalid column name 'ClientID1'.", ("Client.ClientID1",)),
        ("Error: Invalid column name 'Color'.", ()),
        ("Error: the Name is wrong", ()),
    ],
)
def test_a_refusal_names_the_properties_it_objects_to(
    words: str, named: tuple[str, ...]
) -> None:
    asked = ("Name", "Client.ClientID1", "Delimiter")
    assert named_properties(words, asked) == named
