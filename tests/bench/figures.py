"""A figure: one number with its name, its unit and what it is compared with."""

from __future__ import annotations

import json
import math
import time
from collections.abc import Callable, Iterable, Sequence
from dataclasses import asdict, dataclass

COLUMNS = "{:<36} {:>10}  {:<6} {}"
COMPARED = "{:<38} {:>14} {:>10}  {:<8} {}"


@dataclass(frozen=True, kw_only=True)
class Figure:
    """`baseline` says in words what a ratio's 1 stands for; empty where none is."""

    name: str
    value: float
    unit: str
    baseline: str = ""


def seconds_of(work: Callable[[], object]) -> float:
    """How long `work` takes, in seconds of the wall clock."""
    began = time.perf_counter()
    work()
    return time.perf_counter() - began


def milliseconds(name: str, seconds: float) -> Figure:
    return Figure(name=name, value=round(seconds * 1000, 1), unit="ms")


def ratio(name: str, seconds: float, to: float, baseline: str) -> Figure:
    """How many times `to` fits into `seconds`."""
    value = round(seconds / to, 2 if seconds < 10 * to else 1)
    return Figure(name=name, value=value, unit="ratio", baseline=baseline)


def percentile(values: Sequence[float], share: float) -> float:
    """The least of `values` that this share of them does not exceed."""
    ordered = sorted(values)
    return ordered[max(0, math.ceil(share * len(ordered)) - 1)]


def as_json(figures: Iterable[Figure]) -> str:
    """One JSON document; the names of its keys are an interface."""
    return json.dumps({"figures": [asdict(figure) for figure in figures]}, indent=2)


def as_table(figures: Iterable[Figure]) -> str:
    lines = [COLUMNS.format("FIGURE", "VALUE", "UNIT", "COMPARED WITH")]
    lines += [
        COLUMNS.format(one.name, f"{one.value:,.10g}", one.unit, one.baseline)
        for one in figures
    ]
    return "\n".join(line.rstrip() for line in lines)
