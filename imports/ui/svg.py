"""Drawings of runs as SVG: the strip of a definition's last 20 runs, the chart of its
history, and the horizontal bars of one run.

In strips and charts each run is a bar and a link, newest at the right: above the line
stands what was loaded, below it what loaded nothing, across it what isn't known. Sizes
are attributes, since the content security policy forbids inline styles; colours come
from the classes in status.css.

A list has a thousand bars, so there a strip is a picture, all bars of a hue in one
path, until a reader goes there and static/js/strip.js asks for the bars themselves.
"""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Callable, Sequence
from typing import Any, NamedTuple

from django.urls import reverse
from django.utils import dateformat, timezone
from django.utils.dateparse import parse_datetime
from django.utils.html import escape
from django.utils.safestring import SafeString, mark_safe

from imports.models import FINISHED, ImportRun
from imports.models.status import are_counts_open
from imports.wording.formats import count_text, duration_text, short_count_text
from imports.wording.status import StatusLook, look_of

# A run as it is kept in ImportDefinition.strip, see `ImportRun.as_bar`.
Bar = dict[str, Any]

# Bars, in strips and charts alike

# What did run is at least this high.
LEAST = 3
# How far beside a bar a pointer still means it.
REACH = 1.5


class Ground(NamedTuple):
    """What bars stand on, in pixels."""

    # from the top: where the highest ends, the line, where ends what hangs below it
    top: int
    line: int
    foot: int
    # heights differ by multiples of this
    step: int
    # from a bar to the next
    pitch: int
    width: int
    # beside the first and the last
    margin: int


# Half as many heights make a page of fifty strips a good deal lighter.
NARROW = Ground(top=1, line=22, foot=29, step=2, pitch=8, width=5, margin=0)
WIDE = NARROW._replace(pitch=24, width=12)
CHART = Ground(top=8, line=108, foot=127, step=1, pitch=10, width=6, margin=2)
# So many bars have room at least.
SLOTS = 20


class Slot(NamedTuple):
    """A bar in its place: how its status looks, the rows that it brought in, its left
    edge, and its height above the line.
    """

    bar: Bar
    look: StatusLook
    rows: int
    x: int
    height: int
    ground: Ground

    @property
    def middle(self) -> float:
        return self.x + self.ground.width / 2

    def box(self, top: float, bottom: float, inset: float = 0) -> str:
        """A path around the slot between two heights."""
        x, width = self.x + inset, self.ground.width - 2 * inset
        height = bottom - top - 2 * inset
        return f"M{x:g} {top + inset:g}h{width:g}v{height:g}h{-width:g}z"

    def hatch(self, top: int, bottom: int) -> str:
        """Stripes, each drawn by itself: a pattern would need an id on the page."""
        width = self.ground.width
        tops = range(top + width, bottom + 1, 4)
        return "".join(f"M{self.x} {top}l{width}-{width}" for top in tops)


def _slots(
    bars: Sequence[Bar], rows: Sequence[int], ground: Ground, largest: int
) -> list[Slot]:
    """The bars in their places, newest at the right; `largest` of their `rows` reach
    the top.
    """
    step, room = ground.step, ground.line - ground.top - (ground.step - 1)
    x = max(SLOTS - len(bars), 0) * ground.pitch + ground.margin
    slots = []
    for bar, n in zip(bars, rows, strict=True):
        look = look_of(bar["status"], bar.get("errors"))
        share = min(n, largest) / largest if largest else 0
        height = max(LEAST, step * round(share * room / step) + step - 1)
        if not n and look.bar in SHOWN_WITHOUT_ROWS:
            height = 0
        slots.append(Slot(bar, look, n, x, height, ground))
        x += ground.pitch
    return slots


