"""The strip: the last 20 runs of a definition as bars, newest at the right.

Above the line stands what was loaded, below it what loaded nothing, across it
what is not known. Drawn as SVG with sizes in attributes, since the content
security policy forbids inline styles; colours come from the classes in status.css.

Each bar is a link with its words. A list has a thousand bars, so there the strip is
drawn as a picture at first, all bars of a hue in one path, with one sentence for
all; as soon as a reader goes there, static/js/strip.js asks for the strip itself.
"""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any

from django.urls import reverse
from django.utils import dateformat, timezone
from django.utils.dateparse import parse_datetime
from django.utils.html import escape
from django.utils.safestring import SafeString, mark_safe

from imports.models import FINISHED, ImportRun
from imports.models.status import are_counts_open
from imports.wording.formats import count_text, duration_text, short_count_text
from imports.wording.status import look_of, status_look

SLOTS = 20
LEAST = 3
# How far beside a bar a pointer still means it.
REACH = 1.5
# The pixels of a strip: its height, where bars begin, the line they stand on, and how
# far down what stands below it reaches.
HEIGHT, TOP, LINE, FOOT = 30, 1, 22, 29
# Distance and width of the bars, wide and in a list.
WIDE, NARROW = (24, 12), (8, 5)


@dataclass(frozen=True, kw_only=True)
class Slot:
    """Where one bar stands: left edge and width, its height in pixels, and the ground
    with its line between top and foot.
    """

    x: float
    width: float
    height: int
    top: int = TOP
    line: int = LINE
    foot: int = FOOT

    @property
    def middle(self) -> float:
        return self.x + self.width / 2

    def box(self, top: float, bottom: float, inset: float = 0) -> str:
        """A path around the slot between two heights."""
        x, width = self.x + inset, self.width - 2 * inset
        height = bottom - top - 2 * inset
        return f"M{x:g} {top + inset:g}h{width:g}v{height:g}h{-width:g}z"

    @property
    def peak(self) -> float:
        return self.line - self.height

    def stripes(self) -> str:
        """A hatch from top to foot; stripes drawn singly, so no id is shared."""
        width = self.width
        tops = range(self.top + round(width), self.foot + 1, 4)
        return "".join(f"M{self.x:g} {top}l{width:g}-{width:g}" for top in tops)

    def stroke(self, top: float, bottom: float) -> str:
        """The same as `box` as a stroke of the slot's width: fewer characters."""
        return f"M{self.middle:g} {bottom:g}V{top:g}"


# One part of a bar: how it is painted, which is also its class in status.css ("" solid,
# "o" an outline, "d" a dashed one, "h" a hatch), and the heights that it lies between.
Part = tuple[str, float, float]


def _split(slot: Slot) -> list[Part]:
    top = slot.line - max(slot.height, 7)
    return [("", top, slot.line - 4.5), ("", slot.line - 3, slot.line)]


# The shapes of bars, which the statuses name in wording/status.py.
SHAPES: dict[str, Callable[[Slot], list[Part]]] = {
    "bar": lambda slot: [("", slot.peak, slot.line)],
    "split": _split,
    "above-and-below": lambda slot: [
        ("", slot.peak, slot.line),
        ("", slot.line + 1, slot.foot),
    ],
    "filling": lambda slot: [("", slot.peak, slot.line), ("o", slot.top, slot.line)],
    "below": lambda slot: [("o", slot.line + 1, slot.foot)],
    "stub": lambda slot: [("o", slot.line - 7, slot.line)],
    "dashed-stub": lambda slot: [("d", slot.line - 7, slot.line)],
    "dashed": lambda slot: [("d", slot.top, slot.foot)],
    "hatched": lambda slot: [("h", slot.top, slot.foot), ("o", slot.top, slot.foot)],
    "dot": lambda slot: [("o", slot.line + 2, slot.line + 5)],
}
# What these draw beside their bar tells that a run ran, even if it loaded no row.
TELLING_WITHOUT_ROWS = {"above-and-below", "filling"}


def paths_of(status: str, slot: Slot, *, as_strokes: bool = False) -> dict[str, str]:
    """The paths of a status's bar, by the class of each."""
    paths: dict[str, str] = defaultdict(str)
    for css, top, bottom in SHAPES[status_look(status).bar](slot):
        if css == "h":
            paths[css] += slot.stripes()
        elif css:
            paths[css] += slot.box(top, bottom, 0.5)
        elif top < bottom:
            paths[css] += (slot.stroke if as_strokes else slot.box)(top, bottom)
    return paths


def is_told_without_rows(run: dict[str, Any]) -> bool:
    """Whether it loaded nothing, and its shape shows that it ran all the same."""
    return not loaded(run) and (status_look(run["status"]).bar in TELLING_WITHOUT_ROWS)


