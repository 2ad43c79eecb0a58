"""Why a run isn’t followed, in words: for rows, pages and commands."""

from __future__ import annotations

from collections.abc import Callable
from datetime import UTC, datetime

from django.urls import reverse

from imports.models import STORAGE, ImportRun, RunStatus, Unfollowed
from imports.models import NotFollowed as Why
from imports.wording.formats import clock_text
from imports.wording.status import status_look

# Why, with {since} where that is known, and else; and what helps.
_WORDS: dict[Why, tuple[str, str, str]] = {
    Why.DISABLED: (
        "the account has been disabled since {since}",
        "the account is disabled",
        "mcdash carries on by itself once an administrator enables the account again.",
    ),
    Why.SECRET_UNREADABLE: (
        "the account’s stored secret hasn’t been readable since {since}",
        "the account’s stored secret can’t be read",
        "mcdash carries on by itself once your system administrator puts the missing "
        "key back into MCDASH_FIELD_KEYS, or an administrator enters the secret again.",
    ),
    Why.CREDENTIALS_REFUSED: (
        "Marketing Cloud has refused the account’s credentials since {since}",
        "Marketing Cloud refused the account’s credentials",
        "mcdash carries on by itself once an administrator corrects them or tests the "
        "connection.",
    ),
    Why.NO_WORKER: (
        "no worker has responded since {since}",
        "no worker has ever responded",
        "mcdash carries on by itself once your system administrator starts a worker.",
    ),
    Why.NOT_ANSWERING: (
        "the account hasn’t answered since {since}",
        "the account isn’t answering",
        "mcdash keeps asking, and shows the answer when it comes.",
    ),
    Why.OVERDUE: (
        "the worker is running but late: this was due at {since}",
        "the worker is running but late",
        "Your system administrator can see why in the worker’s log.",
    ),
}


def clock_in_utc(moment: datetime) -> str:
    """For commands, which know no reader's zone."""
    return f"{moment.astimezone(UTC):%Y-%m-%d %H:%M} UTC"


def fact(
    run: ImportRun,
    unfollowed: Unfollowed,
    clock: Callable[[datetime], str] = clock_text,
) -> str:
    """The sentence: that `run` is not followed, why, and since when."""
    dated, undated, _ = _WORDS[unfollowed.why]
    since = unfollowed.since
    why = dated.format(since=clock(since)) if since else undated
    if run.status == RunStatus.QUEUED:
        return f"This start isn’t being sent: {why}."
    if unfollowed.why == Why.NOT_ANSWERING:
        return f"mcdash can’t see how this run is doing: {why}."
    return f"mcdash isn’t following this run: {why}."


def nobody_looks(
    run: ImportRun, unfollowed: Unfollowed | None, *, can_administer: bool
) -> dict[str, str] | None:
    """What the page of `run` says while it is `unfollowed`, to those who can mend the
    account too.
    """
    if unfollowed is None:
        return None
    why = unfollowed.why
    if why.lies_with_workers and STORAGE.unwritable_since:
        return None  # no worker can do anything then, and the banner says so
    notice = {
        "fact": fact(run, unfollowed),
        "meaning": status_look(run.status).unfollowed,
        "advice": _WORDS[why][2],
    }
    if why.needs_person and can_administer:
        page = reverse("admin:imports_account_change", args=[run.account_id])
        word = "Enable" if why == Why.DISABLED else "Open"
        notice |= {"link": page, "link_text": f"{word} the account"}
    return notice
