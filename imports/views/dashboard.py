"""`/`: what needs the reader's attention, what runs now, what ended today and how."""

from __future__ import annotations

from collections.abc import Container
from dataclasses import dataclass
from datetime import datetime
from typing import Any
from urllib.parse import urlencode

from django.db.models import (
    Count,
    Max,
    OuterRef,
    Q,
    QuerySet,
    Subquery,
    Sum,
    prefetch_related_objects,
)
from django.db.models.functions import Coalesce
from django.http import HttpResponse
from django.urls import reverse
from django.utils import dateformat, timezone

from imports.lists.attention import attention
from imports.lists.paging import run_parents
from imports.models import (
    ACTIVE,
    ENDED,
    FINISHED,
    Account,
    ImportDefinition,
    ImportRun,
    RunQuerySet,
    RunStatus,
    User,
    Worker,
)
from imports.models.run import COUNTS_OPEN, ERRORS_KNOWN
from imports.views.base import (
    SignedInRequest,
    answer,
    any_moves,
    is_unchanged,
    last_contact_of,
    live,
    no_account,
    nothing_changed,
    page_version,
    signed_in,
)
from imports.wording.account import account_words
from imports.wording.formats import count_text, share_text, zone_name
from imports.wording.status import BY_SEVERITY

MOST_ACTIVE = 50
MOST_ENDED = 20
MOST_FAVOURITES = 12


@signed_in
def dashboard(request: SignedInRequest) -> HttpResponse:
    version = page_version(request.user)
    if is_unchanged(request, version):
        return nothing_changed()
    user, today = request.user, start_of_today()
    runs = ImportRun.objects.visible_to(user)
    active = list(runs.active().latest_first()[:MOST_ACTIVE])
    ended = list(runs.ended_since(today).latest_first()[:MOST_ENDED])
    prefetch_related_objects([*active, *ended], *run_parents())
    startable = set(Account.objects.startable_by(user).values_list("pk", flat=True))
    figures = figures_of(runs, today)
    accounts = list(accounts_with_counts(user))
    needing = attention(user, startable)
    context = {
        "attention": needing.items,
        "attention_url": history_url(*BY_SEVERITY, is_today=False),
        "cards": cards(figures),
        "active": active,
        "active_count": figures["running"],
        "ended": ended,
        "ended_count": figures["ended"],
        "ended_url": history_url(*sorted(ENDED), is_today=True),
        "active_url": history_url(*sorted(ACTIVE), is_today=False),
        "no_account": None if accounts else no_account(user),
        "accounts": [(account, account_line(account)) for account in accounts],
        "favourites": favourites(user, startable),
        "last_contact_at": last_contact_of(accounts),
        "worker_seen_at": Worker.objects.aggregate(at=Max("seen_at"))["at"],
        "today": timezone.localdate(),
        "zone_words": zone_name(),
        "live": live(
            request,
            version,
            title="mcdash",
            is_moving=any_moves(active, version.workers),
            attention=needing,
        ),
    }
    return answer(
        request, "imports/dashboard/page.html", "imports/dashboard/_parts.html", context
    )


def start_of_today() -> datetime:
    """Midnight in the reader's zone."""
    return timezone.localtime().replace(hour=0, minute=0, second=0, microsecond=0)


def figures_of(runs: RunQuerySet, today: datetime) -> dict[str, Any]:
    """The day in numbers. What Marketing Cloud did not count is None, not 0."""
    statuses = {
        "completed": RunStatus.COMPLETED,
        "with_errors": RunStatus.COMPLETED_WITH_ERRORS,
        "failed": RunStatus.FAILED,
    }
    counts = {
        name: Count("id", filter=Q(status=status)) for name, status in statuses.items()
    }
    finished = Q(status__in=FINISHED)
    with_errors = Q(status=RunStatus.COMPLETED_WITH_ERRORS)
    # a share needs both numbers of a run: a sum of errors over other rows would lie
    has_share = ERRORS_KNOWN & Q(total_rows__isnull=False)
    ended = (
        runs.ended_since(today)
        .order_by()
        .aggregate(
            **counts,
            ended=Count("id"),
            loaded=Sum("successful"),
            without_loaded=Count("id", filter=finished & Q(successful=None)),
            rejected=Sum("errors", filter=has_share),
            total=Sum("total_rows", filter=has_share),
            without_share=Count("id", filter=finished & ~has_share),
            errors_of_failed=Sum("errors", filter=Q(status=RunStatus.FAILED)),
            errors_of_completed=Sum("errors", filter=with_errors),
            open_counts=Count("id", filter=COUNTS_OPEN),
        )
    )
    active = runs.active().order_by()
    now = active.aggregate(running=Count("id"), errors_so_far=Sum("errors"))
    return ended | now


@dataclass(frozen=True, kw_only=True, slots=True)
class Figure:
    """A number with its label, the list behind it, and what it does not tell."""

    label: str
    figure: str
    url: str
    status: str = ""
    hint: str = ""
    is_bad: bool = False


