"""How load grows: with the people who watch, and with how many different sets of
accounts they see.
"""

from __future__ import annotations

import asyncio
import sys
from typing import TypedDict

from tests.bench.load_figures import Plan, measured
from tests.bench.plot import Panel, svg
from tests.bench.scene import Scene
from tests.bench.watchers import add_watchers

SECONDS, OPENING_SECONDS, OPENINGS_A_SECOND = 45, 10.0, 30
USUAL = 200
# Dashboards and sets; the most last, since what it leaves waiting would slow the next.
STEPS = ((10, 1), (50, 1), (USUAL, 1), (USUAL, 5), (USUAL, 20), (1_000, 1))
COLUMNS = {
    "load_requests": "requests",
    "load_requests_that_brought_something": "news",
    "load_errors": "errors",
    "load_cores": "cores",
    "load_cpu_ms_with_news": "ms/news",
    "load_p50_ms": "p50 ms",
    "load_p99_ms": "p99 ms",
    "load_change_to_page_p95_s": "change→page p95 s",
}
LINE = "{:<12} {:>10} {:>5}" + " {:>9}" * (len(COLUMNS) - 1) + " {:>18}"
# title, figure, its unit in the plot
PLOTTED = (
    ("Web side, cores", "load_cores", 1),
    ("Answers, 99th percentile, s", "load_p99_ms", 1 / 1000),
    ("Change to page, 95th percentile, s", "load_change_to_page_p95_s", 1),
)
BY_SETS = ("Answer with news, ms of processor", "load_cpu_ms_with_news", 1)


class Row(TypedDict):
    """What one size gave; figures by name."""

    dashboards: int
    sets: int
    figures: dict[str, float]


def measured_rows(set_up: Scene) -> list[Row]:
    """Each size for a short time, one after the other, on the same processes."""
    return [_row(set_up, dashboards, sets) for dashboards, sets in STEPS]


def _row(set_up: Scene, dashboards: int, sets: int) -> Row:
    sys.stderr.write(f"{dashboards} dashboards, {sets} sets of accounts ...\n")
    cookies = add_watchers(dashboards, sets, set_up.busy)
    opening = max(OPENING_SECONDS, dashboards / OPENINGS_A_SECOND)
    plan = Plan(opening=opening, seconds=SECONDS)
    found = asyncio.run(measured(set_up, cookies, plan))
    figures = {figure.name: figure.value for figure in found}
    return {"dashboards": dashboards, "sets": sets, "figures": figures}


def as_table(rows: dict[str, list[Row]]) -> str:
    """`rows` by the names of the checkouts."""
    lines = [LINE.format("", "dashboards", "sets", *COLUMNS.values())]
    for name, measured_here in rows.items():
        for row in measured_here:
            values = (_value(row, figure) for figure in COLUMNS)
            lines.append(LINE.format(name, row["dashboards"], row["sets"], *values))
    return "\n".join(lines)


def _value(row: Row, figure: str) -> str:
    value = row["figures"].get(figure)
    return "–" if value is None else f"{value:,.10g}"


def as_svg(rows: dict[str, list[Row]]) -> str:
    """By dashboards with one set of accounts; by sets with the usual dashboards."""
    one_set = {n: [row for row in all_ if row["sets"] == 1] for n, all_ in rows.items()}
    usual = {
        n: [row for row in all_ if row["dashboards"] == USUAL]
        for n, all_ in rows.items()
    }
    panels = [
        _panel(one_set, "dashboards", "open dashboards", *plotted)
        for plotted in PLOTTED
    ]
    label = f"sets of accounts, {USUAL} dashboards"
    return svg([*panels, _panel(usual, "sets", label, *BY_SETS)])


def _panel(
    rows: dict[str, list[Row]],
    axis: str,
    x_label: str,
    title: str,
    figure: str,
    factor: float,
) -> Panel:
    lines = {
        name: [
            (float(row[axis]), row["figures"][figure] * factor)  # type: ignore[literal-required]  # dashboards or sets
            for row in those
            if figure in row["figures"]
        ]
        for name, those in rows.items()
    }
    known = {name: points for name, points in lines.items() if points}
    return Panel(title=title, x_label=x_label, lines=known)
