"""What each status of a run means and how it looks: the one table of it all.

Pages, lists, charts, the tab's icon and the exit codes of commands read it. What else a
new status needs is in docs/architecture.md, under "What a change touches".
"""

from __future__ import annotations

from dataclasses import KW_ONLY, dataclass, replace
from datetime import datetime

from django.utils import timezone

from imports.models import ACTIVE, FINISHED, ImportRun, RunStatus
from imports.models.status import OPEN_COUNTS, are_counts_open
from imports.usecases.follow import is_final
from imports.wording import formats


@dataclass(frozen=True)
class StatusLook:
    """One status as a reader or a program meets it."""

    status: RunStatus
    # a silhouette of ui/icons.py or a name of heroicons: no two statuses share one,
    # since colour alone tells some readers nothing (circle: ordinary life, triangle:
    # take care, octagon: stopped, diamond: not known, outline: nothing ran)
    icon: str
    # a colour of tokens.css
    hue: str
    # the shape of its bar in strips and charts, from ui/svg.py
    bar: str
    sentence: str
    _: KW_ONLY
    # what `start_import --wait` exits with
    exit_code: int
    # how its badge is painted: tint, outline or hatch
    fill: str = "tint"
    # its place among what needs attention, 1 on top; None: it needs nobody
    severity: int | None = None
    # None: it has not ended, or somebody cancelled it
    ended_well: bool | None = None
    # how its end is called, between who started the run and when that was
    end_word: str = "ended"
    # what it means for the run that nobody follows it
    unfollowed: str = ""
    # for a narrow column, and for a row that is not RunStatus's own
    short_label: str = ""
    own_label: str = ""

    @property
    def label(self) -> str:
        return self.own_label or str(self.status.label)

    @property
    def short(self) -> str:
        return self.short_label or self.label

    @property
    def speaks(self) -> bool:
        """Whether its word takes the colour too; ordinary life stays quiet."""
        return self.severity is not None

    @property
    def tab(self) -> str:
        """What a run's tab shows in its icon."""
        if self.severity:
            return "failed" if self.hue == "red" else "attention"
        return "running" if self.status in ACTIVE else "quiet"


_ALL = (
    StatusLook(
        *(RunStatus.QUEUED, "dotted-ring", "grey", "dashed-stub"),
        "Waiting to be sent to Marketing Cloud.",
        exit_code=4,
        unfollowed="Nothing has been sent to Marketing Cloud yet. If it waits too "
        "long, mcdash gives it up and says so.",
    ),
    StatusLook(
        *(RunStatus.STARTING, "arrow-in-ring", "grey", "stub"),
        "Being sent to Marketing Cloud, once.",
        exit_code=4,
        unfollowed="Its start may have reached Marketing Cloud; mcdash never sends "
        "it a second time.",
    ),
    StatusLook(
        *(RunStatus.RUNNING, "turning-ring", "blue", "filling"),
        "Marketing Cloud is working on it.",
        exit_code=4,
        unfollowed="It may already have ended in Marketing Cloud.",
    ),
    StatusLook(
        *(RunStatus.COMPLETED, "tick-disc", "green", "bar"),
        "Ended without a rejected row.",
        exit_code=0,
        ended_well=True,
    ),
    StatusLook(
        *(RunStatus.COMPLETED_WITH_ERRORS, "warning-triangle", "amber", "split"),
        "Ended; some rows were rejected, or its counts leave that open.",
        exit_code=5,
        severity=5,
        ended_well=True,
        short_label="With errors",
    ),
    StatusLook(
        *(RunStatus.FAILED, "crossed-octagon", "red", "above-and-below"),
        "Marketing Cloud gave up on it.",
        exit_code=1,
        severity=1,
        ended_well=False,
    ),
    StatusLook(
        *(RunStatus.NOT_STARTED, "struck-ring", "red", "below"),
        "Nothing ran in Marketing Cloud.",
        exit_code=1,
        fill="outline",
        severity=4,
        ended_well=False,
        end_word="closed",
    ),
    StatusLook(
        *(RunStatus.UNKNOWN, "question-diamond", "violet", "hatched"),
        "Sent, but no readable answer came; it is never sent twice.",
        exit_code=3,
        fill="hatch",
        severity=2,
        unfollowed="It may be running in Marketing Cloud, or have ended there.",
    ),
    StatusLook(
        *(RunStatus.LOST, "dotted-diamond", "violet", "dashed"),
        "Marketing Cloud reported no end for 24 hours.",
        exit_code=3,
        fill="outline",
        severity=3,
        ended_well=False,
        end_word="closed",
    ),
    StatusLook(
        *(RunStatus.CANCELLED, "return-arrow", "grey", "dot"),
        "Cancelled before it was sent.",
        exit_code=1,
        fill="outline",
        end_word="cancelled",
    ),
)

STATUSES: dict[str, StatusLook] = {look.status.value: look for look in _ALL}
# `completed_with_errors` where no error was reported: it looks the same and says else.
OPEN_LOOK = replace(
    STATUSES["completed_with_errors"],
    own_label=OPEN_COUNTS,
    short_label="Check counts",
    sentence="Ended; its counts leave open whether rows were rejected.",
)
SUCCESSFUL = tuple(look.status for look in _ALL if look.ended_well)
FAILING = tuple(look.status for look in _ALL if look.ended_well is False)
# What needs attention, the most pressing first.
_SEVERITIES = {look.severity: look.status for look in _ALL if look.severity}
BY_SEVERITY = tuple(status for _, status in sorted(_SEVERITIES.items()))


def status_look(status: str, *, is_open: bool = False) -> StatusLook:
    """The row of a status; KeyError for a value that is none of ours."""
    return OPEN_LOOK if is_open else STATUSES[str(status)]


def look_of(status: str, errors: int | None) -> StatusLook:
    return status_look(status, is_open=are_counts_open(status, errors))


def shown_phase(run: ImportRun) -> str:
    """Marketing Cloud's phase, which says something only while the run is running."""
    if run.status != RunStatus.RUNNING:
        return ""
    # a phase that is final there is looked at once more for its counts
    return "waiting for its counts" if is_final(run.phase) else run.phase


def took_text(run: ImportRun) -> str:
    """How long a finished run took; a dash where nothing ran to an end."""
    if run.status not in FINISHED:
        return formats.UNKNOWN
    return formats.duration_text(run.elapsed(timezone.now()))


def ended_at(run: ImportRun) -> datetime | None:
    """When Marketing Cloud ended the run, else when we settled it."""
    return run.finished_at or run.settled_at