def loaded(run: dict[str, Any]) -> int:
    """Rows that a run brought in, as far as they are known."""
    rows, errors = run.get("rows"), run.get("errors")
    if are_counts_open(run["status"], errors):
        open_rows = run.get("unaccounted")
        return 0 if rows is None or open_rows is None else max(0, rows - open_rows)
    if run["status"] == "failed":
        return max(0, (rows or 0) - (errors or 0)) if errors is not None else 0
    return rows or 0


def _height(run: dict[str, Any], largest: int) -> int:
    """Height in pixels against the largest of the strip, at least 3 if it ran; odd,
    since half as many heights make a page of fifty strips a good deal lighter.
    """
    if is_told_without_rows(run):
        return 0
    share = loaded(run) / largest if largest else 0
    return max(LEAST, 2 * round(share * (LINE - TOP - 1) / 2) + 1)


def _moment(at: str | None) -> datetime | None:
    moment = parse_datetime(at) if at else None
    return moment if moment and timezone.is_aware(moment) else None


def bar_text(run: dict[str, Any]) -> str:
    """What a bar says in words: status, time, counts."""
    moment = _moment(run.get("at"))
    local = timezone.localtime(moment) if moment else None
    when = dateformat.format(local, "D j M, H:i") if local else ""
    rows, errors = run.get("rows"), run.get("errors")
    counts = [f"{count_text(rows)} rows"] if rows is not None else []
    counts += [f"{count_text(errors)} errors"] if errors else []
    if are_counts_open(run["status"], errors):
        counts += ["errors not reported"] if errors is None else ["0 errors"]
        open_rows = run.get("unaccounted")
        counts += [f"{count_text(open_rows)} unaccounted for"] if open_rows else []
    parts = (look_of(run["status"], errors).label, when, ", ".join(counts))
    return " · ".join(part for part in parts if part)


def bar_svg(run: dict[str, Any], slot: Slot, *, last: bool) -> str:
    """One bar with its words, which leads to its run; only the newest is a tab stop,
    arrows do the rest.
    """
    hue, tab = status_look(run["status"]).hue, 0 if last else -1
    drawn = f'<path class="hit" d="{slot.box(0, slot.foot, -REACH)}"/>'
    for css, path in paths_of(run["status"], slot).items():
        named = f' class="{css}"' if css else ""
        drawn += f'<path{named} d="{path}"/>'
    inside = f"<title>{escape(bar_text(run))}</title>{drawn}"
    if run.get("run"):
        address = reverse("imports:run", args=[run["run"]])
        return f'<a class="s-{hue}" href="{address}" tabindex="{tab}">{inside}</a>'
    return f'<g class="s-{hue}" tabindex="{tab}" role="img">{inside}</g>'


def strip_svg(
    runs: Sequence[dict[str, Any]] | None, *, wide: bool = False, current: int = 0
) -> str:
    """The strip of up to 20 runs, oldest first; a dash when there is none.

    Each run is as kept in ImportDefinition.strip, see `ImportRun.as_bar`. `current`
    underlines that run (on its own page).
    """
    shown = list(runs or [])[-SLOTS:]
    if not shown:
        return "–"
    pitch, width = WIDE if wide else NARROW
    bars = []
    for run, slot in zip(shown, _slots(shown, pitch, width), strict=True):
        bars.append(bar_svg(run, slot, last=run is shown[-1]))
        if current and run.get("run") == current:
            bars.append(f'<path class="now" d="M{slot.x:g} 33h{width}"/>')
    attributes = f'role="group" aria-label="{_name(shown)}"'
    return _frame("".join(bars), attributes, len(shown), wide=wide)


def picture_svg(runs: Sequence[dict[str, Any]] | None) -> str:
    """The strip in a list, until a reader goes there: a path for each hue. Solid
    bars are strokes, since that gives their height only once.
    """
    shown = list(runs or [])[-SLOTS:]
    if not shown:
        return "–"
    paths: dict[str, str] = defaultdict(str)
    for run, slot in zip(shown, _slots(shown, *NARROW), strict=True):
        hue = status_look(run["status"]).hue
        for css, path in paths_of(run["status"], slot, as_strokes=True).items():
            paths[f"s-{hue} {css}".strip()] += path
    drawn = "".join(f'<path class="{css}" d="{path}"/>' for css, path in paths.items())
    title = f"<title>{summary_text(shown)}</title>"
    return _frame(drawn, 'role="img"', len(shown), title=title)


def _slots(shown: Sequence[dict[str, Any]], pitch: int, width: int) -> list[Slot]:
    first, largest = SLOTS - len(shown), max(loaded(run) for run in shown)
    return [
        Slot(x=(first + number) * pitch, width=width, height=_height(run, largest))
        for number, run in enumerate(shown)
    ]


