"""Reads what is drawn in an SVG: which bars, how tall, and in whose colours."""

from __future__ import annotations

import re
from dataclasses import dataclass

from imports.wording.status import status_look

PATH = re.compile(r'<path(?: class="([\w -]*)")? d="([^"]*)"')
STEP = re.compile(r"([MmHhVvLlz])([^MmHhVvLlz]*)")


@dataclass(frozen=True, kw_only=True)
class Shape:
    """A path with its classes; y grows downwards."""

    css: frozenset[str]
    left: float
    right: float
    top: float
    bottom: float

    @property
    def height(self) -> float:
        return self.bottom - self.top


def hue_class(status: str) -> str:
    """The class that gives the bars of a status their colour."""
    return f"s-{status_look(status).hue}"


def points_of(path: str) -> list[list[tuple[float, float]]]:
    """The corners of each figure of a path of straight lines."""
    x, y, figures = 0.0, 0.0, []
    for letter, text in STEP.findall(path):
        numbers = [float(n) for n in re.findall(r"-?\d*\.?\d+", text)]
        is_relative = letter.islower()
        if letter in "Hh":
            x = numbers[0] + is_relative * x
        elif letter in "Vv":
            y = numbers[0] + is_relative * y
        elif letter != "z":
            x, y = numbers[0] + is_relative * x, numbers[1] + is_relative * y
        if letter in "Mm":
            figures.append([(x, y)])
        elif letter != "z":
            figures[-1].append((x, y))
    return figures


def shapes(svg: str, *classes: str) -> list[Shape]:
    """The figures drawn with exactly these classes, from left to right."""
    found = []
    for css, path in PATH.findall(svg):
        if set(css.split()) == set(classes):
            for points in points_of(path):
                xs, ys = zip(*points, strict=True)
                found.append(
                    Shape(
                        css=frozenset(css.split()),
                        left=min(xs),
                        right=max(xs),
                        top=min(ys),
                        bottom=max(ys),
                    )
                )
    return sorted(found, key=lambda shape: (shape.left, shape.top))


def line_of(svg: str) -> float:
    """The height of the line that bars stand on."""
    return shapes(svg, "t")[-1].bottom
