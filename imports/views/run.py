"""`/runs/<id>/`: one run, what happened to it, and what a person may do about it."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from typing import Any

from django.contrib import messages
from django.http import HttpResponse
from django.shortcuts import redirect, render
from django.utils import timezone
from django.views.decorators.http import require_http_methods, require_POST
from django_htmx.http import reswap, retarget, trigger_client_event

from imports.lists.attention import can_start_again, start_again
from imports.lists.paging import RunOrder
from imports.models import (
    FINISHED,
    GIVEN_UP,
    EventKind,
    ImportRun,
    Reason,
    RunStatus,
    User,
    WorkerState,
)
from imports.signin import address_of
from imports.usecases.errors import UseCaseError
from imports.usecases.follow import check_again
from imports.usecases.resolve import (
    candidates_of,
    choose_task,
    declare_not_started,
    grace_ends_at,
    why_not_declarable,
)
from imports.usecases.start import cancel_run
from imports.views.base import (
    PageVersion,
    SignedInRequest,
    answer,
    is_unchanged,
    live_of_run,
    may_start,
    nothing_changed,
    require_start,
    run_and_version,
    signed_in,
    visible_run,
)
from imports.wording.definition import facts_in_short
from imports.wording.following import nobody_looks
from imports.wording.formats import clock_text, spoken
from imports.wording.run import Surroundings, advice, compare, details_of, support_text
from imports.wording.timeline import timeline, zone_name

NONE_OF_THESE = "none"
NEVER_RAN = (RunStatus.NOT_STARTED, RunStatus.CANCELLED)


@signed_in
def run(request: SignedInRequest, pk: int) -> HttpResponse:
    shown, version = run_and_version(request.user, pk)
    version = _once_the_grace_is_over(shown, version)
    if is_unchanged(request, version):
        return nothing_changed()
    context = _context(request.user, shown, version.workers)
    context["live"] = live_of_run(
        request,
        version,
        shown,
        is_over=shown.has_ended and not _may_be_found_late(shown),
    )
    return answer(request, "imports/run/page.html", "imports/run/_parts.html", context)


def _once_the_grace_is_over(run: ImportRun, version: PageVersion) -> PageVersion:
    """Another version from the moment on when a person may say that it did not start,
    though nothing changed in the database.
    """
    is_over = run.status == RunStatus.UNKNOWN and grace_ends_at(run) <= timezone.now()
    return replace(version, heard_step=2 * version.heard_step + is_over)


def _may_be_found_late(run: ImportRun) -> bool:
    return run.status == RunStatus.NOT_STARTED and run.reason in GIVEN_UP


def _context(user: User, shown: ImportRun, workers: WorkerState) -> dict[str, Any]:
    found = _candidates(shown)
    previous = _previous(shown)
    rights = _rights(user, shown, found)
    unfollowed = shown.why_not_followed(workers)
    around = Surroundings(
        candidates=len(found),
        previous=previous,
        may_declare=rights["may_declare"],
        declared_by=_declared_by(shown),
        is_followed=unfollowed is None,
    )
    return {
        "run": shown,
        "advice": advice(shown, around),
        "nobody_looks": nobody_looks(shown, unfollowed, user),
        "timeline": timeline(shown, is_followed=unfollowed is None),
        "previous": previous,
        "comparison": compare(shown, previous) if previous else [],
        "facts": facts_in_short(shown.definition) if shown.definition else [],
        "is_changed_since": _is_changed_since(shown),
        "details": details_of(shown),
        "support_text": support_text(shown),
        "zone_words": zone_name(),
        "again": list(shown.again.latest_first()[:3]),
        **rights,
    }


def _declared_by(run: ImportRun) -> str:
    """Who said that it did not start, where a person did."""
    if run.reason != Reason.DECLARED:
        return ""
    declared = run.events.filter(kind=EventKind.NOT_STARTED).last()
    return declared.actor_name if declared else ""


def _rights(user: User, shown: ImportRun, found: list[Any]) -> dict[str, Any]:
    may = may_start(user, shown)
    again = may and shown.has_ended and can_start_again(shown)
    return {
        "start_again": start_again(shown) if again else None,
        "may_cancel": may and shown.status == RunStatus.QUEUED,
        "may_check_again": may and shown.status == RunStatus.LOST,
        "may_choose": may and len(found) > 1,
        "may_declare": may
        and shown.status == RunStatus.UNKNOWN
        and not why_not_declarable(shown, timezone.now()),
    }


def _candidates(run: ImportRun) -> list[dict[str, Any]]:
    return candidates_of(run) if run.status == RunStatus.UNKNOWN else []


def _is_changed_since(run: ImportRun) -> bool:
    """Whether the definition is not what it was when this run was started."""
    if run.definition is None or run.definition_version is None:
        return False
    return run.definition_version.digest != run.definition.digest


def _previous(run: ImportRun) -> ImportRun | None:
    """The run of the same definition that ended before this one began; none for
    one that never ran.
    """
    if run.definition is None or run.status in NEVER_RAN:
        return None
    earlier = run.definition.runs.filter(status__in=FINISHED).exclude(total_rows=None)
    return RunOrder().after(earlier, (run.occurred_at, run.pk)).first()


@signed_in
@require_POST
def run_cancel(request: SignedInRequest, pk: int) -> HttpResponse:
    return _do(
        request,
        pk,
        cancel_run,
        "Cancelled: nothing was sent to Marketing Cloud.",
    )


@signed_in
@require_POST
def run_check_again(request: SignedInRequest, pk: int) -> HttpResponse:
    return _do(request, pk, check_again, "Checking again: the worker asks for it now.")


def _do(
    request: SignedInRequest, pk: int, deed: Callable[..., ImportRun], done: str
) -> HttpResponse:
    """Do it, say what came of it, and show the run."""
    shown = _startable_run(request.user, pk)
    try:
        deed(run=shown, by=request.user, ip=address_of(request))
        messages.success(request, done)
    except UseCaseError as error:
        messages.error(request, str(error))
    return redirect("imports:run", pk=pk)


def _startable_run(user: User, pk: int) -> ImportRun:
    shown = visible_run(user, pk)
    require_start(user, shown)
    return shown


@signed_in
@require_http_methods(["GET", "HEAD", "POST"])
def run_choose(request: SignedInRequest, pk: int) -> HttpResponse:
    """A person says which of several runs in Marketing Cloud this one is."""
    shown = _startable_run(request.user, pk)
    if request.method != "POST":
        return _choose(request, shown)
    task = request.POST.get("task", "")
    if not task:
        return _choose(request, shown, status=400, problem="Choose one of them first.")
    chosen = None if task == NONE_OF_THESE else task
    try:
        choose_task(run=shown, task_id=chosen, by=request.user, ip=address_of(request))
    except UseCaseError as error:
        return _choose(request, shown, status=409, problem=str(error))
    return _chosen(request, shown, chosen)


def _chosen(request: SignedInRequest, run: ImportRun, task: str | None) -> HttpResponse:
    text = (
        f"{spoken(run.shown_name)} is task {task}. mcdash follows it now."
        if task
        else "None of them is it. mcdash goes on looking."
    )
    if not request.htmx:
        messages.success(request, text)
        return redirect("imports:run", pk=run.pk)
    response = render(request, "imports/run/_toast_done.html", {"text": text})
    trigger_client_event(response, "mcdash:close-dialog", {})
    return trigger_client_event(response, "mcdash:changed", {})


def _choose(
    request: SignedInRequest, run: ImportRun, *, status: int = 200, problem: str = ""
) -> HttpResponse:
    run.refresh_from_db(fields=["status"])
    context = {
        "run": run,
        "candidates": _candidates(run),
        "none_of_these": NONE_OF_THESE,
        "problem": problem,
    }
    if not request.htmx:
        return render(request, "imports/run/choose.html", context, status=status)
    response = render(
        request, "imports/run/_choose_dialog.html", context, status=status
    )
    return reswap(retarget(response, "#dialog-slot"), "innerHTML")


# `/runs/<id>/not-started/`: a person says that an unknown run did not start.


LOOK_FIRST = "Look in Marketing Cloud first, and tick the box. Nothing was changed."
DONE = "The run counts as not started. Its definition may be started again."


@signed_in
@require_http_methods(["GET", "HEAD", "POST"])
def run_declare_not_started(request: SignedInRequest, pk: int) -> HttpResponse:
    """GET says what it means, POST does it, once the person has looked."""
    shown = visible_run(request.user, pk)
    require_start(request.user, shown)
    if request.method != "POST":
        return _ask(request, shown)
    if request.POST.get("looked") != "yes":
        return _ask(request, shown, status=400, problem=LOOK_FIRST)
    try:
        declare_not_started(run=shown, by=request.user, ip=address_of(request))
    except UseCaseError as error:
        return _ask(request, shown, status=409, problem=str(error))
    return _done(request, shown)


def _done(request: SignedInRequest, run: ImportRun) -> HttpResponse:
    if not request.htmx:
        messages.success(request, DONE)
        return redirect("imports:run", pk=run.pk)
    response = render(request, "imports/run/_toast_done.html", {"text": DONE})
    trigger_client_event(response, "mcdash:close-dialog", {})
    return trigger_client_event(response, "mcdash:changed", {})


def _ask(
    request: SignedInRequest, run: ImportRun, *, status: int = 200, problem: str = ""
) -> HttpResponse:
    run = visible_run(request.user, run.pk)  # as it is by now
    now, opens_at = timezone.now(), grace_ends_at(run)
    context = {
        "run": run,
        "opens_at": clock_text(opens_at) if opens_at > now else "",
        "why_not": why_not_declarable(run, now),
        "sent_at": clock_text(run.sent_at),
        "problem": problem,
    }
    if not request.htmx:
        return render(request, "imports/run/declare.html", context, status=status)
    response = render(
        request, "imports/run/_declare_dialog.html", context, status=status
    )
    return reswap(retarget(response, "#dialog-slot"), "innerHTML")
