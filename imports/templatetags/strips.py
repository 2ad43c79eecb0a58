"""The strip: the last 20 runs of a definition as bars, newest at the right.

Above the line stands what was loaded, below it what loaded nothing, across it
what is not known. Drawn as SVG with sizes in attributes, since the content
security policy forbids inline styles; colours come from the classes in status.css.

Each bar is a link with its words. A list has a thousand bars, so there the strip is
drawn as a picture at first, all bars of a status in one path, with one sentence for
all; as soon as a reader goes there, static/js/strip.js asks for the strip itself.
"""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from datetime import datetime
from functools import lru_cache
from typing import Any

from django.urls import reverse
from django.utils import dateformat, timezone
from django.utils.dateparse import parse_datetime
from django.utils.html import escape
from django.utils.safestring import SafeString, mark_safe

from imports.models.status import are_counts_open
from imports.templatetags.numbers import count_text
from imports.templatetags.statuses import look_of

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

    def bar(self) -> str:
        """A path around all that stands above the line."""
        return self.box(self.line - self.height, self.line) if self.height else ""


def _solid(path: str) -> str:
    return f'<path d="{path}"/>'


def _outline(path: str, css: str = "o") -> str:
    return f'<path class="{css}" d="{path}"/>'


def _completed(slot: Slot) -> str:
    return _solid(slot.bar())


def _with_errors(slot: Slot) -> str:
    top, line = slot.line - max(slot.height, 7), slot.line
    return _solid(slot.box(top, line - 4.5) + slot.box(line - 3, line))


def _failed(slot: Slot) -> str:
    return _solid(slot.bar() + slot.box(slot.line + 1, slot.foot))


def _running(slot: Slot) -> str:
    return _solid(slot.bar()) + _outline(slot.box(slot.top, slot.line, 0.5))


def _stripes(slot: Slot) -> str:
    """A hatch across the line; stripes drawn singly, so no id is shared."""
    width = slot.width
    tops = range(slot.top + round(width), slot.foot + 1, 4)
    return "".join(f"M{slot.x:g} {top}l{width:g}-{width:g}" for top in tops)


def _unknown(slot: Slot) -> str:
    return _outline(_stripes(slot), "h") + _outline(slot.box(slot.top, slot.foot, 0.5))


def _below_outline(slot: Slot) -> str:
    return _outline(slot.box(slot.line + 1, slot.foot, 0.5))


def _short_outline(slot: Slot, css: str = "o") -> str:
    return _outline(slot.box(slot.line - 7, slot.line, 0.5), css)


BARS: dict[str, Callable[[Slot], str]] = {
    "queued": lambda slot: _short_outline(slot, "d"),
    "starting": _short_outline,
    "running": _running,
    "completed": _completed,
    "completed_with_errors": _with_errors,
    "failed": _failed,
    "not_started": _below_outline,
    "unknown": _unknown,
    "lost": lambda slot: _outline(slot.box(slot.top, slot.foot, 0.5), "d"),
    "withdrawn": lambda slot: _outline(slot.box(slot.line + 2, slot.line + 5, 0.5)),
}


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
    rows = loaded(run)
    if not rows and run["status"] in ("failed", "running"):
        return 0
    share = rows / largest if largest else 0
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
    status, tab = run["status"], 0 if last else -1
    hit = f'<path class="hit" d="{slot.box(0, slot.foot, -REACH)}"/>'
    inside = f"<title>{escape(bar_text(run))}</title>{hit}{BARS[status](slot)}"
    if run.get("run"):
        address = reverse("imports:run", args=[run["run"]])
        return f'<a class="s-{status}" href="{address}" tabindex="{tab}">{inside}</a>'
    return f'<g class="s-{status}" tabindex="{tab}" role="img">{inside}</g>'


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
    """The strip in a list, until a reader goes there: a path for each status. Solid
    bars are strokes, since that gives their height only once.
    """
    shown = [
        (run["status"], run.get("rows"), run.get("errors"), run.get("unaccounted"))
        for run in list(runs or [])[-SLOTS:]
    ]
    return _picture(tuple(shown)) if shown else "–"


@lru_cache(maxsize=5000)
def _picture(ends: tuple[tuple[str, *tuple[int | None, ...]], ...]) -> SafeString:
    """Kept, since lists show the same strips again and again."""
    shown: list[dict[str, Any]] = [
        dict(zip(("status", "rows", "errors", "unaccounted"), end, strict=True))
        for end in ends
    ]
    paths: dict[str, str] = defaultdict(str)
    for run, slot in zip(shown, _slots(shown, *NARROW), strict=True):
        for kind, path in _STROKES[run["status"]](slot).items():
            paths[f"s-{run['status']}{kind}"] += path
    drawn = "".join(f'<path class="{css}" d="{d}"/>' for css, d in paths.items() if d)
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


def _up(slot: Slot, *, foot: str = "") -> str:
    return f"M{slot.middle:g} {LINE}{foot}V{LINE - slot.height}"


def _strokes_with_errors(slot: Slot) -> dict[str, str]:
    return {"": _up(replace(slot, height=max(slot.height, 7)), foot="v-3m0-1.5")}


def _strokes_failed(slot: Slot) -> dict[str, str]:
    below = f"M{slot.middle:g} {FOOT}V{LINE + 1}"
    return {"": below + (f"m0-1V{LINE - slot.height}" if slot.height else "")}


def _strokes_running(slot: Slot) -> dict[str, str]:
    filled = _up(slot) if slot.height else ""
    return {"": filled, " o": slot.box(TOP, LINE, 0.5)}


def _strokes_unknown(slot: Slot) -> dict[str, str]:
    return {" h": _stripes(slot), " o": slot.box(TOP, FOOT, 0.5)}


def _outlined(
    top: int, bottom: int, kind: str = " o"
) -> Callable[[Slot], dict[str, str]]:
    return lambda slot: {kind: slot.box(top, bottom, 0.5)}


# The bars of the picture: paths by what their class adds to the status's own.
_STROKES: dict[str, Callable[[Slot], dict[str, str]]] = {
    "queued": _outlined(LINE - 7, LINE, " d"),
    "starting": _outlined(LINE - 7, LINE),
    "running": _strokes_running,
    "completed": lambda slot: {"": _up(slot)},
    "completed_with_errors": _strokes_with_errors,
    "failed": _strokes_failed,
    "not_started": _outlined(LINE + 1, FOOT),
    "unknown": _strokes_unknown,
    "lost": _outlined(TOP, FOOT, " d"),
    "withdrawn": _outlined(LINE + 2, LINE + 5),
}