# What a bar consists of: a kind ("" filled, "o" outlined, "d" dashed, "h" hatched; the
# letters are classes in status.css), from which height, down to which.
Mark = tuple[str, float, float]
# The shapes of bars, one of which each status names in wording/status.py.
BARS: dict[str, Callable[[int, Ground], Sequence[Mark]]] = {
    "dashed-stub": lambda _, at: [("d", at.line - 7, at.line)],
    "stub": lambda _, at: [("o", at.line - 7, at.line)],
    "filling": lambda height, at: [
        ("", at.line - height, at.line),
        ("o", at.top, at.line),
    ],
    "bar": lambda height, at: [("", at.line - height, at.line)],
    "split": lambda height, at: [
        ("", at.line - max(height, 7), at.line - 4.5),
        ("", at.line - 3, at.line),
    ],
    "above-and-below": lambda height, at: [
        ("", at.line - height, at.line),
        ("", at.line + 1, at.foot),
    ],
    "below": lambda _, at: [("o", at.line + 1, at.foot)],
    "hatched": lambda _, at: [("h", at.top, at.foot), ("o", at.top, at.foot)],
    "dashed": lambda _, at: [("d", at.top, at.foot)],
    "dot": lambda _, at: [("o", at.line + 2, at.line + 5)],
}
# These show that a run ran even where it loaded no row.
SHOWN_WITHOUT_ROWS = {"above-and-below", "filling"}


def _paths(slot: Slot, *, as_strokes: bool = False) -> dict[str, str]:
    """The bar as path data by kind. `as_strokes`: what is filled is a thick line, which
    gives its width once for all bars instead of in each of them.
    """
    paths: dict[str, str] = defaultdict(str)
    shape = BARS[slot.look.bar]
    for kind, top, bottom in shape(slot.height, slot.ground):
        if kind == "h":
            paths[kind] += slot.hatch(round(top), round(bottom))
        elif kind:
            # strokes lie on both sides of their path: half a pixel in, they stay inside
            paths[kind] += slot.box(top, bottom, 0.5)
        elif top < bottom and as_strokes:
            paths[kind] += f"M{slot.middle:g} {bottom:g}V{top:g}"
        elif top < bottom:
            paths[kind] += slot.box(top, bottom)
    return paths


def loaded(bar: Bar) -> int:
    """Rows that a run brought in, as far as they are known."""
    rows, errors = bar.get("rows"), bar.get("errors")
    if are_counts_open(bar["status"], errors):
        open_rows = bar.get("unaccounted")
        return 0 if rows is None or open_rows is None else max(0, rows - open_rows)
    if bar["status"] == "failed":
        return max(0, (rows or 0) - (errors or 0)) if errors is not None else 0
    return rows or 0


def bar_text(bar: Bar) -> str:
    """What a bar says in words: status, time, counts."""
    at = parse_datetime(bar.get("at") or "")
    when = ""
    if at and timezone.is_aware(at):
        when = dateformat.format(timezone.localtime(at), "D j M, H:i")
    rows, errors = bar.get("rows"), bar.get("errors")
    counts = [f"{count_text(rows)} rows"] if rows is not None else []
    counts += [f"{count_text(errors)} errors"] if errors else []
    if are_counts_open(bar["status"], errors):
        counts += ["errors not reported"] if errors is None else ["0 errors"]
        open_rows = bar.get("unaccounted")
        counts += [f"{count_text(open_rows)} unaccounted for"] if open_rows else []
    parts = (look_of(bar["status"], errors).label, when, ", ".join(counts))
    return " · ".join(part for part in parts if part)


def _bar_svg(slot: Slot, *, is_last: bool) -> str:
    """One bar, a link to its run; only the newest is a tab stop, arrows do the rest."""
    tab = 0 if is_last else -1
    drawn = "".join(
        f'<path class="{kind}" d="{path}"/>' if kind else f'<path d="{path}"/>'
        for kind, path in _paths(slot).items()
    )
    hit = f'<path class="hit" d="{slot.box(0, slot.ground.foot, -REACH)}"/>'
    address = reverse("imports:run", args=[slot.bar["run"]])
    return (
        f'<a class="s-{slot.look.hue}" href="{address}" tabindex="{tab}">'
        f"<title>{escape(bar_text(slot.bar))}</title>{hit}{drawn}</a>"
    )


# The strip: the last 20 runs of a definition

HEIGHT = 30


def strip_svg(
    runs: Sequence[Bar] | None, *, wide: bool = False, current: int = 0
) -> str:
    """The strip of up to 20 runs, oldest first, with the `current` one underlined."""
    shown = list(runs or [])[-SLOTS:]
    if not shown:
        return "–"
    ground, bars = WIDE if wide else NARROW, []
    rows = [loaded(bar) for bar in shown]
    slots = _slots(shown, rows, ground, max(rows))
    for slot in slots:
        bars.append(_bar_svg(slot, is_last=slot is slots[-1]))
        if current and slot.bar["run"] == current:
            bars.append(f'<path class="now" d="M{slot.x} 33h{ground.width}"/>')
    n = len(shown)
    name = "Last run" if n == 1 else f"Last {n} runs, newest at the end"
    return _frame("".join(bars), f'role="group" aria-label="{name}"', n, ground)


