"""The strip: the last 20 runs of a definition as bars, newest at the right.

Above the line stands what was loaded, below it what loaded nothing, across it
what is not known. Drawn as SVG with sizes in attributes, since the content
security policy forbids inline styles; colours come from the classes in status.css.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from django.urls import reverse
from django.utils import dateformat, timezone
from django.utils.dateparse import parse_datetime
from django.utils.html import escape
from django.utils.safestring import SafeString, mark_safe

from imports.templatetags.numbers import count_text, short_count_text
from imports.templatetags.statuses import status_look

SLOTS = 20
HEIGHT = 30
LINE = 22
TOP = 1
FOOT = 29
LEAST = 3


@dataclass(frozen=True, kw_only=True)
class _Slot:
    """Where one bar stands: left edge and width, and its height in pixels."""

    x: int
    width: int
    height: int

    def box(self, top: float, bottom: float, inset: float = 0) -> str:
        """A path around the slot between two heights."""
        x, width = self.x + inset, self.width - 2 * inset
        height = bottom - top - 2 * inset
        return f"M{x:g} {top + inset:g}h{width:g}v{height:g}h{-width:g}z"


def _solid(path: str) -> str:
    return f'<path d="{path}"/>'


def _outline(path: str, css: str = "o") -> str:
    return f'<path class="{css}" d="{path}"/>'


def _completed(slot: _Slot) -> str:
    return _solid(slot.box(LINE - slot.height, LINE))


def _with_errors(slot: _Slot) -> str:
    top = LINE - max(slot.height, 7)
    return _solid(slot.box(top, LINE - 4.5) + slot.box(LINE - 3, LINE))


def _failed(slot: _Slot) -> str:
    above = slot.box(LINE - slot.height, LINE) if slot.height else ""
    return _solid(above + slot.box(LINE + 1, FOOT))


def _running(slot: _Slot) -> str:
    filled = slot.box(LINE - slot.height, LINE) if slot.height else ""
    return _solid(filled) + _outline(slot.box(TOP, LINE, 0.5))


def _unknown(slot: _Slot) -> str:
    """Hatched across the line; stripes drawn singly, so no id is shared."""
    tops = range(TOP + slot.width, FOOT + 1, 4)
    stripes = "".join(f"M{slot.x} {top}l{slot.width}-{slot.width}" for top in tops)
    return _outline(stripes, "h") + _outline(slot.box(TOP, FOOT, 0.5))


def _below_outline(slot: _Slot) -> str:
    return _outline(slot.box(LINE + 1, FOOT, 0.5))


_BARS: dict[str, Callable[[_Slot], str]] = {
    "queued": lambda slot: _outline(slot.box(LINE - 7, LINE, 0.5), "d"),
    "starting": lambda slot: _outline(slot.box(LINE - 7, LINE, 0.5)),
    "running": _running,
    "completed": _completed,
    "completed_with_errors": _with_errors,
    "failed": _failed,
    "not_started": _below_outline,
    "unknown": _unknown,
    "lost": lambda slot: _outline(slot.box(TOP, FOOT, 0.5), "d"),
    "withdrawn": lambda slot: _outline(slot.box(LINE + 2, LINE + 5, 0.5)),
}


def _loaded(run: dict[str, Any]) -> int:
    """Rows that a run brought in, as far as they are known."""
    rows, errors = run.get("rows"), run.get("errors")
    if run["status"] == "failed":
        return max(0, (rows or 0) - (errors or 0)) if errors is not None else 0
    return rows or 0


def _height(run: dict[str, Any], largest: int) -> int:
    """Height in pixels against the largest of the strip, at least 3 if it ran."""
    loaded = _loaded(run)
    if not loaded and run["status"] in ("failed", "running"):
        return 0
    share = loaded / largest if largest else 0
    return max(LEAST, round(share * (LINE - TOP)))


def _moment(at: str | None) -> datetime | None:
    moment = parse_datetime(at) if at else None
    return moment if moment and timezone.is_aware(moment) else None


def bar_text(run: dict[str, Any], *, wide: bool = True) -> str:
    """What a bar says in words: status, time, counts (to the row where `wide`)."""
    moment = _moment(run.get("at"))
    pattern = "D j M, H:i" if wide else "j M, H:i"
    when = dateformat.format(timezone.localtime(moment), pattern) if moment else ""
    figure = count_text if wide else short_count_text
    rows, errors = run.get("rows"), run.get("errors")
    counts = [f"{figure(rows)} rows"] if rows is not None else []
    counts += [f"{figure(errors)} errors"] if errors else []
    parts = (status_look(run["status"]).label, when, ", ".join(counts))
    return " · ".join(part for part in parts if part)


def _bar(run: dict[str, Any], slot: _Slot, *, wide: bool, last: bool) -> str:
    """One bar with its words; only the newest is a tab stop, arrows do the rest.

    On a page about one definition a bar leads to its run. In a list it does not:
    a thousand addresses would weigh more than everything else on the page.
    """
    status, tab = run["status"], 0 if last else -1
    title = f"<title>{escape(bar_text(run, wide=wide))}</title>"
    inside = title + _BARS[status](slot)
    if wide and run.get("run"):
        address = reverse("imports:run", args=[run["run"]])
        return f'<a class="s-{status}" href="{address}" tabindex="{tab}">{inside}</a>'
    return f'<g class="s-{status}" tabindex="{tab}" role="img">{inside}</g>'


def strip_svg(
    runs: Sequence[dict[str, Any]] | None, *, wide: bool = False, current: int = 0
) -> str:
    """The strip of up to 20 runs, oldest first; a dash when there is none.

    Each run is {"run", "status", "rows", "errors", "at"} as kept in
    ImportDefinition.strip. `current` underlines that run (on its own page).
    """
    shown = list(runs or [])[-SLOTS:]
    if not shown:
        return "–"
    pitch, width = (24, 12) if wide else (8, 5)
    first = SLOTS - len(shown)
    largest = max(_loaded(run) for run in shown)
    bars = []
    for number, run in enumerate(shown):
        slot = _Slot(
            x=(first + number) * pitch, width=width, height=_height(run, largest)
        )
        last = number == len(shown) - 1
        bars.append(_bar(run, slot, wide=wide, last=last))
        if current and run.get("run") == current:
            bars.append(f'<path class="now" d="M{slot.x} 33h{width}"/>')
    return _frame("".join(bars), first, pitch, width, len(shown), wide=wide)


def _frame(
    bars: str, empty: int, pitch: int, width: int, shown: int, *, wide: bool
) -> SafeString:
    total, height = (SLOTS - 1) * pitch + width, HEIGHT + (5 if wide else 0)
    ticks = "".join(f"M{slot * pitch} {LINE}h{width}" for slot in range(empty))
    line = f"M{empty * pitch} {LINE}H{total}"
    return mark_safe(  # noqa: S308 - numbers, our own words and escaped titles
        f'<svg class="strip{" wide" if wide else ""}" width="{total}"'
        f' height="{height}" viewBox="0 0 {total} {height}" role="group"'
        f' aria-label="{_name(shown)}">'
        f'<path class="t" d="{ticks}{line}"/>{bars}</svg>'
    )


def _name(shown: int) -> str:
    return "Last run" if shown == 1 else f"Last {shown} runs, newest at the end"
