"""How each status of a run looks and reads: the one table that pages draw from.

Keys are the values of `imports.models.RunStatus`; hues and silhouettes are those
of the look (circle: ordinary life, triangle: take care, octagon: stopped, diamond:
not known, outline: nothing ran or no trace).
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from datetime import datetime

from django.utils import timezone

from imports.models import FINISHED, ImportRun, RunStatus
from imports.models.status import OPEN_COUNTS, are_counts_open
from imports.usecases.follow import is_final
from imports.wording import formats


@dataclass(frozen=True, kw_only=True)
class StatusLook:
    """One status as a reader meets it.

    `hue` names a colour of tokens.css, `fill` how its badge is painted (tint,
    outline or hatch), `speaks` whether the word takes the hue in a row: success
    and ordinary life stay quiet. `short` is the word for a narrow column.
    """

    value: str
    label: str
    short: str
    hue: str
    fill: str
    speaks: bool
    sentence: str


def _look(
    value: str,
    label: str,
    hue: str,
    sentence: str,
    *,
    fill: str = "tint",
    speaks: bool = False,
    short: str = "",
) -> StatusLook:
    return StatusLook(
        value=value,
        label=label,
        short=short or label,
        hue=hue,
        fill=fill,
        speaks=speaks,
        sentence=sentence,
    )


_ALL = (
    _look("queued", "Queued", "grey", "Waiting for the worker to take it."),
    _look("starting", "Starting", "grey", "On its way to Marketing Cloud, once."),
    _look("running", "Running", "blue", "Marketing Cloud is working on it."),
    _look("completed", "Completed", "green", "Ended without a refused row."),
    _look(
        "completed_with_errors",
        "Completed with errors",
        "amber",
        "Ended; some rows were refused, or its counts leave that open.",
        speaks=True,
        short="With errors",
    ),
    _look("failed", "Failed", "red", "Marketing Cloud gave up on it.", speaks=True),
    _look(
        "not_started",
        "Not started",
        "red",
        "Nothing ran in Marketing Cloud.",
        fill="outline",
        speaks=True,
    ),
    _look(
        "unknown",
        "Outcome unknown",
        "violet",
        "Sent, and no readable answer came; it is never sent twice.",
        fill="hatch",
        speaks=True,
    ),
    _look(
        "lost",
        "Lost",
        "violet",
        "A task without a final phase for 24 hours.",
        fill="outline",
        speaks=True,
    ),
    _look(
        "cancelled",
        "Cancelled",
        "grey",
        "Taken back before it was sent.",
        fill="outline",
    ),
)

STATUSES: dict[str, StatusLook] = {look.value: look for look in _ALL}
# `completed_with_errors` where no error was reported: it looks the same and says else.
OPEN_LOOK = replace(
    STATUSES["completed_with_errors"],
    label=OPEN_COUNTS,
    short="Check counts",
    sentence="Ended; its counts leave open whether rows were refused.",
)


def status_look(status: str, *, is_open: bool = False) -> StatusLook:
    """The look of a status; KeyError for a value that is none of ours. `is_open`: see
    `are_counts_open`.
    """
    return OPEN_LOOK if is_open else STATUSES[str(status)]


def look_of(status: str, errors: int | None) -> StatusLook:
    """The look of a run of that status and number of errors."""
    return status_look(status, is_open=are_counts_open(status, errors))


# Tags and filters about one run, for every table and page that shows runs.


def run_name(run: ImportRun) -> str:
    """The definition's name; the customer key where the definition is gone."""
    return run.shown_name


def shown_phase(run: ImportRun) -> str:
    """Marketing Cloud's phase says something only while the run is under way; one
    that is final there is looked at once more for its counts.
    """
    if run.status != RunStatus.RUNNING:
        return ""
    return "waiting for its counts" if is_final(run.phase) else run.phase


def took_text(run: ImportRun) -> str:
    """How long a finished run took; a dash where nothing ran to an end."""
    if run.status not in FINISHED:
        return formats.UNKNOWN
    return formats.duration_text(run.elapsed(timezone.now()))


def ended_at(run: ImportRun) -> datetime | None:
    """When Marketing Cloud ended the run, else when we settled it."""
    return run.finished_at or run.settled_at
