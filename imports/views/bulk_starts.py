"""Start several definitions: one question that names them all, then as many starts."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any
from uuid import UUID

from django.db.models import OuterRef, Subquery
from django.http import Http404, HttpResponse
from django.shortcuts import render
from django.views.decorators.http import require_http_methods
from django_htmx.http import reswap, retarget, trigger_client_event

from imports.forms import StartSeveralForm
from imports.models import Account, ImportDefinition, ImportRun, RunStatus, User
from imports.models.names import has_ink
from imports.tasks import wake_worker
from imports.templatetags.texts import spoken
from imports.usecases.start_imports import MOST_AT_ONCE, StartOutcome, start_imports
from imports.views.access import SignedInRequest, require_start, signed_in
from imports.views.audit import address_of
from imports.views.confirming import is_large, wanted_for
from imports.views.effects import Effect, effect
from imports.views.facts import with_destination

NOT_COMPLETE = (
    "This form was not complete, so nothing was started. Choose the definitions again."
)
NOTHING_CHOSEN = "No definition was chosen, so there is nothing to start."
TOO_MANY = (
    "{n} definitions were chosen; at most {most} are started in one go. Nothing was "
    "started. Choose fewer."
)
CHANGED = (
    "{names} changed in Marketing Cloud while you were looking. Nothing was started. "
    "Look again, then start."
)
NOT_TYPED = (
    "What was typed below is not what is asked for, so nothing was started. Type it as "
    "it is written, or cancel."
)


@dataclass(frozen=True, kw_only=True, slots=True)
class Item:
    """A chosen definition: what its start would do, or why it cannot be started."""

    definition: ImportDefinition
    effect: Effect
    why_not: str
    is_large: bool


@signed_in
@require_http_methods(["GET", "HEAD", "POST"])
def definition_start_several(request: SignedInRequest) -> HttpResponse:
    """GET asks, POST starts: each chosen definition once, however often it is sent."""
    if request.method != "POST":
        chosen = _chosen(request.user, _ids(request.GET.getlist("definition")))
        return _ask(request, chosen)
    form = StartSeveralForm(request.POST)
    if not form.is_valid():
        return _refuse(request, NOT_COMPLETE)
    seen: dict[int, str] = dict(form.cleaned_data["chosen"])
    chosen = _chosen(request.user, list(seen))
    batch = form.cleaned_data["batch"]
    changed = _changed(request.user, chosen, seen, batch)
    if changed or not 0 < len(chosen) <= MOST_AT_ONCE:
        return _ask(request, chosen, changed)
    if not _is_confirmed(request, chosen, batch):
        return _ask(request, chosen, problem=NOT_TYPED, batch=batch)
    return _start(request, chosen, batch)


def _ids(texts: Iterable[str]) -> list[int]:
    """The ids without doubles; 404 for what cannot be one."""
    texts = list(dict.fromkeys(texts))
    if not all(
        text.isascii() and text.isdecimal() and len(text) < 19 for text in texts
    ):
        raise Http404("There is no such definition.")
    return [int(text) for text in texts]


def _chosen(user: User, ids: list[int]) -> list[ImportDefinition]:
    """The definitions, by name. 404 where one is not to be seen, 403 where one may
    be seen only.
    """
    visible = ImportDefinition.objects.visible_to(user).filter(pk__in=ids[:1000])
    told = with_destination(visible.select_related("account"))
    chosen = list(told.order_by("account__name", "name"))
    if len(chosen) != len(ids):
        raise Http404("One of these definitions is not there.")
    startable = set(Account.objects.startable_by(user).values_list("pk", flat=True))
    for definition in chosen:
        if definition.account_id not in startable:
            require_start(user, definition)
    return chosen


def _changed(
    user: User, chosen: list[ImportDefinition], seen: dict[int, str], batch: UUID
) -> list[ImportDefinition]:
    """What is not as the person saw it, unless this very press started it before."""
    known = _started_before(user, batch)
    return [one for one in chosen if one.pk not in known and one.digest != seen[one.pk]]


def _started_before(user: User, batch: UUID) -> set[int | None]:
    """The definitions that an earlier arrival of the same press started."""
    started = ImportRun.objects.filter(batch=batch, started_by=user)
    return set(started.values_list("definition", flat=True))


def _is_confirmed(
    request: SignedInRequest, chosen: list[ImportDefinition], batch: UUID
) -> bool:
    """Whether what the large Overwrites among them ask for was typed."""
    known = _started_before(request.user, batch)
    items = _items([one for one in chosen if one.pk not in known])
    large = [one.definition for one in items if one.is_large and not one.why_not]
    wanted = wanted_for(large)
    return wanted is None or wanted.is_typed_in(request.POST.get("confirm_name", ""))


def _ask(
    request: SignedInRequest,
    chosen: list[ImportDefinition],
    changed: list[ImportDefinition] | None = None,
    *,
    problem: str = "",
    batch: UUID | None = None,
) -> HttpResponse:
    """The question, with a fresh press of the button unless `batch` is given."""
    if not chosen:
        return _refuse(request, NOTHING_CHOSEN)
    if len(chosen) > MOST_AT_ONCE:
        return _refuse(request, TOO_MANY.format(n=len(chosen), most=MOST_AT_ONCE))
    items = _items(chosen)
    ready = [item for item in items if not item.why_not]
    names = ", ".join(f"“{spoken(one.shown_name)}”" for one in changed or ())
    large = [item for item in ready if item.is_large]
    typed = request.POST.get("confirm_name", "")
    context = {
        "ready": sorted(ready, key=lambda item: not item.is_large),
        "large": large,
        "wanted": wanted_for([item.definition for item in large], typed),
        "replacing": [item for item in ready if item.effect.is_careful],
        "held_up": [item for item in items if item.why_not],
        "form": StartSeveralForm.fresh((item.definition for item in ready), batch),
        "problem": CHANGED.format(names=names) if changed else problem,
    }
    status = 409 if changed else 422 if problem else 200
    return _show(request, "start_several", context, status)


def _items(chosen: list[ImportDefinition]) -> list[Item]:
    """What each start would do, in a constant number of queries."""
    good = ImportRun.objects.filter(
        definition=OuterRef("pk"),
        status__in=(RunStatus.COMPLETED, RunStatus.COMPLETED_WITH_ERRORS),
        total_rows__isnull=False,
    )
    last = Subquery(good.latest_first().values("pk")[:1])
    rows = ImportDefinition.objects.filter(pk__in=[one.pk for one in chosen])
    last_of = dict(rows.values_list("pk", last))
    runs = ImportRun.objects.in_bulk([pk for pk in last_of.values() if pk])
    active = _under_way(chosen)
    return [
        Item(
            definition=one,
            effect=effect(one, runs.get(last_of[one.pk])),
            why_not=_why_not(one, active.get(one.pk)),
            is_large=is_large(one, runs.get(last_of[one.pk])),
        )
        for one in chosen
    ]


def _under_way(chosen: list[ImportDefinition]) -> dict[int | None, ImportRun]:
    runs = ImportRun.objects.active().filter(definition__in=chosen)
    return {run.definition_id: run for run in runs.order_by("occurred_at")}


def _why_not(definition: ImportDefinition, active: ImportRun | None) -> str:
    if active:
        starter = active.started_by_name
        who = f", started by {starter}" if has_ink(starter) else ""
        return f"It is under way{who}."
    return definition.why_not_startable


def _start(
    request: SignedInRequest, chosen: list[ImportDefinition], batch: UUID
) -> HttpResponse:
    outcomes = start_imports(
        definitions=chosen,
        started_by=request.user,
        batch=batch,
        ip=address_of(request),
    )
    runs = [outcome.run for outcome in outcomes if outcome.run]
    for run in {run.account_id: run for run in runs}.values():
        wake_worker(run)
    return _tell(request, outcomes, len(runs))


def _tell(
    request: SignedInRequest, outcomes: list[StartOutcome], started: int
) -> HttpResponse:
    """What became of each: a toast where all went well, else one by one."""
    context = {
        "outcomes": outcomes,
        "started": started,
        "refused": len(outcomes) - started,
        "text": f"{started:,} import{' is' if started == 1 else 's are'} queued.",
    }
    if request.htmx and started == len(outcomes):
        response = render(request, "imports/_toast_several.html", context)
    else:
        status = 200 if started else 409
        response = _show(request, "started_several", context, status)
    for event in ("mcdash:changed", "mcdash:several-started"):
        trigger_client_event(response, event, {})
    return response


def _refuse(request: SignedInRequest, problem: str) -> HttpResponse:
    return _show(request, "start_several", {"problem": problem}, 400)


def _show(
    request: SignedInRequest, name: str, context: dict[str, Any], status: int
) -> HttpResponse:
    """The page, or for htmx its dialog."""
    if not request.htmx:
        return render(request, f"imports/{name}.html", context, status=status)
    response = render(request, f"imports/_{name}_dialog.html", context, status=status)
    return reswap(retarget(response, "#dialog-slot"), "innerHTML")
