"""A run's state in one sentence, for people who never saw the API."""

from __future__ import annotations

from imports.models import ErrorKind, ImportRun, RunStatus

NOT_STARTED = {
    ErrorKind.CREDENTIALS_REFUSED: "Marketing Cloud refused the credentials.",
    ErrorKind.REFUSED: "Marketing Cloud refused the start.",
    ErrorKind.UNAVAILABLE: "Marketing Cloud was not reached; nothing was sent.",
    ErrorKind.EXPIRED: "It waited too long in the queue; nothing was sent.",
    ErrorKind.HELD_UP: "The worker was held up; nothing was sent.",
    ErrorKind.PAUSED: "Starts are paused in this account; nothing was sent.",
    ErrorKind.NOT_ANSWERING: "The account does not answer; nothing was sent.",
    ErrorKind.STOPPED: "The worker was stopped before it was sent.",
    ErrorKind.NO_TRACE: "No trace of it was found in Marketing Cloud.",
}


def cause(run: ImportRun) -> str:
    """What is known about how the run stands, in a sentence or two."""
    match run.status:
        case RunStatus.FAILED:
            return _failed(run)
        case RunStatus.COMPLETED_WITH_ERRORS:
            return _with_errors(run)
        case RunStatus.NOT_STARTED:
            known = NOT_STARTED.get(ErrorKind(run.error_kind), "Nothing ran.")
            words = f" “{run.message}”" if run.error_kind == ErrorKind.REFUSED else ""
            return known + words
        case RunStatus.UNKNOWN:
            return "The start was sent and no readable answer came. It may be running."
        case RunStatus.LOST:
            phase = f"; the last phase was {run.phase}" if run.phase else ""
            return f"No final result in 24 hours{phase}."
    return ""


def _failed(run: ImportRun) -> str:
    if run.total_rows is None:
        return (
            "Marketing Cloud ended it in Error and counted no rows. Check that the "
            "file is there."
        )
    return f"Marketing Cloud ended it in Error after {run.total_rows:,} rows."


def _with_errors(run: ImportRun) -> str:
    errors = run.errors or 0
    if not run.total_rows:
        return f"{errors:,} rows were refused. The rest is loaded."
    share = 100 * errors / run.total_rows
    if errors >= run.total_rows:
        return f"All {run.total_rows:,} rows were refused."
    return (
        f"{errors:,} of {run.total_rows:,} rows were refused, {share:.1f} %. "
        "The rest is loaded."
    )
