"""What a page needs to keep itself fresh with one small request.

A poll carries `since`. Nothing changed → 204 and no body; else the page's parts,
swapped out of band.
"""

from __future__ import annotations

import datetime as dt
import re
from collections.abc import Iterable
from dataclasses import dataclass, field
from typing import Any

from django.db.models import (
    Count,
    Max,
    Q,
)
from django.http import HttpResponse
from django.shortcuts import get_object_or_404, render
from django.utils import timezone
from django_htmx.http import trigger_client_event

from imports.models import (
    ENDED,
    STORAGE,
    Account,
    ImportRun,
    RunStatus,
    User,
    WorkerState,
    workers_now,
    workers_of,
    workers_word,
)
from imports.models.lost_keys import is_key_lost
from imports.templatetags.counts import problem_text
from imports.templatetags.parts import Parts
from imports.templatetags.texts import spoken
from imports.views.access import SignedInRequest
from imports.views.needs import accounts_in_trouble, runs_in_need

FAST_SECONDS = 3
QUIET_SECONDS = 20
STEP_SECONDS = 20
MOST_SENTENCES = 5
STATE_OF_RUN = {
    RunStatus.FAILED: "failed",
    RunStatus.NOT_STARTED: "failed",
    RunStatus.UNKNOWN: "attention",
    RunStatus.LOST: "attention",
    RunStatus.COMPLETED_WITH_ERRORS: "attention",
    RunStatus.QUEUED: "running",
    RunStatus.STARTING: "running",
    RunStatus.RUNNING: "running",
}


@dataclass(frozen=True, kw_only=True, slots=True)
class PageVersion:
    """What a page depends on: the greatest revision that the reader may see,
    whether workers live and get on, whether anything can be saved, when Marketing Cloud
    was last heard of (in steps of 20 seconds, so that "last checked" stays true), and
    the reader's day. `is_of_all`: of all accounts that the reader may see, not of a
    single one.
    """

    number: int
    workers: WorkerState
    is_writable: bool = field(default_factory=lambda: STORAGE.unwritable_since is None)
    heard_step: int = 0
    day: dt.date = field(default_factory=timezone.localdate)
    is_of_all: bool = False

    def __str__(self) -> str:
        silent = "s" if self.workers.is_silent else ""
        stuck = "o" if self.workers.is_stuck else ""
        unsaved = "" if self.is_writable else "w"
        return f"{self.number}-{self.heard_step}-{self.day:%j}{silent}{stuck}{unsaved}"


def _step(moment: dt.datetime | None) -> int:
    return int(moment.timestamp()) // STEP_SECONDS if moment else 0


def page_version(user: User) -> PageVersion:
    """The page's version for `user`, in one query."""
    found = Account.objects.still_visible_to(user).aggregate(
        number=Max("revision"),
        contact=Max("last_contact_at"),
        workers=Max(workers_word()),
    )
    sees_none = found["number"] is None
    # whoever sees no account is told whether there are any
    there_are = sees_none and Account.objects.exists()
    return PageVersion(
        number=found["number"] or 0,
        workers=workers_now() if sees_none else workers_of(found["workers"]),
        heard_step=int(there_are) if sees_none else _step(found["contact"]),
        is_of_all=True,
    )


def run_and_version(user: User, pk: int) -> tuple[ImportRun, PageVersion]:
    """The run, or 404, and its page's version in the same query: a run's page
    follows that run's account alone.
    """
    runs = ImportRun.objects.still_visible_to(user).annotate(
        workers=workers_word(), has_lost_key=is_key_lost("account_id")
    )
    run = get_object_or_404(runs.select_related("account", "definition"), pk=pk)
    run.account.has_lost_key = run.has_lost_key  # type: ignore[attr-defined]
    return run, PageVersion(
        number=run.account.revision,
        workers=workers_of(run.workers),  # type: ignore[attr-defined]
        heard_step=_step(run.last_checked_at),
    )


@dataclass(frozen=True, kw_only=True, slots=True)
class Live:
    """What `#live` says: where and how often to ask, the tab's title and icon; and
    what every page shows of the whole: how much needs the reader, how workers do.
    `has_notice`: the page itself says what is wrong with them.
    """

    url: str
    seconds: int
    title: str
    state: str
    workers: WorkerState
    attention_count: int
    has_notice: bool = False


def is_unchanged(request: SignedInRequest, version: PageVersion) -> bool:
    return request.GET.get("since") == str(version)


