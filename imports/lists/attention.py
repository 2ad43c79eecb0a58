"""What needs the reader's attention: runs and accounts, each with its cause and one
action.
"""

from __future__ import annotations

from collections.abc import Container
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Any

from django.db.models import (
    Case,
    Count,
    Exists,
    F,
    IntegerField,
    OuterRef,
    Q,
    QuerySet,
    Subquery,
    When,
    Window,
)
from django.urls import reverse
from django.utils import timezone
from django.utils.text import capfirst

from imports.models import (
    Account,
    AccountState,
    EventKind,
    ImportRun,
    RunEvent,
    RunQuerySet,
    RunStatus,
    User,
)
from imports.models.account import TROUBLES
from imports.usecases.resolve import why_wait
from imports.wording.account import account_words
from imports.wording.run import cause, is_to_be_mended
from imports.wording.status import BY_SEVERITY

MOST_SHOWN = 20
# A run that ended badly is of interest for so long; unknown ones always are.
SHOWN_FOR = timedelta(days=2)
FAILED = Count("pk", filter=Q(status=RunStatus.FAILED))


@dataclass(frozen=True, kw_only=True, slots=True)
class Action:
    """The one thing that helps: a page, a dialog, or something done at once."""

    word: str
    url: str
    opens_dialog: bool = False
    is_post: bool = False
    icon: str = ""


@dataclass(frozen=True, kw_only=True, slots=True)
class AttentionItem:
    """One row of "Needs attention"."""

    id: str
    name: str
    url: str
    account: str
    word: str
    cause: str
    at: datetime | None
    action: Action
    status: str = ""
    icon: str = ""
    hue: str = ""


@dataclass(frozen=True, kw_only=True, slots=True)
class Attention:
    """How many runs and accounts need the reader, and how many of them are failed
    runs; `items` are the first of them, where they were asked for.
    """

    count: int
    failed_count: int
    items: list[AttentionItem] = field(default_factory=list)


def attention_counts(user: User) -> Attention:
    """What needs `user`, counted alone, for the frame of every page."""
    runs = _runs(user).order_by().aggregate(failed=FAILED, all=Count("pk"))
    count = runs["all"] + _accounts(user).count()
    return Attention(count=count, failed_count=runs["failed"])


def attention(user: User, startable: Container[int]) -> Attention:
    """What needs `user`, who can start in the accounts `startable`: the most pressing
    first, then the newest. Accounts that don't answer come last, since that mostly
    passes by itself.
    """
    accounts = list(_accounts(user))
    silent = [one for one in accounts if one.state is AccountState.NOT_ANSWERING]
    pressing = Case(
        *(When(status=status, then=n) for n, status in enumerate(BY_SEVERITY)),
        output_field=IntegerField(),
    )
    # counted in the same query, over all rows and not only those that it returns
    first = (
        _runs(user)
        .order_by(pressing, "-occurred_at", "-id")
        .values_list("pk", Window(Count("pk")), Window(FAILED))[:MOST_SHOWN]
    )
    pks, counts, failed = zip(*first, strict=True) if first else ((), (0,), (0,))
    items = [
        *(_account_item(account) for account in accounts if account not in silent),
        *_run_items(pks, startable),
        *map(_account_item, silent),
    ]
    return Attention(
        count=counts[0] + len(accounts),
        failed_count=failed[0],
        items=items[:MOST_SHOWN],
    )


def _runs(user: User) -> RunQuerySet:
    """Runs that are their definition's last and did not end well, of two days; and
    every run whose outcome is unknown, since it holds its definition up.
    """
    since = timezone.now() - SHOWN_FOR
    # an earlier run that failed is settled by whatever its definition ran since
    is_last = Q(definition=None) | Q(pk=F("definition__last_run"))
    runs = ImportRun.objects.visible_to(user)
    recent = runs.filter(is_last, status__in=BY_SEVERITY, occurred_at__gte=since)
    # each found by its index; with an OR between them a database may read all runs
    unknown = runs.filter(status=RunStatus.UNKNOWN)
    pks = recent.values("pk").union(unknown.values("pk"))
    return ImportRun.objects.filter(pk__in=pks)


