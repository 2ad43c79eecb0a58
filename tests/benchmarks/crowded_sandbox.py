"""A sandbox with any number of definitions, as a process of its own.

`python -m tests.benchmarks.crowded_sandbox COUNT` prints its address and serves
until it is killed. It keeps its answers to Retrieve and gives them again, since
building one takes it longer than reading one takes us: what is measured is the
reading.
"""

from __future__ import annotations

import sys
from threading import Event
from typing import Any

from imports.management.commands.run_sandbox import WSDL
from imports.sandbox.calls import Call
from imports.sandbox.catalogue import Catalogue, crowd
from imports.sandbox.nordlicht import DE
from imports.sandbox.operations import Service
from imports.sandbox.responses import Answer
from imports.sandbox.server import SandboxServer
from imports.sandbox.switches import Rule
from imports.sandbox.world import World


class RememberingService(Service):
    """Answers the same question with the same bytes."""

    def __init__(self, **parts: Any) -> None:
        super().__init__(**parts)
        self._answers: dict[bytes, Answer] = {}

    def soap(
        self, call: Call, body: bytes, soap_action: str, refusal: Rule | None = None
    ) -> Answer:
        question = body.rpartition(b"Header>")[2]  # without the token
        if soap_action != "Retrieve":
            return super().soap(call, body, soap_action, refusal)
        if question not in self._answers:
            self._answers[question] = super().soap(call, body, soap_action, refusal)
        return self._answers[question]


def serve(count: int) -> None:
    """Serve Nordlicht DE with `count` definitions, for ever."""
    crowded = Catalogue(accounts=(DE,), users=(), definitions=crowd(DE.mid, count))
    server = SandboxServer(WSDL, world=World(catalogue=crowded, history_days=0))
    server.service = RememberingService(
        world=server.world,
        contract=server.contract,
        switches=server.switches,
        doorkeeper=server.service.doorkeeper,
    )
    with server:
        print(server.url, flush=True)  # noqa: T201 - the address is what it prints
        Event().wait()


if __name__ == "__main__":
    serve(int(sys.argv[1]))
