"""The control route and the journal."""

from __future__ import annotations

import json
import threading
from pathlib import Path
from typing import Any

import pytest
import requests

from imports.sandbox.server import SandboxServer
from imports.sandbox.world import Journal, JournalError, World
from tests.sandbox.conftest import OUR_WSDL, Caller, TurnedClock


def control(server: SandboxServer, **orders: Any) -> requests.Response:
    return requests.post(f"{server.url}/control", json=orders, timeout=5)


def state(server: SandboxServer) -> dict[str, Any]:
    found: dict[str, Any] = requests.get(f"{server.url}/control", timeout=5).json()
    return found


def test_rules_latency_and_status_are_set_shown_and_reset(
    server: SandboxServer,
) -> None:
    rule = {"what": "reset", "when": "after", "operation": "Perform", "times": 2}
    assert control(server, rule=rule, latency_ms=1, system_status="InMaintenance").ok
    assert control(server, rules=[{"what": "html"}]).ok
    shown = state(server)
    assert [one["what"] for one in shown["rules"]] == ["reset", "html"]
    assert (shown["latency_ms"], shown["system_status"]) == (1, "InMaintenance")
    requests.delete(f"{server.url}/control", timeout=5)
    shown = state(server)
    assert (shown["rules"], shown["latency_ms"]) == ([], 0)
    assert shown["system_status"] == "OK"


def test_rule_over_http_takes_effect(caller: Caller) -> None:
    rule = {"what": "fault", "kind": "maintenance", "account": "Nordlicht DE"}
    control(caller.server, rule=rule)
    assert caller.perform("customers-daily").find("Code") == "9"


@pytest.mark.parametrize(
    "orders",
    [
        {},
        {"nonsense": 1},
        {"rule": {"what": "nonsense"}},
        {"rule": "reset"},
        {"rules": 3},
        {"latency_ms": "long"},
        {"system_status": "fine"},
        {"start_outside": {"account": "Nordlicht DE", "customer_key": "none"}},
        {"start_outside": "customers-daily"},
    ],
)
def test_orders_that_make_no_sense_are_refused_in_a_sentence(
    server: SandboxServer, orders: dict[str, Any]
) -> None:
    answer = control(server, **orders)
    assert answer.status_code == 400
    assert answer.json()["error"].endswith(".")


def test_control_takes_only_json(server: SandboxServer) -> None:
    url = f"{server.url}/control"
    assert requests.post(url, data={"latency_ms": 1}, timeout=5).status_code == 415


def test_system_status_is_what_was_switched(caller: Caller) -> None:
    control(caller.server, system_status="UnplannedOutage")
    body = '<SystemStatusRequestMsg xmlns="http://exacttarget.com/wsdl/partnerAPI"/>'
    answer = caller.soap("GetSystemStatus", body)
    assert answer.find("SystemStatus") == "UnplannedOutage"


def test_calls_are_counted_by_operation_and_told_in_full(caller: Caller) -> None:
    caller.perform("vouchers-daily")
    caller.results("1")
    caller.results("1")
    shown = state(caller.server)
    assert shown["counts"] == {"token": 1, "Perform": 1, "Retrieve": 2}
    assert caller.server.calls.count("Retrieve") == 2
    call = shown["calls"][1]
    assert (call["operation"], call["account"]) == ("Perform", "Nordlicht DE")
    assert (call["customer_keys"], call["answer"]) == (["vouchers-daily"], "OK")
    assert call["request_id"]
    assert shown["calls"][2]["filter_operator"] == "IN"


def test_most_calls_at_once_are_measured_by_account(server: SandboxServer) -> None:
    callers = [Caller(server, one).with_token() for one in ("de", "de", "se")]
    server.reset()
    server.switches.latency_seconds = 0.3
    threads = [
        threading.Thread(target=caller.results, args=("1",)) for caller in callers
    ]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    most = state(server)["most_at_once"]
    assert most == {"all": 3, "Nordlicht DE": 2, "Nordlicht SE": 1}


def test_each_perform_has_a_connection_and_is_told_by_the_journal(
    caller: Caller,
) -> None:
    task_id = caller.start("customers-daily")
    control(
        caller.server,
        start_outside={"account": 510002, "customer_key": "vouchers-daily"},
    )
    url = f"{caller.server.url}/journal"
    (line,) = requests.get(url, timeout=5).json()
    assert (str(line["task_id"]), line["customer_key"]) == (task_id, "customers-daily")
    assert (line["account"], line["identified_by"]) == ("Nordlicht DE", "CustomerKey")
    assert line["connection"] > 0
    assert line["request_id"]
    (outside,) = requests.get(f"{url}?origin=outside", timeout=5).json()
    assert (outside["account"], outside["origin"]) == ("Nordlicht SE", "outside")
    assert len(requests.get(f"{url}?origin=all", timeout=5).json()) == 2


def journalled(path: Path, clock: TurnedClock, pace: float = 10) -> SandboxServer:
    world = World(clock=clock, pace_seconds=pace, journal=Journal(path))
    return SandboxServer(OUR_WSDL, world=world)


def test_journal_survives_a_restart_and_tasks_walk_on(
    tmp_path: Path, clock: TurnedClock
) -> None:
    path = tmp_path / "journal.jsonl"
    with journalled(path, clock) as server:
        caller = Caller(server).with_token()
        server.misbehave("rows_never", skip=1)
        ids = [caller.start("customer-consents-daily") for _ in range(2)]
        clock.turn(7)
        before = caller.results(*ids)
        lines = server.world.performed()
    assert [json.loads(line) for line in path.read_text().splitlines()] == lines
    with journalled(path, clock, pace=500) as server:
        caller = Caller(server).with_token()
        assert server.world.performed() == lines
        assert caller.results(*ids) == before
        clock.turn(3)
        (row,) = caller.results(*ids)
        assert row["ImportStatus"] == "Completed"
        assert caller.start("customers-daily") not in ids


def test_line_on_which_a_sandbox_was_killed_is_dropped(tmp_path: Path) -> None:
    path = tmp_path / "journal.jsonl"
    journal = Journal(path)
    journal.append({"task_id": 1})
    with path.open("a") as file:
        file.write('{"task_id": 2, "orig')
    again = Journal(path)
    assert again.entries == [{"task_id": 1}]
    again.append({"task_id": 3})
    assert Journal(path).entries == [{"task_id": 1}, {"task_id": 3}]


@pytest.mark.parametrize("text", ["a diary", "a diary\n"])
def test_file_that_is_no_journal_is_refused_and_left_alone(
    tmp_path: Path, text: str
) -> None:
    path = tmp_path / "diary.txt"
    path.write_text(text)
    with pytest.raises(JournalError, match="is not a journal"):
        Journal(path)
    assert path.read_text() == text
