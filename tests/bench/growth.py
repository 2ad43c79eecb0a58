"""How cost grows: `python -m tests.bench.growth`. The same at 1, 10 and 100 times
the size, each in a process of its own; medians, in milliseconds.
"""

from __future__ import annotations

import argparse
import json
import subprocess
import sys
import tempfile
from pathlib import Path
from statistics import median

from tests.bench import reader
from tests.bench.figures import seconds_of
from tests.bench.here import ROOT, prepare
from tests.bench.history import Size, fill
from tests.bench.reader import MARKETER
from tests.bench.sandboxes import add_accounts, crowded_sandbox, follow_tasks
from tests.bench.web import get, poll_of, session_of, web

TIMES = (1, 10, 100)
ROUNDS = 9
SHOWN = ("dashboard", "definitions", "definition", "history", "run", "accounts")
LINE = "{:<28} {:>10} {:>10} {:>10}"


def main(arguments: list[str]) -> None:
    """Measure and print a table."""
    parser = argparse.ArgumentParser(
        prog="python -m tests.bench.growth", description=__doc__
    )
    parser.add_argument("--times", type=int, choices=TIMES, help="only this size")
    options = parser.parse_args(arguments)
    if options.times:
        sys.stdout.write(json.dumps(_measured(options.times)) + "\n")
        return
    columns = [_apart(times) for times in TIMES]
    sys.stdout.write(LINE.format("", *(f"{times} times" for times in TIMES)) + "\n")
    for name in columns[0]:
        values = (f"{column[name]:,.10g}" for column in columns)
        sys.stdout.write(LINE.format(name, *values) + "\n")


def _apart(times: int) -> dict[str, float]:
    done = subprocess.run(
        [sys.executable, "-m", "tests.bench.growth", "--times", str(times)],
        cwd=ROOT,
        stdout=subprocess.PIPE,
        check=True,
    )
    found: dict[str, float] = json.loads(done.stdout)
    return found


def _measured(times: int) -> dict[str, float]:
    with tempfile.TemporaryDirectory(prefix="mcdash-growth-") as folder:
        prepare(Path(folder))
        size = Size(definitions=100 * times, runs=10_000 * times, active=10 * times)
        fill(size, is_active=False)
        reader.add_people()
        return {
            "definitions": size.definitions,
            "runs": size.runs,
            "active runs": size.active,
            **_pages(Path(folder)),
            **_asking(times),
        }


def _pages(folder: Path) -> dict[str, float]:
    """First bytes, and an idle poll of the dashboard."""
    addresses = reader.pages()[MARKETER]
    with web(folder) as served:
        cookie = session_of(MARKETER)

        def milliseconds(path: str, *, is_poll: bool = False) -> float:
            found = [
                get(served.port, path, cookie, is_poll=is_poll).seconds
                for _ in range(ROUNDS + 1)
            ]
            return round(median(found[1:]) * 1000, 1)

        idle = poll_of(get(served.port, "/", cookie))
        pages = {f"{name}, ms": milliseconds(addresses[name]) for name in SHOWN}
        return pages | {"idle poll, ms": milliseconds(idle, is_poll=True)}


def _asking(times: int) -> dict[str, float]:
    """One pass over the active runs of an account, and a sync with nothing new."""
    from imports.models import Account, new_holder
    from imports.usecases.follow import refresh_runs
    from imports.usecases.sync import sync_definitions

    crowd = {"definitions": 100 * times, "running": 10 * times, "pace": 600}
    with crowded_sandbox(**crowd) as sandbox:
        add_accounts(sandbox, 1)
        account = Account.objects.latest("pk")
        sync_definitions(account=account, holder=new_holder())
        follow_tasks(sandbox)
        refresh_runs(account=account, holder=new_holder())
        account.refresh_from_db()
        before = sandbox.counts()["Retrieve"]
        refreshing = seconds_of(
            lambda: refresh_runs(account=account, holder=new_holder())
        )
        calls = sandbox.counts()["Retrieve"] - before
        syncing = seconds_of(
            lambda: sync_definitions(account=account, holder=new_holder())
        )
    return {
        "refresh, calls": calls,
        "refresh, ms": round(refreshing * 1000, 1),
        "sync, ms": round(syncing * 1000, 1),
    }


if __name__ == "__main__":
    main(sys.argv[1:])