def nothing_changed() -> HttpResponse:
    return HttpResponse(status=204)


def live(
    request: SignedInRequest,
    version: PageVersion,
    *,
    title: str,
    is_moving: bool,
    is_over: bool = False,
) -> Live:
    """How a page over many runs goes on: fast while something on it can change,
    0 when all is final.

    Call it after the page's parts were read. What changed while they were read may
    be on the page by half, so then it asks again soon.
    """
    failed, needy, is_running = _state(request.user)
    has_moved = (
        version.is_of_all and page_version(request.user).number != version.number
    )
    state = "failed" if failed else "attention" if needy else ""
    return Live(
        url=_poll_url(request, version),
        seconds=_pace(is_moving=is_moving or has_moved, is_over=is_over),
        title=f"({failed} failed) {title}" if failed else title,
        state=state or ("running" if is_running else "quiet"),
        workers=version.workers,
        attention_count=needy,
    )


def live_of_run(
    request: SignedInRequest, version: PageVersion, run: ImportRun, *, is_over: bool
) -> Live:
    """How the page of one run goes on: its title and icon tell of that run."""
    unfollowed = run.why_not_followed(version.workers)
    is_followed = unfollowed is None
    # the page's own notice says it already, and since when
    is_told = unfollowed is not None and unfollowed.why.lies_with_workers
    state = STATE_OF_RUN.get(RunStatus(run.status), "quiet")
    word = run.get_status_display() + ("" if is_followed else ", not followed")
    return Live(
        url=_poll_url(request, version),
        seconds=_pace(is_moving=run.is_active and is_followed, is_over=is_over),
        title=f"{word}: {spoken(run.shown_name)} · mcdash",
        state=state if is_followed else "attention",
        workers=WorkerState() if is_over else version.workers,
        has_notice=is_told,
        attention_count=_state(request.user)[1],
    )


def _poll_url(request: SignedInRequest, version: PageVersion) -> str:
    query = request.GET.copy()
    query["since"] = str(version)
    query.pop("seen", None)
    return f"{request.path}?{query.urlencode()}"


def _pace(*, is_moving: bool, is_over: bool) -> int:
    return 0 if is_over else FAST_SECONDS if is_moving else QUIET_SECONDS


def any_moves(runs: Iterable[ImportRun], workers: WorkerState) -> bool:
    """Whether something can change on a page with `runs`, their accounts known: one is
    under way and somebody looks at it.
    """
    return any(run.is_active and not run.why_not_followed(workers) for run in runs)


def _state(user: User) -> tuple[int, int, bool]:
    """How many runs failed and how much needs the reader; whether anything runs."""
    failed = Count("pk", filter=Q(status=RunStatus.FAILED))
    runs = runs_in_need(user).order_by().aggregate(failed=failed, all=Count("pk"))
    troubles = accounts_in_trouble(user).count()
    is_running = ImportRun.objects.visible_to(user).active().exists()
    return runs["failed"], runs["all"] + troubles, is_running


def answer(
    request: SignedInRequest, page: str, parts: str, context: dict[str, Any]
) -> HttpResponse:
    """The whole page, or for a poll what changed of its parts since the page last
    heard, with what happened in sentences.
    """
    if "since" not in request.GET or not request.htmx:
        return render(request, page, context | {"parts": Parts()})
    response = news(request, parts, context)
    sentences = _sentences(request)
    if sentences:
        trigger_client_event(response, "mcdash:announce", {"sentences": sentences})
    return response


def news(
    request: SignedInRequest, parts: str, context: dict[str, Any], status: int = 200
) -> HttpResponse:
    """What the asking page lacks of its parts, out of band."""
    shown = Parts.seen_by(request.GET.get("seen", ""))
    context = context | {"parts": shown, "oob": True}
    return render(request, parts, context, status=status)


def _sentences(request: SignedInRequest) -> list[str]:
    since = re.match(r"\d{1,18}", request.GET["since"])
    if since is None:
        return []
    runs = (
        ImportRun.objects.visible_to(request.user)
        .filter(revision__gt=int(since.group()), status__in=ENDED)
        .select_related("definition")
        .order_by("-revision")[:MOST_SENTENCES]
    )
    return [_sentence(run) for run in runs]


def _sentence(run: ImportRun) -> str:
    words = [run.get_status_display()]
    words += [problem_text(run.counts)] if run.are_counts_open else []
    return f"{spoken(run.shown_name)}: {', '.join(words)}."
