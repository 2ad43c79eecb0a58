"""What a page says while nobody looks: why, since when, what it means, what helps."""

from __future__ import annotations

from dataclasses import dataclass

from django.urls import reverse

from imports.models import STORAGE, ImportRun, NotFollowed, Unfollowed, User
from imports.templatetags.following import fact, meaning

ADVICE = {
    NotFollowed.DISABLED: "mcdash carries on by itself once an administrator enables "
    "the account again.",
    NotFollowed.SECRET_UNREADABLE: "mcdash carries on by itself once the operator of "
    "this server puts the missing key back into MCDASH_FIELD_KEYS, or an administrator "
    "enters the secret again.",
    NotFollowed.CREDENTIALS_REFUSED: "mcdash carries on by itself once an "
    "administrator corrects them or tests the connection.",
    NotFollowed.NO_WORKER: "mcdash carries on by itself once the operator of this "
    "server starts a worker.",
    NotFollowed.NOT_ANSWERING: "mcdash keeps asking, and shows the answer when it "
    "comes.",
    NotFollowed.OVERDUE: "The operator of this server can see why in the worker’s log.",
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
