"""`/runs/`: the history of every run, narrowed by what is in the address."""

from __future__ import annotations

import datetime as dt
from functools import partial
from typing import Any

from django.db.models import Q
from django.http import HttpResponse
from django.urls import reverse

from imports.filters import RunFilter, RunSort
from imports.models import AccessLevel, Account, AccountAccess, ImportRun, User
from imports.views.access import SignedInRequest, signed_in
from imports.views.cursors import RunOrder, RunPage, page_of
from imports.views.history import HistoryQuery, chips, groups, orders
from imports.views.live import (
    answer,
    any_moves,
    is_unchanged,
    live,
    nothing_changed,
    page_version,
)
from imports.views.no_account import no_account
from imports.views.tallies import Tallies, tallies
from imports.views.timeline import zone_name

UNREADABLE = {
    "status": "That status does not exist.",
    "account": "That account does not exist, or you may not see it.",
    "definition": "That definition does not exist, or you may not see it.",
    "origin": "That origin does not exist.",
    "sort": "That order does not exist.",
    "from": "“From” is not a day; write it as 2026-03-12.",
    "to": "“To” is not a day; write it as 2026-03-12.",
    "q": "A search has at most 200 letters, and no control characters.",
    "person": "A name has at most 200 letters, and no control characters.",
}
NEIGHBOURS = {RunSort.NEWEST: ("Newer", "Older"), RunSort.OLDEST: ("Older", "Newer")}
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
        is_moving=any_moves(context["page"].runs, version.workers),
        is_over=bool(context["problems"]),
    )
    response = answer(request, "imports/runs.html", "imports/_runs_parts.html", context)
    if context["problems"]:
        response.status_code = 400
    return response


def _context(request: SignedInRequest) -> dict[str, Any]:
    everything = ImportRun.objects.visible_to(request.user)
    found = RunFilter(request.GET, everything, request=request)
    query = HistoryQuery(request.GET)
    problems = problems_of(found)
    order = RunOrder() if problems else order_of(found)
    places, are_read = _places(request, found, order, problems)
    problems += [] if are_read else [NO_PLACE]
    counted = Tallies() if problems else tallies(found, request.user)
    runs = everything.none() if problems else found.qs
    are_many = not problems and found.are_many
    page = page_of(runs, order, **places, are_many=are_many)
    return {
        "page": page,
        "problems": problems,
        "query": query,
        "words": request.GET.get("q", ""),
        **_filters(request, query, found, counted),
        **_tools(query, found, counted, problems),
        **_neighbours(query, order, page),
    }


def _neighbours(query: HistoryQuery, order: RunOrder, page: RunPage) -> dict[str, str]:
    above, below = NEIGHBOURS.get(order.by, ("Previous", "Next"))
    return {
        "previous_url": query.url(after=page.previous) if page.previous else "",
        "previous_word": above,
        "next_url": query.url(before=page.next) if page.next else "",
        "next_word": below,
    }


def problems_of(found: RunFilter) -> list[str]:
    """What of the filters cannot be read, in sentences."""
    return [UNREADABLE[name] for name in found.errors]


def order_of(found: RunFilter) -> RunOrder:
    """The order in force among what was found. `found` must be valid."""
    return RunOrder(by=found.order, accounts=found.accounts, statuses=found.statuses)


def _places(
    request: SignedInRequest, found: RunFilter, order: RunOrder, problems: list[str]
) -> tuple[dict[str, str], bool]:
    """Where the page begins, and whether that can be read. A place of an order that
    is not in force any more is none: the page begins at the top.
    """
    places = {name: request.GET.get(name, "") for name in ("before", "after")}
    if not problems and found.wanted_order != found.order:
        places = dict.fromkeys(places, "")
    return places, all(order.read(text) for text in places.values() if text)


def _filters(
    request: SignedInRequest, query: HistoryQuery, found: RunFilter, counted: Tallies
) -> dict[str, Any]:
    accounts = list(Account.objects.visible_to(request.user).order_by("name"))
    in_force = chips(query, found)
    return {
        "no_account": None if accounts else no_account(request.user),
        "last_contact": _last_contact(accounts),
        "groups": groups(query, found, accounts if len(accounts) > 1 else [], counted),
        "chips": in_force,
        "chosen": len(in_force),
        "clear_all_url": reverse("imports:run_list"),
        "clear_words_url": query.url(q=""),
        "kept_for_words": query.kept("q"),
        "kept_for_more": query.kept("person", "from", "to"),
        "people": partial(_people, request.user),
        "person": query.given.get("person", ""),
        "first_day": _day(found, "from"),
        "last_day": _day(found, "to"),
        "zone_words": zone_name(),
    }


def _tools(
    query: HistoryQuery, found: RunFilter, counted: Tallies, problems: list[str]
) -> dict[str, Any]:
    """What can be done with what was found: put it in order, take it away."""
    if problems:
        return {}
    month = query.url(**{"from": "30-days-ago", "to": ""})
    return {
        "orders": orders(query, found),
        "may_rank": found.may_rank,
        "month_url": month,
        "is_order_refused": found.wanted_order != found.order,
        "total": counted.total_words(query.chosen("status")),
        "csv_url": query.url("run_export_csv"),
        "json_url": query.url("run_export_json"),
    }


def _last_contact(accounts: list[Account]) -> dt.datetime | None:
    return max(
        (one.last_contact_at for one in accounts if one.last_contact_at), default=None
    )


def _day(found: RunFilter, name: str) -> str:
    """A day of the filters for its field; empty where it cannot be read."""
    day = getattr(found.form, "cleaned_data", {}).get(name)
    return day.isoformat() if day else ""


def _people(user: User) -> list[str]:
    """Who may start what `user` may see, for the filter's list; not who did, which
    only the whole history could tell.
    """
    accounts = Account.objects.visible_to(user)
    granted = AccountAccess.objects.filter(
        account__in=accounts, level=AccessLevel.START
    )
    if not accounts.exists():
        return []
    may = Q(groups__in=granted.values("group")) | Q(is_superuser=True)
    found = User.objects.filter(may, is_active=True)
    return sorted({person.shown_name for person in found.distinct()[:100]})
