"""`/definitions/`: find one among thousands."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any

from django.contrib import messages
from django.core.paginator import Page, Paginator
from django.db.models import (
    Case,
    CharField,
    Exists,
    OuterRef,
    Prefetch,
    Q,
    QuerySet,
    Value,
    When,
)
from django.db.models.functions import Cast, Concat, Now
from django.http import HttpResponse, QueryDict
from django.shortcuts import redirect, render
from django.utils import timezone
from django.views.decorators.http import require_POST
from django_htmx.http import replace_url, trigger_client_event

from imports.lists.choices import address, facets
from imports.lists.counts import Cells
from imports.lists.filters import DefinitionFilter, DefinitionSort, with_favourites
from imports.models import (
    Account,
    AccountQuerySet,
    DefinitionQuerySet,
    Favourite,
    ImportDefinition,
    ImportRun,
    Lease,
    User,
)
from imports.signin import address_of
from imports.usecases.sync import want_sync
from imports.views.base import (
    SignedInRequest,
    answer,
    any_moves,
    is_unchanged,
    live,
    news,
    no_account,
    nothing_changed,
    page_version,
    signed_in,
    visible_definition,
    way_back,
)
from imports.wording.definition import (
    Destination,
    destination_of,
    update_type_word,
)

PER_PAGE = 50
NEW_FOR = timedelta(days=7)
KEPT = ("account", "status", "update", "kind", "show")
WRONG = {
    "q": "A search has at most 200 characters.",
    "account": "There is no such account among yours.",
    "status": "There is no such status.",
    "update": "There is no such update type.",
    "kind": "There is no such kind of destination.",
    "show": "There is no such filter.",
    "sort": "There is no such order.",
}


@dataclass(frozen=True, kw_only=True, slots=True)
class DefinitionRow:
    """A definition as the list shows it; `active` is a run of it under way.

    `may_start` is the reader's right; `why_not` is why nobody can start it now.
    """

    definition: ImportDefinition
    destination: Destination
    update_word: str
    bars: list[dict[str, Any]]
    is_favourite: bool
    is_new: bool
    may_start: bool
    why_not: str
    active: ImportRun | None

    @property
    def can_start(self) -> bool:
        return self.may_start and not self.why_not


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
        is_moving=any_moves(
            (row.active for row in context["rows"] if row.active), version.workers
        )
        or context["syncing"].is_moving,
    )
    if request.htmx and request.htmx.target == "results":
        return _found(request, context)
    response = answer(
        request,
        "imports/definitions/page.html",
        "imports/definitions/_parts.html",
        context,
    )
    if context["wrong"] and not request.htmx:
        response.status_code = 400
    return response


def _found(request: SignedInRequest, context: dict[str, Any]) -> HttpResponse:
    """What the search field swaps while one types."""
    status = 422 if context["wrong"] else 200
    response = news(request, "imports/definitions/_found.html", context, status)
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
    cells = Cells(found, request.user) if found.is_valid() else None
    kept = {name: wanted.get(name) for name in KEPT}
    page = _page(found, cells)
    return {
        "wanted": wanted,
        "query": wanted.get("q", ""),
        "swapped": False,
        "wrong": [WRONG[name] for name in found.errors],
        "groups": facets(cells) if cells else [],
        "sorts": DefinitionSort.choices,
        "kept": kept,
        "chosen": (chosen := sum(bool(value) for value in kept.values())),
        "is_filtered": bool(chosen),
        "is_narrowed": bool(chosen or wanted.get("q")),
        "clear_url": address(wanted, q=""),
        "page": page,
        "rows": (rows := _rows(request.user, list(page))),
        "may_pick": any(row.can_start for row in rows),
        "newer_url": _page_url(wanted, page.number - 1) if page.has_previous() else "",
        "older_url": _page_url(wanted, page.number + 1) if page.has_next() else "",
        "total": _total(visible, wanted, cells),
        "here": f"{request.path}{address(wanted)}",
        "syncing": (fresh := syncing(request.user, wanted.get("account", ""))),
        "no_account": None if fresh.n else no_account(request.user),
    }


def _wanted(request: SignedInRequest) -> QueryDict:
    """What was asked for; a NUL is in no text of ours, so none is searched for."""
    wanted = request.GET.copy()
    if "q" in wanted:
        wanted["q"] = str(wanted["q"]).replace("\x00", "")
    return wanted


@dataclass(frozen=True, kw_only=True, slots=True)
class Ids:
    """Ids in their order, `first` before the others, for pages of them; counted
    already.
    """

    first: list[int]
    others: Any
    n: int

    def __len__(self) -> int:
        return self.n

    def __getitem__(self, place: slice) -> list[int]:
        skipped = len(self.first)
        start, stop = (max(end - skipped, 0) for end in (place.start, place.stop))
        return [*self.first[place], *(self.others[start:stop] if stop else ())]


def _page(found: DefinitionFilter, cells: Cells | None) -> Page[int]:
    pages: Any = Paginator(_ids(found, cells) if cells else [], PER_PAGE)
    page: Page[int] = pages.get_page(found.data.get("page"))
    return page


def _ids(found: DefinitionFilter, cells: Cells) -> Any:
    ids = found.qs.values_list("pk", flat=True)
    if not found.are_favourites_apart:
        return Ids(first=[], others=ids, n=cells.count)
    return Ids(
        first=list(ids.filter(is_favourite=True)),
        others=ids.filter(is_favourite=False),
        n=cells.count,
    )


def _total(visible: DefinitionQuerySet, wanted: QueryDict, cells: Cells | None) -> int:
    """How many definitions there are without any search or filter."""
    if cells and not wanted.get("q"):
        return cells.seen
    return visible.filter(not_seen_since=None).count()


def _page_url(wanted: QueryDict, number: int) -> str:
    return address(wanted, page=number)


def _rows(user: User, shown: list[int]) -> list[DefinitionRow]:
    """The definitions of a page in their order, in a constant number of queries."""
    by_pk = {definition.pk: definition for definition in _shown(user, shown)}
    found = ImportRun.objects.active().filter(definition__in=by_pk)
    active = {run.definition_id: run for run in found.order_by("occurred_at")}
    under_way = active.values()
    for run in (*under_way, *(one.last_run for one in by_pk.values())):
        if run and run.definition_id:
            run.account = by_pk[run.definition_id].account
    startable = set(Account.objects.startable_by(user).values_list("pk", flat=True))
    return [
        DefinitionRow(
            definition=by_pk[pk],
            destination=destination_of(by_pk[pk]),
            update_word=update_type_word(by_pk[pk].update_type),
            bars=by_pk[pk].bars,
            is_favourite=getattr(by_pk[pk], "is_favourite", False),
            is_new=getattr(by_pk[pk], "is_new", False),
            may_start=by_pk[pk].account_id in startable,
            why_not=by_pk[pk].why_not_startable,
            active=active.get(pk),
        )
        for pk in shown
        if pk in by_pk
    ]


def _shown(user: User, shown: list[int]) -> QuerySet[ImportDefinition]:
    wanted = ImportDefinition.objects.filter(pk__in=shown).with_destination()
    return (
        _with_new(with_favourites(wanted, user))
        .defer("facts", "description")
        .prefetch_related(
            Prefetch("account", Account.objects.with_lost_keys()), "last_run"
        )
    )


def _with_new(definitions: QuerySet[ImportDefinition]) -> QuerySet[ImportDefinition]:
    """Each with `is_new`: first seen lately, and later than others of its account."""
    older = ImportDefinition.objects.filter(
        account=OuterRef("account"), first_seen_at__lt=OuterRef("first_seen_at")
    )
    is_late = Q(first_seen_at__gte=timezone.now() - NEW_FOR)
    return definitions.annotate(
        is_new=Case(When(is_late, then=Exists(older)), default=Value(value=False))
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
        return redirect(way_back(request))
    context = {"definition": shown, "is_favourite": is_wanted, "swapped": True}
    return render(request, "imports/_shared/_star.html", context)


# How fresh the definitions are, and asking for them now.


NAMED = 2
ALREADY = "This was asked for less than a minute ago."


@dataclass(frozen=True, kw_only=True, slots=True)
class Syncing:
    """The accounts whose definitions a list shows: how many there are, how many were
    never read, since when the oldest stands, what is being done about it, and which
    were last read so that what they lack may be there all the same.
    """

    n: int
    unsynced: int
    synced_at: datetime | None
    sentences: list[str]
    is_moving: bool
    may_ask: bool
    account: str
    doubted: list[Account]


def syncing(user: User, account: str = "") -> Syncing:
    """Of all accounts that `user` may see, or of the one with that id, in one query."""
    seen = list(_with_reading(Account.objects.visible_to(user)))
    of_list = [one for one in seen if str(one.pk) == account] or seen
    active = [one for one in of_list if one.is_active]
    awaited = [one for one in active if _is_awaited(one)]
    synced = [one.last_synced_at for one in active if one.last_synced_at]
    return Syncing(
        n=len(seen),
        unsynced=sum(one.last_synced_at is None for one in active),
        synced_at=min(synced, default=None),
        sentences=_sentences(awaited),
        is_moving=any(not one.is_breaker_open for one in awaited),
        may_ask=not awaited and any(not one.credentials_refused_at for one in active),
        account=account if len(of_list) < len(seen) else "",
        doubted=[one for one in active if one.listing_doubted_since],
    )


def _with_reading(accounts: AccountQuerySet) -> AccountQuerySet:
    """Each account with `is_reading`: whether a worker reads its definitions now."""
    name = Concat(Value("sync:"), Cast(OuterRef("pk"), CharField()))
    held = Lease.objects.filter(name=name, expires_at__gt=Now())
    return accounts.annotate(is_reading=Exists(held)).defer("secret")


def _is_awaited(account: Account) -> bool:
    return account.is_sync_awaited and account.credentials_refused_at is None


def _sentences(awaited: list[Account]) -> list[str]:
    reading = [one for one in awaited if getattr(one, "is_reading", False)]
    waiting = [one for one in awaited if one not in reading]
    silent = [one for one in waiting if one.is_breaker_open]
    next_up = [one for one in waiting if one not in silent]
    told = [f"Reading {_names(reading)}{_pages(reading)}"] if reading else []
    if next_up:
        told.append(f"Waiting for the worker: {_names(next_up)}")
    if silent:
        verb = "does" if len(silent) == 1 else "do"
        told.append(f"{_names(silent)} {verb} not answer and will be read later")
    return told


def _names(accounts: list[Account]) -> str:
    if len(accounts) > NAMED:
        return f"{len(accounts)} accounts"
    return " and ".join(one.shown_name[:60] for one in accounts)


def _pages(reading: list[Account]) -> str:
    """ ": 2 of about 5 pages", as far as an earlier sync tells how many there are."""
    read = sum(one.sync_pages_read or 0 for one in reading)
    before = [one.sync_pages for one in reading]
    if not read:
        return ""
    about = sum(pages or 0 for pages in before)
    if None in before or about < read:
        return f": {read} page{'' if read == 1 else 's'} so far"
    return f": {read} of about {about} page{'' if about == 1 else 's'}"


@signed_in
@require_POST
def definition_sync(request: SignedInRequest) -> HttpResponse:
    """Ask for the definitions of all visible accounts, or of `account`. Whoever may
    see an account may ask: it only reads.
    """
    account = request.POST.get("account", "")
    wanted = Account.objects.visible_to(request.user)
    if account.isdecimal() and len(account) < 19:
        wanted = wanted.filter(pk=account)
    taken = want_sync(
        accounts=wanted.defer("secret"), by=request.user, ip=address_of(request)
    )
    if not request.htmx:
        if not taken:
            messages.info(request, ALREADY)
        return redirect(way_back(request))
    context = {
        "syncing": syncing(request.user, account),
        "refused": not taken,
        "here": way_back(request),
    }
    response = render(request, "imports/definitions/_synced.html", context)
    return trigger_client_event(response, "mcdash:changed", {})
