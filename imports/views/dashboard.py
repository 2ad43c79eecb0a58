"""`/`: what needs the reader's attention, what runs now, what ended today and how."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime
from typing import Any
from urllib.parse import urlencode

from django.db.models import (
    BooleanField,
    Count,
    Exists,
    ExpressionWrapper,
    Max,
    OuterRef,
    Prefetch,
    Q,
    QuerySet,
    Subquery,
    Sum,
)
from django.db.models.functions import Coalesce
from django.db.models.query import prefetch_related_objects
from django.http import HttpResponse
from django.urls import reverse
from django.utils import dateformat, timezone

from imports import models
from imports.lists.attention import attention_of, attention_runs
from imports.models import FINISHED, Account, ImportDefinition, ImportRun, RunStatus
from imports.models.run import COUNTS_OPEN, ERRORS_KNOWN
from imports.views import base, live
from imports.views.base import SignedInRequest, signed_in
from imports.views.live import Page, PageVersion
from imports.wording.account import AccountWords, account_words
from imports.wording.formats import count_text, share_text, zone_name
from imports.wording.status import BY_SEVERITY

# As templates read it: label, figure, url, status, hint.
Figure = dict[str, Any]
MOST_ACTIVE = 50
MOST_ENDED = 20
MOST_FAVOURITES = 12
FAVOURITES = "imports/dashboard/_favourites.html"


@signed_in
def dashboard(request: SignedInRequest) -> HttpResponse:
    version = live.page_version(request.user)
    if live.is_unchanged(request, version):
        return live.nothing_new(request)
    favourites = base.favourites_of(request.user)
    apart = {FAVOURITES: (favourites, _draw_favourites)}
    return live.answer(request, "dashboard", version, _draw, apart=apart)


def _draw(page: Page, version: PageVersion) -> dict[str, Any]:
    today, runs = start_of_today(), ImportRun.objects.visible_to(page.audience)
    active = list(runs.active().latest_first()[: MOST_ACTIVE + 1])
    ended = list(runs.ended_since(today).latest_first()[:MOST_ENDED])
    needing = attention_runs(page.audience)
    figures = figures_of(runs, today, active)
    # read last, so that their revisions tell what changed meanwhile
    accounts = list(accounts_with_counts(page.audience))
    by_pk = {account.pk: account for account in accounts}
    for run in (*active, *ended, *needing):
        run.account = by_pk[run.account_id]
    definitions = ImportDefinition.objects.defer("strip", "description")
    prefetch_related_objects(
        [*active, *ended, *needing], Prefetch("definition", definitions)
    )
    attention = attention_of(needing, accounts, page.audience.startable)
    active = active[:MOST_ACTIVE]
    worker_seen_at = None
    if version.workers.is_silent:
        worker_seen_at = models.Worker.objects.aggregate(at=Max("seen_at"))["at"]
    return {
        "attention": attention.items,
        "attention_url": history_url(*BY_SEVERITY, is_today=False),
        "cards": cards(figures),
        "active": active,
        "active_count": figures["running"],
        "ended": ended,
        "ended_count": figures["ended"],
        "ended_url": history_url(*sorted(models.ENDED)),
        "active_url": history_url(*sorted(models.ACTIVE), is_today=False),
        "accounts": [(account, *account_line(account)) for account in accounts],
        "last_contact_at": base.last_contact_of(accounts),
        "worker_seen_at": worker_seen_at,
        "today": timezone.localdate(),
        "zone_words": zone_name(),
        "live": live.live(
            page,
            version,
            title="mcdash",
            is_moving=live.any_moves(active, version.workers),
            attention=attention,
            number_after=max((each.revision for each in accounts), default=0),
            has_active=bool(active),
            ended=ended,
        ),
    }


def start_of_today() -> datetime:
    """Midnight in the reader's zone."""
    return timezone.localtime().replace(hour=0, minute=0, second=0, microsecond=0)


def figures_of(
    runs: models.RunQuerySet, today: datetime, active: Sequence[ImportRun]
) -> dict[str, Any]:
    """The day in numbers, and those of the runs that are `active`, all of them unless
    there are too many to show. What Marketing Cloud did not count is None, not 0.
    """
    finished = Q(status__in=FINISHED)
    with_errors = Q(status=RunStatus.COMPLETED_WITH_ERRORS)
    # a share needs both numbers of a run: a sum of errors over other rows would lie
    has_share = ERRORS_KNOWN & Q(total_rows__isnull=False)
    ended = (
        runs.ended_since(today)
        .order_by()
        .aggregate(
            ended=Count("id"),
            **{s: Count("id", filter=Q(status=s)) for s in sorted(FINISHED)},
            loaded=Sum("successful"),
            without_loaded=Count("id", filter=finished & Q(successful=None)),
            rejected=Sum("errors", filter=has_share),
            total=Sum("total_rows", filter=has_share),
            without_share=Count("id", filter=finished & ~has_share),
            of_failed=Sum("errors", filter=Q(status=RunStatus.FAILED)),
            of_completed=Sum("errors", filter=with_errors),
            open_counts=Count("id", filter=COUNTS_OPEN),
        )
    )
    if len(active) > MOST_ACTIVE:
        of_all = runs.active().order_by()
        return ended | of_all.aggregate(
            running=Count("id"), errors_so_far=Sum("errors")
        )
    errors = sum(run.errors or 0 for run in active)
    return ended | {"running": len(active), "errors_so_far": errors}


