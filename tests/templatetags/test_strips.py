"""The strip of the last 20 runs."""

from __future__ import annotations

import re
from typing import Any

import pytest
from django.utils import timezone

from imports.models import RunStatus
from imports.templatetags.strips import bar_text, strip_svg

pytestmark = pytest.mark.urls("tests.templatetags.urls")


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
    assert '<g class="s-failed" tabindex="0"' in svg


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
    assert heights(svg) == [21, 10, 3]


def test_a_completed_run_is_at_least_three_pixels_high() -> None:
    assert heights(strip_svg([bar(rows=0)])) == [3]


def test_what_failed_stands_below_the_line_and_what_it_loaded_above() -> None:
    nothing = strip_svg([bar(rows=10), bar("failed", rows=None, errors=None)])
    some = strip_svg([bar(rows=10), bar("failed", rows=10, errors=5)])
    assert heights(nothing) == [21, 6]
    assert 'd="M152 12h5v10h-5zM152 23h5v6h-5z"' in some


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


def test_a_list_of_fifty_strips_stays_light() -> None:
    import gzip

    runs = [bar(rows=1000 + 37 * number, run=number) for number in range(20)]
    page = "".join(
        strip_svg([run | {"rows": run["rows"] * row} for run in runs])
        for row in range(1, 51)
    )
    assert len(gzip.compress(page.encode(), 6)) < 10_000
