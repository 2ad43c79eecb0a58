"""`/accounts/`: what is connected and how it fares."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass
from typing import Any
from urllib.parse import urlencode

from django.db.models import Count, Q, Sum
from django.http import HttpResponse
from django.urls import reverse
from django.utils import timezone
from django.utils.text import capfirst

from imports.models import ACTIVE, ENDED, FINISHED, Account, ImportRun, RunStatus, User
from imports.models.run import COUNTS_OPEN, ERRORS_KNOWN
from imports.views.base import (
    SignedInRequest,
    answer,
    is_unchanged,
    live,
    no_account,
    nothing_changed,
    page_version,
    signed_in,
)
from imports.views.dashboard import accounts_with_counts, not_told, start_of_today
from imports.wording.account import account_words
from imports.wording.formats import count_text

# Ends that have no card of their own.
OTHER_ENDS = (RunStatus.NOT_STARTED, RunStatus.LOST, RunStatus.CANCELLED)
ENDED_TODAY = (
    ("Completed", RunStatus.COMPLETED.value),
    ("With errors", RunStatus.COMPLETED_WITH_ERRORS.value),
    ("Failed", RunStatus.FAILED.value),
)


@dataclass(frozen=True, kw_only=True, slots=True)
class Figure:
    """One number of a card, with the list behind it and what it does not tell."""

    word: str
    value: str
    url: str
    status: str = ""
    hint: str = ""
    is_bad: bool = False


@dataclass(frozen=True, kw_only=True, slots=True)
class Card:
    """An account: how it fares in a sentence, what to do, and its numbers today."""

    account: Account
    icon: str
    hue: str
    words: str
    advice: str
    clock: str
    figures: list[Figure]
    others: list[Figure]
    definition_count: int
    may_start: bool


@signed_in
def account_list(request: SignedInRequest) -> HttpResponse:
    version = page_version(request.user)
    if is_unchanged(request, version):
        return nothing_changed()
    cards = _cards(request.user)
    is_moving = not version.workers.is_silent and any(
        card.figures[0].value != "0" and not card.account.why_not_followed
        for card in cards
    )
    context = {
        "cards": cards,
        "no_account": None if cards else no_account(request.user),
        "zone": timezone.get_current_timezone_name(),
        "live": live(request, version, title="Accounts · mcdash", is_moving=is_moving),
    }
    return answer(
        request, "imports/accounts/page.html", "imports/accounts/_parts.html", context
    )


def _cards(user: User) -> list[Card]:
    accounts = list(accounts_with_counts(user))
    startable = set(Account.objects.startable_by(user).values_list("pk", flat=True))
    counted = _counts(accounts)
    return [
        _card(
            account,
            counted.get(account.pk, {}),
            twins=[other for other in accounts if account.is_twin_of(other)],
            may_start=account.pk in startable,
        )
        for account in accounts
    ]


def _counts(accounts: list[Account]) -> dict[int, dict[str, Any]]:
    """Per account: running now, ended today by status, row errors today."""
    runs = ImportRun.objects.filter(account__in=accounts).order_by()
    today = runs.ended_since(start_of_today()).values("account")
    ended = today.annotate(
        row_errors=Sum("errors"),
        untold=Count("id", filter=Q(status__in=FINISHED) & ~ERRORS_KNOWN),
        to_check=Count("id", filter=COUNTS_OPEN),
        **{status: Count("id", filter=Q(status=status)) for status in sorted(ENDED)},
    )
    found = {row["account"]: dict(row) for row in ended}
    # counted here: grouped by account, a database may read the whole history for it
    running = Counter(runs.active().values_list("account", flat=True))
    for pk, n in running.items():
        found.setdefault(pk, {})["running"] = n
    return found


def _card(
    account: Account, counts: dict[str, Any], *, twins: list[Account], may_start: bool
) -> Card:
    words = account_words(account, twins=twins)
    return Card(
        account=account,
        icon=words.icon,
        hue=words.hue,
        words=f"{capfirst(words.fact)}." if words.fact else _calm(account),
        advice=words.meaning,
        clock=_clock(account),
        figures=_figures(account, counts),
        others=_others(account, counts),
        definition_count=getattr(account, "definition_count", 0),
        may_start=may_start,
    )


def _figures(account: Account, counts: dict[str, Any]) -> list[Figure]:
    running = Figure(
        word="Running",
        value=count_text(counts.get("running", 0)),
        url=_history(account, *sorted(ACTIVE)),
        status=RunStatus.RUNNING,
    )
    ended = [
        Figure(
            word=word,
            value=count_text(counts.get(status, 0)),
            url=_history(account, status, is_today=True),
            status=status,
            hint=not_told(counts.get("to_check", 0), "to check")
            if status == RunStatus.COMPLETED_WITH_ERRORS
            else "",
        )
        for word, status in ENDED_TODAY
    ]
    errors = Figure(
        word="Row errors",
        value=count_text(counts.get("row_errors")),
        hint=not_told(counts.get("untold", 0), "not reported"),
        url=_history(account, is_today=True),
        is_bad=bool(counts.get("row_errors")),
    )
    return [running, *ended, errors]


def _others(account: Account, counts: dict[str, Any]) -> list[Figure]:
    """What ended today in another way, as far as there is any."""
    return [
        Figure(
            word=f"{status.label.lower()} today",
            value=count_text(counts[status]),
            url=_history(account, status, is_today=True),
            status=status,
        )
        for status in OTHER_ENDS
        if counts.get(status)
    ]


def _history(account: Account, *statuses: str, is_today: bool = False) -> str:
    query = [("account", str(account.pk)), *(("status", str(s)) for s in statuses)]
    if is_today:
        query.append(("from", timezone.localdate().isoformat()))
    return f"{reverse('imports:run_list')}?{urlencode(query)}"


def _calm(account: Account) -> str:
    if account.last_contact_at is None:
        return "Not asked yet: the worker will, within a minute."
    return "Answering."


def _clock(account: Account) -> str:
    """How Marketing Cloud's clock differs here from the documented one, if it does."""
    drift = account.clock_drift_minutes
    way = "ahead of" if drift > 0 else "behind"
    return f"its clock is {abs(drift)} minutes {way} UTC−6" if drift else ""
