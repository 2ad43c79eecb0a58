"""What one request costs the web side: `python -m tests.bench.cost [--against DIR]`.

Milliseconds of processor time (not of the clock) of gunicorn's single process, medians:
pages asked for again while nothing changed (warm) and right after a change in the
account (cold), polls that bring nothing, polls after one run has changed. With another
checkout each round asks both, one after the other.
"""

from __future__ import annotations

import argparse
import json
import subprocess
import sys
import tempfile
import time
from collections import defaultdict
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager, nullcontext
from dataclasses import asdict, dataclass
from pathlib import Path
from statistics import median

from tests.bench import reader
from tests.bench.figures import Figure, as_json, as_table
from tests.bench.here import ROOT, database_of_its_own, prepare
from tests.bench.history import Size, fill
from tests.bench.processes import children, thread_seconds
from tests.bench.reader import MARKETER
from tests.bench.trees import command, compared, name_of
from tests.bench.web import Page, Web, poll_of, session_of, web, weigh

MODULE = "tests.bench.cost"
PAGES = ("dashboard", "definitions", "history", "definition", "run")
IDLE, NEWS = "idle poll", "poll with news"
# An idle poll is too short to be read alone.
IDLE_POLLS = 10
ROUNDS, LEAST_ROUNDS = 40, 30
# What gunicorn does after the last byte belongs to the request too.
REST_SECONDS = 0.005


def main(arguments: list[str]) -> None:
    """Measure and print; or serve one checkout to the process that measures."""
    options = _options(arguments)
    if options.serve:
        _serve(options)
        return
    trees = [options.against.resolve(), ROOT] if options.against else [ROOT]
    *before, here = _measured(trees, options)
    if before and not options.json:
        text = compared(before[0], here, name_of(trees[0]))
    elif before:
        both = {"before": before[0], "after": here}
        text = json.dumps({n: [asdict(one) for one in v] for n, v in both.items()})
    else:
        text = as_json(here) if options.json else as_table(here)
    sys.stdout.write(f"{text}\n")


def _options(arguments: list[str]) -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog=f"python -m {MODULE}", description=__doc__)
    add = parser.add_argument
    add("--against", type=Path, metavar="DIR", help="measure that checkout as well")
    add("--definitions", type=int, default=2_000)
    add("--runs", type=int, default=200_000)
    add("--active", type=int, default=1_000, help="of the runs")
    add("--rounds", type=int, default=ROUNDS)
    add("--database", default="", metavar="URL", help="PostgreSQL, see tests.bench")
    add("--json", action="store_true", help="one JSON document")
    add("--serve", action="store_true", help=argparse.SUPPRESS)
    options = parser.parse_args(arguments)
    if not LEAST_ROUNDS <= options.rounds <= 1_000:
        parser.error(f"--rounds: from {LEAST_ROUNDS} to 1,000")
    return options


def _measured(trees: list[Path], options: argparse.Namespace) -> list[list[Figure]]:
    """For each checkout its figures. Every kind of request comes once before."""
    given = ("definitions", "runs", "active", "rounds", "database")
    passed = [f"--{name}={getattr(options, name)}" for name in given]
    found: list[dict[str, list[float]]] = [defaultdict(list) for _ in trees]
    with ExitStack() as stack:
        servers = [stack.enter_context(_server(tree, passed)) for tree in trees]
        for number in range(options.rounds + 1):
            for kind in kinds():
                for measured, ask in zip(found, servers, strict=True):
                    spent = ask(kind)
                    measured[kind] += [spent] if number else []
    return [
        [
            Figure(name=f"cost {kind}", value=round(median(each) * 1000, 2), unit="ms")
            for kind, each in measured.items()
        ]
        for measured in found
    ]


def kinds() -> list[str]:
    """Every kind of request, in the order of a round."""
    pages = [f"{page}, {how}" for page in PAGES for how in ("cold", "warm")]
    return [*pages, IDLE, NEWS]


