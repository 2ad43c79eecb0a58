"""What needs the reader: runs and accounts, each with its cause and one action."""

from __future__ import annotations

from collections.abc import Container
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any

from django.db.models import (
    Case,
    Exists,
    F,
    IntegerField,
    OuterRef,
    Q,
    QuerySet,
    Subquery,
    When,
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
from imports.models.account import NOT_ANSWERING_FROM
from imports.usecases.resolve import why_wait
from imports.wording.account import account_words
from imports.wording.run import cause, is_to_be_mended

MOST_SHOWN = 20
NEEDED_FOR = timedelta(days=2)
# What needs the reader, the most pressing first.
SEVERITY = (
    RunStatus.FAILED,
    RunStatus.UNKNOWN,
    RunStatus.LOST,
    RunStatus.NOT_STARTED,
    RunStatus.COMPLETED_WITH_ERRORS,
)


@dataclass(frozen=True, kw_only=True, slots=True)
class Action:
    """The one thing that helps: a page, a dialog, or something done at once."""

    word: str
    url: str
    opens_dialog: bool = False
    is_post: bool = False
    icon: str = ""


@dataclass(frozen=True, kw_only=True, slots=True)
class Need:
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


def runs_in_need(user: User) -> RunQuerySet:
    """Runs that are their definition's last and did not end well, of two days; and
    every run whose outcome is unknown, since it holds its definition up.
    """
    since = timezone.now() - NEEDED_FOR
    is_last = Q(definition=None) | Q(pk=F("definition__last_run"))
    runs = ImportRun.objects.visible_to(user)
    recent = runs.filter(is_last, status__in=SEVERITY, occurred_at__gte=since)
    # each found by its index; with an OR between them a database may read all runs
    unknown = runs.filter(status=RunStatus.UNKNOWN)
    found = recent.values("pk").union(unknown.values("pk"))
    return ImportRun.objects.filter(pk__in=found)


def accounts_in_trouble(user: User) -> QuerySet[Account]:
    """The reader's accounts that do not answer, refused their credentials, whose
    stored secret could not be read, or which are a business unit twice; and those that
    were disabled while runs are under way in them, which nobody follows.
    """
    unwatched = Q(is_active=False) & Exists(_active_runs())
    silent = Q(failures_in_row__gte=NOT_ANSWERING_FROM)
    locked = Q(credentials_refused_at__isnull=False) | Q(has_lost_key=True)
    accounts = Account.objects.visible_to(user).with_lost_keys()
    doubled = Q(is_doubled=True)
    fails = Q(is_active=True) & (silent | locked | doubled)
    return accounts.filter(unwatched | fails)


def _active_runs() -> RunQuerySet:
    return ImportRun.objects.active().filter(account=OuterRef("pk"))


def needs(user: User, startable: Container[int]) -> list[Need]:
    """Everything that needs `user`, who may start in the accounts `startable`; the
    most pressing first, then the newest.
    """
    accounts = list(accounts_in_trouble(user))
    silent = [one for one in accounts if one.state is AccountState.NOT_ANSWERING]
    return [
        *(_account_need(one) for one in accounts if one not in silent),
        *_of_runs(user, startable),
        *map(_account_need, silent),
    ]


def _of_runs(user: User, startable: Container[int]) -> list[Need]:
    pressing = Case(
        *(When(status=status, then=n) for n, status in enumerate(SEVERITY)),
        output_field=IntegerField(),
    )
    runs = runs_in_need(user).select_related("account", "definition")
    runs = runs.defer("definition__strip", "definition__description")
    shown = list(runs.order_by(pressing, "-occurred_at", "-id")[:MOST_SHOWN])
    looks = _last_looks(shown)
    return [
        _need(run, may_start=run.account_id in startable, found=looks.get(run.pk, 0))
        for run in shown
    ]


def _last_looks(runs: list[ImportRun]) -> dict[int, int]:
    """How many tasks each unknown run may be, as its last look that succeeded found."""
    unknown = [run.pk for run in runs if run.status == RunStatus.UNKNOWN]
    look = RunEvent.objects.filter(
        run=OuterRef("pk"), kind=EventKind.LOOKED, details__has_key="candidates"
    )
    last = Subquery(look.order_by("-at", "-id").values("details")[:1])
    rows = ImportRun.objects.filter(pk__in=unknown).values_list("pk", last)
    details: list[tuple[int, dict[str, Any] | None]] = list(rows)
    return {pk: len((found or {}).get("candidates", [])) for pk, found in details}


def _need(run: ImportRun, *, may_start: bool, found: int) -> Need:
    return Need(
        id=f"run-{run.pk}",
        name=run.shown_name,
        url=reverse("imports:run", args=[run.pk]),
        account=run.account.shown_name,
        status=run.status,
        word=run.get_status_display(),
        cause=cause(run, candidates=found),
        at=run.finished_at or run.settled_at or run.answered_at or run.occurred_at,
        action=_action(run, may_start=may_start, found=found),
    )


def _action(run: ImportRun, *, may_start: bool, found: int) -> Action:
    if may_start:
        match run.status:
            case RunStatus.FAILED | RunStatus.NOT_STARTED if _is_start_all(run):
                return start_again(run)
            case RunStatus.UNKNOWN if found > 1:
                url = reverse("imports:run_choose", args=[run.pk])
                return Action(word="Choose the run…", url=url, opens_dialog=True)
            case RunStatus.UNKNOWN if not found and not why_wait(run, timezone.now()):
                url = reverse("imports:run_declare_not_started", args=[run.pk])
                return Action(word="It did not start…", url=url, opens_dialog=True)
            case RunStatus.LOST:
                url = reverse("imports:run_check_again", args=[run.pk])
                return Action(word="Check again", url=url, is_post=True)
    url = reverse("imports:run", args=[run.pk])
    word = "Open run" if run.status == RunStatus.UNKNOWN else "See next steps"
    return Action(word=word, url=url)


def _is_start_all(run: ImportRun) -> bool:
    """Whether another start is possible, and all that it takes."""
    return can_start_again(run) and not is_to_be_mended(run)


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


def _account_need(account: Account) -> Need:
    words = account_words(account)
    url = f"{reverse('imports:account_list')}#account-{account.pk}"
    return Need(
        id=f"account-{account.pk}",
        name=account.shown_name,
        url=url,
        account="account",
        word=capfirst(words.fact),
        cause=words.meaning,
        at=account.state_since or account.last_contact_at,
        action=Action(word="Open account", url=url),
        icon=words.icon,
        hue=words.hue,
    )
