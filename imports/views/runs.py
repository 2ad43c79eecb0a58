"""`/runs/`: the history; `/runs/<id>/`: one run and what happened to it."""

from __future__ import annotations

import datetime as dt
from typing import Any

from django.contrib import messages
from django.db.models import Q
from django.http import HttpResponse
from django.shortcuts import redirect
from django.utils import timezone
from django.views.decorators.http import require_POST

from imports.filters import RunFilter, people
from imports.models import (
    ENDED,
    Account,
    EventKind,
    ImportDefinition,
    ImportRun,
    RunEvent,
    RunQuerySet,
    RunStatus,
    User,
)
from imports.usecases.check_again import check_again
from imports.usecases.errors import UseCaseError
from imports.usecases.withdraw_run import withdraw_run

from .access import (
    SignedInRequest,
    may_start,
    require_start,
    signed_in,
    visible_run,
)
from .causes import cause
from .live import answer, is_unchanged, live, nothing_changed, page_version

PER_PAGE = 50
COMPARED = ("total_rows", "successful", "duplicated", "errors")


@signed_in
def run_list(request: SignedInRequest) -> HttpResponse:
    version = page_version(request.user)
    if is_unchanged(request, version):
        return nothing_changed()
    context = _list_context(request)
    context["live"] = live(
        request,
        version,
        title="History · mcdash",
        is_moving=any(run.is_active for run in context["runs"]),
    )
    return answer(request, "imports/runs.html", "imports/_runs_parts.html", context)


def _list_context(request: SignedInRequest) -> dict[str, Any]:
    everything = ImportRun.objects.visible_to(request.user)
    found = RunFilter(request.GET, everything, request=request)
    before = request.GET.get("before", "")
    cursor = _read_cursor(before)
    is_valid = found.is_valid() and (not before or cursor is not None)
    runs = found.qs if is_valid else everything.none()
    rows = list(_older_than(runs, cursor)[: PER_PAGE + 1])
    return {
        "filter": found,
        "filter_errors": _errors(found, before, cursor),
        "runs": rows[:PER_PAGE],
        "older": _cursor(rows[PER_PAGE - 1]) if len(rows) > PER_PAGE else "",
        "is_first_page": not before,
        "has_filters": any(request.GET.get(name) for name in found.filters),
        "accounts": list(Account.objects.visible_to(request.user).order_by("name")),
        "definition": _definition(found),
        "people": people(request.user),
        "statuses": RunStatus.choices,
        "query": _query_without(request, "since", "before"),
        "zone": timezone.get_current_timezone_name(),
        "today": timezone.localdate(),
    }


def _definition(found: RunFilter) -> ImportDefinition | None:
    return found.form.cleaned_data.get("definition") if found.is_valid() else None


def _errors(found: RunFilter, before: str, cursor: tuple[Any, int] | None) -> list[str]:
    errors = [f"{name}: {e}" for name, every in found.errors.items() for e in every]
    if before and cursor is None:
        errors.append("before: This is not a place in the history.")
    return errors


def _older_than(
    runs: RunQuerySet, cursor: tuple[dt.datetime, int] | None
) -> RunQuerySet:
    """Keyset paging: stays right while new runs arrive at the top."""
    if cursor:
        at, pk = cursor
        runs = runs.filter(Q(occurred_at__lt=at) | Q(occurred_at=at, pk__lt=pk))
    return runs.select_related("account", "definition").latest_first()


def _cursor(run: ImportRun) -> str:
    return f"{run.occurred_at.isoformat()}_{run.pk}"


def _read_cursor(text: str) -> tuple[dt.datetime, int] | None:
    at, _, pk = text.partition("_")
    try:
        moment = dt.datetime.fromisoformat(at.replace(" ", "+"))
    except ValueError:
        return None
    if moment.tzinfo is None or not pk.isdecimal() or len(pk) > 18:
        return None
    return moment, int(pk)


