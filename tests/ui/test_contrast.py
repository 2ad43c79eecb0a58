"""The tokens keep the contrast that the look asks for (WCAG 2), in both themes."""

from __future__ import annotations

import math
import re
from pathlib import Path

import pytest
from django.conf import settings

Colour = tuple[float, float, float]
NUMBERS = r"oklch\(([\d.]+) ([\d.]+) ([\d.]+)\)"
TOKENS = (Path(settings.BASE_DIR) / "static/css/tokens.css").read_text()
PAIRS = {
    name: (values[:3], values[3:])
    for name, *values in re.findall(
        rf"--([\w-]+): light-dark\({NUMBERS}, {NUMBERS}\)", TOKENS
    )
}
HUES = ("grey", "blue", "green", "amber", "red", "violet")
WORDS = [
    *[("text", "bg"), ("text-2", "bg"), ("text-3", "bg"), ("text-3", "panel")],
    *[("text-3", "hover"), ("text-3", "overlay"), ("text-3", "accent-soft")],
    *[("accent", "bg"), ("accent", "accent-soft"), ("on-accent", "accent")],
    *[("on-accent", "accent-hover"), ("on-inverse", "inverse")],
    *[("on-inverse-2", "inverse"), ("inverse", "inverse-accent")],
    *[(hue, ground) for hue in HUES for ground in ("bg", "panel", f"{hue}-tint")],
]
SHAPES = [("edge", "bg"), *[(f"{hue}-bar", "bg") for hue in HUES]]


def linear(colour: tuple[str, ...]) -> Colour:
    """oklch to linear sRGB, cut to its range (Björn Ottosson's matrices)."""
    lightness, chroma, hue = map(float, colour)
    a = chroma * math.cos(math.radians(hue))
    b = chroma * math.sin(math.radians(hue))
    long = (lightness + 0.3963377774 * a + 0.2158037573 * b) ** 3
    medium = (lightness - 0.1055613458 * a - 0.0638541728 * b) ** 3
    short = (lightness - 0.0894841775 * a - 1.2914855480 * b) ** 3
    mixed = (
        4.0767416621 * long - 3.3077115913 * medium + 0.2309699292 * short,
        -1.2684380046 * long + 2.6097574011 * medium - 0.3413193965 * short,
        -0.0041960863 * long - 0.7034186147 * medium + 1.7076147010 * short,
    )
    red, green, blue = (min(max(part, 0.0), 1.0) for part in mixed)
    return red, green, blue


def luminance(colour: tuple[str, ...]) -> float:
    red, green, blue = linear(colour)
    return 0.2126 * red + 0.7152 * green + 0.0722 * blue


def contrast(front: str, ground: str, theme: int) -> float:
    one = luminance(tuple(PAIRS[front][theme]))
    other = luminance(tuple(PAIRS[ground][theme]))
    return (max(one, other) + 0.05) / (min(one, other) + 0.05)


@pytest.mark.parametrize("theme", [0, 1], ids=["light", "dark"])
@pytest.mark.parametrize(("front", "ground"), WORDS)
def test_words_stand_out_from_their_ground(front: str, ground: str, theme: int) -> None:
    assert contrast(front, ground, theme) >= 4.5


@pytest.mark.parametrize("theme", [0, 1], ids=["light", "dark"])
@pytest.mark.parametrize(("front", "ground"), SHAPES)
def test_outlines_and_bars_stand_out(front: str, ground: str, theme: int) -> None:
    assert contrast(front, ground, theme) >= 3


def test_the_measure_agrees_with_the_figures_of_the_look() -> None:
    assert contrast("text", "bg", 0) == pytest.approx(16.6, abs=0.1)
    assert contrast("accent", "bg", 1) == pytest.approx(10.6, abs=0.1)