def picture_svg(runs: Sequence[Bar] | None) -> str:
    """The strip in a list, until a reader goes there."""
    shown = list(runs or [])[-SLOTS:]
    if not shown:
        return "–"
    rows = [loaded(bar) for bar in shown]
    slots = _slots(shown, rows, NARROW, max(rows))
    paths: dict[str, str] = defaultdict(str)
    for slot in slots:
        for kind, path in _paths(slot, as_strokes=True).items():
            paths[f"s-{slot.look.hue} {kind}".rstrip()] += path
    drawn = "".join(f'<path class="{css}" d="{d}"/>' for css, d in paths.items())
    looks = Counter(slot.look.label for slot in slots)
    ends = ", ".join(f"{n} {label.lower()}" for label, n in looks.most_common())
    last = "Last run" if len(shown) == 1 else f"Last {len(shown)} runs"
    title = f"<title>{last}: {ends}</title>"
    return _frame(title + drawn, 'role="img"', len(shown), NARROW)


def _frame(drawn: str, attributes: str, n: int, ground: Ground) -> SafeString:
    """The strip around its `n` bars, with a tick for each that is still to come."""
    pitch, width, line = ground.pitch, ground.width, ground.line
    is_wide = ground == WIDE
    total, height = (SLOTS - 1) * pitch + width, HEIGHT + (5 if is_wide else 0)
    ticks = "".join(f"M{slot * pitch} {line}h{width}" for slot in range(SLOTS - n))
    return mark_safe(  # noqa: S308 - numbers, our own words and escaped titles
        f'<svg class="strip{" wide" if is_wide else ""}" width="{total}"'
        f' height="{height}" viewBox="0 0 {total} {height}" {attributes}>'
        f'<path class="t" d="{ticks}M{(SLOTS - n) * pitch} {line}H{total}"/>'
        f"{drawn}</svg>"
    )


# The chart: a definition's last 40 runs, row errors and durations as lines below

MOST = 40
LINES_TOP, LINES_FOOT, LINES_HEIGHT = 4, 36, 40
# One run many times as large as the others would flatten them all: it is cut.
OUTLIER, FEWEST_FOR_A_CUT = 4, 5
STEPS = (1, 1.2, 1.5, 2, 2.5, 3, 4, 5, 6, 8, 10)


class Band(NamedTuple):
    name: str
    svg: SafeString
    # where its scale ends
    top: str


class Chart(NamedTuple):
    # from top to bottom
    bands: list[Band]
    # how many, and on which days the first and the last began
    runs: int
    first: str
    last: str
    # how many bars don't end where their rows would
    cut: int


def history_chart(runs: Sequence[ImportRun]) -> Chart | None:
    """The chart of up to 40 runs, oldest first; None where there is none."""
    shown = list(runs)[-MOST:]
    if not shown:
        return None
    bars, now = [run.as_bar() for run in shown], timezone.now()
    rows = [loaded(bar) for bar in bars]
    end = ceiling(rows)
    slots = _slots(bars, rows, CHART, end)
    bands = [_rows_band(slots, end)]
    errors = [run.errors for run in shown]
    if any(errors):
        bands.append(_line_band("Row errors", "errors", slots, errors, count_text))
    took = [
        int(run.elapsed(now).total_seconds()) if run.status in FINISHED else None
        for run in shown
    ]
    if any(seconds is not None for seconds in took):
        bands.append(_line_band("Took", "took", slots, took, duration_text))
    began = [timezone.localtime(shown[at].began_at) for at in (0, -1)]
    pattern = "j M, H:i" if began[0].date() == began[1].date() else "j M Y"
    first, last = (dateformat.format(at, pattern) for at in began)
    if len(shown) <= SLOTS // 2:
        # the left half is empty, so both stand below the right end
        first, last = "", last if len(shown) == 1 else f"{first} to {last}"
    cut = sum(n > end for n in rows)
    return Chart(bands, len(shown), first, last, cut)


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


