"""Starting definitions, one or several: a question that says what each start will do,
then the starts.

A start is asked for with a token made when the question is shown: however often the
answer is sent, the same token gives the same run. What the person saw (the definition's
digest) must still be so. What replaces a great many rows is started only by somebody
who types its name.
"""

from __future__ import annotations

import unicodedata
from collections.abc import Iterable, Sequence
from typing import Any, NamedTuple
from uuid import UUID, uuid4

from django.conf import settings
from django.contrib import messages
from django.db.models import OuterRef, Subquery
from django.http import Http404, HttpResponse, QueryDict
from django.shortcuts import redirect, render
from django.views.decorators.http import require_http_methods
from django_htmx.http import trigger_client_event

from imports.forms import StartForm, StartSeveralForm
from imports.models import Account, DefinitionVersion, ImportDefinition, ImportRun, User
from imports.signin import address_of
from imports.text import has_ink
from imports.usecases.errors import AlreadyRunningError, UseCaseError
from imports.usecases.start import MOST_AT_ONCE, start_import, start_imports
from imports.views import base
from imports.views.base import SignedInRequest, signed_in
from imports.wording.definition import Effect, changes, effect, facts_in_short
from imports.wording.formats import spoken
from imports.wording.status import SUCCESSFUL

INCOMPLETE = "Something was missing, so nothing was started. {advice}"
CHANGED = (
    "{names} changed in Marketing Cloud while you were looking. Nothing was started. "
    "Look again, then start."
)
NOT_TYPED = "That isn’t {words}, so nothing was started. Type it exactly, or cancel."
NOTHING_CHOSEN = "You didn’t choose a definition, so there’s nothing to start."
TOO_MANY = (
    "You chose {n} definitions, but only {most} can be started at once. Nothing was "
    "started. Choose fewer."
)
# Further facts stand on the definition's own page.
FACTS_SHOWN = 2
LONGEST_TYPED = 1000


class Item(NamedTuple):
    """A chosen definition: what its start would do, or why it can't be started now."""

    definition: ImportDefinition
    effect: Effect
    why_not: str
    replaces_many_rows: bool


def confirmation_for(items: Iterable[Item], sent: QueryDict) -> dict[str, Any] | None:
    """The words to type before `items` are started, why, and whether they were, however
    spaced; a name with its capitals. None where a press is enough.
    """
    large = [item.definition for item in items if item.replaces_many_rows]
    if not large:
        return None
    n, typed = len(large), sent.get("confirm_name", "")[:LONGEST_TYPED]
    words, which = large[0].shown_name, "its last successful run"
    if n > 1:
        words, which = f"replace {n}", f"the last successful run of each of these {n}"
    wanted, given = (
        " ".join(unicodedata.normalize("NFC", text).split()) for text in (words, typed)
    )
    most = settings.MCDASH_TYPE_NAME_ROWS
    return {
        "words": words,
        "reason": f"Please confirm: {which} replaced more than {most:,} rows.",
        "is_name": n == 1,
        "typed": typed,
        "is_given": given == wanted
        or (n > 1 and given.casefold() == wanted.casefold()),
    }


def items_of(chosen: Sequence[ImportDefinition]) -> list[Item]:
    """What each start would do, in a constant number of queries."""
    counted = ImportRun.objects.filter(
        definition=OuterRef("pk"), status__in=SUCCESSFUL, total_rows__isnull=False
    )
    last = Subquery(counted.latest_first().values("pk")[:1])
    rows = ImportDefinition.objects.filter(pk__in=[each.pk for each in chosen])
    runs = ImportRun.objects.filter(pk__in=rows.values(last=last))
    last_runs = {run.definition_id: run for run in runs}
    active = base.active_runs(chosen, ImportRun.objects.all())
    items = []
    for definition in chosen:
        last_run = last_runs.get(definition.pk)
        rows_replaced = (last_run and last_run.total_rows) or 0
        why_not = definition.why_not_startable
        if run := active.get(definition.pk):
            starter = run.started_by_name
            who = f", started by {starter}" if has_ink(starter) else ""
            why_not = f"It is already running{who}."
        items.append(
            Item(
                definition=definition,
                effect=effect(definition, last_run),
                why_not=why_not,
                replaces_many_rows=definition.replaces_rows
                and rows_replaced > settings.MCDASH_TYPE_NAME_ROWS,
            )
        )
    return items


