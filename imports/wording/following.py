"""Why a run isn’t followed, in words: for rows, pages and commands."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from datetime import UTC, datetime

from django.urls import reverse

from imports.models import (
    STORAGE,
    ImportRun,
    NotFollowed,
    RunStatus,
    Unfollowed,
    User,
)
from imports.wording import formats
from imports.wording.status import status_look

Clock = Callable[[datetime], str]
# What goes on after "because", with {since} where that is known, and else.
_REASONS: dict[NotFollowed, tuple[str, str]] = {
    NotFollowed.DISABLED: (
        "the account has been disabled since {since}",
        "the account is disabled",
    ),
    NotFollowed.SECRET_UNREADABLE: (
        "the account’s stored secret hasn’t been readable since {since}",
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


def clock_in_utc(moment: datetime) -> str:
    """For commands, which know no reader's zone."""
    return f"{moment.astimezone(UTC):%Y-%m-%d %H:%M} UTC"


def reason(unfollowed: Unfollowed, clock: Clock = formats.clock_text) -> str:
    """Why nobody looks, as the second half of a sentence."""
    dated, undated = _REASONS[unfollowed.why]
    since = unfollowed.since
    return dated.format(since=clock(since)) if since else undated


def fact(
    run: ImportRun, unfollowed: Unfollowed, clock: Clock = formats.clock_text
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
    return status_look(run.status).unfollowed


ADVICE = {
    NotFollowed.DISABLED: "mcdash carries on by itself once an administrator enables "
    "the account again.",
    NotFollowed.SECRET_UNREADABLE: "mcdash carries on by itself once your system "
    "administrator puts the missing key back into MCDASH_FIELD_KEYS, or an "
    "administrator enters the secret again.",
    NotFollowed.CREDENTIALS_REFUSED: "mcdash carries on by itself once an "
    "administrator corrects them or tests the connection.",
    NotFollowed.NO_WORKER: "mcdash carries on by itself once your system "
    "administrator starts a worker.",
    NotFollowed.NOT_ANSWERING: "mcdash keeps asking, and shows the answer when it "
    "comes.",
    NotFollowed.OVERDUE: "Your system administrator can see why in the worker’s log.",
}


@dataclass(frozen=True, kw_only=True, slots=True)
class NobodyLooks:
    """The notice of a run's page; `link` leads administrators to what helps."""

    fact: str
    meaning: str
    advice: str
    link: str
    link_text: str


def nobody_looks(
    run: ImportRun, unfollowed: Unfollowed | None, user: User
) -> NobodyLooks | None:
    """What the page of `run` says to `user` while it is `unfollowed`."""
    if unfollowed is None:
        return None
    if unfollowed.why.lies_with_workers and STORAGE.unwritable_since:
        return None  # no worker can do anything then, and the banner says so
    link = account_link(user, run.account_id) if unfollowed.why.needs_person else ""
    is_disabled = unfollowed.why == NotFollowed.DISABLED
    return NobodyLooks(
        fact=fact(run, unfollowed),
        meaning=meaning(run),
        advice=ADVICE[unfollowed.why],
        link=link,
        link_text="Enable the account" if is_disabled else "Open the account",
    )


def account_link(user: User, account_id: int) -> str:
    """The account in the administration, for whoever can change it there."""
    if not (user.is_staff and user.has_perm("imports.change_account")):
        return ""
    return reverse("admin:imports_account_change", args=[account_id])
