"""The life of a run: its statuses, their transitions, what its counts add up to."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from enum import StrEnum
from typing import Any

from django.db import models

from imports.reasons import Reason


class RunStatus(models.TextChoices):
    QUEUED = "queued", "Queued"
    STARTING = "starting", "Starting"
    RUNNING = "running", "Running"
    COMPLETED = "completed", "Completed"
    COMPLETED_WITH_ERRORS = "completed_with_errors", "Completed with errors"
    FAILED = "failed", "Failed"
    NOT_STARTED = "not_started", "Not started"
    UNKNOWN = "unknown", "Outcome unknown"
    LOST = "lost", "Lost"
    CANCELLED = "cancelled", "Cancelled"


# How `completed_with_errors` is called where no error was reported: something is open
# about the counts, but nobody said that a row was refused.
OPEN_COUNTS = "Completed, check counts"


def are_counts_open(status: str, errors: int | None) -> bool:
    """Whether such a run is not clean although no error was reported."""
    return status == RunStatus.COMPLETED_WITH_ERRORS and not errors


def label_of(status: str, errors: int | None) -> str:
    is_open = are_counts_open(status, errors)
    return OPEN_COUNTS if is_open else str(RunStatus(status).label)


class Origin(models.TextChoices):
    DASHBOARD = "dashboard", "Dashboard"
    COMMAND = "command", "Command"
    OUTSIDE = "outside", "Outside"


# Nobody proved that such a run did not start: it still takes a result that turns up.
GIVEN_UP = frozenset({Reason.NO_TRACE, Reason.DECLARED})


def message_of(reason: str, message: str) -> str:
    """What happened, for programs and commands: the error's words, or the reason's."""
    return message or (f"{Reason(reason).label}." if reason else "")


S = RunStatus
FINISHED = frozenset({S.COMPLETED, S.COMPLETED_WITH_ERRORS, S.FAILED})
ACTIVE = frozenset({S.QUEUED, S.STARTING, S.RUNNING, S.UNKNOWN})
ENDED = frozenset(S) - ACTIVE
WITH_TASK = FINISHED | {S.RUNNING, S.LOST}

TRANSITIONS: dict[RunStatus, frozenset[RunStatus]] = {
    S.QUEUED: frozenset({S.STARTING, S.NOT_STARTED, S.CANCELLED}),
    S.STARTING: frozenset({S.RUNNING, S.NOT_STARTED, S.UNKNOWN}),
    S.RUNNING: FINISHED | {S.LOST},
    S.UNKNOWN: FINISHED | {S.RUNNING, S.NOT_STARTED},
    # only a run that left no trace may still be found late
    S.NOT_STARTED: FINISHED | {S.RUNNING},
    S.LOST: FINISHED | {S.RUNNING},
    S.COMPLETED: frozenset(),
    S.COMPLETED_WITH_ERRORS: frozenset(),
    S.FAILED: frozenset(),
    S.CANCELLED: frozenset(),
}


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
    """Four counts of a run, what they add up to, and what they leave open; None is a
    count that was not reported, or not readably.

    The vendor says neither whether TotalRows is the sum of the others nor whether
    NumberErrors or NumberSuccessful contain the duplicates. Here every row is taken to
    be counted once, as loaded, as a duplicate or as an error.

    - Where duplicates are errors as well, the sum exceeds the total: nothing is open.
    - Where duplicates are loaded rows as well, as many missing rows as there are
      duplicates are not noticed. The other reading would make every import with
      duplicates suspicious.
    - A row that the update type leaves alone may be counted nowhere: it is then
      unaccounted for, and pages name that reason among those to check.
    """

    total_rows: int | None = None
    successful: int | None = None
    duplicated: int | None = None
    errors: int | None = None

    @classmethod
    def of(cls, source: object) -> Counts:
        return cls(**{name: getattr(source, name) for name in COUNTS})

    @classmethod
    def read(cls, details: Mapping[str, Any]) -> Counts:
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
        total, loaded = self.total_rows, self.successful
        if total is None or loaded is None or self.are_contradictory:
            return None
        return max(0, total - loaded - (self.duplicated or 0) - (self.errors or 0))

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
        if self.unaccounted is not None:
            return CountProblem.ROWS_UNACCOUNTED if self.unaccounted else None
        if self.errors is None:
            return CountProblem.ERRORS_NOT_REPORTED
        return CountProblem.LOADED_NOT_REPORTED if self.total_rows else None