def _frame(
    drawn: str, attributes: str, shown: int, *, wide: bool = False, title: str = ""
) -> SafeString:
    pitch, width = WIDE if wide else NARROW
    total, height = (SLOTS - 1) * pitch + width, HEIGHT + (5 if wide else 0)
    empty = SLOTS - shown
    ticks = "".join(f"M{slot * pitch} {LINE}h{width}" for slot in range(empty))
    return mark_safe(  # noqa: S308 - numbers, our own words and escaped titles
        f'<svg class="strip{" wide" if wide else ""}" width="{total}"'
        f' height="{height}" viewBox="0 0 {total} {height}" {attributes}>{title}'
        f'<path class="t" d="{ticks}M{empty * pitch} {LINE}H{total}"/>{drawn}</svg>'
    )


def _name(shown: Sequence[dict[str, Any]]) -> str:
    n = len(shown)
    return "Last run" if n == 1 else f"Last {n} runs, newest at the end"


def summary_text(shown: Sequence[dict[str, Any]]) -> str:
    """The strip in one sentence: how many runs ended how."""
    labels = (look_of(run["status"], run.get("errors")).label for run in shown)
    words = [f"{n} {label.lower()}" for label, n in Counter(labels).most_common()]
    last = "Last run" if len(shown) == 1 else f"Last {len(shown)} runs"
    return f"{last}: {', '.join(words)}"


# A definition's history as a chart: a bar a run in the strip's language, row errors


MOST = 40
FEWEST_SLOTS = 20
PITCH, WIDTH = 10, 6
# The band of rows in pixels: where the scale ends, the line, and what is below it.
CHART_HEIGHT, CHART_TOP, CHART_LINE, CHART_FOOT = 128, 8, 108, 127
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
            height=_chart_height(run, end),
            top=CHART_TOP,
            line=CHART_LINE,
            foot=CHART_FOOT,
        )
        bars.append(bar_svg(run.as_bar(), slot, last=run is runs[-1]))
        if loaded(run.as_bar()) > end:
            cut = f"M{slot.x - 1:g} {CHART_TOP + 10}l{WIDTH + 2}-5"
            bars.append(f'<path class="cut" d="{cut}"/>')
    name = f"Rows of the last {len(runs)} runs, newest at the end"
    axis = f"M0 {CHART_TOP}H{_width(len(runs))}M0 {CHART_LINE}H{_width(len(runs))}"
    svg = _svg(
        f'class="strip chart rows-band" role="group" aria-label="{name}"',
        len(runs),
        CHART_HEIGHT,
        f'<path class="axis" d="{axis}"/>{"".join(bars)}',
    )
    return Band(name="Rows", svg=svg, top=short_count_text(end))


def _chart_height(run: ImportRun, end: int) -> int:
    """As in the strip: at least 3 pixels for what ran, nothing for what failed."""
    if is_told_without_rows(run.as_bar()):
        return 0
    rows = loaded(run.as_bar())
    return max(LEAST, round(min(rows, end) / end * (CHART_LINE - CHART_TOP)))


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


# Horizontal bars: a run's rows in proportion, and a phase's place on a lane.


SCALE = 1000
BAR_LEAST = 4


def _rect(x: float, width: float, hue: str) -> str:
    return f'<rect class="bar-{hue}" x="{x:.0f}" y="0" width="{width:.0f}" height="8"/>'


def _bar_svg(css: str, content: str) -> SafeString:
    return mark_safe(  # noqa: S308 - numbers and our own class names only
        f'<svg class="{css}" viewBox="0 0 {SCALE} 8" width="100%" height="8"'
        f' preserveAspectRatio="none" aria-hidden="true">{content}</svg>'
    )


def proportion_svg(
    loaded: int | None,
    duplicates: int | None,
    errors: int | None,
    unaccounted: int | None = None,
) -> SafeString:
    """Loaded, duplicate and refused rows as parts of one bar, whose end stays empty for
    rows that are unaccounted for; the numbers stand beside it, so it is hidden from
    screen readers. Nothing known: an empty bar.
    """
    parts = [
        (value, hue)
        for value, hue in ((loaded, "green"), (duplicates, "grey"), (errors, "amber"))
        if value
    ]
    total = sum(value for value, _ in parts) + (unaccounted or 0)
    content, x = "", 0.0
    for value, hue in parts:
        width = max(BAR_LEAST, SCALE * value / total)
        content += _rect(min(x, SCALE - BAR_LEAST), width, hue)
        x += width + 2
    return _bar_svg("proportion", content)


def lane_svg(start: float, length: float, total: float, hue: str) -> SafeString:
    """A phase from `start` over `length` seconds on a lane of `total` seconds."""
    line = f'<line x1="0" y1="4" x2="{SCALE}" y2="4"/>'
    if total <= 0:
        return _bar_svg("lane", line)
    width = min(max(BAR_LEAST, SCALE * length / total), SCALE)
    x = min(max(0.0, SCALE * start / total), SCALE - width)
    return _bar_svg("lane", line + _rect(x, width, hue))
