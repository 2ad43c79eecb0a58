"""Processes that a command starts, watches and ends together."""

from __future__ import annotations

import os
import signal
import socket
import subprocess
from collections.abc import Collection, Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from pathlib import Path
from threading import Event

LOOPBACK = "127.0.0.1"
PORTS_TRIED = 100


class NoFreePortError(Exception):
    """Every port that was tried is taken."""


def free_port(first: int, *, promised: Collection[int] = ()) -> int:
    """The first free loopback port from `first` on; raises `NoFreePortError`.

    Those `promised` to a process that has not taken its port yet are passed over.
    """
    for port in range(first, first + PORTS_TRIED):
        if port not in promised and _is_free(port):
            return port
    raise NoFreePortError(
        f"No free port on {LOOPBACK} from {first} to {first + PORTS_TRIED - 1}."
    )


def _is_free(port: int) -> bool:
    with socket.socket() as attempt:
        # as servers do it: a port that only waits for late packets counts as free
        attempt.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            attempt.bind((LOOPBACK, port))
        except OSError:
            return False
    return True


@contextmanager
def asked_to_end() -> Iterator[Event]:
    """An event that Ctrl-C, TERM or a closed terminal sets instead of killing us."""
    asked = Event()
    signals = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)
    before = {number: signal.getsignal(number) for number in signals}
    for number in signals:
        signal.signal(number, lambda *_: asked.set())
    try:
        yield asked
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)


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

    def __enter__(self) -> Children:
        self.logs.mkdir(mode=0o700, parents=True, exist_ok=True)
        return self

    def __exit__(self, *_: object) -> None:
        # last started, first ended: the worker goes before what it talks to
        while self.running:
            self.running[-1].end(self.end_seconds)
            self.running.pop()

    def start(
        self,
        name: str,
        command: Sequence[str],
        *,
        env: Mapping[str, str],
        folder: Path,
    ) -> None:
        """Start `command` in a session of its own, deaf to the terminal's Ctrl-C."""
        log = self.logs / f"{name}.log"
        with log.open("wb") as output:
            process = subprocess.Popen(  # noqa: S603 - commands are our own
                command,
                env=env,
                cwd=folder,
                stdin=subprocess.DEVNULL,
                stdout=output,
                stderr=subprocess.STDOUT,
                start_new_session=True,
            )
        self.running.append(Child(name=name, process=process, log=log))

    def ended(self) -> Child | None:
        """The first one that is no longer running, if any."""
        return next((c for c in self.running if c.process.poll() is not None), None)
