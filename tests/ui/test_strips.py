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
from imports.wording.status import status_look

pytestmark = pytest.mark.urls("tests.ui.urls")


def bar(status: str = "completed", **facts: Any) -> dict[str, Any]:
    at = "2026-03-10T06:04:00+00:00"
    return {"run": 7, "status": status, "rows": 100, "errors": 0, "at": at} | facts


def heights(svg: str) -> list[int]:
    """Heights of the solid bars, in order."""
    return [int(height) for height in re.findall(r'<path d="[^"]*v(\d+)h-5z', svg)]


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
    assert '<a class="s-red" href="/runs/7/" tabindex="0">' in svg


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
    assert heights(nothing) == [21, 6]
    assert 'd="M152 11h5v11h-5zM152 23h5v6h-5z"' in some


def test_empty_slots_leave_a_tick() -> None:
    ticks = re.findall(r'class="t" d="([^"]*)"', strip_svg([bar()]))
    assert ticks[0].count("h5") == 19


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
    assert '<path class="hit" d="M150.5 -1.5h8v32h-8z"/>' in svg


def test_the_picture_of_a_strip_tells_in_a_sentence_how_the_runs_ended() -> None:
    runs = [bar(), bar("failed"), bar(), bar("completed_with_errors", errors=7)]
    svg = picture_svg(runs)
    assert "<title>Last 4 runs: 2 completed, 1 failed, 1 completed with" in svg
    assert 'role="img"' in svg
    assert "<title>Last run: 1 lost</title>" in picture_svg([bar("lost")])
    assert picture_svg([]) == picture_svg(None) == "–"


def test_the_picture_has_one_path_for_each_hue() -> None:
    svg = picture_svg([bar(rows=100), bar("failed"), bar(rows=50), bar("not_started")])
    assert re.findall(r'<path class="(s-.*?)"', svg) == ["s-green", "s-red", "s-red o"]
    (greens,) = re.findall(r'class="s-green" d="(.*?)"', svg)
    assert greens.count("M") == 2
    assert "tabindex" not in svg


@pytest.mark.parametrize("status", list(RunStatus))
def test_the_picture_shows_every_status_as_the_strip_does(status: str) -> None:
    picture, strip = picture_svg([bar(status)]), strip_svg([bar(status)])
    css = f"s-{status_look(status).hue}"
    for outline in ("o", "d", "h"):
        of_strip = re.findall(rf'class="{outline}" d="([^"]*)"', strip)
        of_picture = re.findall(rf'class="{css} {outline}" d="([^"]*)"', picture)
        assert of_picture == of_strip
    solid = re.search(rf'class="{css}" d="[^"]', picture)
    assert bool(solid) == bool(re.search(r'<path d="[^"]', strip))


def test_fifty_pictures_of_varied_runs_stay_light() -> None:
    drawn = random.Random(7)
    pictures = [
        picture_svg([bar(rows=drawn.randint(600, 1000)) for _ in range(20)])
        for _ in range(50)
    ]
    assert len(gzip.compress("".join(pictures).encode(), 6)) < 2_500
