"""What a page needs to keep itself fresh with one small request.

A poll carries `since`. Nothing changed → 204 and no body; else the page's parts,
swapped out of band.
"""

from __future__ import annotations

import datetime as dt
import re
from dataclasses import dataclass, field
from datetime import timedelta
from typing import Any

from django.db.models import Count, Exists, Max, Q, QuerySet
from django.db.models.functions import Now
from django.http import HttpResponse
from django.shortcuts import get_object_or_404, render
from django.utils import timezone
from django_htmx.http import trigger_client_event

from imports.models import ENDED, Account, ImportRun, RunStatus, User, Worker
from imports.templatetags.counts import problem_text
from imports.templatetags.parts import Parts
from imports.templatetags.texts import spoken

from .access import SignedInRequest
from .needs import accounts_in_trouble, runs_in_need

FAST_SECONDS = 3
QUIET_SECONDS = 20
STEP_SECONDS = 20
WORKER_SILENT_AFTER = timedelta(seconds=60)
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
    whether a worker lives, when Marketing Cloud was last heard of (in steps of 20
    seconds, so that "last checked" stays true), and the reader's day. `is_of_all`:
    of all accounts that the reader may see, not of a single one.
    """

    number: int
    worker_is_silent: bool
    heard_step: int = 0
    day: dt.date = field(default_factory=timezone.localdate)
    is_of_all: bool = False

    def __str__(self) -> str:
        silent = "s" if self.worker_is_silent else ""
        return f"{self.number}-{self.heard_step}-{self.day:%j}{silent}"


def _beating() -> QuerySet[Worker]:
    return Worker.objects.filter(seen_at__gte=Now() - WORKER_SILENT_AFTER)


def _step(moment: dt.datetime | None) -> int:
    return int(moment.timestamp()) // STEP_SECONDS if moment else 0


def page_version(user: User) -> PageVersion:
    """The page's version for `user`, in one query."""
    found = Account.objects.still_visible_to(user).aggregate(
        number=Max("revision"),
        contact=Max("last_contact_at"),
        heard=Count("pk", filter=Exists(_beating())),
    )
    is_heard = found["heard"] or (found["number"] is None and _beating().exists())
    return PageVersion(
        number=found["number"] or 0,
        worker_is_silent=not is_heard,
        heard_step=_step(found["contact"]),
        is_of_all=True,
    )


def run_and_version(user: User, pk: int) -> tuple[ImportRun, PageVersion]:
    """The run, or 404, and its page's version in the same query: a run's page
    follows that run's account alone.
    """
    runs = ImportRun.objects.still_visible_to(user).annotate(heard=Exists(_beating()))
    run = get_object_or_404(runs.select_related("account", "definition"), pk=pk)
    return run, PageVersion(
        number=run.account.revision,
        worker_is_silent=not getattr(run, "heard", False),
        heard_step=_step(run.last_checked_at),
    )


@dataclass(frozen=True, kw_only=True, slots=True)
class Live:
    """What `#live` says: where and how often to ask, the tab's title and icon; and
    what every page shows of the whole: how much needs the reader, a silent worker.
    """

    url: str
    seconds: int
    title: str
    state: str
    worker_is_silent: bool
    attention_count: int


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
        worker_is_silent=version.worker_is_silent,
        attention_count=needy,
    )


def live_of_run(
    request: SignedInRequest, version: PageVersion, run: ImportRun, *, is_over: bool
) -> Live:
    """How the page of one run goes on: its title and icon tell of that run."""
    return Live(
        url=_poll_url(request, version),
        seconds=_pace(is_moving=run.is_active, is_over=is_over),
        title=f"{run.get_status_display()}: {spoken(run.shown_name)} · mcdash",
        state=STATE_OF_RUN.get(RunStatus(run.status), "quiet"),
        worker_is_silent=version.worker_is_silent and not is_over,
        attention_count=_state(request.user)[1],
    )


def _poll_url(request: SignedInRequest, version: PageVersion) -> str:
    query = request.GET.copy()
    query["since"] = str(version)
    query.pop("seen", None)
    return f"{request.path}?{query.urlencode()}"


def _pace(*, is_moving: bool, is_over: bool) -> int:
    return 0 if is_over else FAST_SECONDS if is_moving else QUIET_SECONDS


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
