"""`/`: what runs now, what ended today and how, what needs me."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any

from django.db.models import Count, Q, QuerySet, Sum
from django.http import HttpResponse
from django.utils import timezone

from imports.models import (
    ENDED,
    Account,
    ImportDefinition,
    ImportRun,
    RunQuerySet,
    RunStatus,
    User,
)

from .access import SignedInRequest, signed_in
from .causes import cause
from .live import answer, is_unchanged, live, nothing_changed, page_version

MOST_ACTIVE = 50
MOST_ENDED = 20
MOST_ATTENTION = 20
ATTENTION_FOR = timedelta(days=2)
# What needs the reader, the most pressing first.
SEVERITY = (
    RunStatus.FAILED,
    RunStatus.UNKNOWN,
    RunStatus.LOST,
    RunStatus.NOT_STARTED,
    RunStatus.COMPLETED_WITH_ERRORS,
)


@dataclass(frozen=True, kw_only=True, slots=True)
class Attention:
    """A run that needs somebody, and why."""

    run: ImportRun
    cause: str
    may_start: bool


@signed_in
def dashboard(request: SignedInRequest) -> HttpResponse:
    version = page_version(request.user)
    if is_unchanged(request, version):
        return nothing_changed()
    context = _context(request.user)
    context["live"] = live(
        request, version, title="mcdash", is_moving=bool(context["active"])
    )
    return answer(
        request, "imports/dashboard.html", "imports/_dashboard_parts.html", context
    )


def _context(user: User) -> dict[str, Any]:
    today = start_of_today()
    runs = ImportRun.objects.visible_to(user).select_related("account", "definition")
    active = list(runs.active().latest_first()[: MOST_ACTIVE + 1])
    return {
        "accounts": list(accounts_with_counts(user)),
        "cards": cards(runs, today),
        "attention": _attention(user),
        "active": active[:MOST_ACTIVE],
        "has_more_active": len(active) > MOST_ACTIVE,
        "ended": list(ended_since(runs, today).latest_first()[:MOST_ENDED]),
        "now": timezone.now(),
        "today": timezone.localdate(),
    }


def start_of_today() -> datetime:
    """Midnight in the reader's zone."""
    return timezone.localtime().replace(hour=0, minute=0, second=0, microsecond=0)


def ended_since(runs: RunQuerySet, moment: datetime) -> RunQuerySet:
    """Runs that ended after `moment`, by Marketing Cloud's word or else by ours."""
    ours = Q(finished_at=None, settled_at__gte=moment, status__in=ENDED)
    return runs.filter(Q(finished_at__gte=moment) | ours)


def cards(runs: RunQuerySet, today: datetime) -> dict[str, Any]:
    """The six figures. What Marketing Cloud did not count is None, not 0."""

    def of(status: RunStatus) -> Count:
        return Count("id", filter=Q(status=status))

    ended = ended_since(runs, today).order_by()
    figures = ended.aggregate(
        completed=of(RunStatus.COMPLETED),
        with_errors=of(RunStatus.COMPLETED_WITH_ERRORS),
        failed=of(RunStatus.FAILED),
        rows=Sum("successful"),
        errors=Sum("errors"),
        total=Sum("total_rows", filter=Q(errors__isnull=False)),
    )
    total, errors = figures["total"], figures["errors"]
    rate = 100 * errors / total if total and errors is not None else None
    return {"running": runs.active().count(), "error_rate": rate, **figures}


def accounts_with_counts(user: User) -> QuerySet[Account]:
    """The reader's accounts with the number of their definitions."""
    return (
        Account.objects.visible_to(user)
        .annotate(
            definition_count=Count(
                "definitions", filter=Q(definitions__not_seen_since=None)
            )
        )
        .order_by("name")
    )


def _attention(user: User) -> list[Attention]:
    """Definitions whose last run needs somebody, the most pressing first."""
    since = timezone.now() - ATTENTION_FOR
    definitions = (
        ImportDefinition.objects.visible_to(user)
        .filter(last_run__status__in=SEVERITY, last_run__occurred_at__gte=since)
        .select_related("last_run__account", "last_run__definition")
        .order_by("-last_run__occurred_at")[: 4 * MOST_ATTENTION]
    )
    startable = set(Account.objects.startable_by(user).values_list("pk", flat=True))
    runs = sorted(
        (d.last_run for d in definitions if d.last_run),
        key=lambda run: SEVERITY.index(RunStatus(run.status)),
    )
    return [
        Attention(run=run, cause=cause(run), may_start=run.account_id in startable)
        for run in runs[:MOST_ATTENTION]
    ]
