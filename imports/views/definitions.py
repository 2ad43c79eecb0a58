"""`/definitions/`: find one among thousands."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from django.core.paginator import Page, Paginator
from django.db.models import Count, Min, Q
from django.http import HttpResponse, QueryDict
from django.shortcuts import redirect, render
from django.urls import reverse
from django.utils.http import url_has_allowed_host_and_scheme
from django.views.decorators.http import require_POST
from django_htmx.http import replace_url, trigger_client_event

from imports.filters import DefinitionFilter, DefinitionSort, with_favourites
from imports.models import Account, Favourite, ImportDefinition, ImportRun, User

from .access import SignedInRequest, signed_in, visible_definition
from .facets import address, facets
from .facts import (
    Destination,
    bars_of,
    destination_of,
    update_type_word,
    with_destination,
)
from .live import answer, is_unchanged, live, news, nothing_changed, page_version

PER_PAGE = 50
WRONG = {
    "q": "A search has at most 200 characters.",
    "account": "There is no such account among yours.",
    "status": "There is no such status.",
    "update": "There is no such update type.",
    "show": "There is no such filter.",
    "sort": "There is no such order.",
}


@dataclass(frozen=True, kw_only=True, slots=True)
class DefinitionRow:
    """A definition as the list shows it; `active` is the id of a run under way."""

    definition: ImportDefinition
    destination: Destination
    update_word: str
    bars: list[dict[str, Any]]
    is_favourite: bool
    may_start: bool
    active: int | None


@signed_in
def definition_list(request: SignedInRequest) -> HttpResponse:
    version = page_version(request.user)
    if is_unchanged(request, version):
        return nothing_changed()
    context = _context(request)
    context["live"] = live(
        request,
        version,
        title="Definitions · mcdash",
        is_moving=any(row.active for row in context["rows"]),
    )
    if request.htmx and request.htmx.target == "results":
        return _found(request, context)
    response = answer(
        request, "imports/definitions.html", "imports/_definitions_parts.html", context
    )
    if context["wrong"] and not request.htmx:
        response.status_code = 400
    return response


def _found(request: SignedInRequest, context: dict[str, Any]) -> HttpResponse:
    """What the search field swaps while one types."""
    status = 422 if context["wrong"] else 200
    response = news(request, "imports/_definitions_found.html", context, status)
    n = context["page"].paginator.count
    said = f"{n:,} definition{'' if n == 1 else 's'} found."
    trigger_client_event(response, "mcdash:announce", {"sentences": [said]})
    return replace_url(response, f"{request.path}{address(request.GET)}".rstrip("?"))


def _context(request: SignedInRequest) -> dict[str, Any]:
    wanted = _wanted(request)
    visible = ImportDefinition.objects.visible_to(request.user)
    found = DefinitionFilter(
        wanted, with_favourites(visible, request.user), request=request
    )
    is_valid = found.is_valid()
    kept = {name: wanted.get(name) for name in ("account", "status", "update", "show")}
    page = _page(found.qs if is_valid else found.queryset.none(), wanted)
    return {
        "wanted": wanted,
        "wrong": [WRONG[name] for name in found.errors],
        "groups": facets(found) if is_valid else [],
        "sorts": DefinitionSort.choices,
        "kept": kept,
        "chosen": (chosen := sum(bool(value) for value in kept.values())),
        "is_filtered": bool(chosen),
        "is_narrowed": bool(chosen or wanted.get("q")),
        "clear_url": address(wanted, q=""),
        "page": page,
        "rows": (rows := _rows(request.user, list(page))),
        "may_pick": any(row.may_start for row in rows),
        "newer_url": _page_url(wanted, page.number - 1) if page.has_previous() else "",
        "older_url": _page_url(wanted, page.number + 1) if page.has_next() else "",
        "total": visible.filter(not_seen_since=None).count(),
        "accounts": _accounts(request.user),
    }


def _wanted(request: SignedInRequest) -> QueryDict:
    """What was asked for; a NUL is in no text of ours, so none is searched for."""
    wanted = request.GET.copy()
    if "q" in wanted:
        wanted["q"] = str(wanted["q"]).replace("\x00", "")
    return wanted


def _page(found: Any, wanted: QueryDict) -> Page[int]:
    pages = Paginator(found.values_list("pk", flat=True), PER_PAGE)
    return pages.get_page(wanted.get("page"))


def _page_url(wanted: QueryDict, number: int) -> str:
    return address(wanted, page=number)


def _rows(user: User, shown: list[int]) -> list[DefinitionRow]:
    """The definitions of a page in their order, in a constant number of queries."""
    definitions = with_destination(
        with_favourites(ImportDefinition.objects.filter(pk__in=shown), user)
    ).select_related("account", "last_run__account")
    by_pk = {definition.pk: definition for definition in definitions}
    active = dict(
        ImportRun.objects.active()
        .filter(definition__in=shown)
        .order_by("occurred_at")
        .values_list("definition", "pk")
    )
    startable = set(Account.objects.startable_by(user).values_list("pk", flat=True))
    return [
        DefinitionRow(
            definition=by_pk[pk],
            destination=destination_of(by_pk[pk]),
            update_word=update_type_word(by_pk[pk].update_type),
            bars=bars_of(by_pk[pk]),
            is_favourite=getattr(by_pk[pk], "is_favourite", False),
            may_start=is_startable(by_pk[pk], startable),
            active=active.get(pk),
        )
        for pk in shown
        if pk in by_pk
    ]


def is_startable(definition: ImportDefinition, startable: set[int]) -> bool:
    """Whether Start is offered, given the ids of the reader's startable accounts."""
    return definition.account_id in startable and definition.not_seen_since is None


def _accounts(user: User) -> dict[str, Any]:
    """How many accounts the reader has, and since when the oldest stands unsynced."""
    return Account.objects.visible_to(user).aggregate(
        n=Count("pk"),
        unsynced=Count("pk", filter=Q(last_synced_at=None, is_active=True)),
        synced_at=Min("last_synced_at", filter=Q(is_active=True)),
    )


@signed_in
@require_POST
def definition_favourite(request: SignedInRequest, pk: int) -> HttpResponse:
    """Keep a definition at hand (`wanted=1`) or let it go (`wanted=0`).

    It says what is wanted rather than "the other one", so that a repeated press
    changes nothing.
    """
    shown = visible_definition(request.user, pk)
    is_wanted = request.POST.get("wanted") == "1"
    if is_wanted:
        Favourite.objects.get_or_create(user=request.user, definition=shown)
    else:
        Favourite.objects.filter(user=request.user, definition=shown).delete()
    if not request.htmx:
        return redirect(_way_back(request))
    context = {"definition": shown, "is_favourite": is_wanted}
    return render(request, "imports/_star.html", context)


def _way_back(request: SignedInRequest) -> str:
    """The page the star was pressed on, if it is one of ours."""
    wanted = request.POST.get("next", "")
    if url_has_allowed_host_and_scheme(
        wanted, allowed_hosts={request.get_host()}, require_https=request.is_secure()
    ):
        return wanted
    return reverse("imports:definition_list")