@contextmanager
def _server(tree: Path, arguments: list[str]) -> Iterator[Callable[[str], float]]:
    """A process that serves this checkout and tells what a kind of request costs it."""
    sys.stderr.write(f"{name_of(tree)}: filling ...\n")
    process = subprocess.Popen(
        command(MODULE, "--serve", *arguments),
        cwd=tree,
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
    )
    assert process.stdin
    assert process.stdout
    answers, questions = process.stdout, process.stdin

    def ask(kind: str) -> float:
        questions.write(f"{kind}\n")
        questions.flush()
        return float(answers.readline())

    try:
        if answers.readline() != "ready\n":
            raise RuntimeError(f"{tree} was not served.")
        yield ask
    finally:
        process.communicate()  # the end of its input is its end


# What the process of one checkout does


def _serve(options: argparse.Namespace) -> None:
    """Answer each kind that is asked for on stdin with its seconds, on stdout."""
    own = database_of_its_own(options.database) if options.database else nullcontext("")
    with tempfile.TemporaryDirectory(prefix="mcdash-cost-") as folder, own as database:
        prepare(Path(folder), database=database)
        names = ("definitions", "runs", "active")
        fill(Size(**{name: getattr(options, name) for name in names}))
        reader.add_people()
        _rest()
        with web(Path(folder)) as served:
            asker = Asker.of(served)
            sys.stdout.write("ready\n")
            sys.stdout.flush()
            for line in sys.stdin:
                sys.stdout.write(f"{asker.cost(line.strip()):.9f}\n")
                sys.stdout.flush()


@dataclass(frozen=True, kw_only=True)
class Asker:
    """Asks gunicorn's only worker process for pages and polls, as one person."""

    port: int
    pid: int
    cookie: str
    addresses: dict[str, str]

    @classmethod
    def of(cls, served: Web) -> Asker:
        (pid,) = children(served.pid)
        return cls(
            port=served.port,
            pid=pid,
            cookie=session_of(MARKETER),
            addresses=_addresses(),
        )

    def cost(self, kind: str) -> float:
        """Processor seconds for one request of that kind."""
        reader.heartbeat()  # pages say so once a worker is silent
        if kind == IDLE:
            poll = poll_of(self._get("/"))
            return self._spent(poll, 204, times=IDLE_POLLS) / IDLE_POLLS
        if kind == NEWS:
            poll = poll_of(self._get("/"))
            reader.change_runs(1)
            return self._spent(poll, 200)
        page, _, how = kind.partition(", ")
        if how == "cold":
            reader.change_runs(1)
        else:
            self._get(self.addresses[page])
        return self._spent(self.addresses[page], 200)

    def _spent(self, path: str, status: int, *, times: int = 1) -> float:
        before = thread_seconds(self.pid)
        for _ in range(times):
            page = self._get(path)
            if page.status != status:
                raise RuntimeError(f"{path}: HTTP {page.status} instead of {status}")
        time.sleep(REST_SECONDS)
        return thread_seconds(self.pid) - before

    def _get(self, path: str) -> Page:
        """As a browser does, gzip and all."""
        return weigh(self.port, path, self.cookie, is_poll="since=" in path)


def _rest() -> None:
    """No run is overdue while this takes: pages would say so."""
    from datetime import timedelta

    from imports.models import ImportRun, database_now

    later = database_now() + timedelta(hours=6)
    ImportRun.objects.active().update(next_check_at=later)


def _addresses() -> dict[str, str]:
    """The pages; definition and run are of the account that `change_runs` changes."""
    from imports.models import ImportRun, RunStatus

    running = ImportRun.objects.filter(status=RunStatus.RUNNING)
    changing = running.latest_first()[0]
    ended = ImportRun.objects.filter(
        account=changing.account_id, status=RunStatus.COMPLETED
    )
    # of an account's definitions, the first is run most
    run = ended.order_by("definition_id", "-pk")[0]
    return {
        "dashboard": "/",
        "definitions": "/definitions/",
        "history": "/runs/",
        "definition": f"/definitions/{run.definition_id}/",
        "run": f"/runs/{run.pk}/",
    }


if __name__ == "__main__":
    main(sys.argv[1:])
