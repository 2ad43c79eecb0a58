"""`/definitions/`: find one among thousands, star one, ask for a sync; and
`/definitions/<id>/`: know one of them.
"""

from __future__ import annotations

from collections.abc import Sequence
from datetime import timedelta
from functools import partial
from itertools import pairwise
from statistics import median
from typing import Any

from django.contrib import messages
from django.core.paginator import Paginator
from django.db.models import Case, CharField, Exists, OuterRef, Q, Value, When
from django.db.models.functions import Cast, Concat, Now
from django.http import HttpResponse, QueryDict
from django.shortcuts import redirect, render
from django.utils import timezone
from django.views.decorators.http import require_POST
from django_htmx.http import replace_url, trigger_client_event

from imports.lists.choices import ListQuery, definition_groups
from imports.lists.counts import DefinitionCounts
from imports.lists.filters import DefinitionFilter, DefinitionSort, with_favourites
from imports.models import (
    Account,
    Audience,
    Favourite,
    ImportDefinition,
    ImportRun,
    Lease,
    Reader,
)
from imports.signin import address_of
from imports.ui import svg
from imports.usecases.sync import want_sync
from imports.views import base, live
from imports.views.base import SignedInRequest, signed_in
from imports.views.live import Page, PageVersion
from imports.wording import definition as wording
from imports.wording.formats import duration_text, share_text, spoken
from imports.wording.status import SUCCESSFUL

PER_PAGE = 50
# The part that the search field swaps.
RESULTS = "results"
NEW_FOR = timedelta(days=7)
# Beside the search and the order.
FILTERS = ("account", "status", "update", "kind", "show")
WRONG = {
    "q": "A search has at most 200 characters.",
    "account": "That account does not exist, or you don’t have access to it.",
    "status": "There is no such status.",
    "update": "There is no such update type.",
    "kind": "There is no such kind of destination.",
    "show": "There is no such filter.",
    "sort": "There is no such order.",
}
# More accounts than these are not named one by one.
MOST_NAMED = 2
# On the page of one; the chart's other runs are folded away below these.
RUNS_SHOWN = 20
VERSIONS_SHOWN = 10
# Fewer successful runs are no habit.
HABIT = 5


# The list


@signed_in
def definition_list(request: SignedInRequest) -> HttpResponse:
    version = live.page_version(request.user)
    if live.is_unchanged(request, version):
        return live.nothing_new(request)
    own = (base.favourites_of(request.user), request.user.shortcuts_on)
    response = live.answer(request, "definitions", version, _draw_list, *own)
    if request.htmx and request.htmx.target == RESULTS:
        # what the search field swaps while one types
        return replace_url(response, ListQuery(request.GET, request.path).url())
    return response


def _draw_list(page: Page, version: PageVersion) -> dict[str, Any]:
    context = _list_context(page)
    active = (row["active"] for row in context["rows"] if row["active"])
    is_syncing = context["syncing"]["is_moving"]
    n = context["page"].paginator.count
    context["live"] = live.live(
        page,
        version,
        title="Definitions · mcdash",
        is_moving=is_syncing or live.any_moves(active, version.workers),
        has_search=True,
        wrong=bool(context["wrong"]),
        found=f"{n:,} definition{'' if n == 1 else 's'} found.",
    )
    return context


def _list_context(asked: Page) -> dict[str, Any]:
    reader, given = asked.audience, QueryDict(asked.query).copy()
    starred, shortcuts_on = asked.own
    if "q" in given:  # a NUL is in no text of ours, so none is searched for
        given["q"] = str(given["q"]).replace("\x00", "")
    query = ListQuery(given)
    visible = ImportDefinition.objects.visible_to(reader)
    definitions = with_favourites(visible, starred)
    filters = DefinitionFilter(given, definitions, request=reader)
    counts = DefinitionCounts(filters, reader, starred) if filters.is_valid() else None
    # of numbers, since all were counted already; get_page: an address of a page that is
    # gone shows another one, no error
    numbers = range(counts.total if counts else 0)
    page = Paginator(numbers, PER_PAGE).get_page(given.get("page"))
    rows = _rows(asked.audience, starred, _ids(filters, page.number) if counts else [])
    if counts and not filters.has_words:
        total = counts.listed
    else:
        total = visible.filter(not_seen_since=None).count()
    in_force = {name: given.get(name) for name in FILTERS}
    chosen = sum(bool(value) for value in in_force.values())
    sync_state = syncing(reader, given.get("account", ""))
    return {
        "shortcuts_on": shortcuts_on,
        "wanted": given,
        "query": given.get("q", ""),
        "swapped": False,
        "wrong": [WRONG[name] for name in filters.errors],
        "groups": definition_groups(query, counts) if counts else [],
        "sorts": DefinitionSort.choices,
        "kept": in_force,
        "chosen": chosen,
        "is_narrowed": bool(chosen or given.get("q")),
        "clear_url": query.url(q=""),
        "page": page,
        "rows": rows,
        "can_pick": any(row["can_start"] for row in rows),
        "newer_url": query.url(page=page.number - 1) if page.has_previous() else "",
        "older_url": query.url(page=page.number + 1) if page.has_next() else "",
        "total": total,
        "here": f"{asked.path}{query.url()}",
        "next": f"{asked.path}?{asked.query}" if asked.query else asked.path,
        "syncing": sync_state,
    }


