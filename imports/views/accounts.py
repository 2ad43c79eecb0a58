"""`/accounts/`: the connected accounts, how they do, and their numbers today."""

from __future__ import annotations

from collections import Counter
from typing import Any

from django.db.models import Count, Q, Sum
from django.http import HttpResponse
from django.utils.text import capfirst

from imports.models import ENDED, FINISHED, Account, ImportRun, RunStatus
from imports.models.run import COUNTS_OPEN, ERRORS_KNOWN
from imports.views import dashboard, live
from imports.views.base import SignedInRequest, signed_in
from imports.views.live import Page, PageVersion
from imports.wording.account import account_words
from imports.wording.status import STATUSES


@signed_in
def account_list(request: SignedInRequest) -> HttpResponse:
    version = live.page_version(request.user)
    if live.is_unchanged(request, version):
        return live.nothing_new(request)
    return live.answer(request, "accounts", version, _draw, request.user.is_staff)


def _draw(page: Page, version: PageVersion) -> dict[str, Any]:
    accounts = list(dashboard.accounts_with_counts(page.audience))
    counts = _counts(accounts)
    # what nobody follows does not move, however much is running
    is_moving = not version.workers.is_silent and any(
        counts[account.pk]["running"] and not account.why_not_followed
        for account in accounts
    )
    (is_staff,) = page.own
    return {
        "cards": [
            _card(account, counts[account.pk], accounts)
            | {"can_start": account.pk in page.audience.startable}
            for account in accounts
        ],
        "is_staff": is_staff,
        "zone": page.zone,
        "live": live.live(
            page, version, title="Accounts · mcdash", is_moving=is_moving
        ),
    }


def _counts(accounts: list[Account]) -> dict[int, dict[str, Any]]:
    """Per account: running now, ended today by status, row errors today."""
    runs = ImportRun.objects.filter(account__in=accounts).order_by()
    today = runs.ended_since(dashboard.start_of_today()).values("account")
    ended = today.annotate(
        row_errors=Sum("errors"),
        untold=Count("id", filter=Q(status__in=FINISHED) & ~ERRORS_KNOWN),
        to_check=Count("id", filter=COUNTS_OPEN),
        **{s: Count("id", filter=Q(status=s)) for s in sorted(ENDED)},
    )
    counts = {row["account"]: dict(row) for row in ended}
    # counted here: grouped by account, a database may read the whole history for it
    running = Counter(runs.active().values_list("account", flat=True))
    return {
        account.pk: counts.get(account.pk, {}) | {"running": running[account.pk]}
        for account in accounts
    }


def _card(
    account: Account, counts: dict[str, Any], accounts: list[Account]
) -> dict[str, Any]:
    """How an account does in a sentence, what to do, and its numbers today."""
    twins = [other for other in accounts if account.is_twin_of(other)]
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
    to_check = dashboard.not_told(counts.get("to_check", 0), "to check")
    hints: dict[str, str] = {RunStatus.COMPLETED_WITH_ERRORS: to_check}
    ended = [
        dashboard.figure(
            look.short,
            counts.get(status, 0),
            [status],
            hints.get(status, ""),
            account=account.pk,
        )
        for status, look in STATUSES.items()
        if status in ENDED
    ]
    untold = dashboard.not_told(counts.get("untold", 0), "without a count")
    errors = counts.get("row_errors")
    row_errors = dashboard.figure("Row errors", errors, [], untold, account=account.pk)
    return {
        "account": account,
        "words": words,
        "sentence": sentence,
        "clock": f"its clock is {abs(drift)} minutes {way} UTC−6" if drift else "",
        # what Marketing Cloud finished always has its figure; other ends have theirs
        # on a day on which there are any
        "figures": [
            dashboard.running_figure(counts["running"], account=account.pk),
            *(each for each in ended if each["status"] in FINISHED),
            row_errors | {"is_bad": bool(errors)},
        ],
        "others": [
            each
            for each in ended
            if each["status"] not in FINISHED and each["figure"] != "0"
        ],
    }
