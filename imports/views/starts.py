"""Start a definition: the dialog that names object and effect, and what it sends."""

from __future__ import annotations

from typing import Any

from django.http import HttpResponse
from django.shortcuts import redirect, render
from django.views.decorators.http import require_http_methods
from django_htmx.http import reswap, retarget, trigger_client_event

from imports.forms import StartForm
from imports.models import DefinitionVersion, ImportDefinition, ImportRun
from imports.tasks import wake_worker
from imports.usecases.errors import AlreadyRunningError, UseCaseError
from imports.usecases.start_import import start_import

from .access import (
    SignedInRequest,
    may_start,
    require_start,
    signed_in,
    visible_definition,
)
from .facts import changes, definition_in_words, tolerates_errors


@signed_in
@require_http_methods(["GET", "HEAD", "POST"])
def definition_start(request: SignedInRequest, pk: int) -> HttpResponse:
    """GET shows the dialog, POST starts: once, however often it is sent."""
    definition = visible_definition(request.user, pk)
    require_start(request.user, definition)
    if request.method != "POST":
        return _dialog(request, definition)
    form = StartForm(request.POST)
    if not form.is_valid():
        return _dialog(
            request,
            definition,
            status=400,
            problem="This form was not complete, so nothing was started. Here is a "
            "fresh one.",
        )
    if form.cleaned_data["digest"] != definition.digest:
        return _changed(request, definition, form.cleaned_data["digest"])
    return _start(request, definition, form.cleaned_data)


def _start(
    request: SignedInRequest, definition: ImportDefinition, wanted: dict[str, Any]
) -> HttpResponse:
    try:
        run = start_import(
            definition=definition,
            started_by=request.user,
            request_token=wanted["request_token"],
            again_of=_origin_run(definition, wanted["again_of"]),
        )
    except AlreadyRunningError as error:
        return _dialog(request, definition, status=409, active=error.run)
    except UseCaseError as error:
        return _dialog(request, definition, status=409, problem=str(error))
    wake_worker(run)
    return _started(request, run)


def _origin_run(definition: ImportDefinition, pk: int | None) -> ImportRun | None:
    return definition.runs.filter(pk=pk).first() if pk else None


def _started(request: SignedInRequest, run: ImportRun) -> HttpResponse:
    if not request.htmx:
        return redirect("imports:run", pk=run.pk)
    response = render(request, "imports/_toast_started.html", {"run": run})
    trigger_client_event(response, "mcdash:close-dialog", {})
    return trigger_client_event(response, "mcdash:changed", {})


def _changed(
    request: SignedInRequest, definition: ImportDefinition, seen: str
) -> HttpResponse:
    """The definition is not what the person saw: show it again, with what changed."""
    old = DefinitionVersion.objects.filter(definition=definition, digest=seen).first()
    return _dialog(
        request,
        definition,
        status=409,
        problem="The definition was changed in Marketing Cloud while you were looking "
        "at it. Nothing was started. Look again, then start it.",
        changes=changes(old.facts, definition.facts) if old else [],
    )


def _dialog(
    request: SignedInRequest,
    definition: ImportDefinition,
    *,
    status: int = 200,
    **more: Any,
) -> HttpResponse:
    last = definition.runs.exclude(total_rows=None).latest_first().first()
    again_of = request.POST.get("again_of") or request.GET.get("again_of") or ""
    context = {
        "definition": definition,
        "form": StartForm.fresh(
            definition, int(again_of) if again_of[:18].isdecimal() else None
        ),
        "last": last,
        "in_words": definition_in_words(definition),
        "tolerates_errors": tolerates_errors(definition),
        "why_not": definition.account.why_not_startable,
        "active": definition.runs.active().select_related("definition").first(),
        "may_start": may_start(request.user, definition),
        **more,
    }
    if not request.htmx:
        return render(request, "imports/start.html", context, status=status)
    response = render(request, "imports/_start_dialog.html", context, status=status)
    return reswap(retarget(response, "#dialog-slot"), "innerHTML")
