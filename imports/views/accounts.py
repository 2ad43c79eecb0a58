"""`/accounts/`: the connected accounts, how they do, and their numbers today."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass
from typing import Any

from django.db.models import Count, Q, Sum
from django.http import HttpResponse
from django.utils import timezone
from django.utils.text import capfirst

from imports.models import ACTIVE, ENDED, FINISHED, Account, ImportRun, RunStatus
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
from imports.views.dashboard import (
    Figure,
    accounts_with_counts,
    history_url,
    not_told,
    start_of_today,
)
from imports.wording.account import account_words
from imports.wording.formats import count_text
from imports.wording.status import STATUSES

# What Marketing Cloud finished always has its figure; other ends have theirs on a day
# on which there are any.
ALWAYS_SHOWN = [look for look in STATUSES.values() if look.status in FINISHED]
OTHER_ENDS = [status for status in RunStatus if status in ENDED - FINISHED]


@dataclass(frozen=True, kw_only=True, slots=True)
class Card:
    """An account: how it does in a sentence, what to do, and its numbers today."""

    account: Account
    icon: str
    hue: str
    words: str
    advice: str
    clock: str
    figures: list[Figure]
    others: list[Figure]
    definition_count: int
    can_start: bool


@signed_in
def account_list(request: SignedInRequest) -> HttpResponse:
    version = page_version(request.user)
    if is_unchanged(request, version):
        return nothing_changed()
    accounts = list(accounts_with_counts(request.user))
    startable = set(
        Account.objects.startable_by(request.user).values_list("pk", flat=True)
    )
    counts = _counts(accounts)
    cards = [
        _card(
            account,
            counts.get(account.pk, {}),
            twins=[other for other in accounts if account.is_twin_of(other)],
            can_start=account.pk in startable,
        )
        for account in accounts
    ]
    # what nobody follows does not move, however much is running
    is_moving = not version.workers.is_silent and any(
        card.figures[0].figure != "0" and not card.account.why_not_followed
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
    counts = {row["account"]: dict(row) for row in ended}
    # counted here: grouped by account, a database may read the whole history for it
    running = Counter(runs.active().values_list("account", flat=True))
    for pk, n in running.items():
        counts.setdefault(pk, {})["running"] = n
    return counts


def _card(
    account: Account, counts: dict[str, Any], *, twins: list[Account], can_start: bool
) -> Card:
    words = account_words(account, twins=twins)
    if words.fact:
        sentence = f"{capfirst(words.fact)}."
    elif account.last_contact_at:
        sentence = "Answering."
    else:
        sentence = "Not contacted yet. The worker will do so within a minute."
    # a time of theirs that is read with the wrong offset makes a run hours long
    drift = account.clock_drift_minutes
    way = "ahead of" if drift > 0 else "behind"
    return Card(
        account=account,
        icon=words.icon,
        hue=words.hue,
        words=sentence,
        advice=words.meaning,
        clock=f"its clock is {abs(drift)} minutes {way} UTC−6" if drift else "",
        figures=_figures(account.pk, counts),
        others=[
            Figure(
                label=f"{status.label.lower()} today",
                figure=count_text(counts[status]),
                url=history_url(status, account=account.pk, is_today=True),
                status=status,
            )
            for status in OTHER_ENDS
            if counts.get(status)
        ],
        definition_count=getattr(account, "definition_count", 0),
        can_start=can_start,
    )


def _figures(account: int, counts: dict[str, Any]) -> list[Figure]:
    to_check = not_told(counts.get("to_check", 0), "to check")
    running = Figure(
        label="Running",
        figure=count_text(counts.get("running", 0)),
        url=history_url(*sorted(ACTIVE), account=account, is_today=False),
        status=RunStatus.RUNNING,
    )
    ended = [
        Figure(
            label=look.short,
            figure=count_text(counts.get(look.status, 0)),
            url=history_url(look.status, account=account, is_today=True),
            status=look.status,
            hint=to_check if look.status == RunStatus.COMPLETED_WITH_ERRORS else "",
        )
        for look in ALWAYS_SHOWN
    ]
    errors = Figure(
        label="Row errors",
        figure=count_text(counts.get("row_errors")),
        hint=not_told(counts.get("untold", 0), "without a count"),
        url=history_url(account=account, is_today=True),
        is_bad=bool(counts.get("row_errors")),
    )
    return [running, *ended, errors]
