"""Measure and print; judges nothing. Needs no environment."""

from __future__ import annotations

import argparse
import json
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager, nullcontext
from pathlib import Path
from typing import Protocol

from tests.bench import (
    pages,
    queue_to_perform,
    refresh_200_accounts,
    refresh_1000_active,
    small,
    starts_50,
    sync_10000,
    watching,
)
from tests.bench.figures import Figure, as_json, as_table
from tests.bench.here import ROOT, database_of_its_own, prepare


class Scenario(Protocol):
    """Measures in `folder`, where a database is; with `quick` in fewer rounds."""

    def __call__(self, folder: Path, /, *, quick: bool) -> list[Figure]: ...


SCENARIOS: dict[str, Scenario] = {
    "refresh_1000_active": refresh_1000_active.figures,
    "refresh_200_accounts": refresh_200_accounts.figures,
    "starts_50": starts_50.figures,
    "queue_to_perform": queue_to_perform.figures,
    "sync_10000": sync_10000.figures,
    "pages": pages.figures,
    "watching": watching.figures,
    "small": small.figures,
}
LEFT_OUT = (
    "Quick: fewer rounds; pages with 2,000 definitions and 200,000 runs instead of "
    "10,000 and 1,000,000, and a third of their addresses; 40 instead of 100 questions "
    "of the baseline of refresh_1000_active; refreshing and watching once instead of "
    "three times."
)


def main(arguments: list[str]) -> None:
    """Run every scenario, one after the other, each in a process of its own."""
    options = _options(arguments)
    names = options.only or list(SCENARIOS)
    if len(names) == 1:
        found = measure(names[0], options)
    else:
        found = [f for name in names for f in measured_apart(name, options)]
    sys.stdout.write((as_json if options.json else as_table)(found) + "\n")
    if options.quick:
        sys.stderr.write(f"{LEFT_OUT}\n")


def _options(arguments: list[str]) -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="python -m tests.bench", description=__doc__)
    parser.add_argument("--quick", action="store_true", help=LEFT_OUT)
    parser.add_argument("--json", action="store_true", help="one JSON document")
    parser.add_argument(
        *("--only", "-o"),
        action="append",
        choices=SCENARIOS,
        help="this scenario; may be given more than once",
    )
    parser.add_argument(
        "--database",
        default="",
        metavar="URL",
        help="measure on PostgreSQL: postgresql://… of a user who may create databases",
    )
    return parser.parse_args(arguments)


def measure(name: str, options: argparse.Namespace) -> list[Figure]:
    """A scenario's figures, on throw-away data."""
    with (
        tempfile.TemporaryDirectory(prefix="mcdash-bench-") as folder,
        _database(options.database) as database,
    ):
        prepare(Path(folder), database=database)
        return SCENARIOS[name](Path(folder), quick=options.quick)


@contextmanager
def _database(url: str) -> Iterator[str]:
    with database_of_its_own(url) if url else nullcontext("") as own:
        yield own


def measured_apart(name: str, options: argparse.Namespace) -> list[Figure]:
    """As `measure`, without what other scenarios left behind in this process."""
    how = ["--quick"] if options.quick else []
    how += [f"--database={options.database}"]
    sys.stderr.write(f"{name} ...\n")
    done = subprocess.run(
        [sys.executable, "-m", "tests.bench", "--json", "--only", name, *how],
        cwd=ROOT,
        stdout=subprocess.PIPE,
        stderr=None if not options.quick else subprocess.DEVNULL,
        check=True,
    )
    return [Figure(**figure) for figure in json.loads(done.stdout)["figures"]]


if __name__ == "__main__":
    main(sys.argv[1:])