def _ids(filters: DefinitionFilter, number: int) -> list[int]:
    """The definitions of a page: favourites before all others, which keeps the others
    in the order of an index.
    """
    ids, start = filters.qs.values_list("pk", flat=True), (number - 1) * PER_PAGE
    if not filters.are_favourites_apart:
        return list(ids[start : start + PER_PAGE])
    all_favourites = list(ids.filter(is_favourite=True))
    favourites = all_favourites[start : start + PER_PAGE]
    others = ids.filter(is_favourite=False)[max(start - len(all_favourites), 0) :]
    return [*favourites, *others[: PER_PAGE - len(favourites)]]


def _rows(
    reader: Audience, starred: Sequence[int], pks: list[int]
) -> list[dict[str, Any]]:
    """The definitions of a page in their order, in a constant number of queries."""
    is_late = Q(first_seen_at__gte=timezone.now() - NEW_FOR)
    # in an account that was connected lately everything is new, and nothing is marked
    older = ImportDefinition.objects.filter(
        account=OuterRef("account"), first_seen_at__lt=OuterRef("first_seen_at")
    )
    is_new = Case(When(is_late, then=Exists(older)), default=Value(value=False))
    by_pk = (
        with_favourites(ImportDefinition.objects.filter(pk__in=pks), starred)
        .with_destination()
        .annotate(is_new=is_new)
        .defer("facts", "description")  # heavy, and no row shows them
        .prefetch_related("account", "last_run")
        .in_bulk()
    )
    active = base.active_runs(by_pk.values(), ImportRun.objects.all())
    rows = []
    for definition in (by_pk[pk] for pk in pks if pk in by_pk):
        if definition.last_run:
            definition.last_run.account = definition.account  # at hand already
        is_permitted = definition.account_id in reader.startable
        rows.append(
            {
                "definition": definition,
                "destination": wording.destination_of(definition),
                "update_word": wording.update_type_word(definition.update_type),
                "is_permitted": is_permitted,
                "can_start": is_permitted and not definition.why_not_startable,
                "active": active.get(definition.pk),
            }
        )
    return rows


@signed_in
@require_POST
def favourite(request: SignedInRequest, pk: int) -> HttpResponse:
    """Star a definition (`wanted=1`) or take the star away (`wanted=0`), not "the other
    one", so that a repeated press changes nothing.
    """
    definition = base.visible_definition(request.user, pk)
    is_wanted = request.POST.get("wanted") == "1"
    if is_wanted:
        Favourite.objects.get_or_create(user=request.user, definition=definition)
    else:
        Favourite.objects.filter(user=request.user, definition=definition).delete()
    if not request.htmx:
        return redirect(base.next_url(request))
    context = {"definition": definition, "is_favourite": is_wanted, "swapped": True}
    return render(request, "imports/_shared/_star.html", context)


def syncing(reader: Reader, account: str = "") -> dict[str, Any]:
    """How old a list of definitions is, of all accounts that `reader` can see or of the
    one with that id, and what is being done about it, in one query. `doubted`: what
    their last lists lack may be there all the same.
    """
    name = Concat(Value("sync:"), Cast(OuterRef("pk"), CharField()))
    is_reading = Exists(Lease.objects.filter(name=name, expires_at__gt=Now()))
    accounts = Account.objects.visible_to(reader).annotate(is_reading=is_reading)
    visible = list(accounts.defer("secret"))
    of_list = [each for each in visible if str(each.pk) == account] or visible
    active = [each for each in of_list if each.is_active]
    # nobody asks an account that refused its credentials, so its list would never come
    accepted = [each for each in active if not each.credentials_refused_at]
    awaited = [each for each in accepted if each.is_sync_awaited]
    synced_at = [each.last_synced_at for each in active if each.last_synced_at]
    return {
        "n": len(visible),
        "unsynced": len(active) - len(synced_at),
        "synced_at": min(synced_at, default=None),
        "sentences": _sentences(awaited),
        "is_moving": any(not each.is_breaker_open for each in awaited),
        "can_ask": bool(accepted) and not awaited,
        "account": account if len(of_list) < len(visible) else "",
        "doubted": [each for each in active if each.listing_doubted_since],
    }


def _sentences(awaited: list[Account]) -> list[str]:
    reading = [account for account in awaited if getattr(account, "is_reading", False)]
    waiting = [account for account in awaited if account not in reading]
    silent = [account for account in waiting if account.is_breaker_open]
    next_up = [account for account in waiting if account not in silent]
    sentences = []
    if reading:
        read = sum(account.sync_pages_read or 0 for account in reading)
        # an earlier sync tells how many there are, as far as there was one
        expected = [account.sync_pages for account in reading]
        about = 0 if None in expected else sum(filter(None, expected))
        pages = ""
        if about >= read > 0:
            pages = f": {read} of about {about} page{'' if about == 1 else 's'}"
        elif read:
            pages = f": {read} page{'' if read == 1 else 's'} so far"
        sentences.append(f"Reading {_names(reading)}{pages}")
    if next_up:
        sentences.append(f"Waiting for the worker: {_names(next_up)}")
    if silent:
        verb = "isn’t" if len(silent) == 1 else "aren’t"
        sentences.append(f"{_names(silent)} {verb} responding and will be read later")
    return sentences