# One definition


@signed_in
@require_http_methods(["GET", "HEAD", "POST"])
def start(request: SignedInRequest, pk: int) -> HttpResponse:
    """GET asks, POST starts: once, however often it is sent."""
    definition = base.visible_definition(request.user, pk)
    base.require_start(request.user, definition)
    if request.method != "POST":
        return _ask(request, definition)
    form = StartForm(request.POST)
    if not form.is_valid():
        problem = INCOMPLETE.format(advice="Please try again.")
        return _ask(request, definition, 400, problem=problem)
    sent = form.cleaned_data
    # an earlier press of the same button is answered alike, whatever changed since
    if first := definition.runs.filter(request_token=sent["request_token"]).first():
        return _started(request, first)
    if sent["digest"] != definition.digest:
        more: dict[str, Any] = {"problem": CHANGED.format(names="The definition was")}
        versions = DefinitionVersion.objects.filter(definition=definition)
        if seen := versions.filter(digest=sent["digest"]).first():
            account, now = definition.account, definition.facts
            more["changes"] = changes(seen.facts, now, account)
        return _ask(request, definition, 409, **more)
    confirmation = confirmation_for(items_of([definition]), request.POST)
    if confirmation and not confirmation["is_given"]:
        problem = NOT_TYPED.format(words="the definition’s name")
        return _ask(request, definition, 422, problem=problem, form=form)
    try:
        run = start_import(
            definition=definition,
            started_by=request.user,
            request_token=sent["request_token"],
            again_of=definition.runs.filter(pk=sent["again_of"]).first(),
            ip=address_of(request),
        )
    except AlreadyRunningError as error:
        return _ask(request, definition, 409, active=error.run)
    except UseCaseError as error:
        return _ask(request, definition, 409, problem=str(error))
    return _started(request, run)


def _ask(
    request: SignedInRequest,
    definition: ImportDefinition,
    status: int = 200,
    **more: Any,
) -> HttpResponse:
    """The question about one definition; `more` of its context is what went wrong."""
    (item,) = items_of([definition])
    runs = definition.runs.active().select_related("account", "definition")
    again_of = request.POST.get("again_of") or request.GET.get("again_of") or ""
    press = {"request_token": uuid4(), "again_of": base.as_id(again_of)}
    context = {
        "definition": definition,
        "problem": "",
        "was_refused": status == 409,
        # what runs has a notice of its own, unless it was started outside: a start
        # adds another to that one
        "why_not": definition.why_not_startable,
        "active": runs.ours().first(),
        "active_outside": runs.exclude(pk__in=runs.ours()).first(),
        "wanted": confirmation_for([item], request.POST),
        "effect": item.effect,
        "facts": facts_in_short(definition)[:FACTS_SHOWN],
        "form": StartForm(initial=press),
    }
    return base.dialog(request, "start", "one", context | more, status)


def _started(request: SignedInRequest, run: ImportRun) -> HttpResponse:
    if not request.htmx:
        messages.success(request, f"{spoken(run.shown_name)} is queued.")
        return redirect("imports:run", pk=run.pk)
    response = render(request, "imports/start/_toast_started.html", {"run": run})
    return base.close_dialog(response)


# Several definitions


