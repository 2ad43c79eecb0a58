"""The figures' names and shape are an interface; measuring itself is not a test."""

from __future__ import annotations

import json

import pytest

from tests.bench import (
    load,
    queue_to_perform,
    refresh_200_accounts,
    refresh_1000_active,
    small,
    starts_50,
    sync_10000,
    watching,
)
from tests.bench.__main__ import SCENARIOS, main
from tests.bench.dashboards import Watched
from tests.bench.figures import Figure, as_json, as_table, percentile

WATCHED = Watched(
    seconds=[0.01, 0.02, 0.5], unchanged=2, changed=1, errors=["HTTP 500"]
)
FIGURES = [
    *sync_10000.as_figures(
        sync_10000.Times(plain=[0.1, 0.2, 9], first=[0.6], again=[0.3])
    ),
    *refresh_1000_active.as_figures([(5, 0.5), (5, 0.25), (5, 0.6)], 6.0, 100),
    *refresh_200_accounts.as_figures(4.0, [2.0, 3.0, 2.5], 1.25, 99.94),
    *starts_50.as_figures(6.0),
    *queue_to_perform.as_figures([0.1, 0.11, 0.5]),
    *watching.as_figures(60, 61, WATCHED),
    *small.as_figures(1.5, 80.04, 90.0),
    *load.as_figures(WATCHED, 1.5, (150.0, 151.0), 30),
]


def found() -> dict[str, Figure]:
    return {figure.name: figure for figure in FIGURES}


def test_json_is_one_document_of_named_figures() -> None:
    document = json.loads(as_json(FIGURES))
    assert list(document) == ["figures"]
    assert document["figures"][0] == {
        "name": "sync_10000_ratio_to_lxml",
        "value": 1.5,
        "unit": "ratio",
        "baseline": "requests + lxml fetching and parsing the same pages",
    }


def test_every_figure_has_a_name_of_its_own() -> None:
    assert len(found()) == len(FIGURES)


@pytest.mark.parametrize(
    ("name", "value", "unit"),
    [
        ("sync_10000_first_ratio_to_lxml", 3.0, "ratio"),
        ("refresh_1000_active_calls", 5, "calls"),
        ("refresh_1000_active_ratio", 120.0, "ratio"),
        ("refresh_200_accounts_s", 2.5, "s"),
        ("refresh_200_accounts_peak", 99.9, "MB"),
        ("starts_50_ratio", 1.2, "ratio"),
        ("queue_to_perform_ms", 110.0, "ms"),
        ("watching_200_calls", 61, "calls"),
        ("web_idle", 80.0, "MB"),
        ("load_errors", 1, "errors"),
        ("load_p99_ms", 500.0, "ms"),
        ("load_cores", 0.05, "cores"),
    ],
)
def test_what_a_figure_says(name: str, value: float, unit: str) -> None:
    figure = found()[name]
    assert (figure.value, figure.unit) == (value, unit)


def test_a_scaled_baseline_says_so() -> None:
    baseline = found()["refresh_1000_active_ratio"].baseline
    assert "100 were measured and scaled to 1,000" in baseline


def test_the_table_has_a_line_for_each_figure() -> None:
    head, *lines = as_table(FIGURES).splitlines()
    assert head.split()[0] == "FIGURE"
    assert [line.split()[0] for line in lines] == [one.name for one in FIGURES]


@pytest.mark.parametrize(
    ("share", "value"), [(0.0, 1), (0.5, 2), (0.75, 3), (0.76, 4), (0.95, 4), (1.0, 4)]
)
def test_a_percentile_is_a_value_that_was_measured(share: float, value: int) -> None:
    assert percentile([4, 2, 1, 3], share) == value


def test_an_unknown_scenario_is_refused_with_the_known_ones(
    capsys: pytest.CaptureFixture[str],
) -> None:
    with pytest.raises(SystemExit):
        main(["--only", "everything"])
    said = capsys.readouterr().err
    assert all(name in said for name in SCENARIOS)


@pytest.mark.parametrize("options", [["--dashboards", "0"], ["--seconds", "99999"]])
def test_a_load_without_bounds_is_refused(
    options: list[str], capsys: pytest.CaptureFixture[str]
) -> None:
    with pytest.raises(SystemExit):
        load.main(options)
    assert "from 1 to" in capsys.readouterr().err
