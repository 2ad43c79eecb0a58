"""Why nobody looks at a run or an account, in words: for rows, pages and commands."""

from __future__ import annotations

from collections.abc import Callable
from datetime import UTC, datetime

from django.utils.html import format_html
from django.utils.safestring import SafeString

from imports.models import ImportRun, NotFollowed, RunStatus, Unfollowed, WorkerState
from imports.templatetags import icons, numbers, times

Clock = Callable[[datetime], str]
# What goes on after "because", with {since} where that is known, and else.
_REASONS: dict[NotFollowed, tuple[str, str]] = {
    NotFollowed.DISABLED: (
        "the account has been disabled since {since}",
        "the account is disabled",
    ),
    NotFollowed.SECRET_UNREADABLE: (
        "the account’s stored secret can’t be read; the account last answered at "
        "{since}",
        "the account’s stored secret can’t be read",
    ),
    NotFollowed.CREDENTIALS_REFUSED: (
        "Marketing Cloud has refused the account’s credentials since {since}",
        "Marketing Cloud refused the account’s credentials",
    ),
    NotFollowed.NO_WORKER: (
        "no worker has responded since {since}",
        "no worker has ever responded",
    ),
    NotFollowed.NOT_ANSWERING: (
        "the account hasn’t answered since {since}",
        "the account isn’t answering",
    ),
    NotFollowed.OVERDUE: (
        "the worker is running but late: this was due at {since}",
        "the worker is running but late",
    ),
}
# What it means for a run that stands so.
_MEANINGS = {
    RunStatus.QUEUED: "Nothing has been sent to Marketing Cloud yet. If it waits too "
    "long, mcdash gives it up and says so.",
    RunStatus.STARTING: "Its start may have reached Marketing Cloud; mcdash never "
    "sends it a second time.",
    RunStatus.RUNNING: "It may already have ended in Marketing Cloud.",
    RunStatus.UNKNOWN: "It may be running in Marketing Cloud, or have ended there.",
}


def clock_in_utc(moment: datetime) -> str:
    """For commands, which know no reader's zone."""
    return f"{moment.astimezone(UTC):%Y-%m-%d %H:%M} UTC"


def reason(unfollowed: Unfollowed, clock: Clock = times.clock_text) -> str:
    """Why nobody looks, as the second half of a sentence."""
    dated, undated = _REASONS[unfollowed.why]
    since = unfollowed.since
    return dated.format(since=clock(since)) if since else undated


def fact(
    run: ImportRun, unfollowed: Unfollowed, clock: Clock = times.clock_text
) -> str:
    """The sentence: that `run` is not followed, why, and since when."""
    why = reason(unfollowed, clock)
    if run.status == RunStatus.QUEUED:
        return f"This start isn’t being sent: {why}."
    if unfollowed.why == NotFollowed.NOT_ANSWERING:
        return f"mcdash can’t see how this run is doing: {why}."
    return f"mcdash isn’t following this run: {why}."


def meaning(run: ImportRun) -> str:
    """What that means for the run."""
    return _MEANINGS.get(RunStatus(run.status), "")


def elapsed_html(run: ImportRun, workers: WorkerState) -> str:
    """How long an active run has taken: counted on while somebody looks at it, else as
    far as it was seen.
    """
    unfollowed = run.why_not_followed(workers)
    if unfollowed is None:
        return times.elapsed_html(run.began_at)
    seen = run.last_checked_at - run.began_at if run.last_checked_at else None
    return format_html(
        '<span class="as-of" title="{}">{}<span class="visually-hidden">As last seen:'
        " </span>{}</span>",
        fact(run, unfollowed),
        icons.icon_svg("unplugged"),
        numbers.duration_text(seen),
    )


def last_checked_html(run: ImportRun, workers: WorkerState) -> str:
    """When we last looked. While nobody looks it stands still, with the reason."""
    unfollowed = run.why_not_followed(workers)
    clock = run.account.clock_offset_minutes
    if unfollowed is None:
        return times.when_html(run.last_checked_at, clock_minutes=clock)
    return format_html(
        '<span class="as-of" title="{}">{}<span class="visually-hidden">{} As of'
        " </span>{}</span>",
        fact(run, unfollowed),
        icons.icon_svg("unplugged"),
        fact(run, unfollowed),
        _standing_still(run.last_checked_at, clock),
    )


def _standing_still(moment: datetime | None, clock_minutes: int) -> SafeString | str:
    if moment is None:
        return numbers.UNKNOWN
    return format_html(
        '<time datetime="{}" title="{}" tabindex="0">{}</time>',
        moment.isoformat(timespec="seconds"),
        times.exact_text(moment, clock_minutes),
        times.clock_text(moment),
    )
