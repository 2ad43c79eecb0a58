"""A definition's history as a chart."""

from __future__ import annotations

import re
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from django.utils import timezone

from imports.models import FINISHED, ImportRun, RunStatus
from imports.ui.svg import Chart, ceiling, dots_path, history_chart, line_path, round_up
from imports.wording.status import status_look

START = datetime(2026, 3, 1, 6, tzinfo=UTC)


def run(day: int = 0, **facts: Any) -> ImportRun:
    """A run that is in no database; it took a minute."""
    at = START + timedelta(days=day)
    known: dict[str, Any] = {
        "pk": 100 + day,
        "status": RunStatus.COMPLETED,
        "total_rows": 1000,
        "errors": 0,
        "occurred_at": at,
        "started_at": at,
    }
    made = ImportRun(**known | facts)
    if made.status in FINISHED:
        made.finished_at = at + timedelta(seconds=60)
    return made


def chart(*runs: ImportRun) -> Chart:
    made = history_chart(runs)
    assert made is not None
    return made


def bars(made: Chart) -> list[float]:
    """The heights of the solid bars of completed runs."""
    pattern = r'<path d="M[\d.]+ [\d.]+h6v([\d.]+)h-6z"/></a>'
    return [float(height) for height in re.findall(pattern, made.bands[0].svg)]


def test_without_runs_there_is_no_chart() -> None:
    assert history_chart([]) is None


def test_a_bar_is_as_high_as_its_rows_on_a_round_scale() -> None:
    made = chart(run(0, total_rows=1500), run(1, total_rows=750))
    assert made.bands[0].top == "1,500"
    assert bars(made) == [100, 50]


@pytest.mark.parametrize("rows", [0, None])
def test_runs_of_no_rows_are_drawn_low_and_divide_by_nothing(rows: int | None) -> None:
    made = chart(run(0, total_rows=rows), run(1, total_rows=rows))
    assert bars(made) == [3, 3]


def test_one_run_stands_at_the_right_and_tells_its_day_once() -> None:
    made = chart(run())
    assert (made.runs, made.first, made.last) == (1, "", "1 Mar, 06:00")
    assert 'd="M192 8h6v100h-6z"' in made.bands[0].svg


def test_one_outlier_is_cut_so_that_the_others_can_be_told_apart() -> None:
    usual = [run(day, total_rows=1000 + day) for day in range(9)]
    made = chart(*usual, run(9, total_rows=900_000))
    assert made.bands[0].top == "1,500"
    assert made.cut == 1
    assert made.bands[0].svg.count('class="cut"') == 1
    assert "900,000 rows" in made.bands[0].svg
    assert bars(made)[0] == 67


@pytest.mark.parametrize(
    ("values", "end"),
    [
        ([0], 1),
        ([1], 1),
        ([7, 3], 8),
        ([101], 120),
        ([412_006], 500_000),
        ([0, 0, 0, 0, 0, 5000], 5000),
        ([10, 10, 5000], 5000),
        ([10, 10, 10, 10, 10, 5000], 15),
    ],
)
def test_the_scale_ends_at_a_round_number(values: list[int], end: int) -> None:
    assert ceiling(values) == end


def test_no_round_number_is_below_its_value() -> None:
    for value in range(2000):
        assert value <= round_up(value) <= max(1, 1.5 * value)


def test_errors_are_a_line_only_where_there_were_any() -> None:
    assert [band.name for band in chart(run()).bands] == ["Rows", "Took"]
    made = chart(run(0), run(1, errors=33, status=RunStatus.COMPLETED_WITH_ERRORS))
    errors = made.bands[1]
    assert (errors.name, errors.top) == ("Row errors", "33")
    assert "<title>Row errors: from 0 to 33, last 33</title>" in errors.svg
    assert 'class="errors" d="M185 36L195 4"' in errors.svg


def test_what_did_not_end_has_no_length() -> None:
    made = chart(run(0, status=RunStatus.RUNNING), run(1, status=RunStatus.LOST))
    assert [band.name for band in made.bands] == ["Rows"]
    took = chart(run(0), run(1, status=RunStatus.LOST), run(2)).bands[-1]
    assert (took.name, took.top) == ("Took", "1:00")
    assert 'class="took dot" d="M175 4h.01M195 4h.01"' in took.svg


def test_a_line_is_interrupted_where_nothing_is_known() -> None:
    points = [(1.0, 2.0), (2.0, 3.0), None, (4.0, 5.0), None, (6.0, 7.0), (7.0, 8.0)]
    assert line_path(points) == "M1 2L2 3M4 5M6 7L7 8"
    assert dots_path(points) == "M4 5h.01"


def test_only_the_newest_forty_are_drawn_and_each_leads_to_its_run() -> None:
    made = chart(*(run(day) for day in range(45)))
    assert made.runs == 40
    assert made.bands[0].svg.count("<a ") == 40
    assert 'href="/runs/144/"' in made.bands[0].svg
    assert 'href="/runs/104/"' not in made.bands[0].svg
    assert made.bands[0].svg.count('tabindex="0"') == 1


def test_runs_of_one_day_tell_the_hour() -> None:
    with timezone.override("Europe/Berlin"):
        made = chart(run(), run(occurred_at=START, started_at=START))
    assert (made.first, made.last) == ("", "1 Mar, 07:00 to 1 Mar, 07:00")


def test_the_days_stand_below_the_first_and_the_last_bar() -> None:
    made = chart(*(run(day) for day in range(20)))
    assert (made.first, made.last) == ("1 Mar 2026", "20 Mar 2026")


@pytest.mark.parametrize("status", list(RunStatus))
def test_every_status_can_be_drawn_without_inline_style(status: RunStatus) -> None:
    made = chart(run(status=status, total_rows=None, errors=None))
    assert f"s-{status_look(status).hue}" in made.bands[0].svg
    assert all("style=" not in band.svg for band in made.bands)
