"""Processes that a command starts, watches and ends together.

However the command ends, its children do too: each holds the reading end of a pipe
whose writing end is the command's and that of the children that were started later.
When all of these are gone, even by SIGKILL, the child sends itself TERM, so it ends as
it does when it is asked to, and after those that need it.
"""

from __future__ import annotations

import os
import select
import signal
import socket
import subprocess
import threading
from collections.abc import Collection, Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from pathlib import Path
from threading import Event

from django.core.management.base import CommandError

LOOPBACK = "127.0.0.1"
PORTS_TRIED = 100
# Names the end of the pipe that a child holds.
PARENT_PIPE = "MCDASH_PARENT_PIPE"


class NoFreePortError(CommandError):
    """Every port that was tried is taken."""


def free_port(first: int, *, promised: Collection[int] = ()) -> int:
    """The first free loopback port from `first` on, but for those `promised` to a
    process that has not opened its own yet. Raises `NoFreePortError`.
    """
    for port in range(first, first + PORTS_TRIED):
        if port in promised:
            continue
        with socket.socket() as attempt, suppress(OSError):
            # as servers do it: a port that only waits for late packets counts as free
            attempt.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            attempt.bind((LOOPBACK, port))
            return port
    raise NoFreePortError(
        f"No free port on {LOOPBACK} from {first} to {first + PORTS_TRIED - 1}."
    )


@contextmanager
def asked_to_end() -> Iterator[Event]:
    """An event that Ctrl-C, TERM or a closed terminal sets instead of killing us."""
    asked = Event()
    ours = (signal.SIGINT, signal.SIGTERM)
    numbers = ours if _is_nohup() else (*ours, signal.SIGHUP)
    before = {n: signal.signal(n, lambda *_: asked.set()) for n in numbers}
    try:
        yield asked
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)


def _is_nohup() -> bool:
    """Whether a closed terminal means nothing to us."""
    return signal.getsignal(signal.SIGHUP) is signal.SIG_IGN


class Terminal:
    """The terminal in whose foreground this process was started, if there is one.

    The kernel sends HUP to the first process of a closed terminal only. Where that is
    a shell, it passes it on; `make`, as in `xterm -e make demo` or `ssh -t host make
    demo`, waits for its children instead, which hear nothing.
    """

    def __init__(self) -> None:
        self.poll = select.poll()
        if _is_nohup():
            return
        with suppress(OSError):  # none at all: ENXIO
            file = os.open("/dev/tty", os.O_RDONLY | os.O_NOCTTY)
            if os.tcgetpgrp(file) == os.getpgrp():
                self.poll.register(file, 0)  # HUP is told unasked

    def is_closed(self) -> bool:
        return bool(self.poll.poll(0))


def end_with_parent() -> None:
    """Where `Children` started this process, TERM it once its parent is gone."""
    if pipe := os.environ.pop(PARENT_PIPE, ""):
        threading.Thread(
            target=_end_when_closed, args=(int(pipe),), name="parent", daemon=True
        ).start()


def _end_when_closed(pipe: int) -> None:
    # the main thread may wait for signals: this one must not take them
    signal.pthread_sigmask(signal.SIG_BLOCK, signal.valid_signals())
    os.read(pipe, 1)  # nobody writes: it returns when the other end is closed
    os.kill(os.getpid(), signal.SIGTERM)


@dataclass(kw_only=True)
class Child:
    """A process of ours, and the file that takes what it prints."""

    name: str
    process: subprocess.Popen[bytes]
    log: Path

    def last_lines(self, count: int = 15) -> str:
        lines = self.log.read_text(errors="replace").splitlines()
        return "\n".join(lines[-count:])

    def end(self, seconds: float) -> None:
        """TERM, then KILL after `seconds`; whatever it left behind goes with it."""
        self.process.terminate()
        with suppress(subprocess.TimeoutExpired):
            self.process.wait(timeout=seconds)
        # its session is its own, so the group holds its offspring and nothing else
        with suppress(ProcessLookupError):
            os.killpg(self.process.pid, signal.SIGKILL)
        self.process.wait()


@dataclass(kw_only=True)
class Children:
    """Processes that live and end together; as a context manager it ends them all."""

    logs: Path
    end_seconds: float = 10
    running: list[Child] = field(default_factory=list)
    pipes: list[int] = field(default_factory=list)

    def __enter__(self) -> Children:
        self.logs.mkdir(mode=0o700, parents=True, exist_ok=True)
        return self

    def __exit__(self, *_: object) -> None:
        # last started, first ended: the worker goes before what it talks to
        while self.running:
            self.running[-1].end(self.end_seconds)
            self.running.pop()
        while self.pipes:
            os.close(self.pipes.pop())

    def start(
        self, name: str, command: Sequence[str], *, env: Mapping[str, str], folder: Path
    ) -> None:
        """Start `command` in its own session, out of reach of the terminal's Ctrl-C."""
        log = self.logs / f"{name}.log"
        reading, writing = os.pipe()
        with log.open("wb") as output:
            process = subprocess.Popen(  # noqa: S603 - commands are our own
                command,
                env={**env, PARENT_PIPE: str(reading)},
                pass_fds=[reading, *self.pipes],
                cwd=folder,
                stdin=subprocess.DEVNULL,
                stdout=output,
                stderr=subprocess.STDOUT,
                start_new_session=True,
            )
        os.close(reading)
        self.pipes.append(writing)
        self.running.append(Child(name=name, process=process, log=log))

    def ended(self) -> Child | None:
        """The first one that is no longer running, if any."""
        return next((c for c in self.running if c.process.poll() is not None), None)