def cards(figures: dict[str, Any]) -> list[Figure]:
    """The six cards, each leading to the list behind its number."""
    errors, total = figures["rejected"], figures["total"]
    share = f"{count_text(errors)} of {count_text(total)}" if total else ""
    # what Marketing Cloud ran to an end: only that has rows
    finished_url = history_url(*sorted(FINISHED), is_today=True)
    return [
        Figure(
            label="Running",
            figure=count_text(figures["running"]),
            hint=_row_errors(figures["errors_so_far"]),
            status=RunStatus.RUNNING,
            url=history_url(*sorted(ACTIVE), is_today=False),
        ),
        Figure(
            label="Completed today",
            figure=count_text(figures["completed"]),
            status=RunStatus.COMPLETED,
            url=history_url(RunStatus.COMPLETED, is_today=True),
        ),
        Figure(
            label="With errors",
            figure=count_text(figures["with_errors"]),
            hint=_joined(
                _row_errors(figures["errors_of_completed"]),
                not_told(figures["open_counts"], "to check"),
            ),
            status=RunStatus.COMPLETED_WITH_ERRORS,
            url=history_url(RunStatus.COMPLETED_WITH_ERRORS, is_today=True),
        ),
        Figure(
            label="Failed",
            figure=count_text(figures["failed"]),
            hint=_row_errors(figures["errors_of_failed"]),
            status=RunStatus.FAILED,
            url=history_url(RunStatus.FAILED, is_today=True),
        ),
        Figure(
            label="Rows imported",
            figure=count_text(figures["loaded"]),
            hint=_joined(
                "today", not_told(figures["without_loaded"], "without a count")
            ),
            url=finished_url,
        ),
        Figure(
            label="Row errors",
            figure=share_text(errors, total),
            hint=_joined(share, not_told(figures["without_share"], "without a count")),
            url=finished_url,
        ),
    ]


def _joined(*words: str) -> str:
    return ", ".join(filter(None, words))


def not_told(runs: int, how: str) -> str:
    """Of how many runs a figure says nothing; empty where it tells of all."""
    return f"{runs:,} run{'' if runs == 1 else 's'} {how}" if runs else ""


def _row_errors(count: int | None) -> str:
    return f"{count:,} row error{'' if count == 1 else 's'}" if count else ""


def history_url(*statuses: str, account: int | None = None, is_today: bool) -> str:
    """The History of these statuses; of today by the reader's calendar."""
    query = [("account", str(account))] if account else []
    query += [("status", str(status)) for status in statuses]
    if is_today:
        query.append(("from", timezone.localdate().isoformat()))
    return f"{reverse('imports:run_list')}?{urlencode(query)}"


def accounts_with_counts(user: User) -> QuerySet[Account]:
    """The reader's accounts with the number of their definitions."""
    accounts = Account.objects.visible_to(user).order_by("name")
    # a subquery: with a join every column of the accounts would be grouped by
    listed = ImportDefinition.objects.filter(
        account=OuterRef("pk"), not_seen_since=None
    )
    counts = listed.order_by().values("account").annotate(n=Count("*")).values("n")
    return accounts.annotate(definition_count=Coalesce(Subquery(counts), 0))


def account_line(account: Account) -> dict[str, Any]:
    """How an account does in a few words, and how that looks."""
    count = getattr(account, "definition_count", 0)
    words = account_words(account)
    fact = words.fact or "no history yet"
    if not words.fact and account.history_since:
        since = timezone.localtime(account.history_since)
        is_this_year = since.year == timezone.localtime().year
        day = dateformat.format(since, "j M" if is_this_year else "j M Y")
        fact = f"history since {day}"
    return {
        "words": f"{count:,} definition{'' if count == 1 else 's'} · {fact}",
        "icon": words.icon,
        "hue": words.hue,
    }


@dataclass(frozen=True, kw_only=True, slots=True)
class FavouriteRow:
    """A starred definition: its own active run, if any, and whether it can be started
    by the reader.
    """

    definition: ImportDefinition
    active: ImportRun | None
    can_start: bool


def favourites(user: User, startable: Container[int]) -> list[FavouriteRow]:
    """The first favourites of `user`, who can start in the accounts `startable`, by
    name, as far as they can be seen: in two queries, however many there are.
    """
    visible = ImportDefinition.objects.visible_to(user).filter(favourites__user=user)
    definitions = list(
        visible.select_related("account", "last_run").order_by("name", "account__name")[
            :MOST_FAVOURITES
        ]
    )
    active = {
        run.definition_id: run
        for run in ImportRun.objects.active().ours().filter(definition__in=definitions)
    }
    for definition in definitions:
        if run := active.get(definition.pk):
            run.account = definition.account  # at hand already
    return [
        FavouriteRow(
            definition=definition,
            active=active.get(definition.pk),
            can_start=definition.account_id in startable
            and not definition.why_not_startable,
        )
        for definition in definitions
    ]
