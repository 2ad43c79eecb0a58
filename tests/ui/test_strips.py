"""The strip of the last 20 runs."""

from __future__ import annotations

import gzip
import random
import re
from typing import Any

import pytest
from django.utils import timezone

from imports.models import RunStatus
from imports.ui.svg import bar_text, picture_svg, strip_svg

from .drawn import hue_class, line_of, shapes

pytestmark = pytest.mark.urls("tests.ui.urls")


def bar(status: str = "completed", **facts: Any) -> dict[str, Any]:
    at = "2026-03-10T06:04:00+00:00"
    return {"run": 7, "status": status, "rows": 100, "errors": 0, "at": at} | facts


def heights(svg: str) -> list[float]:
    """Heights of the solid bars, in order."""
    return [shape.height for shape in shapes(svg)]


def test_a_definition_without_runs_shows_a_dash() -> None:
    assert strip_svg([]) == "–"
    assert strip_svg(None) == "–"


def test_only_the_newest_twenty_are_drawn() -> None:
    runs = [bar(rows=number) for number in range(1, 31)]
    svg = strip_svg(runs)
    assert svg.count("<title>") == 20
    assert "11 rows" in svg
    assert "· 10 rows" not in svg


def test_one_bar_is_a_tab_stop_and_it_is_the_newest() -> None:
    svg = strip_svg([bar(), bar(), bar("failed")])
    assert svg.count('tabindex="0"') == 1
    css = hue_class("failed")
    assert f'<a class="{css}" href="/runs/7/" tabindex="0">' in svg


def test_every_bar_names_status_time_and_counts() -> None:
    with timezone.override("Europe/Berlin"):
        text = bar_text(bar("completed_with_errors", rows=412006, errors=33450))
    assert text == (
        "Completed with errors · Tue 10 Mar, 07:04 · 412,006 rows, 33,450 errors"
    )


def test_a_count_that_is_not_known_is_left_out_of_the_words() -> None:
    assert "rows" not in bar_text(bar("unknown", rows=None, errors=None))


def test_height_follows_rows_against_the_largest() -> None:
    svg = strip_svg([bar(rows=1000), bar(rows=500), bar(rows=1)])
    assert heights(svg) == [21, 11, 3]


def test_a_completed_run_is_at_least_three_pixels_high() -> None:
    assert heights(strip_svg([bar(rows=0)])) == [3]


def test_what_failed_stands_below_the_line_and_what_it_loaded_above() -> None:
    nothing = strip_svg([bar(rows=10), bar("failed", rows=None, errors=None)])
    some = strip_svg([bar(rows=10), bar("failed", rows=10, errors=5)])
    line = line_of(some)
    loaded, failed = shapes(nothing)
    assert loaded.bottom == line < failed.top
    loaded, half, failed = shapes(some)
    assert half.bottom == line < failed.top
    assert half.left == failed.left > loaded.right
    assert 0 < half.height < loaded.height


def test_places_without_a_run_are_ticked() -> None:
    *ticks, line = shapes(strip_svg([bar()]), "t")
    assert len(ticks) == 19
    assert ticks[-1].right < line.left == shapes(strip_svg([bar()]))[0].left


@pytest.mark.parametrize("status", list(RunStatus))
def test_a_strip_needs_no_inline_style_and_shares_no_id(status: str) -> None:
    svg = strip_svg([bar(status)], wide=True)
    assert "style=" not in svg
    assert not re.search(r"\bid=", svg)


def test_a_wide_strip_leads_to_its_runs_and_underlines_the_one_shown() -> None:
    svg = strip_svg([bar(run=6), bar(run=7)], wide=True, current=7)
    assert 'href="/runs/6/"' in svg
    assert svg.count('class="now"') == 1


def test_a_pointer_beside_a_low_bar_still_means_it() -> None:
    svg = strip_svg([bar(rows=1000), bar(rows=1)])
    tall, low = shapes(svg)
    _, hit = shapes(svg, "hit")
    assert hit.left < low.left
    assert hit.right > low.right
    assert hit.top < tall.top
    assert hit.bottom > low.bottom


def test_the_picture_of_a_strip_tells_in_a_sentence_how_the_runs_ended() -> None:
    runs = [bar(), bar("failed"), bar(), bar("completed_with_errors", errors=7)]
    svg = picture_svg(runs)
    assert "<title>Last 4 runs: 2 completed, 1 failed, 1 completed with" in svg
    assert 'role="img"' in svg
    assert "<title>Last run: 1 lost</title>" in picture_svg([bar("lost")])
    assert picture_svg([]) == picture_svg(None) == "–"


def test_the_picture_has_one_path_for_each_status() -> None:
    svg = picture_svg([bar(rows=100), bar("failed"), bar(rows=50), bar("failed")])
    full, half = shapes(svg, hue_class("completed"))
    assert full.height > half.height
    assert full.left < half.left
    for status in ("completed", "failed"):
        assert svg.count(f'class="{hue_class(status)}"') == 1
    assert "tabindex" not in svg


@pytest.mark.parametrize("status", list(RunStatus))
def test_the_picture_shows_every_status_as_the_strip_does(status: str) -> None:
    picture, strip = picture_svg([bar(status)]), strip_svg([bar(status)])
    for outline in ("o", "d", "h"):
        of_strip, of_picture = (
            shapes(strip, outline),
            shapes(picture, outline, hue_class(status)),
        )
        assert [(s.left, s.right, s.top, s.bottom) for s in of_strip] == [
            (s.left, s.right, s.top, s.bottom) for s in of_picture
        ]
    # solid bars are strokes there, which have their width from the style sheet
    solid = [(s.top, s.bottom) for s in shapes(strip)]
    assert [(s.top, s.bottom) for s in shapes(picture, hue_class(status))] == solid


def test_each_status_is_drawn_unlike_the_others() -> None:
    drawings = {}
    for status in RunStatus:
        # without its hue, which not everybody can tell apart
        svg = picture_svg([bar(status)]).replace(hue_class(status), "s")
        drawings[svg.partition("</title>")[2]] = status
    assert len(drawings) == len(RunStatus)


def test_fifty_pictures_of_varied_runs_stay_light() -> None:
    drawn = random.Random(7)
    pictures = [
        picture_svg([bar(rows=drawn.randint(600, 1000)) for _ in range(20)])
        for _ in range(50)
    ]
    assert len(gzip.compress("".join(pictures).encode(), 6)) < 2_500
