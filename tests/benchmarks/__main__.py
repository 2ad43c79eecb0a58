"""Measure and print; judges nothing. Needs no environment."""

from __future__ import annotations

import argparse
import json
import subprocess
import sys
import tempfile
from pathlib import Path
from typing import Protocol

from tests.benchmarks import queue_to_perform, sync_2500
from tests.benchmarks.figures import Figure, as_json, as_table
from tests.benchmarks.here import ROOT, prepare


class Scenario(Protocol):
    """Measures in `folder`, where a database is; with `quick` in fewer rounds."""

    def __call__(self, folder: Path, /, *, quick: bool) -> list[Figure]: ...


SCENARIOS: dict[str, Scenario] = {
    "sync_2500": sync_2500.figures,
    "queue_to_perform": queue_to_perform.figures,
}


def main(arguments: list[str]) -> None:
    """Run every scenario, one after the other, each in a process of its own."""
    parser = argparse.ArgumentParser(
        prog="python -m tests.benchmarks", description=__doc__
    )
    parser.add_argument("--quick", action="store_true", help="fewer rounds")
    parser.add_argument("--json", action="store_true", help="one JSON document")
    parser.add_argument(
        "--only", choices=SCENARIOS, help="this scenario, in this process"
    )
    options = parser.parse_args(arguments)
    if options.only:
        found = measure(options.only, quick=options.quick)
    else:
        found = [f for name in SCENARIOS for f in measured_apart(name, options.quick)]
    sys.stdout.write((as_json if options.json else as_table)(found) + "\n")


def measure(name: str, *, quick: bool) -> list[Figure]:
    """A scenario's figures, on throw-away data."""
    with tempfile.TemporaryDirectory(prefix="mcdash-bench-") as folder:
        prepare(Path(folder))
        return SCENARIOS[name](Path(folder), quick=quick)


def measured_apart(name: str, quick: bool) -> list[Figure]:
    """As `measure`, without what other scenarios left behind in this process."""
    how = ["--quick"] if quick else []
    done = subprocess.run(
        [sys.executable, "-m", "tests.benchmarks", "--json", "--only", name, *how],
        cwd=ROOT,
        stdout=subprocess.PIPE,
        check=True,
    )
    return [Figure(**figure) for figure in json.loads(done.stdout)["figures"]]


if __name__ == "__main__":
    main(sys.argv[1:])
