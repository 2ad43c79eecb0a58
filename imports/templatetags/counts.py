"""What a run's counts say, in words. Errors are spoken of only where some were
reported, and what was not reported is named as such.
"""

from __future__ import annotations

from imports.models import CountProblem, Counts
from imports.templatetags.numbers import count_text


def problem_text(counts: Counts) -> str:
    """Why a completed run is not clean; empty where nothing is wrong."""
    match counts.problem:
        case CountProblem.ERRORS:
            return ", ".join(filter(None, (errors_text(counts), _open(counts))))
        case CountProblem.CONTRADICTORY:
            return f"the counts contradict each other, {_more_than_all(counts)}"
        case CountProblem.ROWS_UNACCOUNTED if counts.errors is None:
            return f"errors not reported, {_open(counts)}"
        case CountProblem.ROWS_UNACCOUNTED:
            are = "is" if counts.unaccounted == 1 else "are"
            rows = rows_text(counts.unaccounted)
            return f"0 errors reported, but {rows} {are} unaccounted for"
        case CountProblem.ERRORS_NOT_REPORTED:
            return f"{_missing(counts)} not reported"
        case CountProblem.LOADED_NOT_REPORTED:
            rows = rows_text(counts.total_rows)
            return f"0 errors reported, but not how many of {rows} were loaded"
    return ""


def rows_text(n: int | None) -> str:
    return f"{count_text(n)} row{'' if n == 1 else 's'}"


def errors_text(counts: Counts) -> str:
    """The errors as far as they were reported; empty where there were none."""
    if counts.errors is None:
        return "errors not reported"
    errors = f"{counts.errors:,} error{'' if counts.errors == 1 else 's'}"
    return errors if counts.errors else ""


def _open(counts: Counts) -> str:
    if not counts.unaccounted:
        return ""
    return f"{rows_text(counts.unaccounted)} unaccounted for"


def _more_than_all(counts: Counts) -> str:
    parts = {"loaded": counts.successful, "duplicates": counts.duplicated}
    word, most = max(parts.items(), key=lambda part: part[1] or 0)
    return f"{count_text(most)} {word} of {rows_text(counts.total_rows)}"


def _missing(counts: Counts) -> str:
    """What of the counts is not known, errors being one of it."""
    if counts.are_absent:
        return "errors and rows"
    return "errors and loaded rows" if counts.successful is None else "errors and rows"
