"""Start a definition: the dialog that names object and effect, and what it sends."""

from __future__ import annotations

from typing import Any

from django.contrib import messages
from django.http import HttpResponse
from django.shortcuts import redirect, render
from django.views.decorators.http import require_http_methods
from django_htmx.http import reswap, retarget, trigger_client_event

from imports.forms import StartForm
from imports.models import DefinitionVersion, ImportDefinition, ImportRun
from imports.tasks import wake_worker
from imports.templatetags.texts import spoken
from imports.usecases.errors import AlreadyRunningError, UseCaseError
from imports.usecases.start_import import start_import
from imports.views.access import (
    SignedInRequest,
    require_start,
    signed_in,
    visible_definition,
)
from imports.views.audit import address_of
from imports.views.confirming import Wanted, is_large, wanted_for
from imports.views.effects import effect, facts_in_short, last_good_run
from imports.views.facts import changes

INCOMPLETE = "This form was not complete, so nothing was started. Here is a fresh one."
CHANGED = (
    "The definition was changed in Marketing Cloud while you were looking at it. "
    "Nothing was started. Look again, then start it."
)
NOT_TYPED = (
    "The name below is not the definition’s, so nothing was started. Type it as it is "
    "written, or cancel."
)
IN_DIALOG = 2  # facts beyond these stand on the definition's own page


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
        return _dialog(request, definition, status=400, problem=INCOMPLETE)
    again = _first_run(definition, form.cleaned_data["request_token"])
    if again is not None:
        return _started(request, again)
    if form.cleaned_data["digest"] != definition.digest:
        return _changed(request, definition, form.cleaned_data["digest"])
    wanted = _wanted(request, definition, last_good_run(definition))
    if wanted and not wanted.is_typed_in(request.POST.get("confirm_name", "")):
        return _dialog(request, definition, status=422, problem=NOT_TYPED, form=form)
    return _start(request, definition, form.cleaned_data)


def _wanted(
    request: SignedInRequest, definition: ImportDefinition, last: ImportRun | None
) -> Wanted | None:
    """The name to type, where the start replaces a great many rows."""
    large = [definition] if is_large(definition, last) else []
    return wanted_for(large, request.POST.get("confirm_name", ""))


def _first_run(definition: ImportDefinition, token: Any) -> ImportRun | None:
    """The run of an earlier press of the same button, whatever changed since."""
    return definition.runs.filter(request_token=token).first()


def _start(
    request: SignedInRequest, definition: ImportDefinition, wanted: dict[str, Any]
) -> HttpResponse:
    try:
        run = start_import(
            definition=definition,
            started_by=request.user,
            request_token=wanted["request_token"],
            again_of=_origin_run(definition, wanted["again_of"]),
            ip=address_of(request),
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
        messages.success(request, f"{spoken(run.shown_name)} is queued.")
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
        problem=CHANGED,
        changes=changes(old.facts, definition.facts, definition.account) if old else [],
    )


def _dialog(
    request: SignedInRequest,
    definition: ImportDefinition,
    *,
    status: int = 200,
    problem: str = "",
    active: ImportRun | None = None,
    **more: Any,
) -> HttpResponse:
    runs = definition.runs.active().select_related("account", "definition")
    context = {
        "definition": definition,
        "problem": problem,
        "was_refused": status == 409,
        "why_not": definition.why_not_startable,
        "active": active or runs.ours().first(),
        "active_outside": runs.exclude(pk__in=runs.ours()).first(),
        **_what_it_does(request, definition),
        "form": StartForm.fresh(definition, _again_of(request)),
        **more,
    }
    if not request.htmx:
        return render(request, "imports/start.html", context, status=status)
    response = render(request, "imports/_start_dialog.html", context, status=status)
    return reswap(retarget(response, "#dialog-slot"), "innerHTML")


def _what_it_does(
    request: SignedInRequest, definition: ImportDefinition
) -> dict[str, Any]:
    last = last_good_run(definition)
    return {
        "wanted": _wanted(request, definition, last),
        "effect": effect(definition, last),
        "facts": facts_in_short(definition)[:IN_DIALOG],
        "last_run": definition.last_run,
    }


def _again_of(request: SignedInRequest) -> int | None:
    text = request.POST.get("again_of") or request.GET.get("again_of") or ""
    return int(text) if text.isdecimal() and len(text) <= 18 else None
