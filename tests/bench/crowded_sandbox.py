"""A sandbox of any size, as a process of its own.

`python -m tests.bench.crowded_sandbox --help`. It prints its address and serves
until it is killed. What takes it longer than reading the answer takes us is spared
it, since the reading is to be measured: pages of definitions are built once and given
again, and tasks are found by their ids.
"""

from __future__ import annotations

import argparse
import sys
from collections.abc import Iterator
from datetime import timedelta
from pathlib import Path
from threading import Event
from typing import Any

from lxml import etree

from imports.management.commands.run_sandbox import WSDL
from imports.sandbox.catalogue import Account, Catalogue, Facts
from imports.sandbox.control import Call, Rule
from imports.sandbox.envelopes import text_of, texts_of
from imports.sandbox.nordlicht import DE
from imports.sandbox.operations import Service
from imports.sandbox.responses import Answer, tag
from imports.sandbox.server import SandboxServer
from imports.sandbox.tasks import Task, summary_at
from imports.sandbox.world import Journal, World, utc_now
from tests.bench.steps import Steps
from tests.sandbox.crowd import crowd


def account(number: int) -> Account:
    """The sandbox's account of that number, from 0 on."""
    return Account(
        name=f"Crowd {number:03}",
        mid=DE.mid + number,
        client_id=f"crowd-{number}",
        client_secret=DE.client_secret,
    )


class RememberingService(Service):
    """Answers the same question about definitions with the same bytes, and finds tasks
    by their ids without looking at all of them.
    """

    def __init__(self, *, steps: Steps | None = None, **parts: Any) -> None:
        """With `steps`, the tasks that run from the beginning have its counts."""
        super().__init__(**parts)
        self._steps = steps
        began_with = {task.definition.object_id for task in self.world._tasks}
        self._stepping = began_with if steps else set()
        self._answers: dict[tuple[int | None, bytes], Answer] = {}
        self._by_id: dict[str, Task] = {}

    def _rows(
        self, call: Call, request: etree._Element, mids: tuple[int, ...]
    ) -> Iterator[Facts]:
        part = request.find(tag("Filter"))
        if part is None or text_of(part, "Property") != "TaskResultID":
            yield from super()._rows(call, request, mids)
            return
        tasks, now = self.world._tasks, self.world.clock()
        if len(tasks) != len(self._by_id):
            self._by_id = {str(task.task_id): task for task in tasks}
        for value in texts_of(part, "Value"):
            task = self._by_id.get(value)
            row = summary_at(task, now) if task else None
            if task and row and task.definition.mid in mids:
                yield {**row, **self._stepped(task, now.timestamp())}

    def _stepped(self, task: Task, now: float) -> Facts:
        if not self._steps or task.definition.object_id not in self._stepping:
            return {}
        return {"TotalRows": self._steps.rows(task.definition.mid - DE.mid, now)}

    def soap(
        self, soap_action: str, call: Call, body: bytes, refusal: Rule | None = None
    ) -> Answer:
        if soap_action != "Retrieve" or b"ImportResultsSummary" in body:
            return super().soap(soap_action, call, body, refusal)
        question = (call.mid, body.rpartition(b"Header>")[2])  # without the token
        if question not in self._answers:
            self._answers[question] = super().soap(soap_action, call, body, refusal)
        return self._answers[question]


def world(options: argparse.Namespace) -> World:
    """Accounts with definitions, the first `running` of each at work: they began a
    fifth of the pace ago, so that their counts rise from now on.
    """
    accounts = tuple(account(number) for number in range(options.accounts))
    definitions = tuple(
        one for each in accounts for one in crowd(each.mid, options.definitions)
    )
    journal = Journal(Path(options.journal)) if options.journal else None
    made = World(
        catalogue=Catalogue(accounts=accounts, users=(), definitions=definitions),
        pace_seconds=options.pace,
        history_days=0,
        journal=journal,
    )
    began = utc_now() - timedelta(seconds=options.pace / 5)
    made.clock = lambda: began
    for each in accounts:
        of_account = [one for one in definitions if one.mid == each.mid]
        for one in of_account[: options.running]:
            made.start(one, "outside", 0.0)
    made.clock = utc_now
    made.pace_seconds = options.started_pace or options.pace
    return made


def steps(options: argparse.Namespace) -> Steps | None:
    if not options.step:
        return None
    return Steps(
        began=options.steps_from, accounts=options.accounts, seconds=options.step
    )


def serve(options: argparse.Namespace) -> None:
    """Serve for ever."""
    server = SandboxServer(WSDL, world=world(options))
    server.service = RememberingService(
        steps=steps(options),
        world=server.world,
        contract=server.contract,
        switches=server.switches,
        authenticator=server.service.authenticator,
    )
    with server:
        sys.stdout.write(f"{server.url}\n")
        sys.stdout.flush()
        Event().wait()


def _options(arguments: list[str]) -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--accounts", type=int, default=1)
    parser.add_argument("--definitions", type=int, default=10, help="of each account")
    parser.add_argument("--running", type=int, default=0, help="tasks of each account")
    parser.add_argument("--pace", type=float, default=3600.0, help="a task's seconds")
    parser.add_argument(
        "--started_pace", type=float, help="seconds of a task that is started later"
    )
    parser.add_argument(
        "--step", type=float, help="counts change so often (seconds), see steps.py"
    )
    parser.add_argument("--steps_from", type=float, help="seconds since 1970")
    parser.add_argument("--journal", help="the file that Performs are written into")
    return parser.parse_args(arguments)


if __name__ == "__main__":
    serve(_options(sys.argv[1:]))
