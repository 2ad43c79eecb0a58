"""A definition's history as a chart: a bar a run in the strip's language, row errors
as an amber line below them, how long it took as a thin grey one.

Each band has a scale of its own, so no line is read against the wrong axis. Widths
stretch with the page, heights are pixels; words stand beside the bands as text, where
they keep their size on every screen. The same numbers stand in the table of runs.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import timedelta

from django.utils import dateformat, timezone
from django.utils.safestring import SafeString, mark_safe

from imports.models import FINISHED, ImportRun
from imports.templatetags.numbers import (
    count_text,
    duration_text,
    short_count_text,
)
from imports.templatetags.strips import LEAST, Slot, bar_svg, loaded

MOST = 40
FEWEST_SLOTS = 20
PITCH, WIDTH = 10, 6
# The band of rows in pixels: where the scale ends, the line, and what is below it.
HEIGHT, TOP, LINE, FOOT = 128, 8, 108, 127
BAND, BAND_TOP, BAND_LINE = 40, 4, 36
# One run many times as large as the others would flatten them all: it is cut.
OUTLIER, FEWEST_FOR_A_CUT = 4, 5
STEPS = (1, 1.2, 1.5, 2, 2.5, 3, 4, 5, 6, 8, 10)


@dataclass(frozen=True, kw_only=True, slots=True)
class Band:
    """A drawing with its name and where its scale ends."""

    name: str
    svg: SafeString
    top: str


@dataclass(frozen=True, kw_only=True, slots=True)
class Chart:
    """The bands from top to bottom, of how many runs, the days at both ends, and how
    many bars are cut.
    """

    bands: list[Band]
    runs: int
    first: str
    last: str
    cut: int


def history_chart(runs: Sequence[ImportRun]) -> Chart | None:
    """The chart of up to 40 runs, oldest first; None where there is none."""
    shown = list(runs)[-MOST:]
    if not shown:
        return None
    end = ceiling([loaded(run.as_bar()) for run in shown])
    errors = [run.errors for run in shown]
    took = [_seconds(run) for run in shown]
    bands = [_rows_band(shown, end)]
    if any(errors):
        bands.append(_line_band("Row errors", "errors", errors, count_text))
    if any(seconds is not None for seconds in took):
        bands.append(_line_band("Took", "took", took, duration_text))
    first, last = _ends(shown)
    return Chart(
        bands=bands,
        runs=len(shown),
        first=first,
        last=last,
        cut=sum(loaded(run.as_bar()) > end for run in shown),
    )


def _ends(shown: Sequence[ImportRun]) -> tuple[str, str]:
    """The days below both ends; where the bars fill half of the chart only, both stand
    below the right one.
    """
    first, last = (timezone.localtime(shown[at].began_at) for at in (0, -1))
    pattern = "j M, H:i" if first.date() == last.date() else "j M Y"
    began, ended = (dateformat.format(at, pattern) for at in (first, last))
    if len(shown) == 1:
        return "", ended
    if len(shown) <= FEWEST_SLOTS // 2:
        return "", f"{began} to {ended}"
    return began, ended


def ceiling(values: Sequence[int]) -> int:
    """Where a scale for `values` ends: the next round number above the largest, or
    where that is an outlier, above the others.
    """
    ordered = sorted(values)
    largest, usual = ordered[-1], ordered[len(ordered) * 9 // 10 - 1]
    if len(values) >= FEWEST_FOR_A_CUT and 0 < usual * OUTLIER < largest:
        return round_up(usual * 1.25)
    return round_up(largest)


def round_up(value: float) -> int:
    """The next round number, such as 1, 1.2, 1.5 or 2 hundred; 1 for nothing."""
    size = 1
    while size * 10 < value:
        size *= 10
    return next(int(step * size) for step in STEPS if int(step * size) >= value)


def _seconds(run: ImportRun) -> int | None:
    """How long a run took that came to its end; None for all others."""
    took: timedelta = run.elapsed(timezone.now())
    return int(took.total_seconds()) if run.status in FINISHED else None


def _middles(n: int) -> list[float]:
    """The middle of each run's place, the newest at the right edge."""
    first = max(FEWEST_SLOTS, n) - n
    return [(first + place) * PITCH + PITCH / 2 for place in range(n)]


def _rows_band(runs: list[ImportRun], end: int) -> Band:
    bars = []
    for run, middle in zip(runs, _middles(len(runs)), strict=True):
        slot = Slot(
            x=middle - WIDTH / 2,
            width=WIDTH,
            height=_height(run, end),
            top=TOP,
            line=LINE,
            foot=FOOT,
        )
        bars.append(bar_svg(run.as_bar(), slot, last=run is runs[-1]))
        if loaded(run.as_bar()) > end:
            cut = f"M{slot.x - 1:g} {TOP + 10}l{WIDTH + 2}-5"
            bars.append(f'<path class="cut" d="{cut}"/>')
    name = f"Rows of the last {len(runs)} runs, newest at the end"
    axis = f"M0 {TOP}H{_width(len(runs))}M0 {LINE}H{_width(len(runs))}"
    svg = _svg(
        f'class="strip chart rows-band" role="group" aria-label="{name}"',
        len(runs),
        HEIGHT,
        f'<path class="axis" d="{axis}"/>{"".join(bars)}',
    )
    return Band(name="Rows", svg=svg, top=short_count_text(end))


def _height(run: ImportRun, end: int) -> int:
    """As in the strip: at least 3 pixels for what ran, nothing for what failed."""
    rows = loaded(run.as_bar())
    if not rows and run.status in ("failed", "running"):
        return 0
    return max(LEAST, round(min(rows, end) / end * (LINE - TOP)))


def _line_band(
    name: str,
    css: str,
    values: Sequence[int | None],
    words: Callable[[int], str],
) -> Band:
    known = [value for value in values if value is not None]
    most = max(known)
    points = [
        None
        if value is None
        else (x, BAND_LINE - (BAND_LINE - BAND_TOP) * value / max(most, 1))
        for x, value in zip(_middles(len(values)), values, strict=True)
    ]
    told = f"{name}: from {words(min(known))} to {words(most)}, last {words(known[-1])}"
    svg = _svg(
        'class="chart line-band" role="img"',
        len(values),
        BAND,
        f'<title>{told}</title><path class="axis" d="M0 {BAND_LINE}'
        f'H{_width(len(values))}"/><path class="{css}" d="{line_path(points)}"/>'
        f'<path class="{css} dot" d="{dots_path(points)}"/>',
    )
    return Band(name=name, svg=svg, top=words(most))


Point = tuple[float, float] | None


def line_path(points: Sequence[Point]) -> str:
    """A line through `points`, interrupted where one is not known."""
    path, before = "", None
    for point in points:
        if point:
            path += f"{'L' if before else 'M'}{point[0]:g} {point[1]:.4g}"
        before = point
    return path


def dots_path(points: Sequence[Point]) -> str:
    """A dot for each point that has no neighbour to draw a line to."""
    around = [None, *points, None]
    return "".join(
        f"M{point[0]:g} {point[1]:.4g}h.01"
        for before, point, after in zip(around, points, around[2:], strict=False)
        if point and before is None and after is None
    )


def _width(n: int) -> int:
    return max(FEWEST_SLOTS, n) * PITCH


def _svg(attributes: str, n: int, height: int, drawn: str) -> SafeString:
    return mark_safe(  # noqa: S308 - numbers, our own words and escaped titles
        f'<svg {attributes} viewBox="0 0 {_width(n)} {height}" height="{height}"'
        f' preserveAspectRatio="none">{drawn}</svg>'
    )
