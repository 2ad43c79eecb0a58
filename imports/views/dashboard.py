"""`/`: what runs now, what ended today and how, what needs me."""

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
from django.utils import timezone

from imports.lists.attention import MOST_SHOWN, needs
from imports.lists.paging import names
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
from imports.models.worker import is_key_lost
from imports.views.base import (
    SignedInRequest,
    answer,
    any_moves,
    is_unchanged,
    live,
    no_account,
    nothing_changed,
    page_version,
    signed_in,
)
from imports.wording.account import account_words
from imports.wording.formats import count_text, share_text, zone_name

MOST_ACTIVE = 50
MOST_ENDED = 20


@signed_in
def dashboard(request: SignedInRequest) -> HttpResponse:
    version = page_version(request.user)
    if is_unchanged(request, version):
        return nothing_changed()
    context = _context(request.user)
    context["live"] = live(
        request,
        version,
        title="mcdash",
        is_moving=any_moves(context["active"], version.workers),
    )
    return answer(
        request, "imports/dashboard/page.html", "imports/dashboard/_parts.html", context
    )


def _context(user: User) -> dict[str, Any]:
    today = start_of_today()
    runs = ImportRun.objects.visible_to(user)
    active = list(runs.active().latest_first()[:MOST_ACTIVE])
    ended = list(runs.ended_since(today).latest_first()[:MOST_ENDED])
    prefetch_related_objects([*active, *ended], *names())
    startable = set(Account.objects.startable_by(user).values_list("pk", flat=True))
    figures = figures_of(runs, today)
    accounts = list(accounts_with_counts(user))
    return {
        "needs": needs(user, startable)[:MOST_SHOWN],
        "cards": cards(figures),
        "active": active,
        "active_count": figures["running"],
        "ended": ended,
        "ended_count": figures["ended"],
        "ended_url": _list_url(*sorted(ENDED), today=True),
        "active_url": _list_url(*sorted(ACTIVE)),
        "no_account": None if accounts else no_account(user),
        "accounts": [(account, how_it_fares(account)) for account in accounts],
        "favourites": favourites(user, startable),
        "last_contact_at": _newest(accounts),
        "worker_seen_at": Worker.objects.aggregate(at=Max("seen_at"))["at"],
        "today": timezone.localdate(),
        "zone_words": zone_name(),
    }


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
    has_share = ERRORS_KNOWN & Q(total_rows__isnull=False)
    ended = (
        runs.ended_since(today)
        .order_by()
        .aggregate(
            **counts,
            ended=Count("id"),
            loaded=Sum("successful"),
            without_loaded=Count("id", filter=finished & Q(successful=None)),
            refused=Sum("errors", filter=has_share),
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


def cards(figures: dict[str, Any]) -> list[dict[str, Any]]:
    """The six cards, each leading to the list behind its number."""
    errors, total = figures["refused"], figures["total"]
    of_total = f"{count_text(errors)} of {count_text(total)}" if total else ""
    without = figures["without_share"]
    return [
        _card(
            "Running",
            figures["running"],
            _errors(figures["errors_so_far"]),
            RunStatus.RUNNING,
            _list_url(*sorted(ACTIVE)),
        ),
        _ended_card("Completed today", figures["completed"], RunStatus.COMPLETED),
        _ended_card(
            "With errors",
            figures["with_errors"],
            RunStatus.COMPLETED_WITH_ERRORS,
            _and(
                _errors(figures["errors_of_completed"]),
                not_told(figures["open_counts"], "to check"),
            ),
        ),
        _ended_card(
            "Failed",
            figures["failed"],
            RunStatus.FAILED,
            _errors(figures["errors_of_failed"]),
        ),
        _card(
            "Rows imported",
            figures["loaded"],
            _and("today", not_told(figures["without_loaded"], "not reported")),
            "",
            _finished_today(),
        ),
        {
            "label": "Row errors",
            "figure": share_text(errors, total),
            "hint": _and(of_total, not_told(without, "not reported")),
            "url": _finished_today(),
        },
    ]


def _finished_today() -> str:
    """What Marketing Cloud ran to an end: only that has rows."""
    return _list_url(*sorted(FINISHED), today=True)


def _card(
    label: str, value: int | None, hint: str, status: str, url: str
) -> dict[str, Any]:
    figure = count_text(value)
    return {
        "label": label,
        "figure": figure,
        "hint": hint,
        "status": status,
        "url": url,
    }


def _ended_card(
    label: str, value: int, status: RunStatus, hint: str = ""
) -> dict[str, Any]:
    return _card(label, value, hint, status, _list_url(status, today=True))


def _and(*words: str) -> str:
    return ", ".join(filter(None, words))


def not_told(runs: int, how: str) -> str:
    """Of how many runs a figure says nothing; empty where it tells of all."""
    return f"{runs:,} run{'' if runs == 1 else 's'} {how}" if runs else ""


def _errors(count: int | None) -> str:
    return f"{count:,} row error{'' if count == 1 else 's'}" if count else ""


def _list_url(*statuses: str, today: bool = False) -> str:
    """The History of these statuses; of today by the reader's calendar."""
    query = [("status", str(status)) for status in statuses]
    if today:
        query.append(("from", timezone.localdate().isoformat()))
    return f"{reverse('imports:run_list')}?{urlencode(query)}"


def accounts_with_counts(user: User) -> QuerySet[Account]:
    """The reader's accounts with the number of their definitions."""
    accounts = Account.objects.visible_to(user).with_lost_keys().order_by("name")
    seen = ImportDefinition.objects.filter(account=OuterRef("pk"), not_seen_since=None)
    count = seen.order_by().values("account").annotate(n=Count("*")).values("n")
    return accounts.annotate(definition_count=Coalesce(Subquery(count), 0))


def how_it_fares(account: Account) -> dict[str, Any]:
    """How an account fares in a few words, and how that looks."""
    count = getattr(account, "definition_count", 0)
    found = f"{count:,} definition{'' if count == 1 else 's'}"
    known = f"history since {_day(account.history_since)}"
    calm = known if account.history_since else "no history yet"
    words = account_words(account)
    return {
        "words": f"{found} · {words.fact or calm}",
        "icon": words.icon,
        "hue": words.hue,
    }


def _day(moment: datetime | None) -> str:
    if moment is None:
        return "–"
    local = timezone.localtime(moment)
    year = "" if local.year == timezone.localtime().year else f" {local.year}"
    return f"{local.day} {local:%b}{year}"


def _newest(accounts: list[Account]) -> datetime | None:
    return max((a.last_contact_at for a in accounts if a.last_contact_at), default=None)


# What the reader keeps at hand, with its run under way or a way to start it.


MOST_FAVOURITES = 12


@dataclass(frozen=True, kw_only=True, slots=True)
class Favoured:
    """A favourite: its own run under way, if any, and whether it can be started."""

    definition: ImportDefinition
    active: ImportRun | None
    may_start: bool


def favourites(user: User, startable: Container[int]) -> list[Favoured]:
    """The first favourites of `user`, who may start in the accounts `startable`, by
    name, as far as they may be seen: in two queries, however many there are.
    """
    visible = ImportDefinition.objects.visible_to(user)
    kept = visible.filter(favourites__user=user).annotate(
        has_lost_key=is_key_lost("account_id")
    )
    shown = list(
        kept.select_related("account", "last_run").order_by("name", "account__name")[
            :MOST_FAVOURITES
        ]
    )
    active = _under_way(shown)
    return [
        Favoured(
            definition=one,
            active=active.get(one.pk),
            may_start=one.account_id in startable and not one.why_not_startable,
        )
        for one in shown
    ]


def _under_way(shown: list[ImportDefinition]) -> dict[int | None, ImportRun]:
    by_pk = {one.pk: one for one in shown}
    for one in shown:
        one.account.has_lost_key = one.has_lost_key  # type: ignore[attr-defined]
    runs = list(ImportRun.objects.active().ours().filter(definition__in=shown))
    for run in runs:
        run.account = by_pk[run.definition_id or 0].account
    return {run.definition_id: run for run in runs}