def _accounts(user: User) -> QuerySet[Account]:
    """The reader's accounts that do not answer, refused their credentials, whose
    stored secret could not be read, or which are a business unit twice; and those that
    were disabled while runs are active in them, which nobody follows.
    """
    active_runs = ImportRun.objects.active().filter(account=OuterRef("pk"))
    # nobody asks for the state of what still runs there
    unwatched = Q(is_active=False) & Exists(active_runs)
    accounts = Account.objects.visible_to(user).with_state()
    return accounts.filter(unwatched | Q(stored_state__in=TROUBLES))


def _run_items(pks: tuple[int, ...], startable: Container[int]) -> list[AttentionItem]:
    runs = ImportRun.objects.select_related("account", "definition")
    by_pk = runs.defer("definition__strip", "definition__description").in_bulk(pks)
    # how many tasks each unknown run may be, as its last look that succeeded found
    unknown = [run.pk for run in by_pk.values() if run.status == RunStatus.UNKNOWN]
    looks = RunEvent.objects.filter(
        run=OuterRef("pk"), kind=EventKind.LOOKED, details__has_key="candidates"
    )
    last = Subquery(looks.order_by("-at", "-id").values("details")[:1])
    details: list[tuple[int, dict[str, Any] | None]] = list(
        ImportRun.objects.filter(pk__in=unknown).values_list("pk", last)
    )
    candidates = {pk: len((look or {}).get("candidates", [])) for pk, look in details}
    return [
        AttentionItem(
            id=f"run-{run.pk}",
            name=run.shown_name,
            url=reverse("imports:run", args=[run.pk]),
            account=run.account.shown_name,
            status=run.status,
            word=run.get_status_display(),
            cause=cause(run, candidates=candidates.get(run.pk, 0)),
            at=run.finished_at or run.settled_at or run.answered_at or run.occurred_at,
            action=_action(
                run,
                can_start=run.account_id in startable,
                candidates=candidates.get(run.pk, 0),
            ),
        )
        for run in map(by_pk.__getitem__, pks)
    ]


def _action(run: ImportRun, *, can_start: bool, candidates: int) -> Action:
    if can_start:
        match run.status:
            case RunStatus.FAILED | RunStatus.NOT_STARTED if can_start_again(
                run
            ) and not is_to_be_mended(run):
                return start_again(run)
            case RunStatus.UNKNOWN if candidates > 1:
                url = reverse("imports:run_choose", args=[run.pk])
                return Action(word="Choose the run…", url=url, opens_dialog=True)
            case RunStatus.UNKNOWN if not candidates and not why_wait(
                run, timezone.now()
            ):
                url = reverse("imports:run_declare_not_started", args=[run.pk])
                return Action(word="Mark as not started…", url=url, opens_dialog=True)
            case RunStatus.LOST:
                url = reverse("imports:run_check_again", args=[run.pk])
                return Action(word="Check again", url=url, is_post=True)
    url = reverse("imports:run", args=[run.pk])
    word = "Open run" if run.status == RunStatus.UNKNOWN else "See next steps"
    return Action(word=word, url=url)


def can_start_again(run: ImportRun) -> bool:
    """Whether another go is possible now."""
    if run.definition is None:
        return False
    run.definition.account = run.account  # at hand already
    return not run.definition.why_not_startable


def start_again(run: ImportRun) -> Action:
    """The dialog that starts the run's definition once more, of the same lineage."""
    url = reverse("imports:definition_start", args=[run.definition_id])
    return Action(
        word="Start again…",
        url=f"{url}?again_of={run.pk}",
        opens_dialog=True,
        icon="play",
    )


def _account_item(account: Account) -> AttentionItem:
    words = account_words(account)
    url = f"{reverse('imports:account_list')}#account-{account.pk}"
    return AttentionItem(
        id=f"account-{account.pk}",
        name=account.shown_name,
        url=url,
        account="account",
        word=capfirst(words.fact),
        cause=words.meaning,
        at=account.since(account.state) or account.last_contact_at,
        action=Action(word="Open account", url=url),
        icon=words.icon,
        hue=words.hue,
    )