def figure(
    label: str,
    number: int | str | None,
    statuses: Sequence[str],
    *hints: str,
    account: int | None = None,
    is_today: bool = True,
) -> Figure:
    """A number with its label, the list of runs behind it, and what it does not tell.
    The status of those runs, if they all have the same one, is its icon.
    """
    return {
        "label": label,
        "figure": number if isinstance(number, str) else count_text(number),
        "url": history_url(*statuses, account=account, is_today=is_today),
        "status": statuses[0] if len(statuses) == 1 else "",
        "hint": ", ".join(filter(None, hints)),
    }


def running_figure(number: int, *hints: str, account: int | None = None) -> Figure:
    """What is active now, whatever day it was started."""
    active, label = sorted(models.ACTIVE), "Running"
    running = figure(label, number, active, *hints, account=account, is_today=False)
    return running | {"status": RunStatus.RUNNING}


def cards(counted: dict[str, Any]) -> list[Figure]:
    total, share = counted["total"], ""
    if total:
        share = f"{count_text(counted['rejected'])} of {count_text(total)}"
    to_check = not_told(counted["open_counts"], "to check")
    unloaded = not_told(counted["without_loaded"], "without a count")
    unshared = not_told(counted["without_share"], "without a count")
    so_far, of_completed, of_failed = (
        f"{n:,} row error{'' if n == 1 else 's'}" if n else ""
        for n in map(counted.get, ("errors_so_far", "of_completed", "of_failed"))
    )
    errors = RunStatus.COMPLETED_WITH_ERRORS
    number = share_text(counted["rejected"], total)
    # what Marketing Cloud ran to an end: only that has rows
    rows = sorted(FINISHED)
    return [
        running_figure(counted["running"], so_far),
        figure("Completed today", counted["completed"], ["completed"]),
        figure("With errors", counted[errors], [errors], of_completed, to_check),
        figure("Failed", counted["failed"], ["failed"], of_failed),
        figure("Rows imported", counted["loaded"], rows, "today", unloaded),
        figure("Row errors", number, rows, share, unshared),
    ]


def not_told(runs: int, how: str) -> str:
    """Of how many runs a figure says nothing; empty where it tells of all."""
    return f"{runs:,} run{'' if runs == 1 else 's'} {how}" if runs else ""


def history_url(
    *statuses: str, account: int | None = None, is_today: bool = True
) -> str:
    """The History of these statuses; of today by the reader's calendar."""
    query = {"account": account} if account else {}
    days = {"from": timezone.localdate().isoformat()} if is_today else {}
    text = urlencode(query | {"status": statuses} | days, doseq=True)
    return f"{reverse('imports:run_list')}?{text}"


def accounts_with_counts(reader: models.Reader) -> QuerySet[Account]:
    """By name, each with how many definitions it lists, and whether it has active runs
    though it is disabled (`has_active`).
    """
    accounts = Account.objects.visible_to(reader).order_by("name")
    # a subquery: with a join every column of the accounts would be grouped by
    listed = ImportDefinition.objects.filter(
        account=OuterRef("pk"), not_seen_since=None
    )
    counts = listed.order_by().values("account").annotate(n=Count("*")).values("n")
    active = Exists(ImportRun.objects.active().filter(account=OuterRef("pk")))
    return accounts.annotate(
        definition_count=Coalesce(Subquery(counts), 0),
        has_active=ExpressionWrapper(Q(active, is_active=False), BooleanField()),
    )


def account_line(account: Account) -> tuple[AccountWords, str]:
    """How an account does and looks, and a few words about it."""
    count = getattr(account, "definition_count", 0)
    words = account_words(account)
    fact = words.fact or "no history yet"
    if not words.fact and account.history_since:
        since = timezone.localtime(account.history_since)
        is_this_year = since.year == timezone.localtime().year
        day = dateformat.format(since, "j M" if is_this_year else "j M Y")
        fact = f"history since {day}"
    return words, f"{count:,} definition{'' if count == 1 else 's'} · {fact}"


def _draw_favourites(page: Page, version: PageVersion) -> dict[str, Any]:
    """The first of the definitions `page.own` by name: each with its own active run, if
    any, and whether it can be started.
    """
    visible = ImportDefinition.objects.visible_to(page.audience)
    by_name = visible.filter(pk__in=page.own).select_related("account", "last_run")
    definitions = list(by_name.order_by("name", "account__name")[:MOST_FAVOURITES])
    active = base.active_runs(definitions, ImportRun.objects.ours())
    startable = page.audience.startable
    favourites = [
        (
            definition,
            active.get(definition.pk),
            definition.account_id in startable and not definition.why_not_startable,
        )
        for definition in definitions
    ]
    return {
        "accounts": page.audience.visible,
        "favourites": favourites,
        "live": {"workers": version.workers},
    }
