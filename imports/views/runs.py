"""`/runs/`: the history of every run, narrowed by what is in the address."""

from __future__ import annotations

import csv
import datetime as dt
import json
import logging
import re
from collections.abc import Callable, Iterable, Iterator
from datetime import datetime
from functools import partial
from typing import Any

from django.db.models import Q
from django.http import HttpResponse, StreamingHttpResponse
from django.urls import reverse
from django.utils import timezone
from django.views.decorators.http import require_GET

from imports.lists.choices import HistoryQuery, chips, groups, orders
from imports.lists.counts import Tallies, tallies
from imports.lists.filters import RunFilter, RunSort
from imports.lists.paging import RunOrder, RunPage, batches, page_of
from imports.models import (
    FINISHED,
    AccessLevel,
    Account,
    AccountAccess,
    Counts,
    ImportRun,
    User,
)
from imports.text import visible
from imports.views.base import (
    SignedInRequest,
    answer,
    any_moves,
    is_unchanged,
    live,
    no_account,
    nothing_changed,
    page_version,
    signed_in,
)
from imports.wording.formats import zone_name

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
    response = answer(
        request, "imports/runs/page.html", "imports/runs/_parts.html", context
    )
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


# `/runs/export.csv` and `.json`: every run that the History's filters leave.


logger = logging.getLogger(__name__)

BATCH = 1000
# The columns and where they come from; docs/exports.md tells what they mean.
COLUMNS = {
    "id": "pk",
    "account": "account__name",
    "definition": "definition__name",
    "customer_key": "customer_key",
    "status": "status",
    "phase": "phase",
    "origin": "origin",
    "started_by": "started_by_name",
    "task_id": "task_id",
    "total_rows": "total_rows",
    "successful": "successful",
    "duplicated": "duplicated",
    "errors": "errors",
    "occurred_at": "occurred_at",
    "queued_at": "queued_at",
    "sent_at": "sent_at",
    "started_at": "started_at",
    "finished_at": "finished_at",
    "settled_at": "settled_at",
    "start_text": "start_text",
    "end_text": "end_text",
    "import_type": "import_type",
    "destination_id": "destination_id",
    "request_id": "request_id",
    "error_kind": "error_kind",
    "error_code": "error_code",
    "message": "message",
}
# Reckoned from the others.
UNACCOUNTED = "unaccounted_rows"
BROKEN_OFF = "INCOMPLETE: this export broke off after {} runs. Export again."
# Excel takes a CSV for UTF-8 only where it begins with this.
BYTE_ORDER_MARK = "\ufeff"

Row = dict[str, Any]
# The last four are wide letters, which Excel reads as the narrow ones.
_FORMULA = re.compile("[\t\r\n]|[\\s\u200c\u200d]*[=+\\-@\uff1d\uff0b\uff0d\uff20]")
# What could end a script element, should anybody put the text into a page.
_FOR_HTML = {ord(char): f"\\u{ord(char):04x}" for char in "<>&"}


@signed_in
@require_GET
def run_export(request: SignedInRequest, *, form: str) -> HttpResponse:
    """The runs of the page with the same address, all of them, in its order."""
    everything = ImportRun.objects.visible_to(request.user)
    found = RunFilter(request.GET, everything, request=request)
    if problems := problems_of(found):
        text = "\n".join(problems)
        return HttpResponse(text, status=400, content_type="text/plain; charset=utf-8")
    content_type, written = FORMS[form]
    order, many = order_of(found), found.are_many
    # it may take minutes: each batch asks again what the reader may see
    visible = found.qs.still_visible_to(request.user)
    runs = batches(visible, order, COLUMNS.values(), BATCH, are_many=many)
    name = f"mcdash-runs-{timezone.localdate().isoformat()}.{form}"
    response = StreamingHttpResponse(written(_rows(runs)), content_type=content_type)
    response["Content-Disposition"] = f'attachment; filename="{name}"'
    return response  # type: ignore[return-value]  # both are HttpResponseBase


def _rows(found: Iterable[list[Row]]) -> Iterator[list[Row]]:
    """The batches with the columns' names; times as ISO 8601, always UTC."""
    for batch in found:
        yield [
            {name: _plain(row[path]) for name, path in COLUMNS.items()}
            | {UNACCOUNTED: _unaccounted(row)}
            for row in batch
        ]


def _unaccounted(row: Row) -> int | None:
    """As `ImportRun.unaccounted_rows`."""
    return Counts.read(row).unaccounted if row["status"] in FINISHED else None


def _plain(value: Any) -> Any:
    return value.isoformat() if isinstance(value, datetime) else value


class _Echo:
    """A file that gives back what is written to it."""

    def write(self, text: str) -> str:
        return text


def csv_lines(found: Iterable[list[Row]]) -> Iterator[str]:
    """Comma-separated, lines ended by CR LF, as RFC 4180 has it; see `cell`."""
    writer = csv.writer(_Echo())
    written = 0
    yield BYTE_ORDER_MARK + writer.writerow([*COLUMNS, UNACCOUNTED])
    try:
        for batch in found:
            yield "".join(writer.writerow(map(cell, row.values())) for row in batch)
            written += len(batch)
    except Exception:
        # the answer is under way, so that only its own text can still tell
        logger.exception("An export as CSV broke off after %d runs.", written)
        yield writer.writerow([BROKEN_OFF.format(f"{written:,}")])


def cell(value: Any) -> Any:
    """A text that a spreadsheet cannot take for a formula, and a terminal not for a
    command; numbers and what is unknown (an empty cell) as they are.
    """
    if not value or not isinstance(value, str):
        return value
    text = visible(value, kept="\t\r\n")
    return f"'{text}" if _FORMULA.match(text) else text


def json_lines(found: Iterable[list[Row]]) -> Iterator[str]:
    """One array, an object a line; unknown is null; ASCII alone."""
    between = "[\n"
    for batch in found:
        lines = (json.dumps(row).translate(_FOR_HTML) for row in batch)
        yield between + ",\n".join(lines)
        between = ",\n"
    yield "\n]\n" if between == ",\n" else "[]\n"


FORMS: dict[str, tuple[str, Callable[[Iterable[list[Row]]], Iterator[str]]]] = {
    "csv": ("text/csv; charset=utf-8", csv_lines),
    "json": ("application/json", json_lines),
}
