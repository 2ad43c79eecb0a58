"""A load test: `python -m tests.bench.load [--dashboards N] [--seconds S]`.

Open dashboards poll gunicorn on loopback while a worker follows runs of a sandbox in
which three accounts change every five seconds; then somebody starts imports as well.
Bounded by its options; it cleans up.
"""

from __future__ import annotations

import argparse
import asyncio
import json
import sys
from dataclasses import asdict
from pathlib import Path
from typing import Any

from tests.bench import load_growth
from tests.bench.dashboards import GIVE_UP_SECONDS
from tests.bench.figures import Figure, as_json, as_table
from tests.bench.here import ROOT
from tests.bench.load_figures import Plan, Starts, measured
from tests.bench.load_growth import Row
from tests.bench.scene import LONGEST_SECONDS, scene
from tests.bench.trees import compared, measured_in, name_of
from tests.bench.watchers import add_watchers

MODULE = "tests.bench.load"
MOST_DASHBOARDS, MOST_SETS = 1_000, 50
OPENING_SECONDS, OPENINGS_A_SECOND = 30.0, 16
# Those that say how a result is shown, not what is measured.
OF_SHOWING = ("against", "plot", "json", "growth")


def main(arguments: list[str]) -> None:
    """Measure and print."""
    options = read_options(arguments)
    if options.growth:
        _show_growth(options)
    elif options.against:
        before, after = (
            [Figure(**figure) for figure in document["figures"]]
            for document in _of_both(options)
        )
        both = {"before": before, "after": after}
        as_texts = {n: [asdict(one) for one in found] for n, found in both.items()}
        table = compared(before, after, name_of(options.against))
        _print(json.dumps(as_texts, indent=2) if options.json else table)
    else:
        found = _figures(options)
        _print(as_json(found) if options.json else as_table(found))


def read_options(arguments: list[str]) -> argparse.Namespace:
    """As given, within their bounds."""
    parser = argparse.ArgumentParser(prog=f"python -m {MODULE}", description=__doc__)
    add = parser.add_argument
    add("--dashboards", type=int, default=200)
    add("--sets", type=int, default=1, help="people see so many sets of accounts")
    add("--seconds", type=int, default=300)
    add("--start-seconds", type=int, default=60, help="then with starts; 0: none")
    add("--start-every", type=float, default=1.0, help="seconds between starts")
    add("--give-up", type=float, default=GIVE_UP_SECONDS, help="as live.js does")
    add("--workers", type=int, default=2, help="gunicorn's processes")
    add("--threads", type=int, default=32, help="of each of them")
    add("--database", default="", metavar="URL", help="PostgreSQL, see tests.bench")
    add("--growth", action="store_true", help="a short time each, see load_growth.py")
    add("--plot", type=Path, metavar="FILE", help="--growth as SVG")
    add("--against", type=Path, metavar="DIR", help="measure that checkout first")
    add("--json", action="store_true", help="one JSON document")
    options = parser.parse_args(arguments)
    bounds = {
        "dashboards": (1, MOST_DASHBOARDS),
        "sets": (1, MOST_SETS),
        "seconds": (1, LONGEST_SECONDS),
        "start_seconds": (0, LONGEST_SECONDS),
        "start_every": (0.1, LONGEST_SECONDS),
        "give_up": (1, LONGEST_SECONDS),
    }
    for name, (least, most) in bounds.items():
        if not least <= getattr(options, name) <= most:
            parser.error(f"--{name.replace('_', '-')}: from {least} to {most:,}")
    return options


def _figures(options: argparse.Namespace) -> list[Figure]:
    with scene(options) as set_up:
        cookies = add_watchers(options.dashboards, options.sets, set_up.busy)
        plan = Plan(
            opening=max(OPENING_SECONDS, options.dashboards / OPENINGS_A_SECOND),
            seconds=options.seconds,
            starts=Starts(seconds=options.start_seconds, every=options.start_every),
            give_up=options.give_up,
        )
        return asyncio.run(measured(set_up, cookies, plan))


def _show_growth(options: argparse.Namespace) -> None:
    """A table, or JSON, and a plot where one is asked for."""
    if options.against:
        before, after = (document["growth"] for document in _of_both(options))
        rows: dict[str, list[Row]] = {name_of(options.against): before, "here": after}
    else:
        with scene(options) as set_up:
            rows = {"here": load_growth.measured_rows(set_up)}
    if options.plot:
        options.plot.write_text(load_growth.as_svg(rows))
    if options.json:
        _print(json.dumps({"growth": rows["here"], "all": rows}, indent=2))
    else:
        _print(load_growth.as_table(rows))


def _of_both(options: argparse.Namespace) -> list[Any]:
    """What that checkout gives, then what this one gives, measured alike."""
    given = {name: v for name, v in vars(options).items() if name not in OF_SHOWING}
    arguments = [f"--{n.replace('_', '-')}={value}" for n, value in given.items()]
    arguments += ["--growth"] if options.growth else []
    trees = (options.against.resolve(), ROOT)
    return [measured_in(tree, MODULE, *arguments) for tree in trees]


def _print(text: str) -> None:
    sys.stdout.write(f"{text}\n")


if __name__ == "__main__":
    main(sys.argv[1:])
