"""What a run's counts add up to, and when a completed run is clean."""

from __future__ import annotations

from itertools import product

import pytest

from imports.models import CountProblem, Counts, ImportRun, RunStatus

P = CountProblem


def counts(
    total: int | None,
    successful: int | None,
    errors: int | None,
    duplicated: int | None = None,
) -> Counts:
    return Counts(
        total_rows=total, successful=successful, duplicated=duplicated, errors=errors
    )


@pytest.mark.parametrize(
    ("total", "successful", "duplicated", "errors", "unaccounted", "problem"),
    [
        # all is known
        (100, 100, 0, 0, 0, None),
        (100, 90, 10, 0, 0, None),
        (100, 60, 0, 0, 40, P.ROWS_UNACCOUNTED),
        (100, 0, 0, 0, 100, P.ROWS_UNACCOUNTED),
        (100, 0, 100, 0, 0, None),
        (100, 90, 0, 10, 0, P.ERRORS),
        (100, 50, 0, 10, 40, P.ERRORS),
        (0, 0, 0, 0, 0, None),
        # duplicates are errors as well, or loaded rows as well
        (100, 90, 5, 10, 0, P.ERRORS),
        (100, 100, 5, 0, 0, None),
        # more of one kind than there were
        (100, 150, 0, 0, None, P.CONTRADICTORY),
        (100, 150, 0, None, None, P.CONTRADICTORY),
        (100, 0, 150, 0, None, P.CONTRADICTORY),
        (100, None, 150, None, None, P.CONTRADICTORY),
        (100, 0, 0, 150, None, P.ERRORS),
        (0, 60, 0, 0, None, P.CONTRADICTORY),
        # no duplicates reported
        (100, 100, None, 0, 0, None),
        (100, 60, None, 0, 40, P.ROWS_UNACCOUNTED),
        # no errors reported
        (100, 100, 0, None, 0, None),
        (100, 90, 10, None, 0, None),
        (100, 60, 0, None, 40, P.ROWS_UNACCOUNTED),
        (100, 60, None, None, 40, P.ROWS_UNACCOUNTED),
        (0, 0, None, None, 0, None),
        (100, None, None, None, None, P.ERRORS_NOT_REPORTED),
        (0, None, None, None, None, P.ERRORS_NOT_REPORTED),
        (None, 100, 0, None, None, P.ERRORS_NOT_REPORTED),
        (None, None, None, None, None, P.ERRORS_NOT_REPORTED),
        (None, None, 7, None, None, P.ERRORS_NOT_REPORTED),
        # errors said to be 0, loaded rows or the total not reported
        (100, None, 0, 0, None, P.LOADED_NOT_REPORTED),
        (100, None, 100, 0, None, P.LOADED_NOT_REPORTED),
        (0, None, None, 0, None, None),
        (None, 100, None, 0, None, None),
        (None, None, None, 0, None, None),
        (None, None, None, 7, None, P.ERRORS),
    ],
)
def test_a_run_is_clean_only_where_that_is_proven(
    total: int | None,
    successful: int | None,
    duplicated: int | None,
    errors: int | None,
    unaccounted: int | None,
    problem: CountProblem | None,
) -> None:
    one = counts(total, successful, errors, duplicated)
    assert (one.unaccounted, one.problem) == (unaccounted, problem)


def test_no_combination_is_clean_with_an_error_an_open_row_or_nothing_known() -> None:
    values = (None, 0, 1, 60, 100)
    for total, successful, duplicated, errors in product(values, repeat=4):
        one = counts(total, successful, errors, duplicated)
        if one.problem is None:
            assert not errors, one
            assert not one.unaccounted, one
            assert errors == 0 or one.unaccounted == 0, one
            assert not (total and successful is None), one
            assert total is None or max(successful or 0, duplicated or 0) <= total


def test_errors_are_spoken_of_only_where_some_were_reported() -> None:
    run = ImportRun(status=RunStatus.COMPLETED_WITH_ERRORS, total_rows=100)
    for errors, words in (
        (None, "Completed, check counts"),
        (0, "Completed, check counts"),
        (7, "Completed with errors"),
    ):
        run.errors = errors
        assert run.get_status_display() == words
    run.status, run.errors = RunStatus.FAILED, None
    assert run.get_status_display() == "Failed"


def test_rows_of_a_run_under_way_are_not_called_unaccounted_for() -> None:
    run = ImportRun(status=RunStatus.RUNNING, total_rows=100, successful=60)
    assert run.unaccounted_rows is None
