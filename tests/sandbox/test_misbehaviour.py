"""Misbehaviour on demand: each switch over real HTTP."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable
from http.client import HTTPConnection, IncompleteRead, RemoteDisconnected
from urllib.parse import urlsplit

import pytest
import requests
from lxml import etree

from imports.sandbox.control import DEFAULTS, RuleError, Switches, read_rule
from imports.sandbox.responses import FAULTS
from imports.sandbox.server import SandboxServer
from tests.sandbox.conftest import SUMMARY, Caller, Reply, TurnedClock

WHENS = ("before", "instead", "after")


def performed(caller: Caller) -> int:
    return len(caller.server.world.performed())


def done_if_after(when: str) -> int:
    """How many Performs are done when something goes wrong at that moment."""
    return 1 if when == "after" else 0


@pytest.mark.parametrize("when", WHENS)
@pytest.mark.parametrize("what", ["reset", "close", "truncated"])
def test_cut_connections_leave_no_answer(caller: Caller, what: str, when: str) -> None:
    caller.server.misbehave(what, when=when, operation="Perform")
    with pytest.raises(requests.RequestException):
        caller.perform("customers-daily")
    assert performed(caller) == done_if_after(when)
    assert caller.perform("customers-daily").find("OverallStatus") == "OK"


def raw_post(server: SandboxServer) -> HTTPConnection:
    connection = HTTPConnection(urlsplit(server.url).netloc, timeout=5)
    connection.request("POST", "/v2/token", b"{}")
    return connection


def test_reset_is_a_reset_and_close_is_a_close(server: SandboxServer) -> None:
    for what, error in (
        ("reset", ConnectionResetError),
        ("close", RemoteDisconnected),
        ("truncated", IncompleteRead),
    ):
        server.misbehave(what, operation="token")
        connection = raw_post(server)
        with pytest.raises(error) as caught:
            connection.getresponse().read()
        assert type(caught.value) is error
        connection.close()


@pytest.mark.parametrize("when", WHENS)
@pytest.mark.parametrize(
    ("what", "status", "options"),
    [
        ("html", 503, {}),
        ("html", 500, {"status": 500}),
        ("html", 200, {"status": 200}),
        ("throttled", 429, {}),
        ("redirect", 302, {}),
        ("empty", 200, {}),
        ("broken_xml", 200, {}),
        ("raw", 207, {"status": 207, "body": "ß"}),
    ],
)
def test_answers_that_are_no_soap(
    caller: Caller, what: str, status: int, options: dict[str, int], when: str
) -> None:
    caller.server.misbehave(what, when=when, operation="Perform", **options)
    answer = caller.perform("customers-daily")
    assert answer.status == status
    assert performed(caller) == done_if_after(when)
    with pytest.raises((etree.XMLSyntaxError, AssertionError)):
        assert answer.root.tag.endswith("Envelope")


def test_throttling_and_redirects_carry_their_headers(caller: Caller) -> None:
    caller.server.misbehave("throttled", retry_after=7)
    assert caller.perform("customers-daily").headers["Retry-After"] == "7"
    caller.server.misbehave("redirect", status=307, location="http://127.0.0.1:1/")
    answer = caller.perform("customers-daily")
    assert (answer.status, answer.headers["Location"]) == (307, "http://127.0.0.1:1/")


@pytest.mark.parametrize("kind", sorted(FAULTS))
def test_faults_of_every_kind(caller: Caller, kind: str) -> None:
    caller.server.misbehave("fault", kind=kind, operation="Perform", when="after")
    answer = caller.perform("customers-daily")
    fault = FAULTS[kind]
    assert (answer.status, answer.find("faultcode")) == (500, fault.code)
    assert answer.find("faultstring") == fault.text
    code = answer.find("Code")
    assert code == (str(fault.api_code) if fault.api_code else None)
    assert performed(caller) == 1


def test_hang_lasts_until_switches_are_reset(caller: Caller) -> None:
    caller.server.misbehave("hang", when="after", operation="Perform")
    with pytest.raises(requests.ReadTimeout):
        requests.post(
            caller.server.soap_url,
            data="",
            headers={"SOAPAction": "Perform"},
            timeout=0.2,
        )
    assert caller.server.calls.state()["under_way"] == 1
    requests.delete(f"{caller.server.url}/control", timeout=5)
    wait_until(lambda: caller.server.calls.state()["under_way"] == 0)


def wait_until(true: Callable[[], object]) -> None:
    deadline = time.monotonic() + 5
    while not true():
        assert time.monotonic() < deadline
        time.sleep(0.01)


def test_delay_comes_late_and_is_right(caller: Caller) -> None:
    for when in WHENS:
        caller.server.misbehave("delay", seconds=0.1, when=when, operation="Perform")
        begun = time.monotonic()
        assert caller.perform("customers-daily").find("OverallStatus") == "OK"
        assert time.monotonic() - begun >= 0.1


def test_drip_sends_the_right_answer_a_byte_at_a_time(caller: Caller) -> None:
    caller.server.misbehave("drip", when="after", operation="token", seconds=0.001)
    begun = time.monotonic()
    answer = caller.ask_token()
    assert answer.json()["token_type"] == "Bearer"
    assert time.monotonic() - begun >= 0.001 * len(answer.content)


def test_truncated_xml_may_look_whole_to_http(caller: Caller) -> None:
    caller.server.misbehave("truncated", framing="close", when="after")
    answer = caller.retrieve("ImportDefinition", ["Name"])
    assert answer.status == 200
    with pytest.raises(etree.XMLSyntaxError):
        _ = answer.root


def test_refused_says_so_in_each_operations_own_way(caller: Caller) -> None:
    caller.server.misbehave("refused", times=3, code=2, text="No.")
    started = caller.perform("customers-daily")
    assert (started.status, started.find("ErrorCode")) == (200, "2")
    assert started.find("StatusMessage") == "No."
    read = caller.retrieve("ImportDefinition", ["Name"])
    assert read.find("OverallStatus") == "Error: No."
    assert caller.ask_token().status_code == 401
    assert performed(caller) == 0


def test_ok_without_a_task_id_was_performed_all_the_same(caller: Caller) -> None:
    caller.server.misbehave("no_task_id")
    answer = caller.perform("customers-daily")
    assert answer.find("OverallStatus") == "OK"
    assert answer.find("Task") is None
    assert answer.find("StatusMessage") == "ImportDefinition performed"
    assert performed(caller) == 1


def test_rows_come_late_or_never(caller: Caller, clock: TurnedClock) -> None:
    caller.server.misbehave("rows_late", seconds=60)
    late = caller.start("customers-daily")
    caller.server.misbehave("rows_never")
    never, usual = caller.start("customers-daily"), caller.start("customers-daily")
    clock.turn(59)
    assert {row["TaskResultID"] for row in caller.results(late, never, usual)} == {
        usual
    }
    clock.turn(1)
    seen = {row["TaskResultID"] for row in caller.results(late, never, usual)}
    assert seen == {late, usual}
    clock.turn(1000)
    assert caller.results(never) == []


def test_in_is_refused_until_switched_off_and_equals_is_not(caller: Caller) -> None:
    caller.server.misbehave("in_refused", account="Nordlicht DE")

    def ask(operator: str) -> Reply:
        where = ("TaskResultID", operator, ["1"])
        return caller.retrieve("ImportResultsSummary", SUMMARY, where=where)

    for _ in range(2):
        words = "Error: The operator IN is not supported here."
        assert ask("IN").find("OverallStatus") == words
    assert ask("equals").find("OverallStatus") == "OK"
    caller.server.reset()
    assert ask("IN").find("OverallStatus") == "OK"


def test_property_is_refused_by_name(caller: Caller) -> None:
    caller.server.misbehave("property_refused", property="MaxFileAge")
    answer = caller.retrieve("ImportDefinition", ["Name", "MaxFileAge"])
    words = "Error: The Request Property(s) MaxFileAge do not match"
    assert (answer.find("OverallStatus") or "").startswith(words)
    again = caller.retrieve("ImportDefinition", ["Name"])
    assert again.find("OverallStatus") == "OK"


def test_rules_match_operation_account_and_key(server: SandboxServer) -> None:
    german = Caller(server, "de").with_token()
    swedish = Caller(server, "se").with_token()
    server.misbehave("html", account="510002", customer_key="vouchers-daily")
    assert german.perform("vouchers-daily").status == 200
    assert swedish.perform("customers-daily").status == 200
    assert swedish.perform("vouchers-daily").status == 503
    assert swedish.perform("vouchers-daily").status == 200


def test_rules_skip_and_count(caller: Caller) -> None:
    caller.server.misbehave("html", operation="Perform", skip=1, times=2)
    statuses = [caller.perform("vouchers-daily").status for _ in range(4)]
    assert statuses == [200, 503, 503, 200]


def test_expired_tokens_are_refused_and_new_ones_work(
    caller: Caller, clock: TurnedClock
) -> None:
    url = f"{caller.server.url}/control"
    assert requests.post(url, json={"expire_tokens": True}, timeout=5).ok
    assert caller.perform("customers-daily").find("faultstring") == "Token Expired"
    clock.turn(0.001)
    assert caller.with_token().perform("customers-daily").status == 200


def test_latency_holds_every_answer_back_after_the_work_is_done(
    caller: Caller,
) -> None:
    caller.server.switches.latency_seconds = 0.3
    thread = threading.Thread(target=caller.perform, args=("customers-daily",))
    thread.start()
    wait_until(lambda: performed(caller) == 1)
    assert caller.server.calls.state()["under_way"] == 1
    thread.join()


def test_every_kind_of_misbehaviour_can_be_read_and_nonsense_cannot() -> None:
    switches = Switches()
    for what in DEFAULTS:
        assert switches.add(what=what).what == what
    for wrong in (
        {"what": "nothing"},
        {"what": "reset", "when": "never"},
        {"what": "reset", "seconds": 3},
        {"what": "reset", "times": "often"},
        {"what": "reset", "when": "before", "account": "Nordlicht DE"},
        {"what": "fault", "kind": "strange"},
    ):
        with pytest.raises(RuleError):
            switches.add(**wrong)


def test_rows_say_else_for_one_definition_until_switched_off(
    caller: Caller, clock: TurnedClock
) -> None:
    said = {"NumberErrors": None, "TotalRows": "1,000", "StartDate": "1/1/2099"}
    caller.server.misbehave("rows_say", customer_key="customers-daily", properties=said)
    told, other = caller.start("customers-daily"), caller.start("stores-weekly")
    clock.turn(1000)
    rows = {row["TaskResultID"]: row for row in caller.results(told, other)}
    assert (rows[told]["TotalRows"], rows[told]["StartDate"]) == ("1,000", "1/1/2099")
    assert "NumberErrors" not in rows[told]
    assert "NumberErrors" in rows[other]
    caller.server.reset()
    (row,) = caller.results(told)
    assert row["NumberErrors"] == "0"


def test_what_rows_say_is_an_object() -> None:
    with pytest.raises(RuleError, match="properties"):
        read_rule({"what": "rows_say", "properties": "NumberErrors"})
