"""Measure and print; judges nothing."""

from __future__ import annotations

import argparse
import sys
import tempfile
from pathlib import Path

from tests.benchmarks import queue_to_perform, sync_2500
from tests.benchmarks.figures import Figure, as_json, as_table
from tests.benchmarks.here import prepare

SCENARIOS = (sync_2500, queue_to_perform)


def main(arguments: list[str]) -> None:
    """Run every scenario, one after the other, on throw-away data."""
    parser = argparse.ArgumentParser(prog="python -m tests.benchmarks", description=__doc__)
    parser.add_argument("--quick", action="store_true", help="fewer rounds")
    parser.add_argument("--json", action="store_true", help="one JSON document")
    options = parser.parse_args(arguments)
    found = measure(quick=options.quick)
    sys.stdout.write((as_json if options.json else as_table)(found) + "\n")


def measure(*, quick: bool) -> list[Figure]:
    """The figures of all scenarios, in their order."""
    with tempfile.TemporaryDirectory(prefix="mcdash-bench-") as folder:
        prepare(Path(folder))
        return [
            figure for scenario in SCENARIOS for figure in scenario.figures(quick=quick)
        ]


if __name__ == "__main__":
    main(sys.argv[1:])
