"""`make demo`'s command: its people and accounts, and the whole of it as processes."""

from __future__ import annotations

import json
import os
import re
import signal
import socket
import stat
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from http.client import HTTPConnection
from io import StringIO
from pathlib import Path
from typing import Any

import pytest
from django.core.management import CommandError, call_command
from pytest_django import Settings

from imports.management.commands import demo
from imports.management.commands.add_sandbox_accounts import ensure_sandbox_accounts
from imports.management.commands.demo import ensure_demo_people
from imports.management.processes import free_port
from imports.models import Account, User
from tests.e2e.site import Part, Site, wait_until

# --- people ---------------------------------------------------------


@pytest.mark.django_db
def test_the_marketer_may_start_in_both_accounts_and_is_no_staff(
    tmp_path: Path,
) -> None:
    ensure_sandbox_accounts(8801)
    ensure_demo_people(tmp_path / "demo.json")
    marketer = User.objects.get(username="marketer")
    startable = Account.objects.startable_by(marketer)
    assert {account.name for account in startable} == {"Nordlicht DE", "Nordlicht SE"}
    assert not marketer.is_staff
    assert User.objects.get(username="admin").is_superuser


@pytest.mark.django_db
def test_passwords_are_made_once_and_kept_for_their_owner_only(tmp_path: Path) -> None:
    file = tmp_path / "demo.json"
    first = ensure_demo_people(file)
    assert ensure_demo_people(file) == first == json.loads(file.read_text())
    assert stat.S_IMODE(file.stat().st_mode) == 0o600
    for name, password in first.items():
        assert User.objects.get(username=name).check_password(password)


@pytest.mark.django_db
def test_a_lost_password_file_makes_new_passwords_that_work(tmp_path: Path) -> None:
    before = ensure_demo_people(tmp_path / "demo.json")
    after = ensure_demo_people(tmp_path / "other.json")
    assert after["marketer"] != before["marketer"]
    assert User.objects.get(username="marketer").check_password(after["marketer"])


def test_the_demo_refuses_where_plain_http_is_not_allowed(
    settings: Settings,
) -> None:
    settings.MCDASH_ALLOW_LOOPBACK = False
    with pytest.raises(CommandError, match="MCDASH_ALLOW_LOOPBACK=1"):
        call_command("demo")


def test_a_second_demo_on_the_same_data_is_refused(
    settings: Settings, tmp_path: Path
) -> None:
    settings.DATA_DIR = tmp_path
    with (
        demo.the_only_demo(),
        pytest.raises(CommandError, match="already running"),
    ):
        call_command("demo", stdout=StringIO())


# --- the whole of it --------------------------------------------------------------


class RunningDemo:
    """`manage.py demo` of a site as a process, and what it printed so far."""

    def __init__(self, site: Site, part: Part) -> None:
        self.folder = site.folder
        self.part = part
        self.process = self.part.process

    @classmethod
    def on(cls, site: Site, first_port: int) -> RunningDemo:
        ports = ("--port", str(first_port), "--sandbox-port", str(first_port + 1))
        return cls(site, site.start("demo", *ports))

    def address(self) -> str:
        """The last line, once everything is up."""
        until = time.monotonic() + 90
        while not (found := re.search(r"^(http://\S+/)\n\Z", self.said(), re.M)):
            assert self.process.poll() is None, self.said()
            assert time.monotonic() < until, self.said()
            time.sleep(0.05)
        return found[1]

    def said(self) -> str:
        return self.part.said

    def end(self, number: signal.Signals) -> int:
        self.process.send_signal(number)
        return self.process.wait(timeout=60)

    def passwords(self) -> dict[str, str]:
        found: dict[str, str] = json.loads((self.folder / "demo.json").read_text())
        return found

    def processes(self) -> dict[int, str]:
        """Every living process that was started with this demo's data folder."""
        mark = f"MCDASH_DATA_DIR={self.folder}".encode()
        return {
            int(folder.name): command_line(folder)
            for folder in Path("/proc").iterdir()
            if folder.name.isdecimal() and mark in environment(folder)
        }


def environment(folder: Path) -> list[bytes]:
    try:
        return (folder / "environ").read_bytes().split(b"\0")
    except OSError:
        return []


def command_line(folder: Path) -> str:
    try:
        return (folder / "cmdline").read_text().replace("\0", " ")
    except OSError:
        return ""


@pytest.fixture
def site(tmp_path: Path) -> Iterator[Site]:
    with Site(folder=tmp_path / "var") as site:
        yield site


def unused_port() -> int:
    """A port that nobody else tries, below those that the system gives away."""
    return free_port(20_000 + os.getpid() * 10 % 10_000)


@contextmanager
def taken(port: int) -> Iterator[None]:
    with socket.socket() as server:
        server.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        server.bind(("127.0.0.1", port))
        server.listen()
        yield


@contextmanager
def running_demo(site: Site, first_port: int) -> Iterator[RunningDemo]:
    running = RunningDemo.on(site, first_port)
    try:
        yield running
    finally:
        if running.process.poll() is None:
            running.end(signal.SIGTERM)


