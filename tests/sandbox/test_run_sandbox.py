"""`manage.py run_sandbox` as a process."""

from __future__ import annotations

import re
import signal
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest
import requests

from imports.sandbox.server import HOST, SandboxServer
from tests.sandbox.conftest import ROOT, Caller

COMMAND = (sys.executable, "manage.py", "run_sandbox")


@contextmanager
def sandbox(*options: str) -> Iterator[tuple[subprocess.Popen[str], str]]:
    """The process and the line that it prints when it is ready."""
    process = subprocess.Popen(
        [*COMMAND, "--port", "0", *options],
        cwd=ROOT,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )
    try:
        assert process.stdout
        yield process, process.stdout.readline()
    finally:
        process.kill()
        process.communicate()


def address(line: str) -> str:
    found = re.search(r"http://127\.0\.0\.1:\d+", line)
    assert found, line
    return found.group()


def test_run_sandbox_tells_address_and_credentials_and_ends_on_sigterm(
    tmp_path: Path,
) -> None:
    journal = tmp_path / "journal.jsonl"
    with sandbox("--journal", str(journal), "--quiet") as (process, line):
        for words in (
            "nordlicht-de / sandbox-secret-de",
            "MID 510002",
            "nordlicht-api",
        ):
            assert words in line
        assert perform(address(line)).ok
        process.send_signal(signal.SIGTERM)
        out, err = process.communicate(timeout=5)
    assert (process.returncode, out, err) == (0, "", "")
    assert len(journal.read_text().splitlines()) == 1


def perform(url: str) -> requests.Response:
    """Start customers-daily as the API user."""
    caller = Caller.__new__(Caller)
    caller.header = ""
    envelope = (
        '<s:Envelope xmlns:s="http://schemas.xmlsoap.org/soap/envelope/" '
        'xmlns:xsi="http://www.w3.org/2001/XMLSchema-instance"><s:Header>'
        f"{caller.with_password().header}</s:Header><s:Body>"
        '<PerformRequestMsg xmlns="http://exacttarget.com/wsdl/partnerAPI">'
        '<Action>start</Action><Definitions><Definition xsi:type="ImportDefinition">'
        "<CustomerKey>customers-daily</CustomerKey></Definition></Definitions>"
        "</PerformRequestMsg></s:Body></s:Envelope>"
    )
    headers = {"SOAPAction": "Perform", "Content-Type": "text/xml"}
    return requests.post(
        f"{url}/Service.asmx", data=envelope, headers=headers, timeout=5
    )


def test_run_sandbox_logs_a_line_for_each_call_and_ends_on_sigint_while_one_hangs() -> (
    None
):
    with sandbox() as (process, line):
        url = address(line)
        rule = {"what": "hang", "operation": "token"}
        requests.post(f"{url}/control", json={"rule": rule}, timeout=5)
        assert perform(url).ok
        with pytest.raises(requests.ReadTimeout):
            requests.post(f"{url}/v2/token", json={}, timeout=0.2)
        process.send_signal(signal.SIGINT)
        _, err = process.communicate(timeout=5)
    assert process.returncode == 0
    assert "Perform Nordlicht DE ImportDefinition customers-daily -> OK" in err
    assert "Traceback" not in err


def refused(*options: str) -> str:
    """What stderr says when the command does not start."""
    done = subprocess.run(
        [*COMMAND, *options],
        cwd=ROOT,
        capture_output=True,
        text=True,
        timeout=20,
        check=False,
    )
    assert (done.returncode, done.stdout) == (1, "")
    assert "Traceback" not in done.stderr
    return done.stderr


def test_busy_port_is_a_sentence_and_exit_1(server: SandboxServer) -> None:
    port = server.url.rpartition(":")[2]
    words = f"Port {port} of {HOST} cannot be used"
    assert words in refused("--port", port)


def test_missing_wsdl_is_a_sentence_and_exit_1(tmp_path: Path) -> None:
    missing = str(tmp_path / "none.wsdl")
    assert "cannot be used" in refused("--port", "0", "--wsdl", missing)


def test_sandbox_listens_on_loopback_only(server: SandboxServer) -> None:
    assert server.url.startswith(f"http://{HOST}:")
    assert HOST == "127.0.0.1"
