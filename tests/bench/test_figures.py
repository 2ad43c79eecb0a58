"""The bounds of what may be measured; measuring itself is not a test."""

from __future__ import annotations

import pytest

from tests.bench import load
from tests.bench.__main__ import SCENARIOS, main
from tests.bench.figures import percentile


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