def _rows_band(slots: list[Slot], end: int) -> Band:
    drawn = []
    for slot in slots:
        drawn.append(_bar_svg(slot, is_last=slot is slots[-1]))
        if slot.rows > end:
            cut = f"M{slot.x - 1} {CHART.top + 10}l{CHART.width + 2}-5"
            drawn.append(f'<path class="cut" d="{cut}"/>')
    name = f"Rows of the last {len(slots)} runs, newest at the end"
    css = f'class="strip chart rows-band" role="group" aria-label="{name}"'
    axes = (CHART.top, CHART.line)
    svg = _chart_svg(css, len(slots), CHART.foot + 1, axes, "".join(drawn))
    return Band("Rows", svg, short_count_text(end))


Point = tuple[float, float] | None


def _line_band(
    name: str,
    css: str,
    slots: list[Slot],
    values: Sequence[int | None],
    text: Callable[[int], str],
) -> Band:
    known = [value for value in values if value is not None]
    most = max(known)
    scale = (LINES_FOOT - LINES_TOP) / max(most, 1)
    points: list[Point] = [
        None if value is None else (slot.middle, LINES_FOOT - value * scale)
        for slot, value in zip(slots, values, strict=True)
    ]
    svg = _chart_svg(
        'class="chart line-band" role="img"',
        len(values),
        LINES_HEIGHT,
        (LINES_FOOT,),
        f'<path class="{css}" d="{line_path(points)}"/>'
        f'<path class="{css} dot" d="{dots_path(points)}"/>',
        f"{name}: from {text(min(known))} to {text(most)}, last {text(known[-1])}",
    )
    return Band(name, svg, text(most))


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


def _chart_svg(
    attributes: str,
    n: int,
    height: int,
    axes: Sequence[int],
    drawn: str,
    title: str = "",
) -> SafeString:
    width = max(SLOTS, n) * CHART.pitch
    axis = "".join(f"M0 {y}H{width}" for y in axes)
    title = title and f"<title>{title}</title>"
    return mark_safe(  # noqa: S308 - numbers, our own words and escaped titles
        f'<svg {attributes} viewBox="0 0 {width} {height}" height="{height}"'
        f' preserveAspectRatio="none">{title}<path class="axis" d="{axis}"/>'
        f"{drawn}</svg>"
    )


# Horizontal bars: a run's rows in proportion, and a phase's place on a lane

SCALE = 1000
LEAST_WIDTH = 4


def proportion_svg(
    loaded: int | None,
    duplicates: int | None,
    errors: int | None,
    unaccounted: int | None = None,
) -> SafeString:
    """Loaded, duplicate and rejected rows as parts of one bar, whose end stays empty
    for rows that are unaccounted for. The numbers stand beside it.
    """
    total = sum(filter(None, (loaded, duplicates, errors, unaccounted)))
    content, x = "", 0.0
    for value, hue in ((loaded, "green"), (duplicates, "grey"), (errors, "amber")):
        if value:
            # one row among a million still has to be seen
            width = max(LEAST_WIDTH, SCALE * value / total)
            content += _rect(min(x, SCALE - LEAST_WIDTH), width, hue)
            x += width + 2
    return _horizontal("proportion", content)


def lane_svg(start: float, length: float, total: float, hue: str) -> SafeString:
    """A phase from `start` over `length` seconds on a lane of `total` seconds."""
    content = f'<line x1="0" y1="4" x2="{SCALE}" y2="4"/>'
    if total > 0:
        width = min(max(LEAST_WIDTH, SCALE * length / total), SCALE)
        x = min(max(0.0, SCALE * start / total), SCALE - width)
        content += _rect(x, width, hue)
    return _horizontal("lane", content)


def _rect(x: float, width: float, hue: str) -> str:
    return f'<rect class="bar-{hue}" x="{x:.0f}" y="0" width="{width:.0f}" height="8"/>'


def _horizontal(css: str, content: str) -> SafeString:
    return mark_safe(  # noqa: S308 - numbers and our own class names only
        f'<svg class="{css}" viewBox="0 0 {SCALE} 8" width="100%" height="8"'
        f' preserveAspectRatio="none" aria-hidden="true">{content}</svg>'
    )
