"""How an account is doing, in words: a row a state, for pages and the admin."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass, replace
from datetime import datetime

from imports.models import Account, AccountState
from imports.wording.formats import clock_text


@dataclass(frozen=True, slots=True)
class AccountWords:
    """What is wrong, as a phrase that begins small, and what it means, in sentences."""

    icon: str
    hue: str
    fact: str = ""
    meaning: str = ""


# {since} is " since 09:12" where that is known, {twins} whom it is the same as.
_WORDS = {
    AccountState.DISABLED: AccountWords(
        *("pause", "amber", "disabled{since}"),
        "Nothing can be started here, and running imports aren’t followed; "
        "they may have ended in Marketing Cloud.",
    ),
    AccountState.DOUBLED: AccountWords(
        *("square-2-stack", "red", "same business unit as {twins}"),
        "Nothing can be started in either until an administrator disables one of them.",
    ),
    AccountState.SECRET_UNREADABLE: AccountWords(
        *("key", "red", "stored secret can’t be read{since}"),
        "Nothing can be started or followed until your system administrator "
        "puts the missing key back into MCDASH_FIELD_KEYS, or an administrator enters "
        "the secret again.",
    ),
    AccountState.CREDENTIALS_REFUSED: AccountWords(
        *("key", "red", "credentials refused{since}"),
        "Nothing can be started or followed until an administrator corrects "
        "them or tests the connection.",
    ),
    AccountState.NOT_ANSWERING: AccountWords(
        *("unplugged", "amber", "not answering{since}"),
        "Running imports are shown as they were then. mcdash keeps asking.",
    ),
    AccountState.PAUSED: AccountWords(
        *("pause", "amber", "starts are paused"),
        "An administrator paused them. Running imports are followed as usual.",
    ),
    AccountState.READY: AccountWords("check", "green"),
}


def account_words(
    account: Account,
    *,
    clock: Callable[[datetime], str] = clock_text,
    twins: Iterable[Account] = (),
) -> AccountWords:
    """How `account` fares; `twins` are those of its unit that the reader can see."""
    words, since = _WORDS[account.state], account.since(account.state)
    names = " and ".join(f"“{twin.shown_name}”" for twin in twins)
    fact = words.fact.format(
        since=f" since {clock(since)}" if since else "",
        twins=names or "another account",
    )
    return replace(words, fact=fact)
