"""`/runs/<id>/not-started/`: a person says that an unknown run did not start."""

from __future__ import annotations

from django.contrib import messages
from django.http import HttpResponse
from django.shortcuts import redirect, render
from django.utils import timezone
from django.views.decorators.http import require_http_methods
from django_htmx.http import reswap, retarget, trigger_client_event

from imports.models import ImportRun
from imports.templatetags.times import clock_text
from imports.usecases.declare_not_started import (
    declare_not_started,
    grace_ends_at,
    why_not_declarable,
)
from imports.usecases.errors import UseCaseError
from imports.views.access import SignedInRequest, require_start, signed_in, visible_run
from imports.views.audit import address_of

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
    response = render(request, "imports/_toast_done.html", {"text": DONE})
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
        return render(request, "imports/declare.html", context, status=status)
    response = render(request, "imports/_declare_dialog.html", context, status=status)
    return reswap(retarget(response, "#dialog-slot"), "innerHTML")
