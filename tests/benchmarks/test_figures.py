"""The figures' names and shape are an interface; measuring itself is not a test."""

from __future__ import annotations

import json

from tests.benchmarks import queue_to_perform, sync_2500
from tests.benchmarks.figures import as_json, as_table

FIGURES = [
    *sync_2500.as_figures(
        sync_2500.Times(plain=[0.1, 0.2, 9], first=[0.6], again=[0.3])
    ),
    *queue_to_perform.as_figures([0.1, 0.11, 0.5]),
]


def test_json_is_one_document_of_named_figures() -> None:
    document = json.loads(as_json(FIGURES))
    assert list(document) == ["figures"]
    found = {figure.pop("name"): figure for figure in document["figures"]}
    assert found["sync_2500_first_ratio_to_lxml"] == {
        "value": 3.0,
        "unit": "ratio",
        "baseline": "requests + lxml fetching and parsing the same pages",
    }
    assert found["sync_2500_again_ratio_to_lxml"]["value"] == 1.5
    assert found["queue_to_perform_ms"] == {
        "value": 110.0,
        "unit": "ms",
        "baseline": "",
    }


def test_the_table_has_a_line_for_each_figure() -> None:
    head, *lines = as_table(FIGURES).splitlines()
    assert head.split()[0] == "FIGURE"
    assert [line.split()[0] for line in lines] == [one.name for one in FIGURES]
