"""Requests are judged by the WSDL, answers fit it, the seeds are accepted."""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path

import pytest
import requests

from imports.sandbox.envelopes import Contract, WsdlError
from imports.sandbox.retrieve import DEFINITION_PROPERTIES, SUMMARY_PROPERTIES
from imports.sandbox.server import SandboxServer
from imports.sandbox.world import World
from tests.sandbox.conftest import (
    API,
    OUR_WSDL,
    SHARED,
    SOAP,
    VENDOR_WSDL,
    Caller,
    Reply,
    TurnedClock,
)

STATUS = f'<SystemStatusRequestMsg xmlns="{API}"/>'


@pytest.fixture(params=[OUR_WSDL, VENDOR_WSDL], ids=["ours", "vendors"])
def judged(
    request: pytest.FixtureRequest, clock: TurnedClock
) -> Iterator[SandboxServer]:
    """A sandbox that judges by our WSDL, and one that judges by the vendor's."""
    wsdl: Path = request.param
    if not wsdl.exists():
        pytest.skip(f"{wsdl.name} is not beside the project")
    with SandboxServer(wsdl, world=World(clock=clock)) as server:
        yield server


def seed(part: str) -> str:
    """The sample envelope of the seed document that holds the given words."""
    for path in sorted((SHARED / "seeds").glob("*.txt")):
        text = path.read_text(encoding="utf-8")
        if part in text:
            found = re.search(r"<\?xml.*?Envelope>", text, re.DOTALL)
            assert found
            return found.group()
    pytest.skip("the seeds are not beside the project")


def test_perform_of_the_seed_is_accepted(judged: SandboxServer) -> None:
    envelope = seed("Start an Import Definition")
    for old, new in (
        ("USERNAME", "nordlicht-api"),
        ("PASSWORD", "sandbox-password"),
        (">2043<", ">customers-daily<"),
    ):
        envelope = envelope.replace(old, new)
    for action in ("Perform", None):  # wsa:Action is enough
        answer = Caller(judged).send(envelope, action)
        assert (answer.status, answer.find("OverallStatus")) == (200, "OK")
        message_id = "urn:uuid:30ffce73-2bdc-422a-b3da-1e71e3f15270"
        assert answer.find("RelatesTo") == message_id
    assert len(judged.world.performed()) == 2


def test_retrieve_of_the_seed_is_accepted(
    judged: SandboxServer, clock: TurnedClock
) -> None:
    task_id = Caller(judged).with_token().start("customers-daily")
    clock.turn(60)
    envelope = seed("Aggregate Results").replace("125574039", task_id)
    envelope = envelope.replace(">XXXXX<", ">nordlicht-api<", 1)
    envelope = envelope.replace(">XXXXX<", ">sandbox-password<", 1)
    answer = Caller(judged).send(envelope, "Retrieve")
    assert answer.find("OverallStatus") == "OK"
    (row,) = answer.rows
    assert (row["TaskResultID"], row["ImportStatus"]) == (task_id, "Completed")


@pytest.mark.parametrize(
    "body",
    [
        f'<PerformRequestMsg xmlns="{API}"><Definitions/><Action>start</Action>'
        "</PerformRequestMsg>",
        f'<PerformRequestMsg xmlns="{API}"><Act>start</Act></PerformRequestMsg>',
        f'<PerformRequestMsg xmlns="{API}"><Definitions><Definition '
        'xsi:type="Nonsense"/></Definitions></PerformRequestMsg>',
    ],
    ids=["order", "name", "type"],
)
def test_request_that_does_not_fit_the_schema_is_a_client_fault(
    judged: SandboxServer, body: str
) -> None:
    answer = Caller(judged).with_token().soap("Perform", body)
    assert (answer.status, answer.find("faultcode")) == (500, "soap:Client")
    assert (answer.find("faultstring") or "").startswith("Invalid request")
    assert judged.world.performed() == []


def messages(caller: Caller, clock: TurnedClock) -> Iterator[Reply]:
    """One answer of each kind."""
    for key in ("customers-daily", "outlet-stock-nightly", "no-such-key"):
        yield caller.perform(key)
    clock.turn(30)
    yield caller.retrieve("ImportDefinition", list(DEFINITION_PROPERTIES))
    yield caller.retrieve("ImportResultsSummary", list(SUMMARY_PROPERTIES))
    yield caller.retrieve("Nonsense", ["Name"])
    yield caller.soap("GetSystemStatus", STATUS)


def test_answers_fit_the_schema_but_for_what_real_ones_add(
    judged: SandboxServer, clock: TurnedClock
) -> None:
    for answer in messages(Caller(judged).with_token(), clock):
        root = answer.root
        for extra in root.findall(f".//{{{API}}}IsPlatformObject"):
            parent = extra.getparent()
            assert parent is not None
            parent.remove(extra)
        body = root.find(f"{{{SOAP}}}Body")
        assert body is not None
        judged.contract.check(body[0])


def test_real_answers_have_an_element_that_no_wsdl_knows(caller: Caller) -> None:
    answer = caller.retrieve("ImportDefinition", ["Name"])
    assert answer.root.find(f".//{{{API}}}IsPlatformObject") is not None


def test_unknown_action_and_wrong_message_are_client_faults(caller: Caller) -> None:
    unknown = caller.soap("Test", STATUS)
    assert unknown.status == 500
    assert unknown.find("faultstring") == (
        "Server did not recognize the value of HTTP Header SOAPAction: Test."
    )
    assert caller.soap("Perform", STATUS).find("faultcode") == "soap:Client"


@pytest.mark.parametrize(
    "text",
    ["<a><b></a>", "", "<!DOCTYPE a [<!ENTITY b 'c'>]><a>&b;</a>"],
    ids=["broken", "empty", "dtd"],
)
def test_what_is_no_xml_is_a_bad_request(caller: Caller, text: str) -> None:
    answer = caller.send(text, "Perform")
    assert (answer.status, answer.text) == (400, "Bad Request")


def test_another_soap_version_is_a_fault(caller: Caller) -> None:
    soap12 = "http://www.w3.org/2003/05/soap-envelope"
    answer = caller.send(f'<e:Envelope xmlns:e="{soap12}"/>', "Perform")
    assert answer.find("faultcode") == "soap:VersionMismatch"


def test_wsdl_is_served_as_it_is_and_addresses_know_no_case(
    judged: SandboxServer,
) -> None:
    got = requests.get(f"{judged.url}/etframework.wsdl", timeout=10)
    assert got.content == judged.contract.text
    caller = Caller(judged).with_token()
    lower = requests.post(f"{judged.url}/service.asmx", data="", timeout=10)
    assert lower.status_code == 400
    assert caller.soap("GetSystemStatus", STATUS).find("SystemStatus") == "OK"


def test_wsdl_that_is_none_is_refused_in_a_sentence(tmp_path: Path) -> None:
    for text in ("", "<a/>"):
        path = tmp_path / "some.wsdl"
        path.write_text(text)
        with pytest.raises(WsdlError, match=r"some\.wsdl cannot be used"):
            Contract(path)
