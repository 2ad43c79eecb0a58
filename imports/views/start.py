"""Start several definitions: one question that names them all, then as many starts."""

from __future__ import annotations

import unicodedata
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Any
from uuid import UUID

from django.conf import settings
from django.contrib import messages
from django.db.models import OuterRef, Subquery
from django.http import Http404, HttpResponse
from django.shortcuts import redirect, render
from django.views.decorators.http import require_http_methods
from django_htmx.http import reswap, retarget, trigger_client_event

from imports.forms import StartForm, StartSeveralForm
from imports.models import (
    Account,
    DefinitionVersion,
    ImportDefinition,
    ImportRun,
    RunStatus,
    User,
)
from imports.signin import address_of
from imports.text import has_ink
from imports.usecases.errors import AlreadyRunningError, UseCaseError
from imports.usecases.start import (
    MOST_AT_ONCE,
    StartOutcome,
    start_import,
    start_imports,
)
from imports.views.base import (
    SignedInRequest,
    dialog,
    require_start,
    signed_in,
    visible_definition,
)
from imports.wording.definition import (
    Effect,
    changes,
    effect,
    facts_in_short,
)
from imports.wording.formats import spoken

# Start a definition: the dialog that names object and effect, and what it sends.


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
    wanted = _wanted(request, definition, definition.last_successful_run())
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
    return _started(request, run)


def _origin_run(definition: ImportDefinition, pk: int | None) -> ImportRun | None:
    return definition.runs.filter(pk=pk).first() if pk else None


def _started(request: SignedInRequest, run: ImportRun) -> HttpResponse:
    if not request.htmx:
        messages.success(request, f"{spoken(run.shown_name)} is queued.")
        return redirect("imports:run", pk=run.pk)
    response = render(request, "imports/start/_toast_started.html", {"run": run})
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
        return render(request, "imports/start/page.html", context, status=status)
    response = render(request, "imports/start/_dialog.html", context, status=status)
    return reswap(retarget(response, "#dialog-slot"), "innerHTML")


def _what_it_does(
    request: SignedInRequest, definition: ImportDefinition
) -> dict[str, Any]:
    last = definition.last_successful_run()
    return {
        "wanted": _wanted(request, definition, last),
        "effect": effect(definition, last),
        "facts": facts_in_short(definition)[:IN_DIALOG],
        "last_run": definition.last_run,
    }


def _again_of(request: SignedInRequest) -> int | None:
    text = request.POST.get("again_of") or request.GET.get("again_of") or ""
    return int(text) if text.isdecimal() and len(text) <= 18 else None


NOT_COMPLETE = (
    "This form was not complete, so nothing was started. Choose the definitions again."
)
NOTHING_CHOSEN = "No definition was chosen, so there is nothing to start."
TOO_MANY = (
    "{n} definitions were chosen; at most {most} are started in one go. Nothing was "
    "started. Choose fewer."
)
SEVERAL_CHANGED = (
    "{names} changed in Marketing Cloud while you were looking. Nothing was started. "
    "Look again, then start."
)
SEVERAL_NOT_TYPED = (
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
    changed = _has_changed_several(request.user, chosen, seen, batch)
    if changed or not 0 < len(chosen) <= MOST_AT_ONCE:
        return _ask(request, chosen, changed)
    if not _is_confirmed(request, chosen, batch):
        return _ask(request, chosen, problem=SEVERAL_NOT_TYPED, batch=batch)
    return _start_several(request, chosen, batch)


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
    told = visible.with_destination().select_related("account")
    chosen = list(told.order_by("account__name", "name"))
    if len(chosen) != len(ids):
        raise Http404("One of these definitions is not there.")
    startable = set(Account.objects.startable_by(user).values_list("pk", flat=True))
    for definition in chosen:
        if definition.account_id not in startable:
            require_start(user, definition)
    return chosen


def _has_changed_several(
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
        "problem": SEVERAL_CHANGED.format(names=names) if changed else problem,
    }
    status = 409 if changed else 422 if problem else 200
    return _show(request, "several", context, status)


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


def _start_several(
    request: SignedInRequest, chosen: list[ImportDefinition], batch: UUID
) -> HttpResponse:
    outcomes = start_imports(
        definitions=chosen,
        started_by=request.user,
        batch=batch,
        ip=address_of(request),
    )
    runs = [outcome.run for outcome in outcomes if outcome.run]
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
        response = render(request, "imports/start/_toast_several.html", context)
    else:
        status = 200 if started else 409
        response = _show(request, "started_several", context, status)
    for event in ("mcdash:changed", "mcdash:several-started"):
        trigger_client_event(response, event, {})
    return response


def _refuse(request: SignedInRequest, problem: str) -> HttpResponse:
    return _show(request, "several", {"problem": problem}, 400)


def _show(
    request: SignedInRequest, name: str, context: dict[str, Any], status: int
) -> HttpResponse:
    return dialog(
        request,
        page=f"imports/start/{name}.html",
        partial=f"imports/start/_{name}_dialog.html",
        context=context,
        status=status,
    )


# What has to be typed before an Overwrite that replaces a great many rows.


LONGEST_KEPT = 1000


@dataclass(frozen=True, kw_only=True, slots=True)
class Wanted:
    """The words to type, why they are asked for, and what was typed so far."""

    words: str
    reason: str
    is_name: bool = True
    typed: str = ""

    def is_typed_in(self, text: str) -> bool:
        """Whether `text` is the words, however they are spaced. A name keeps its
        capital letters.
        """
        wanted, given = _plain(self.words), _plain(text)
        if self.is_name:
            return given == wanted
        return given.casefold() == wanted.casefold()


def _plain(text: str) -> str:
    return " ".join(unicodedata.normalize("NFC", text).split())


def is_large(definition: ImportDefinition, last: ImportRun | None) -> bool:
    """Whether the definition's last good run replaced more rows than may be replaced
    by a mere press.
    """
    rows = (last and last.total_rows) or 0
    return definition.replaces_rows and rows > settings.MCDASH_TYPE_NAME_ROWS


def wanted_for(large: Sequence[ImportDefinition], typed: str = "") -> Wanted | None:
    """What to type before these large Overwrites; None where there are none."""
    if not large:
        return None
    more = f"more than {settings.MCDASH_TYPE_NAME_ROWS:,} rows"
    typed = typed[:LONGEST_KEPT]
    if len(large) == 1:
        return Wanted(
            words=large[0].shown_name,
            reason=f"Asked because it replaced {more} at its last good run.",
            typed=typed,
        )
    return Wanted(
        words=f"replace {len(large)}",
        reason=f"Asked because each of these {len(large)} replaced {more} at its last "
        "good run.",
        is_name=False,
        typed=typed,
    )
