"""`/accounts/`: what is connected and how it fares."""

from __future__ import annotations

from django.db.models import Count, Q, Sum
from django.http import HttpResponse

from imports.models import ACTIVE, Account, ImportRun, RunStatus

from .access import SignedInRequest, signed_in
from .dashboard import accounts_with_counts, ended_since, start_of_today
from .live import answer, is_unchanged, live, nothing_changed, page_version

TODAY = ("completed", "with_errors", "failed", "errors_today")


@signed_in
def account_list(request: SignedInRequest) -> HttpResponse:
    version = page_version(request.user)
    if is_unchanged(request, version):
        return nothing_changed()
    accounts = list(accounts_with_counts(request.user))
    figures = _figures(accounts)
    context = {
        "cards": [
            {"account": account, **figures.get(account.pk, {})} for account in accounts
        ],
        "startable": set(
            Account.objects.startable_by(request.user).values_list("pk", flat=True)
        ),
        "live": live(request, version, title="Accounts · mcdash", is_moving=False),
    }
    return answer(
        request, "imports/accounts.html", "imports/_accounts_parts.html", context
    )


def _figures(accounts: list[Account]) -> dict[int, dict[str, int | None]]:
    """Per account: running now, ended today by status, row errors today."""
    runs = ImportRun.objects.filter(account__in=accounts).order_by()
    running = dict(
        runs.filter(status__in=ACTIVE).values_list("account").annotate(n=Count("id"))
    )

    def of(status: RunStatus) -> Count:
        return Count("id", filter=Q(status=status))

    today = (
        ended_since(runs, start_of_today())
        .values("account")
        .annotate(
            completed=of(RunStatus.COMPLETED),
            with_errors=of(RunStatus.COMPLETED_WITH_ERRORS),
            failed=of(RunStatus.FAILED),
            errors_today=Sum("errors"),
        )
        .values_list("account", *TODAY)
    )
    found = {row[0]: dict(zip(TODAY, row[1:], strict=True)) for row in today}
    nothing = dict.fromkeys(TODAY)
    return {
        account.pk: {"running": running.get(account.pk, 0)}
        | found.get(account.pk, nothing)
        for account in accounts
    }
