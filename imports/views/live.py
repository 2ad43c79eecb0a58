"""What a page needs to keep itself fresh with one small request.

A poll carries `since`. Nothing changed → 204 and no body; else the page's parts,
swapped out of band.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from datetime import timedelta
from typing import Any

from django.db.models import Exists
from django.db.models.functions import Now
from django.http import HttpResponse
from django.shortcuts import render
from django_htmx.http import trigger_client_event

from imports.models import (
    ENDED,
    Account,
    ImportDefinition,
    ImportRun,
    RunStatus,
    User,
    Worker,
)

from .access import SignedInRequest

FAST_SECONDS = 3
QUIET_SECONDS = 20
WORKER_SILENT_AFTER = timedelta(seconds=60)
MOST_SENTENCES = 5


@dataclass(frozen=True, kw_only=True, slots=True)
class PageVersion:
    """The greatest revision that the reader may see, and whether a worker lives."""

    number: int
    worker_is_silent: bool

    def __str__(self) -> str:
        return f"{self.number}{'s' if self.worker_is_silent else ''}"


def page_version(user: User) -> PageVersion:
    """The page's version for `user`, in one query."""
    beating = Worker.objects.filter(seen_at__gte=Now() - WORKER_SILENT_AFTER)
    newest = (
        Account.objects.visible_to(user)
        .annotate(heard=Exists(beating))
        .order_by("-revision")
        .values_list("revision", "heard")
        .first()
    )
    number, heard = newest or (0, beating.exists())
    return PageVersion(number=number, worker_is_silent=not heard)


@dataclass(frozen=True, kw_only=True, slots=True)
class Live:
    """What `#live` says: where and how often to ask, the tab's title and icon."""

    url: str
    seconds: int
    title: str
    state: str
    worker_is_silent: bool


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
    """How the page goes on: fast while something can change, 0 when all is final."""
    failed, running = _state_counts(request.user)
    query = request.GET.copy()
    query["since"] = str(version)
    return Live(
        url=f"{request.path}?{query.urlencode()}",
        seconds=0 if is_over else FAST_SECONDS if is_moving else QUIET_SECONDS,
        title=f"({failed} failed) {title}" if failed else title,
        state="failed" if failed else "running" if running else "quiet",
        worker_is_silent=version.worker_is_silent,
    )


def _state_counts(user: User) -> tuple[int, int]:
    """Definitions whose last run failed within a day, and runs under way."""
    failed = ImportDefinition.objects.visible_to(user).filter(
        last_run__status=RunStatus.FAILED,
        last_run__occurred_at__gte=Now() - timedelta(days=1),
    )
    return failed.count(), ImportRun.objects.visible_to(user).active().count()


def answer(
    request: SignedInRequest, page: str, parts: str, context: dict[str, Any]
) -> HttpResponse:
    """The whole page, or for a poll its parts with what happened in sentences."""
    if "since" not in request.GET or not request.htmx:
        return render(request, page, context)
    response = render(request, parts, context)
    sentences = _sentences(request)
    if sentences:
        trigger_client_event(response, "mcdash:announce", {"sentences": sentences})
    return response


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
    return [f"{run.shown_name}: {run.get_status_display()}." for run in runs]
