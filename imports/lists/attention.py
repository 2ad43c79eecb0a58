"""What needs the reader's attention: runs and accounts, with a cause and an action."""

from __future__ import annotations

from collections.abc import Container, Iterable, Sequence
from dataclasses import dataclass
from datetime import timedelta
from typing import Any

from django.db import models
from django.db.models import Count, F, OuterRef, Q
from django.urls import reverse
from django.utils import timezone
from django.utils.text import capfirst

from imports.models import (
    Account,
    AccountState,
    EventKind,
    ImportRun,
    Reader,
    RunStatus,
)
from imports.models.account import TROUBLES
from imports.models.run import RunEvent, RunQuerySet
from imports.usecases.resolve import why_wait
from imports.wording.account import account_words
from imports.wording.run import cause, is_to_be_mended
from imports.wording.status import BY_SEVERITY

MOST_SHOWN = 20
# A run that ended badly is of interest for so long; unknown ones always are.
SHOWN_FOR = timedelta(days=2)
FAILED = Count("pk", filter=Q(status=RunStatus.FAILED))


@dataclass(frozen=True, slots=True)
class Attention:
    """How many runs and accounts need the reader, how many failed; and the first."""

    count: int
    failed_count: int
    items: Sequence[dict[str, Any]] = ()


def attention_counts(reader: Reader) -> Attention:
    """What needs `reader`, counted alone, for the frame of every page."""
    runs = _runs(reader).order_by().aggregate(failed=FAILED, all=Count("pk"))
    active_runs = ImportRun.objects.active().filter(account=OuterRef("pk"))
    unwatched = Q(models.Exists(active_runs), is_active=False)
    accounts = Account.objects.visible_to(reader).with_state()
    accounts = accounts.filter(unwatched | Q(stored_state__in=TROUBLES))
    return Attention(runs["all"] + accounts.count(), runs["failed"])


def attention_runs(reader: Reader) -> list[ImportRun]:
    """The runs that need `reader`, the most pressing first, then the newest; each knows
    of how many it is one (`run_count`), how many of these failed (`failed_count`), and
    what the last look for it that succeeded found (`look`).
    """
    pressing = models.Case(
        *(models.When(status=status, then=n) for n, status in enumerate(BY_SEVERITY)),
        output_field=models.IntegerField(),
    )
    looks = RunEvent.objects.filter(
        run=OuterRef("pk"), kind=EventKind.LOOKED, details__has_key="candidates"
    )
    last = models.Subquery(looks.order_by("-at", "-id").values("details")[:1])
    is_unknown = models.When(status=RunStatus.UNKNOWN, then=last)
    # counted in the same query, over all rows and not only those that it returns
    runs = _runs(reader).annotate(
        look=models.Case(is_unknown, output_field=models.JSONField()),
        run_count=models.Window(Count("pk")),
        failed_count=models.Window(FAILED),
    )
    return list(runs.order_by(pressing, "-occurred_at", "-id")[:MOST_SHOWN])


def attention_of(
    runs: list[ImportRun], accounts: Iterable[Account], startable: Container[int]
) -> Attention:
    """Of `attention_runs`, their parents known, and of the accounts in trouble, and
    disabled ones with active runs (`has_active`), which nobody follows.
    """
    troubled = [
        account
        for account in accounts
        if account.state in TROUBLES or (not account.is_active and account.has_active)  # type: ignore[attr-defined]  # annotated
    ]
    # these come last, since that mostly passes by itself
    silent = [one for one in troubled if one.state is AccountState.NOT_ANSWERING]
    items = [
        *(_account_item(account) for account in troubled if account not in silent),
        *(_run_item(run, can_start=run.account_id in startable) for run in runs),
        *map(_account_item, silent),
    ]
    run_count = runs[0].run_count if runs else 0  # type: ignore[attr-defined]  # annotated
    failed_count = runs[0].failed_count if runs else 0  # type: ignore[attr-defined]  # as above
    return Attention(run_count + len(troubled), failed_count, items[:MOST_SHOWN])


def _runs(reader: Reader) -> RunQuerySet:
    """Runs that did not end well and were their definition's last, and unknown ones."""
    since = timezone.now() - SHOWN_FOR
    # an earlier run that failed is settled by whatever its definition ran since
    is_last = Q(definition=None) | Q(pk=F("definition__last_run"))
    runs = ImportRun.objects.visible_to(reader)
    recent = runs.filter(is_last, status__in=BY_SEVERITY, occurred_at__gte=since)
    # these however old they are, since they hold their definition up; each part is
    # found by its index: with an OR between them a database may read all runs
    unknown = runs.filter(status=RunStatus.UNKNOWN)
    pks = recent.values("pk").union(unknown.values("pk"))
    return ImportRun.objects.filter(pk__in=pks)


def _run_item(run: ImportRun, *, can_start: bool) -> dict[str, Any]:
    look = run.look  # type: ignore[attr-defined]  # annotated
    candidates = len(look["candidates"]) if look else 0  # how many tasks it may be
    return {
        "id": f"run-{run.pk}",
        "name": run.shown_name,
        "url": reverse("imports:run", args=[run.pk]),
        "account": run.account.shown_name,
        "status": run.status,
        "word": run.get_status_display(),
        "cause": cause(run, candidates=candidates),
        "at": run.finished_at or run.settled_at or run.answered_at or run.occurred_at,
        "action": _action(run, can_start=can_start, candidates=candidates),
    }


def _action(run: ImportRun, *, can_start: bool, candidates: int) -> dict[str, Any]:
    """The one thing that helps: a page, a dialog, or something done at once."""
    is_unknown, how = run.status == RunStatus.UNKNOWN, {}
    word, route = "Open run" if is_unknown else "See next steps", "run"
    if can_start and run.status in (RunStatus.FAILED, RunStatus.NOT_STARTED):
        if can_start_again(run) and not is_to_be_mended(run):
            return start_again(run)
    elif can_start and run.status == RunStatus.LOST:
        word, route, how = "Check again", "run_check_again", {"is_post": True}
    elif can_start and is_unknown and candidates > 1:
        word, route, how = "Choose the run…", "run_choose", {"opens_dialog": True}
    elif can_start and is_unknown and not (candidates or why_wait(run, timezone.now())):
        word, route = "Mark as not started…", "run_declare_not_started"
        how = {"opens_dialog": True}
    return {"word": word, "url": reverse(f"imports:{route}", args=[run.pk]), **how}


def can_start_again(run: ImportRun) -> bool:
    if run.definition is None:
        return False
    run.definition.account = run.account  # at hand already
    return not run.definition.why_not_startable


def start_again(run: ImportRun) -> dict[str, Any]:
    """The dialog that starts the run's definition once more, of the same lineage."""
    url = reverse("imports:definition_start", args=[run.definition_id])
    url = f"{url}?again_of={run.pk}"
    return {"word": "Start again…", "url": url, "opens_dialog": True, "icon": "play"}


def _account_item(account: Account) -> dict[str, Any]:
    words = account_words(account)
    url = f"{reverse('imports:account_list')}#account-{account.pk}"
    return {
        "id": f"account-{account.pk}",
        "name": account.shown_name,
        "url": url,
        "account": "account",
        "word": capfirst(words.fact),
        "cause": words.meaning,
        "at": account.since(account.state) or account.last_contact_at,
        "action": {"word": "Open account", "url": url},
        "icon": words.icon,
        "hue": words.hue,
    }
