from __future__ import annotations

import os
import pty
import signal
import socket
import subprocess
import sys
import time
from contextlib import suppress
from pathlib import Path

import pytest

from imports.management import processes
from imports.management.processes import (
    Child,
    Children,
    NoFreePortError,
    asked_to_end,
    free_port,
)

STUBBORN = """
import signal, subprocess, sys, time
signal.signal(signal.SIGTERM, signal.SIG_IGN)
offspring = subprocess.Popen([sys.executable, "-c", "import time; time.sleep(60)"])
print(offspring.pid, flush=True)
time.sleep(60)
"""


def start(children: Children, script: str) -> Child:
    children.start(
        "part",
        [sys.executable, "-c", script],
        env=dict(os.environ),
        folder=Path.cwd(),
    )
    return children.running[-1]


def is_alive(pid: int) -> bool:
    """Whether the process does anything any more; a zombie does not."""
    try:
        stat = Path(f"/proc/{pid}/stat").read_text()
    except FileNotFoundError:
        return False
    return stat.rpartition(")")[2].split()[0] != "Z"


def wait_for_line(child: Child) -> str:
    until = time.monotonic() + 20
    while not (text := child.log.read_text()).endswith("\n"):
        assert time.monotonic() < until
        time.sleep(0.02)
    return text


def test_a_busy_port_is_stepped_over() -> None:
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        port = taken.getsockname()[1]
        assert free_port(port) > port


def test_a_port_that_was_promised_is_passed_over() -> None:
    port = free_port(20_000)
    assert free_port(port, promised=[port]) > port


def test_running_out_of_ports_is_told(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(processes, "PORTS_TRIED", 1)
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        with pytest.raises(NoFreePortError, match="No free port"):
            free_port(taken.getsockname()[1])


def test_a_child_that_ignores_term_is_killed_with_its_offspring(tmp_path: Path) -> None:
    with Children(logs=tmp_path, end_seconds=0.2) as children:
        child = start(children, STUBBORN)
        offspring = int(wait_for_line(child))
    assert child.process.returncode == -signal.SIGKILL
    until = time.monotonic() + 10
    while is_alive(offspring) and time.monotonic() < until:
        time.sleep(0.02)
    assert not is_alive(offspring)


def test_children_end_also_when_their_keeper_fails(tmp_path: Path) -> None:
    children = Children(logs=tmp_path)

    def fail() -> None:
        raise RuntimeError

    with suppress(RuntimeError), children:
        child = start(children, "import time; time.sleep(60)")
        fail()
    assert child.process.returncode == -signal.SIGTERM


def test_a_child_that_ended_by_itself_is_named_with_its_last_words(
    tmp_path: Path,
) -> None:
    with Children(logs=tmp_path) as children:
        child = start(children, "print('first'); raise SystemExit('out of paper')")
        child.process.wait(timeout=20)
        assert children.ended() is child
    assert child.last_lines(count=1) == "out of paper"


def test_children_do_not_get_the_ctrl_c_of_the_terminal(tmp_path: Path) -> None:
    with Children(logs=tmp_path) as children:
        child = start(children, "import time; time.sleep(60)")
        assert os.getsid(child.process.pid) != os.getsid(0)


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM, signal.SIGHUP])
def test_a_signal_asks_for_the_end_instead_of_killing(number: signal.Signals) -> None:
    before = signal.getsignal(number)
    with asked_to_end() as asked:
        assert not asked.is_set()
        os.kill(os.getpid(), number)
        assert asked.is_set()
    assert signal.getsignal(number) is before


# Whoever has the terminal hears that it is closed and, like make, goes on waiting.
OWNER = """
import os, signal, subprocess, sys
terminal, heard, watcher = sys.argv[1:]
os.open(terminal, os.O_RDWR)
signal.signal(signal.SIGHUP, signal.SIG_IGN if heard == "no" else lambda *_: None)
subprocess.run([sys.executable, "-c", watcher])
"""
WATCHER = """
import time
from imports.management.processes import Terminal
terminal = Terminal()
print("watching", flush=True)
until = time.monotonic() + 2
while not terminal.is_closed() and time.monotonic() < until:
    time.sleep(0.02)
print("closed" if terminal.is_closed() else "open")
"""


@pytest.mark.parametrize(("heard", "said"), [("yes", "closed\n"), ("no", "open\n")])
def test_a_closed_terminal_is_seen_where_no_signal_comes_but_not_with_nohup(
    heard: str, said: str
) -> None:
    outside, inside = pty.openpty()
    with subprocess.Popen(
        [sys.executable, "-c", OWNER, os.ttyname(inside), heard, WATCHER],
        stdout=subprocess.PIPE,
        start_new_session=True,
        text=True,
    ) as owner:
        assert owner.stdout is not None
        assert owner.stdout.readline() == "watching\n"
        os.close(inside)
        os.close(outside)
        assert owner.stdout.read() == said


def test_without_a_terminal_none_is_ever_closed() -> None:
    done = subprocess.run(
        [sys.executable, "-c", WATCHER],
        capture_output=True,
        start_new_session=True,
        text=True,
        check=True,
    )
    assert done.stdout == "watching\nopen\n"
