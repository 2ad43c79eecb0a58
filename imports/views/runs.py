"""`/runs/`: the history of every run, narrowed by what is in the address."""

from __future__ import annotations

from functools import partial
from typing import Any

from django.http import HttpResponse
from django.urls import reverse

from imports.filters import RunFilter, people
from imports.models import Account, ImportRun

from .access import SignedInRequest, signed_in
from .cursors import RunPage, is_readable, page_of
from .history import HistoryQuery, chips, groups
from .live import answer, is_unchanged, live, nothing_changed, page_version
from .timeline import zone_name

UNREADABLE = {
    "status": "That status does not exist.",
    "account": "That account does not exist, or you may not see it.",
    "definition": "That definition does not exist, or you may not see it.",
    "origin": "That origin does not exist.",
    "from": "“From” is not a day; write it as 2026-03-12.",
    "to": "“To” is not a day; write it as 2026-03-12.",
    "q": "A search has at most 200 letters, and no control characters.",
    "person": "A name has at most 200 letters, and no control characters.",
}
NO_PLACE = "This address names a place in the history that cannot be read."


@signed_in
def run_list(request: SignedInRequest) -> HttpResponse:
    version = page_version(request.user)
    if is_unchanged(request, version):
        return nothing_changed()
    context = _context(request)
    context["live"] = live(
        request,
        version,
        title="History · mcdash",
        is_moving=any(run.is_active for run in context["page"].runs),
        is_over=bool(context["problems"]),
    )
    response = answer(request, "imports/runs.html", "imports/_runs_parts.html", context)
    if context["problems"]:
        response.status_code = 400
    return response


def _context(request: SignedInRequest) -> dict[str, Any]:
    everything = ImportRun.objects.visible_to(request.user)
    found = RunFilter(request.GET, everything, request=request)
    before, after = request.GET.get("before", ""), request.GET.get("after", "")
    problems = _problems(found, before, after)
    runs = everything.none() if problems else found.qs
    page = page_of(runs, before=before, after=after)
    query = HistoryQuery(request.GET)
    return {
        "page": page,
        "problems": problems,
        "query": query,
        "words": request.GET.get("q", ""),
        **_filters(request, query, found),
        **_places(query, page),
    }


def _problems(found: RunFilter, before: str, after: str) -> list[str]:
    problems = [UNREADABLE.get(name, NO_PLACE) for name in found.errors]
    return problems if is_readable(before, after) else [*problems, NO_PLACE]


def _filters(
    request: SignedInRequest, query: HistoryQuery, found: RunFilter
) -> dict[str, Any]:
    accounts = list(Account.objects.visible_to(request.user).order_by("name"))
    in_force = chips(query, found)
    return {
        "has_accounts": bool(accounts),
        "groups": groups(query, accounts if len(accounts) > 1 else []),
        "chips": in_force,
        "chosen": len(in_force),
        "clear_all_url": reverse("imports:run_list"),
        "clear_words_url": query.url(q=""),
        "kept_for_words": query.kept("q"),
        "kept_for_more": query.kept("person", "from", "to"),
        "people": partial(people, request.user),
        "person": query.given.get("person", ""),
        "first_day": _day(found, "from"),
        "last_day": _day(found, "to"),
        "zone_words": zone_name(),
    }


def _day(found: RunFilter, name: str) -> str:
    """A day of the filters for its field; empty where it cannot be read."""
    day = getattr(found.form, "cleaned_data", {}).get(name)
    return day.isoformat() if day else ""


def _places(query: HistoryQuery, page: RunPage) -> dict[str, str]:
    return {
        "newer_url": query.url(after=page.newer) if page.newer else "",
        "older_url": query.url(before=page.older) if page.older else "",
    }
