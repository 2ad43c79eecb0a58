"""The life of a run: statuses, origins and the one table of transitions."""

from __future__ import annotations

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
    WITHDRAWN = "withdrawn", "Withdrawn"


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
    SCHEDULE = "schedule", "Schedule"
    OUTSIDE = "outside", "Outside"


class ErrorKind(models.TextChoices):
    """Why a run did not start, or what is not known about it."""

    NONE = "", "–"
    CREDENTIALS_REFUSED = "credentials_refused", "Credentials refused"
    REFUSED = "refused", "Refused by Marketing Cloud"
    UNAVAILABLE = "unavailable", "Not reached, nothing sent"
    EXPIRED = "expired", "Queued too long"
    HELD_UP = "held_up", "Held up before sending"
    PAUSED = "paused", "Starts are paused"
    DOUBLED = "doubled", "Business unit is two accounts"
    NOT_ANSWERING = "not_answering", "Account does not answer"
    STOPPED = "stopped", "Worker stopped before sending"
    NO_TRACE = "no_trace", "No trace found"
    NO_ANSWER = "no_answer", "Sent, no readable answer"
    LEASE_OVER = "lease_over", "Worker vanished while sending"
    TOO_OLD = "too_old", "No final phase for 24 hours"


S = RunStatus
FINISHED = frozenset({S.COMPLETED, S.COMPLETED_WITH_ERRORS, S.FAILED})
ACTIVE = frozenset({S.QUEUED, S.STARTING, S.RUNNING, S.UNKNOWN})
ENDED = frozenset(S) - ACTIVE
WITH_TASK = FINISHED | {S.RUNNING, S.LOST}

TRANSITIONS: dict[RunStatus, frozenset[RunStatus]] = {
    S.QUEUED: frozenset({S.STARTING, S.NOT_STARTED, S.WITHDRAWN}),
    S.STARTING: frozenset({S.RUNNING, S.NOT_STARTED, S.UNKNOWN}),
    S.RUNNING: FINISHED | {S.LOST},
    S.UNKNOWN: FINISHED | {S.RUNNING, S.NOT_STARTED},
    # only a run that left no trace may still be found late
    S.NOT_STARTED: FINISHED | {S.RUNNING},
    S.LOST: FINISHED | {S.RUNNING},
    S.COMPLETED: frozenset(),
    S.COMPLETED_WITH_ERRORS: frozenset(),
    S.FAILED: frozenset(),
    S.WITHDRAWN: frozenset(),
}


class InvalidTransitionError(Exception):
    """A run cannot go from its status to the wanted one."""


class StaleRunError(Exception):
    """Somebody else moved the run first; read it again."""
