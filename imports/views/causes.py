"""How a run stands in plain words: what is known, and what to do next.

The two are never mixed. The API gives no row-level reasons, no file name and no
user, so what to do next says where else to look, the likeliest first.
"""

from __future__ import annotations

from dataclasses import dataclass, field

from imports.models import ErrorKind, ImportRun, RunStatus

from .effects import error_mail, fact, max_file_age, tolerates_errors

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
AGAIN = "Start it again: nothing was loaded by this run."
NEXT_WHEN_NOT_STARTED = {
    ErrorKind.CREDENTIALS_REFUSED: (
        "Ask an administrator to correct the account's credentials and to press "
        "“Test connection”.",
        "Then start it again.",
    ),
    ErrorKind.REFUSED: (
        "Read Marketing Cloud's words above: they name what it did not like.",
        "Look at the definition in Marketing Cloud: it may have been changed, or "
        "deleted, or the API user may lack the right to start it.",
        AGAIN,
    ),
    ErrorKind.UNAVAILABLE: (
        "See under Accounts whether the account answers by now.",
        AGAIN,
    ),
    ErrorKind.EXPIRED: (
        "Ask the operator of this server whether the worker runs.",
        "If the import is still wanted, start it again.",
    ),
    ErrorKind.PAUSED: (
        "Ask an administrator when starts are allowed again in this account.",
        "Then start it again.",
    ),
    ErrorKind.NOT_ANSWERING: (
        "Wait until the account answers; Accounts shows when.",
        AGAIN,
    ),
    ErrorKind.NO_TRACE: (
        "Look in Automation Studio's activity, if you must be certain.",
        "Then start it again. If a trace turns up late, this run takes it.",
    ),
}


@dataclass(frozen=True, kw_only=True, slots=True)
class Advice:
    """What is known about a run, and what to do next, the likeliest first."""

    title: str
    known: str = ""
    words: str = ""
    steps: tuple[str, ...] = field(default=())


def cause(run: ImportRun, *, candidates: int = 0) -> str:
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
        case RunStatus.UNKNOWN if candidates > 1:
            return (
                "The start was sent and no answer came. "
                f"{candidates} runs in Marketing Cloud could be it."
            )
        case RunStatus.UNKNOWN:
            return "The start was sent and no readable answer came. It may be running."
        case RunStatus.LOST:
            phase = f"; the last phase was {run.phase}" if run.phase else ""
            return f"No final result in 24 hours{phase}."
    return ""


def _failed(run: ImportRun) -> str:
    if run.total_rows is None:
        return "Marketing Cloud ended it in Error and counted no rows."
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


def advice(run: ImportRun, *, candidates: int = 0) -> Advice | None:
    """What the run's page says about it; None where there is nothing to explain."""
    match run.status:
        case RunStatus.FAILED:
            return _advise_failed(run)
        case RunStatus.COMPLETED_WITH_ERRORS:
            return _advise_with_errors(run)
        case RunStatus.COMPLETED if run.total_rows == 0:
            return _advise_empty(run)
        case RunStatus.NOT_STARTED:
            return _advise_not_started(run)
        case RunStatus.UNKNOWN:
            return _advise_unknown(run, candidates)
        case RunStatus.LOST:
            return _advise_lost(run)
    return None


def _advise_failed(run: ImportRun) -> Advice:
    return Advice(
        title=_failed(run),
        known="The API does not say why, which file it took, or which row it "
        "stopped at.",
        steps=(
            *_mail(run),
            _look_for_the_file(run),
            "Compare the file's columns, delimiter and date format with the "
            "definition's.",
            "Correct what was wrong and start it again.",
        ),
    )


def _look_for_the_file(run: ImportRun) -> str:
    pattern = run.definition.file_spec if run.definition else ""
    named = f" that fits {pattern}" if pattern else ""
    age = max_file_age(run)
    limit = f", not older than {age} hours" if age else ""
    return (
        f"Look on Enhanced FTP whether a file{named} is there{limit}: a missing, "
        "late or empty file is the usual reason."
    )


def _mail(run: ImportRun) -> tuple[str, ...]:
    """Where Marketing Cloud itself tells more than the API."""
    address = error_mail(run)
    if not address:
        return ()
    return (f"Read the mail that Marketing Cloud sends to {address} when it ends.",)


def _advise_with_errors(run: ImportRun) -> Advice:
    all_refused = bool(run.total_rows) and (run.errors or 0) >= (run.total_rows or 0)
    errors = run.errors or 0
    title = (
        f"All {run.total_rows:,} rows were refused."
        if all_refused
        else f"{errors:,} rows were refused. The rest is loaded."
    )
    likely = (
        "All rows at once point to the columns, the delimiter or the date format of "
        "the file, not to single values."
        if all_refused
        else "Compare the file with the last good one: a date in another format, a "
        "value too long for its field, an empty key."
    )
    return Advice(
        title=title,
        known=_tolerance(run) + "The API does not say which rows, or why.",
        steps=(
            *_mail(run),
            "Look on Enhanced FTP for the error file of this import.",
            likely,
            _correct_and_repeat(run),
        ),
    )


def _tolerance(run: ImportRun) -> str:
    if run.definition is not None and tolerates_errors(run.definition):
        return (
            "The import ran to its end. It tolerates row errors, so Marketing Cloud "
            "left out what it could not accept. "
        )
    return "Marketing Cloud left out the rows that it could not accept. "


def _correct_and_repeat(run: ImportRun) -> str:
    kind = fact(run, "UpdateType").casefold()
    if kind == "overwrite":
        return "Correct the file and start it again: it replaces all rows."
    if kind == "addandupdate":
        return (
            "Correct the file and start it again. Rows already loaded are updated, "
            "not doubled."
        )
    return "Correct the file and start it again."


def _advise_empty(run: ImportRun) -> Advice:
    return Advice(
        title="It loaded no rows.",
        known="Marketing Cloud ended it without an error and counted 0 rows.",
        steps=(
            _look_for_the_file(run),
            "See whether the file has anything below its header line.",
        ),
    )


def _advise_not_started(run: ImportRun) -> Advice:
    kind = ErrorKind(run.error_kind)
    title = NOT_STARTED.get(kind, "Nothing ran.")
    return Advice(
        title=title,
        known="Nothing ran in Marketing Cloud, so nothing was loaded or replaced."
        if kind != ErrorKind.NO_TRACE
        else run.message,
        words=run.message if kind == ErrorKind.REFUSED else "",
        steps=NEXT_WHEN_NOT_STARTED.get(kind, (AGAIN,)),
    )


def _advise_unknown(run: ImportRun, candidates: int) -> Advice:
    steps = (
        (
            f"Choose which of the {candidates} runs it is: compare when they began "
            "with when this one was sent.",
        )
        if candidates > 1
        else (
            "Wait: mcdash looks for it in Marketing Cloud and settles it by itself.",
            "Look in Automation Studio's activity, if you cannot wait.",
        )
    )
    return Advice(
        title=cause(run, candidates=candidates),
        known=f"{run.message} It is never sent a second time, and the definition "
        "cannot be started here until this is settled.".lstrip(),
        steps=steps,
    )


def _advise_lost(run: ImportRun) -> Advice:
    return Advice(
        title=cause(run),
        known="Marketing Cloud accepted it and never gave a final phase, so nobody "
        "knows how it ended.",
        steps=(
            *_mail(run),
            "Look in Automation Studio's activity for its end.",
            "Check again: mcdash then asks Marketing Cloud for it once more.",
        ),
    )
