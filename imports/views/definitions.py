"""`/definitions/`: find one among thousands; `/definitions/<id>/`: know it."""

from __future__ import annotations

from typing import Any

from django.core.paginator import Paginator
from django.db.models.functions import Lower
from django.http import HttpResponse
from django.shortcuts import render

from imports.filters import DefinitionFilter
from imports.models import Account, ImportDefinition

from .access import SignedInRequest, may_start, signed_in, visible_definition
from .facts import definition_in_words, facts_of
from .live import answer, is_unchanged, live, nothing_changed, page_version

PER_PAGE = 50
RUNS_SHOWN = 20


@signed_in
def definition_list(request: SignedInRequest) -> HttpResponse:
    version = page_version(request.user)
    if is_unchanged(request, version):
        return nothing_changed()
    context = _list_context(request)
    context["live"] = live(
        request,
        version,
        title="Definitions · mcdash",
        is_moving=any(d.last_run and d.last_run.is_active for d in context["page"]),
    )
    if request.htmx and request.htmx.target == "results":
        return _results(request, context)
    return answer(
        request, "imports/definitions.html", "imports/_definitions_parts.html", context
    )


def _results(request: SignedInRequest, context: dict[str, Any]) -> HttpResponse:
    """What the search field swaps while one types."""
    return render(request, "imports/_definitions_found.html", context)


def _list_context(request: SignedInRequest) -> dict[str, Any]:
    everything = ImportDefinition.objects.visible_to(request.user).filter(
        not_seen_since=None
    )
    found = DefinitionFilter(request.GET, everything, request=request)
    is_valid = found.is_valid()
    ordered = (
        (found.qs if is_valid else everything.none())
        .select_related("account", "last_run")
        .order_by(Lower("name"), "account__name", "pk")
    )
    page = Paginator(ordered, PER_PAGE).get_page(request.GET.get("page"))
    return {
        "filter": found,
        "filter_errors": [] if is_valid else _errors(found),
        "page": page,
        "found": page.paginator.count,
        "total": everything.count(),
        "accounts": list(Account.objects.visible_to(request.user).order_by("name")),
        "startable": set(
            Account.objects.startable_by(request.user).values_list("pk", flat=True)
        ),
        "query": _query_without(request, "since", "page"),
    }


def _errors(found: DefinitionFilter) -> list[str]:
    return [
        f"{name}: {error}" for name, errors in found.errors.items() for error in errors
    ]


def _query_without(request: SignedInRequest, *names: str) -> str:
    query = request.GET.copy()
    for name in names:
        query.pop(name, None)
    return query.urlencode()


@signed_in
def definition(request: SignedInRequest, pk: int) -> HttpResponse:
    shown = visible_definition(request.user, pk)
    version = page_version(request.user)
    if is_unchanged(request, version):
        return nothing_changed()
    runs = shown.runs.select_related("account", "definition").latest_first()
    active = shown.runs.active().select_related("account", "definition").first()
    context = {
        "definition": shown,
        "in_words": definition_in_words(shown),
        "facts": facts_of(shown),
        "versions": list(shown.versions.all()[:10]),
        "runs": list(runs[:RUNS_SHOWN]),
        "active": active,
        "may_start": may_start(request.user, shown),
        "live": live(
            request,
            version,
            title=f"{shown.shown_name} · mcdash",
            is_moving=active is not None,
        ),
    }
    return answer(
        request, "imports/definition.html", "imports/_definition_parts.html", context
    )