def _names(accounts: list[Account]) -> str:
    if len(accounts) > MOST_NAMED:
        return f"{len(accounts)} accounts"
    return " and ".join(account.shown_name[:60] for account in accounts)


@signed_in
@require_POST
def sync(request: SignedInRequest) -> HttpResponse:
    """Ask for the definitions of all visible accounts, or of `account`. Whoever can
    see an account can ask: it only reads.
    """
    account = request.POST.get("account", "")
    accounts = Account.objects.visible_to(request.user).defer("secret")
    if (pk := base.as_id(account)) is not None:
        accounts = accounts.filter(pk=pk)
    asked = want_sync(accounts=accounts, by=request.user, ip=address_of(request))
    if not request.htmx:
        if not asked:
            messages.info(request, "This was asked for less than a minute ago.")
        return redirect(base.next_url(request))
    context = {
        "syncing": syncing(request.user, account),
        "refused": not asked,
        "here": base.next_url(request),
    }
    response = render(request, "imports/definitions/_synced.html", context)
    return trigger_client_event(response, "mcdash:changed", {})


# The page of one


@signed_in
def definition(request: SignedInRequest, pk: int) -> HttpResponse:
    version = live.version_of(request.user, ImportDefinition, pk)
    if live.is_unchanged(request, version):
        return live.nothing_new(request)
    definition = base.visible_definition(request.user, pk)
    if definition.last_run:
        definition.last_run.account = definition.account
    is_favourite = definition.is_favourite  # type: ignore[attr-defined]  # annotated
    draw = partial(_draw_definition, definition)
    return live.answer(request, "definition", version, draw, is_favourite)


def _draw_definition(
    definition: ImportDefinition, page: Page, version: PageVersion
) -> dict[str, Any]:
    context = _definition_context(page, definition)
    # as it was read first as well: it may have ended while the rest was read
    runs = filter(None, (context["active"], definition.last_run))
    context["live"] = live.live(
        page,
        version,
        title=f"{spoken(definition.shown_name)} · mcdash",
        is_moving=live.any_moves(runs, version.workers),
    )
    return context


@signed_in
def strip(request: SignedInRequest, pk: int) -> HttpResponse:
    """The strip as bars, each with its words: what a list shows a picture of."""
    return HttpResponse(svg.strip_svg(base.visible_definition(request.user, pk).bars))


def _definition_context(page: Page, definition: ImportDefinition) -> dict[str, Any]:
    runs = definition.runs.select_related("definition").latest_first()
    latest, active = list(runs[: svg.MOST]), runs.active().first()
    for run in filter(None, (*latest, active)):
        run.account = definition.account
    can = definition.account_id in page.audience.startable
    # newest first, each with what it changed; one more is read, to compare with
    versions = list(definition.versions.all()[: VERSIONS_SHOWN + 1])
    notes = [
        (new, wording.changes(old.facts, new.facts, definition.account))
        for new, old in pairwise(versions)
    ]
    if versions and versions[-1].number == 1:
        notes.append((versions[-1], []))
    update_type = definition.update_type.casefold()
    _, how, _ = wording.UPDATE_TYPES.get(update_type, ("", "", ""))
    return {
        "definition": definition,
        "next": page.path,
        "source": wording.source_of(definition),
        "destination": wording.destination_of(definition),
        "how": how,
        "tolerates_errors": wording.tolerates_errors(definition),
        "facts": wording.facts_of(definition),
        "versions": notes,
        "runs": latest[:RUNS_SHOWN],
        "older": latest[RUNS_SHOWN:],
        "chart": svg.history_chart(latest[::-1]),
        "normal": normal(latest),
        "active": active,
        "can_start": can,
        "why_not": definition.why_not_startable if can else "",
    }


def normal(runs: list[ImportRun]) -> str:
    """What the successful ones among `runs` usually count and take: their medians."""
    good = [run for run in runs if run.status in SUCCESSFUL and not run.are_counts_open]
    if len(good) < HABIT:
        return ""
    now = timezone.now()
    took = duration_text(median(run.elapsed(now).total_seconds() for run in good))
    of = f"median of the last {len(good)} successful runs"
    rows = [run.total_rows for run in good if run.total_rows is not None]
    if not rows:
        return f"Typically takes {took} ({of})."
    shares = [
        run.errors / run.total_rows
        for run in good
        if run.errors is not None and run.total_rows
    ]
    rejected = ""
    if len(shares) >= HABIT:
        usual = median(shares)
        # one in a million is not none
        share = share_text(max(1, round(usual * 1e6)), 10**6) if usual else "none"
        rejected = f", {share} rejected"
    return f"Typically {round(median(rows)):,} rows in {took}{rejected} ({of})."
