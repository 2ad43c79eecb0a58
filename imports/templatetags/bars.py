"""Horizontal bars: a run's rows in proportion, and a phase's place on a lane."""

from __future__ import annotations

from django.utils.safestring import SafeString, mark_safe

SCALE = 1000
LEAST = 4


def _rect(x: float, width: float, hue: str) -> str:
    return f'<rect class="bar-{hue}" x="{x:.0f}" y="0" width="{width:.0f}" height="8"/>'


def _svg(css: str, content: str) -> SafeString:
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
        width = max(LEAST, SCALE * value / total)
        content += _rect(min(x, SCALE - LEAST), width, hue)
        x += width + 2
    return _svg("proportion", content)


def lane_svg(start: float, length: float, total: float, hue: str) -> SafeString:
    """A phase from `start` over `length` seconds on a lane of `total` seconds."""
    line = f'<line x1="0" y1="4" x2="{SCALE}" y2="4"/>'
    if total <= 0:
        return _svg("lane", line)
    width = min(max(LEAST, SCALE * length / total), SCALE)
    x = min(max(0.0, SCALE * start / total), SCALE - width)
    return _svg("lane", line + _rect(x, width, hue))
