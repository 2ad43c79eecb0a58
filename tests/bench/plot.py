"""Small line charts as SVG, by hand: no library, no script, black on white."""

from __future__ import annotations

import math
from dataclasses import dataclass
from xml.sax.saxutils import escape

WIDTH, HEIGHT = 300, 230
LEFT, RIGHT, TOP, BOTTOM = 44, 64, 34, 40
# Told apart in grey as well.
STYLES = (
    ("#0b5cad", ""),
    ("#b3480a", "5 3"),
    ("#3d7a17", "2 3"),
    ("#6b3fa0", "8 3 2 3"),
)
HEAD = (
    '<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {0} {1}" width="{0}" '
    'height="{1}" font-family="sans-serif" font-size="11">'
)

Points = list[tuple[float, float]]


@dataclass(frozen=True, kw_only=True)
class Panel:
    """A chart: lines by their names, over the same few places of the x axis, which
    stand equally far apart.
    """

    title: str
    x_label: str
    lines: dict[str, Points]


def svg(panels: list[Panel]) -> str:
    """The charts side by side."""
    width = WIDTH * len(panels)
    parts = [HEAD.format(width, HEIGHT), _rectangle(width, HEIGHT)]
    for number, panel in enumerate(panels):
        moved = f'<g transform="translate({number * WIDTH} 0)">'
        parts += [moved, *_axes(panel), *_lines(panel), "</g>"]
    return "\n".join([*parts, "</svg>", ""])


def nice_top(value: float) -> float:
    """The least of 1, 2, 5, 10, 20 … that `value` does not exceed."""
    if value <= 0:
        return 1.0
    power = 10.0 ** math.floor(math.log10(value))
    return next(n * power for n in (1, 2, 5, 10) if value <= n * power * (1 + 1e-9))


def _rectangle(width: int, height: int) -> str:
    return f'<rect width="{width}" height="{height}" fill="#fff"/>'


def _places(panel: Panel) -> list[float]:
    return sorted({x for points in panel.lines.values() for x, _ in points})


def _top(panel: Panel) -> float:
    return nice_top(max(y for points in panel.lines.values() for _, y in points))


def _x(panel: Panel, x: float) -> float:
    places = _places(panel)
    share = places.index(x) / max(1, len(places) - 1)
    return round(LEFT + share * (WIDTH - LEFT - RIGHT), 1)


def _y(panel: Panel, y: float) -> float:
    return round(HEIGHT - BOTTOM - y / _top(panel) * (HEIGHT - TOP - BOTTOM), 1)


def _text(x: float, y: float, text: str, **attributes: str) -> str:
    more = "".join(f' {n.replace("_", "-")}="{v}"' for n, v in attributes.items())
    return f'<text x="{x}" y="{y}"{more}>{escape(text)}</text>'


def _axes(panel: Panel) -> list[str]:
    top, right = _top(panel), WIDTH - RIGHT
    middle = (LEFT + right) / 2
    parts = [_text(LEFT, 18, panel.title, font_weight="bold")]
    for value in (0, top / 2, top):
        y = _y(panel, value)
        parts.append(f'<path d="M{LEFT} {y}H{right}" stroke="#ddd"/>')
        parts.append(_text(LEFT - 6, y + 4, f"{value:,.10g}", text_anchor="end"))
    parts += [
        _text(_x(panel, x), HEIGHT - 24, f"{x:,.10g}", text_anchor="middle")
        for x in _places(panel)
    ]
    label = _text(middle, HEIGHT - 8, panel.x_label, text_anchor="middle", fill="#555")
    return [*parts, label]


def _lines(panel: Panel) -> list[str]:
    """Each with its name at its end; names that would overlap make room downwards."""
    parts, taken = [], -math.inf
    ends = sorted(panel.lines.items(), key=lambda line: -line[1][-1][1])
    styles = dict(zip(panel.lines, STYLES, strict=False))
    for name, points in ends:
        colour, dashes = styles[name]
        placed = [(_x(panel, x), _y(panel, y)) for x, y in points]
        path = "L".join(f"{x} {y}" for x, y in placed)
        parts.append(
            f'<path d="M{path}" fill="none" stroke="{colour}" stroke-width="2" '
            f'stroke-dasharray="{dashes}"/>'
        )
        parts += [
            f'<circle cx="{x}" cy="{y}" r="3" fill="{colour}"/>' for x, y in placed
        ]
        x, y = placed[-1]
        taken = max(taken + 13, y + 4)
        parts.append(_text(x + 7, taken, name, fill=colour))
    return parts
