"""What the four counts of a run add up to, and what they leave open.

The vendor says neither whether TotalRows is the sum of the others nor whether
NumberErrors or NumberSuccessful contain the duplicates, and it leaves out a count that
it does not have. Here every row is taken to be counted once, as loaded, as a duplicate
or as an error.

- Where duplicates are errors as well, the sum exceeds the total: nothing is open.
- Where duplicates are loaded rows as well, as many missing rows as there are duplicates
  are not noticed. The other reading would make every import with duplicates suspicious.
- More rows of one kind than there were rows cannot be: then nothing is reckoned.
- A row that the update type leaves alone may be counted nowhere: it is then unaccounted
  for, and pages name that reason among those to check.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from enum import StrEnum
from typing import Any

COUNTS = ("total_rows", "successful", "duplicated", "errors")


class CountProblem(StrEnum):
    """Why a run that Marketing Cloud completed is not clean, the gravest first."""

    ERRORS = "errors"
    CONTRADICTORY = "contradictory"
    ROWS_UNACCOUNTED = "rows_unaccounted"
    ERRORS_NOT_REPORTED = "errors_not_reported"
    LOADED_NOT_REPORTED = "loaded_not_reported"


@dataclass(frozen=True, kw_only=True, slots=True)
class Counts:
    """Four counts of a run; None is a count that was not reported, or not readably."""

    total_rows: int | None = None
    successful: int | None = None
    duplicated: int | None = None
    errors: int | None = None

    @classmethod
    def of(cls, source: object) -> Counts:
        """Those of a run or of a result, which name them alike."""
        return cls(**{name: getattr(source, name) for name in COUNTS})

    @classmethod
    def read(cls, details: Mapping[str, Any]) -> Counts:
        """Those that an event kept."""
        return cls(**{name: details.get(name) for name in COUNTS})

    @property
    def are_absent(self) -> bool:
        """Whether nothing was reported that tells how the rows fared."""
        return {self.total_rows, self.successful, self.errors} == {None}

    @property
    def are_contradictory(self) -> bool:
        """Whether one of the parts is more than the whole."""
        parts = (self.successful, self.duplicated, self.errors)
        total = self.total_rows
        return total is not None and max(part or 0 for part in parts) > total

    @property
    def unaccounted(self) -> int | None:
        """Rows that no count accounts for; None where that cannot be reckoned."""
        if self.total_rows is None or self.successful is None:
            return None
        if self.are_contradictory:
            return None
        counted = self.successful + (self.duplicated or 0) + (self.errors or 0)
        return max(0, self.total_rows - counted)

    @property
    def problem(self) -> CountProblem | None:
        """What keeps a completed run from being clean; None where nothing does.

        Clean needs proof: errors known to be 0 and no row open, or, where errors are
        not known, all rows known to be loaded or duplicates.
        """
        if self.errors:
            return CountProblem.ERRORS
        if self.are_contradictory:
            return CountProblem.CONTRADICTORY
        if self.unaccounted:
            return CountProblem.ROWS_UNACCOUNTED
        if self.unaccounted == 0:
            return None
        if self.errors is None:
            return CountProblem.ERRORS_NOT_REPORTED
        return CountProblem.LOADED_NOT_REPORTED if self.total_rows else None