@signed_in
@require_http_methods(["GET", "HEAD", "POST"])
def start_several(request: SignedInRequest) -> HttpResponse:
    """GET asks, POST starts: each chosen definition once, however often it is sent."""
    if request.method != "POST":
        texts = dict.fromkeys(request.GET.getlist("definition"))
        ids = [pk for pk in map(base.as_id, texts) if pk is not None]
        if len(ids) != len(texts):
            raise Http404("There is no such definition.")
        return _ask_several(request, _chosen(request.user, ids))
    form = StartSeveralForm(request.POST)
    if not form.is_valid():
        problem = INCOMPLETE.format(advice="Choose the definitions again.")
        return base.dialog(request, "start", "several", {"problem": problem}, 400)
    digests: dict[int, str] = dict(form.cleaned_data["chosen"])
    chosen, batch = _chosen(request.user, list(digests)), form.cleaned_data["batch"]
    # what an earlier press of the same button started has been asked about already
    earlier = ImportRun.objects.filter(batch=batch, started_by=request.user)
    started = set(earlier.values_list("definition", flat=True))
    new = [definition for definition in chosen if definition.pk not in started]
    changed = [each for each in new if each.digest != digests[each.pk]]
    if changed or not 0 < len(chosen) <= MOST_AT_ONCE:
        return _ask_several(request, chosen, changed)
    ready = [item for item in items_of(new) if not item.why_not]
    confirmation = confirmation_for(ready, request.POST)
    if confirmation and not confirmation["is_given"]:
        problem = NOT_TYPED.format(words="what you were asked to type")
        return _ask_several(request, chosen, problem=problem, batch=batch)
    return _start_several(request, chosen, batch)


def _start_several(
    request: SignedInRequest, chosen: list[ImportDefinition], batch: UUID
) -> HttpResponse:
    """Start them, and tell what became of each: a toast where all went well."""
    outcomes = start_imports(
        definitions=chosen,
        started_by=request.user,
        batch=batch,
        ip=address_of(request),
    )
    n = sum(outcome.run is not None for outcome in outcomes)
    context = {
        "outcomes": outcomes,
        "started": n,
        "refused": len(outcomes) - n,
        "text": f"{n:,} import{' is' if n == 1 else 's are'} queued.",
    }
    if request.htmx and n == len(outcomes):
        response = render(request, "imports/start/_toast_several.html", context)
    else:
        status = 200 if n else 409
        response = base.dialog(request, "start", "started_several", context, status)
    for event in ("mcdash:changed", "mcdash:several-started"):
        trigger_client_event(response, event, {})
    return response


def _chosen(user: User, ids: list[int]) -> list[ImportDefinition]:
    """The definitions, by name; 404 unless all can be seen, 403 unless startable."""
    visible = ImportDefinition.objects.visible_to(user).filter(pk__in=ids[:1000])
    chosen = list(
        visible.with_destination()
        .select_related("account")
        .order_by("account__name", "name")
    )
    if len(chosen) != len(ids):
        raise Http404("One of these definitions is not there.")
    startable = set(Account.objects.startable_by(user).values_list("pk", flat=True))
    for definition in chosen:
        # asked again one by one only where it will be refused, with its sentence
        if definition.account_id not in startable:
            base.require_start(user, definition)
    return chosen


def _ask_several(
    request: SignedInRequest,
    chosen: list[ImportDefinition],
    changed: Sequence[ImportDefinition] = (),
    *,
    problem: str = "",
    batch: UUID | None = None,
) -> HttpResponse:
    """The question, with a fresh press of the button unless `batch` is given."""
    if not 0 < len(chosen) <= MOST_AT_ONCE:
        too_many = TOO_MANY.format(n=len(chosen), most=MOST_AT_ONCE)
        problem = too_many if chosen else NOTHING_CHOSEN
        return base.dialog(request, "start", "several", {"problem": problem}, 400)
    status = 409 if changed else 422 if problem else 200
    if changed:
        names = ", ".join(f"“{spoken(each.shown_name)}”" for each in changed)
        problem = CHANGED.format(names=names)
    items = items_of(chosen)
    ready = [item for item in items if not item.why_not]
    press = {
        "batch": batch or uuid4(),
        "chosen": [f"{item.definition.pk}:{item.definition.digest}" for item in ready],
    }
    context = {
        "ready": sorted(ready, key=lambda item: not item.replaces_many_rows),
        "large": [item for item in ready if item.replaces_many_rows],
        "wanted": confirmation_for(ready, request.POST),
        "replacing": [item for item in ready if item.effect.is_careful],
        "held_up": [item for item in items if item.why_not],
        "form": StartSeveralForm(initial=press),
        "problem": problem,
    }
    return base.dialog(request, "start", "several", context, status)
