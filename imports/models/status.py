"""The life of a run: its statuses, the table of transitions, the reasons why one did
not go well, and what its counts add up to.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from enum import StrEnum
from typing import Any

from django.db import models


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
    """The word for a run of that status and number of errors."""
    if are_counts_open(status, errors):
        return OPEN_COUNTS
    return str(RunStatus(status).label)


class Origin(models.TextChoices):
    DASHBOARD = "dashboard", "Dashboard"
    COMMAND = "command", "Command"
    OUTSIDE = "outside", "Outside"


class Reason(models.TextChoices):
    """Why a run did not start, or why nobody knows how it went.

    Set where it is known: by the errors of `marketingcloud` and `gateway`, and by the
    use cases. Code decides by it, and pages pick their words by it, in
    `wording/causes.py`; nothing looks into a sentence. The labels are what commands and
    exports print.
    """

    NONE = "", "–"
    # Marketing Cloud answered, and its answer proves that it did nothing
    CREDENTIALS_REFUSED = (
        "credentials_refused",
        "Marketing Cloud refused the account’s credentials",
    )
    NOT_FOUND = "not_found", "Marketing Cloud does not know the definition"
    PERMISSION_MISSING = (
        "permission_missing",
        "Marketing Cloud says that a permission is missing",
    )
    MAINTENANCE = "maintenance", "Marketing Cloud is in maintenance"
    THROTTLED = "throttled", "Marketing Cloud had too many requests"
    ALREADY_RUNNING = (
        "already_running",
        "Marketing Cloud says that it is already running",
    )
    NOT_PROCESSED = "not_processed", "Marketing Cloud could not process it just then"
    WRONG_KIND = (
        "wrong_kind",
        "Marketing Cloud cannot start this kind of definition",
    )
    NOT_VALID = "not_valid", "Marketing Cloud says that the definition is not valid"
    WRONG_ADDRESS = "wrong_address", "The account’s address leads elsewhere"
    REFUSED = "refused", "Marketing Cloud refused the start"
    # mcdash gave up before anything was sent
    WRONG_MID = "wrong_mid", "The account’s MID is not a number"
    SECRET_UNREADABLE = (
        "secret_unreadable",
        "The account’s stored secret cannot be read",
    )
    ADDRESS_REFUSED = "address_refused", "The account’s address is not allowed"
    NO_TOKEN = "no_token", "Marketing Cloud gave no access token"
    ACCOUNT_BUSY = "account_busy", "The account was busy with other calls"
    UNREACHABLE = "unreachable", "Marketing Cloud could not be reached"
    EXPIRED = "expired", "It waited too long in the queue; nothing was sent"
    HELD_UP = "held_up", "The worker stalled before sending; nothing was sent"
    STOPPED = "stopped", "The worker was stopped before sending; nothing was sent"
    DISABLED = "disabled", "The account is disabled; nothing was sent"
    PAUSED = "paused", "Starts are paused in this account; nothing was sent"
    DOUBLED = "doubled", "Its business unit is two accounts here; nothing was sent"
    RUNNING_ELSEWHERE = (
        "running_elsewhere",
        "The same import is running in another account of this business unit; nothing "
        "was sent",
    )
    NOT_ANSWERING = "not_answering", "The account does not answer; nothing was sent"
    # it was sent, looked for, and given up
    NO_TRACE = "no_trace", "Marketing Cloud showed no trace of it"
    DECLARED = "declared", "A person looked for it and said that it did not start"
    # it was sent, and what came of it is not known
    NO_ANSWER = "no_answer", "No readable answer came; it may be running"
    TIMEOUT = "timeout", "Marketing Cloud did not answer in time; it may be running"
    OUTAGE = "outage", "Marketing Cloud reported an error of its own; it may be running"
    WORKER_VANISHED = (
        "worker_vanished",
        "The worker vanished while it sent the start; it may be running",
    )
    # it was accepted, and then never seen to end
    TOO_OLD = "too_old", "No final phase for 24 hours"


def reasons() -> list[tuple[str, str]]:
    """The choices of `ImportRun.reason`. A function, so that neither a new reason nor
    another label needs a migration: the column takes any text.
    """
    return Reason.choices


# Nobody proved that such a run did not start: it still takes a result that turns up.
GIVEN_UP = frozenset({Reason.NO_TRACE, Reason.DECLARED})


def message_of(reason: str, message: str) -> str:
    """What happened, for programs and commands: as the error said it at that moment,
    or else what the reason says.
    """
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


class InvalidTransitionError(Exception):
    """A run cannot go from its status to the wanted one."""


class StaleRunError(Exception):
    """Somebody else moved the run first; read it again."""


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
    NumberErrors or NumberSuccessful contain the duplicates, and it leaves out a count
    that it does not have. Here every row is taken to be counted once, as loaded, as a
    duplicate or as an error.

    - Where duplicates are errors as well, the sum exceeds the total: nothing is open.
    - Where duplicates are loaded rows as well, as many missing rows as there are
      duplicates are not noticed. The other reading would make every import with
      duplicates suspicious.
    - More rows of one kind than there were rows cannot be: then nothing is reckoned.
    - A row that the update type leaves alone may be counted nowhere: it is then
      unaccounted for, and pages name that reason among those to check.
    """

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