def _query_without(request: SignedInRequest, *names: str) -> str:
    query = request.GET.copy()
    for name in names:
        query.pop(name, None)
    return query.urlencode()


@signed_in
def run(request: SignedInRequest, pk: int) -> HttpResponse:
    shown = visible_run(request.user, pk)
    version = page_version(request.user)
    if is_unchanged(request, version):
        return nothing_changed()
    context = _run_context(request.user, shown)
    context["live"] = live(
        request,
        version,
        title=f"{shown.get_status_display()}: {shown.shown_name} · mcdash",
        is_moving=True,
        is_over=shown.has_ended and not _may_be_found_late(shown),
    )
    return answer(request, "imports/run.html", "imports/_run_parts.html", context)


def _may_be_found_late(run: ImportRun) -> bool:
    return run.status == RunStatus.NOT_STARTED and run.error_kind == "no_trace"


def _run_context(user: User, shown: ImportRun) -> dict[str, Any]:
    startable = shown.definition is not None and may_start(user, shown.definition)
    return {
        "run": shown,
        "cause": cause(shown),
        "timeline": timeline(shown),
        "previous": (previous := _previous(shown)),
        "comparison": _compare(shown, previous) if previous else [],
        "may_start": startable,
        "may_withdraw": startable and shown.status == RunStatus.QUEUED,
        "may_check_again": startable and shown.status == RunStatus.LOST,
        "again": list(shown.again.latest_first()[:3]),
        "now": timezone.now(),
    }


def timeline(run: ImportRun) -> list[dict[str, Any]]:
    """The run's events with how long each lasted until the next; a running run's
    last one lasts until now.
    """
    events: list[RunEvent] = list(run.events.all())
    if not events:
        return []
    last = events[-1].at if run.has_ended else timezone.now()
    ends = [*(event.at for event in events[1:]), last]
    total = (last - events[0].at).total_seconds()
    return [
        {
            "event": event,
            "lasted": end - event.at,
            "offset": _share(event.at - events[0].at, total),
            "share": _share(end - event.at, total),
            "is_phase": event.kind in (EventKind.PHASE, EventKind.FOUND),
        }
        for event, end in zip(events, ends, strict=True)
    ]


def _share(part: dt.timedelta, total: float) -> float:
    """A part of the whole as a percentage, for drawing to scale."""
    return round(100 * part.total_seconds() / total, 2) if total > 0 else 0.0


def _previous(run: ImportRun) -> ImportRun | None:
    """The run of the same definition that ended before this one began."""
    if run.definition is None:
        return None
    earlier = run.definition.runs.filter(status__in=ENDED).exclude(total_rows=None)
    return _older_than(earlier, (run.occurred_at, run.pk)).first()


def _compare(run: ImportRun, previous: ImportRun) -> list[dict[str, Any]]:
    rows = []
    for name in COMPARED:
        this, that = getattr(run, name), getattr(previous, name)
        change = this - that if this is not None and that is not None else None
        rows.append({"name": name, "this": this, "that": that, "change": change})
    return rows


@signed_in
@require_POST
def run_withdraw(request: SignedInRequest, pk: int) -> HttpResponse:
    shown = visible_run(request.user, pk)
    if shown.definition:
        require_start(request.user, shown.definition)
    try:
        withdraw_run(run=shown, by=request.user)
        messages.success(request, "Withdrawn: nothing was sent to Marketing Cloud.")
    except UseCaseError as error:
        messages.error(request, str(error))
    return redirect("imports:run", pk=pk)


@signed_in
@require_POST
def run_check_again(request: SignedInRequest, pk: int) -> HttpResponse:
    shown = visible_run(request.user, pk)
    if shown.definition:
        require_start(request.user, shown.definition)
    try:
        check_again(run=shown, by=request.user)
        messages.success(request, "Checking again: the worker asks for it now.")
    except UseCaseError as error:
        messages.error(request, str(error))
    return redirect("imports:run", pk=pk)
