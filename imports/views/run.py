"""`/runs/<id>/`: one run, what happened to it, and what a person can do about it."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from typing import Any

from django.contrib import messages
from django.http import HttpResponse
from django.shortcuts import redirect, render
from django.utils import timezone
from django.views.decorators.http import require_http_methods, require_POST

from imports import models
from imports.lists.attention import can_start_again, start_again
from imports.lists.paging import RunOrder
from imports.models import TRANSITIONS, ImportDefinition, ImportRun, RunStatus
from imports.signin import address_of
from imports.usecases import follow, resolve, start
from imports.usecases.errors import UseCaseError
from imports.views import base
from imports.views.base import SignedInRequest, signed_in
from imports.wording.definition import facts_in_short
from imports.wording.following import nobody_looks
from imports.wording.formats import clock_text, spoken, zone_name
from imports.wording.run import Surroundings, advice, compare, details_of, support_text
from imports.wording.status import status_look
from imports.wording.timeline import timeline

NONE_OF_THESE = "none"
NEVER_RAN = (RunStatus.NOT_STARTED, RunStatus.CANCELLED)
# a run that was looked for over a day has some hundreds
MOST_EVENTS = 300
LOOK_FIRST = "Look in Marketing Cloud first, and tick the box. Nothing was changed."
DECLARED = "Marked as not started. Its definition can be started again."


@signed_in
def run(request: SignedInRequest, pk: int) -> HttpResponse:
    shown = base.visible_run(request.user, pk)
    # from then on a person can mark it as not started, though no row has changed
    is_overdue = (
        shown.status == RunStatus.UNKNOWN
        and resolve.grace_ends_at(shown) <= timezone.now()
    )
    # the page follows that run's account alone, and the workers
    version = base.PageVersion(
        number=shown.account.revision,
        workers=models.workers_of(shown.workers),  # type: ignore[attr-defined]
        # another version, so that the page's next poll isn't answered "nothing changed"
        heard_step=2 * base.step_of(shown.last_checked_at) + is_overdue,
    )
    if base.is_unchanged(request, version):
        return base.nothing_changed()
    unfollowed = shown.why_not_followed(version.workers)
    # a result may still turn up for a run that was given up, also by a person
    is_given_up = (
        shown.status == RunStatus.NOT_STARTED and shown.reason in models.GIVEN_UP
    )
    is_over = shown.has_ended and not is_given_up
    word = shown.get_status_display() + (", not followed" if unfollowed else "")
    context = _context(request.user, shown, unfollowed)
    context["live"] = base.live(
        request,
        version,
        title=f"{word}: {spoken(shown.shown_name)} · mcdash",
        is_moving=shown.is_active and not unfollowed,
        is_over=is_over,
        state="attention" if unfollowed else status_look(shown.status).tab,
        workers=models.WorkerState() if is_over else version.workers,
        # the page's own notice says what is wrong with them, and since when
        has_notice=unfollowed is not None and unfollowed.why.lies_with_workers,
    )
    return base.answer(request, "run", context)


def _context(
    user: models.User, run: ImportRun, unfollowed: models.Unfollowed | None
) -> dict[str, Any]:
    is_unknown = run.status == RunStatus.UNKNOWN
    candidates = resolve.candidates_of(run) if is_unknown else []
    can = base.can_start(user, run)
    can_declare = (
        can and is_unknown and not resolve.why_not_declarable(run, timezone.now())
    )
    can_be_repeated = can and run.has_ended and can_start_again(run)
    previous, declared = _previous(run), None
    if run.reason == models.Reason.DECLARED:
        declared = run.events.filter(kind=models.EventKind.NOT_STARTED).last()
    around = Surroundings(
        candidates=len(candidates),
        previous=previous,
        can_declare=can_declare,
        declared_by=declared.actor_name if declared else "",
        is_followed=unfollowed is None,
    )
    events = run.events.all()[:MOST_EVENTS]
    definition, started_from = None, run.definition_version
    if run.definition_id:
        # read again, since its facts in short say where it loads to
        definitions = ImportDefinition.objects.with_destination()
        definition = definitions.get(pk=run.definition_id)
    return {
        "run": run,
        "advice": advice(run, around),
        "nobody_looks": nobody_looks(run, unfollowed, user),
        "timeline": timeline(run, events, is_followed=unfollowed is None),
        "previous": previous,
        "comparison": compare(run, previous) if previous else [],
        "facts": facts_in_short(definition) if definition else [],
        "is_changed_since": definition
        and started_from
        and started_from.digest != definition.digest,
        "details": details_of(run),
        "support_text": support_text(run),
        "zone_words": zone_name(),
        "again": list(run.again.latest_first()[:3]),
        "start_again": start_again(run) if can_be_repeated else None,
        "can_cancel": can and RunStatus.CANCELLED in TRANSITIONS[RunStatus(run.status)],
        "can_check_again": can and run.status == RunStatus.LOST,
        "can_choose": can and len(candidates) > 1,
        "can_declare": can_declare,
    }


def _previous(run: ImportRun) -> ImportRun | None:
    """The run of the same definition that ended before this one began; none for
    one that never ran.
    """
    if run.definition is None or run.status in NEVER_RAN:
        return None
    earlier = run.definition.runs.filter(status__in=models.FINISHED).exclude(
        total_rows=None
    )
    return RunOrder().after(earlier, (run.occurred_at, run.pk)).first()


@signed_in
@require_POST
def cancel(request: SignedInRequest, pk: int) -> HttpResponse:
    done = "Cancelled: nothing was sent to Marketing Cloud."
    return _act(request, _startable_run(request, pk), start.cancel_run, done)


@signed_in
@require_POST
def check_again(request: SignedInRequest, pk: int) -> HttpResponse:
    done = "Checking again: the worker asks for it now."
    return _act(request, _startable_run(request, pk), follow.check_again, done)


@signed_in
@require_http_methods(["GET", "HEAD", "POST"])
def choose(request: SignedInRequest, pk: int) -> HttpResponse:
    """A person chooses which of several runs in Marketing Cloud this one is."""
    run, choice = _startable_run(request, pk), request.POST.get("task", "")
    if request.method != "POST":
        return _ask_which(request, run)
    if not choice:
        return _ask_which(request, run, 400, "Choose one of them first.")
    task = None if choice == NONE_OF_THESE else choice
    done = (
        f"{spoken(run.shown_name)} is task {task}. mcdash follows it now."
        if task
        else "None of those. mcdash keeps looking."
    )
    action = partial(resolve.choose_task, task_id=task)
    return _act(request, run, action, done, _ask_which)


def _ask_which(
    request: SignedInRequest, run: ImportRun, status: int = 200, problem: str = ""
) -> HttpResponse:
    # it may have been settled while the dialog was on its way
    is_open = run.status == RunStatus.UNKNOWN
    context = {
        "run": run,
        "candidates": resolve.candidates_of(run) if is_open else [],
        "none_of_these": NONE_OF_THESE,
        "problem": problem,
    }
    page, part = "run/choose.html", "run/_choose_dialog.html"
    return base.dialog(request, page, part, context, status)


@signed_in
@require_http_methods(["GET", "HEAD", "POST"])
def declare_not_started(request: SignedInRequest, pk: int) -> HttpResponse:
    """A person marks an unknown run as not started, once they have looked."""
    run = _startable_run(request, pk)
    if request.method != "POST":
        return _ask_whether(request, run)
    if request.POST.get("looked") != "yes":
        return _ask_whether(request, run, 400, LOOK_FIRST)
    return _act(request, run, resolve.declare_not_started, DECLARED, _ask_whether)


def _ask_whether(
    request: SignedInRequest, run: ImportRun, status: int = 200, problem: str = ""
) -> HttpResponse:
    now, opens_at = timezone.now(), resolve.grace_ends_at(run)
    context = {
        "run": run,
        "opens_at": clock_text(opens_at) if opens_at > now else "",
        "why_not": resolve.why_not_declarable(run, now),
        "sent_at": clock_text(run.sent_at),
        "problem": problem,
    }
    page, part = "run/declare.html", "run/_declare_dialog.html"
    return base.dialog(request, page, part, context, status)


def _startable_run(request: SignedInRequest, pk: int) -> ImportRun:
    run = base.visible_run(request.user, pk)
    base.require_start(request.user, run)
    return run


def _act(
    request: SignedInRequest,
    run: ImportRun,
    action: Callable[..., ImportRun],
    done: str,
    ask: Callable[..., HttpResponse] | None = None,
) -> HttpResponse:
    """Do it and say what came of it: on the run's page, or, where a dialog asked for
    it, in that dialog.
    """
    try:
        action(run=run, by=request.user, ip=address_of(request))
    except UseCaseError as error:
        if ask:
            # read again, since it is no longer what it was when the dialog opened
            return ask(request, _startable_run(request, run.pk), 409, str(error))
        messages.error(request, str(error))
        return redirect("imports:run", pk=run.pk)
    # the page behind the dialog stays, and is asked to look at once
    if ask and request.htmx:
        response = render(request, "imports/run/_toast_done.html", {"text": done})
        return base.close_dialog(response)
    messages.success(request, done)
    return redirect("imports:run", pk=run.pk)