def get(address: str, path: str) -> tuple[int, str]:
    connection = HTTPConnection(address.split("/")[2], timeout=10)
    try:
        connection.request("GET", path)
        answer = connection.getresponse()
        return answer.status, answer.read().decode()
    finally:
        connection.close()


def history(site: Site) -> list[dict[str, Any]]:
    found: list[dict[str, Any]] = json.loads(
        site.must("list_runs", "--json", "--limit", "5000")
    )
    return found


needs_proc = pytest.mark.skipif(
    not Path("/proc/self/environ").exists(), reason="looks at processes in /proc"
)


@pytest.mark.slow
@needs_proc
def test_the_demo_serves_pages_and_ends_without_a_process_left(site: Site) -> None:
    with running_demo(site, unused_port()) as running:
        address = running.address()
        assert get(address, "/login/")[0] == 200
        for name, password in running.passwords().items():
            assert re.search(rf"{name}\s+password {password}\n", running.said())
        assert {"run_sandbox", "run_worker", "mcdash.wsgi"} <= {
            word for line in running.processes().values() for word in line.split()
        }
        assert running.end(signal.SIGTERM) == 0
        assert running.processes() == {}


@pytest.mark.slow
@needs_proc
def test_a_second_start_steps_over_busy_ports_and_keeps_data(site: Site) -> None:
    first_port = unused_port()
    with running_demo(site, first_port) as running:
        running.address()
        passwords, runs = running.passwords(), history(site)
        assert {run["origin"] for run in runs} == {"outside"}
        assert running.end(signal.SIGINT) == 0
    with (
        taken(first_port),
        taken(first_port + 1),
        running_demo(site, first_port) as running,
    ):
        assert get(running.address(), "/login/")[0] == 200
        assert running.passwords() == passwords
        kept = {run["task_id"] for run in runs}
        again = [run["task_id"] for run in history(site)]
        assert kept <= set(again)
        assert len(again) == len(set(again))


@pytest.mark.slow
@needs_proc
def test_a_part_that_dies_is_named_and_ends_the_rest(site: Site) -> None:
    with running_demo(site, unused_port()) as running:
        running.address()
        (worker,) = (
            pid for pid, line in running.processes().items() if "run_worker" in line
        )
        os.kill(worker, signal.SIGKILL)
        assert running.process.wait(timeout=60) == 1
        assert "The worker ended by itself (code -9)" in running.said()
        assert running.processes() == {}


def wait_until_gone(running: RunningDemo, seconds: float) -> None:
    until = time.monotonic() + seconds
    while left := running.processes():
        assert time.monotonic() < until, left
        time.sleep(0.1)


@pytest.mark.slow
@needs_proc
@pytest.mark.parametrize("is_up", [True, False])
def test_a_killed_demo_leaves_no_process_and_starts_again(
    site: Site, is_up: bool
) -> None:
    first_port = unused_port()
    with running_demo(site, first_port) as running:
        if is_up:
            running.address()
        else:  # in the middle of its start, once a child is there
            wait_until(lambda: len(running.processes()) > 1, "the first child")
        running.end(signal.SIGKILL)
        wait_until_gone(running, seconds=20)
    with running_demo(site, first_port) as running:
        assert running.address() == f"http://127.0.0.1:{first_port}/"
        if is_up:
            # what the worker had begun it ended: nothing was cut
            assert "Traceback" not in (site.folder / "logs/worker.log").read_text()
        assert running.end(signal.SIGTERM) == 0


@pytest.mark.slow
@needs_proc
@pytest.mark.parametrize("number", [signal.SIGKILL, signal.SIGTERM])
def test_whoever_started_the_demo_may_be_killed_too(
    site: Site, number: signal.Signals
) -> None:
    """As make is: a shell that stays, and hands on its own id."""
    first_port = unused_port()
    command = (
        f"{sys.executable} manage.py demo --parent $$ "
        f"--port {first_port} --sandbox-port {first_port + 1}; exit $?"
    )
    running = RunningDemo(site, site.start_command("sh", "-c", command))
    try:
        running.address()
        running.end(number)
        wait_until_gone(running, seconds=20)
    finally:
        running.process.kill()


@pytest.mark.slow
@needs_proc
def test_a_perform_on_the_wire_is_waited_for_when_the_demo_is_killed(
    site: Site,
) -> None:
    first_port = unused_port()
    with running_demo(site, first_port) as running:
        running.address()
        site.sandbox_url = f"http://127.0.0.1:{first_port + 1}"
        rule = {"what": "delay", "when": "after", "operation": "Perform", "seconds": 4}
        site.order(rule=rule)
        site.must("start_import", "Nordlicht DE", "customers-daily")
        wait_until(lambda: site.calls("Perform"), "the Perform")
        assert site.statuses() == ["starting"]
        running.end(signal.SIGKILL)
        wait_until_gone(running, seconds=30)
    assert site.statuses() == ["running"]
