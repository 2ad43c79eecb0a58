"""`/runs/`: the History, narrowed by what is in the address, and its exports."""

from __future__ import annotations

import csv
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

from imports import models
from imports.lists.choices import FILTER_WORDS, ListQuery, chips, run_groups, run_orders
from imports.lists.counts import RunCounts, count_runs
from imports.lists.filters import RunFilter, RunSort
from imports.lists.paging import RunOrder, RunPage, batches, page_of
from imports.models import COUNTS, Account, AccountAccess, ImportRun, User
from imports.text import visible
from imports.views import base
from imports.views.base import SignedInRequest, signed_in
from imports.wording.formats import zone_name

UNREADABLE = {
    "status": "That status does not exist.",
    "account": "That account does not exist, or you don’t have access to it.",
    "definition": "That definition does not exist, or you don’t have access to it.",
    "origin": "That origin does not exist.",
    "sort": "That order does not exist.",
    "from": "“From” isn’t a date. Write it as in 2026-03-12.",
    "to": "“To” isn’t a date. Write it as in 2026-03-12.",
    "q": "A search has at most 200 letters, and no control characters.",
    "person": "A name has at most 200 letters, and no control characters.",
}
NEIGHBOURS = {RunSort.NEWEST: ("Newer", "Older"), RunSort.OLDEST: ("Older", "Newer")}
NO_PLACE = "This address names a place in the history that can’t be read."
BATCH = 1000
# The columns of exports, and where those come from that are called otherwise here;
# docs/exports.md tells what they mean.
NAMES = (
    *("id", "account", "definition", "customer_key", "status", "phase", "origin"),
    *("started_by", "task_id", *COUNTS),
    *("occurred_at", "queued_at", "sent_at", "started_at", "finished_at", "settled_at"),
    *("start_text", "end_text", "import_type", "destination_id", "request_id"),
    *("reason", "error_code", "vendor_message", "message"),
)
PATHS = {
    "id": "pk",
    "account": "account__name",
    "definition": "definition__name",
    "started_by": "started_by_name",
}
COLUMNS = {name: PATHS.get(name, name) for name in NAMES}
# Reckoned from the others.
UNACCOUNTED = "unaccounted_rows"
BROKEN_OFF = "INCOMPLETE: this export broke off after {} runs. Export again."
# Excel takes a CSV for UTF-8 only where it begins with this.
BYTE_ORDER_MARK = "\ufeff"
# The last four are wide letters, which Excel reads as the narrow ones.
FORMULA = re.compile("[\t\r\n]|[\\s\u200c\u200d]*[=+\\-@\uff1d\uff0b\uff0d\uff20]")
# What could end a script element, should anybody put the text into a page.
FOR_HTML = {ord(char): f"\\u{ord(char):04x}" for char in "<>&"}

Row = dict[str, Any]
logger = logging.getLogger(__name__)


@signed_in
def run_list(request: SignedInRequest) -> HttpResponse:
    version = base.page_version(request.user)
    if base.is_unchanged(request, version):
        return base.nothing_changed()
    context = _context(request)
    context["live"] = base.live(
        request,
        version,
        title="History · mcdash",
        is_moving=base.any_moves(context["page"].runs, version.workers),
        is_over=bool(context["problems"]),
    )
    response = base.answer(request, "runs", context)
    if context["problems"]:
        response.status_code = 400
    return response


def _context(request: SignedInRequest) -> dict[str, Any]:
    user, query = request.user, ListQuery(request.GET, reverse("imports:run_list"))
    runs = ImportRun.objects.visible_to(user)
    filters = RunFilter(request.GET, runs, request=request)
    problems = problems_of(filters)
    page, counts, shown = RunPage(), RunCounts(), {}
    if not problems:
        order, places = order_of(filters), {"before": "", "after": ""}
        # a place in an order that isn't in force is none
        if filters.wanted_order == filters.order:
            places = {name: request.GET.get(name, "") for name in places}
        if all(order.read(text) for text in places.values() if text):
            counts = count_runs(filters, user)
            page = page_of(filters.qs, order, **places, are_many=filters.are_many)
            shown = _with_runs(query, filters, counts, page)
        else:
            problems = [NO_PLACE]
    accounts = list(Account.objects.visible_to(user).order_by("name"))
    in_force = chips(query, filters)
    filtered = {name for name in FILTER_WORDS if query.chosen(name)}
    return {
        "page": page,
        "problems": problems,
        "is_filtered": bool(filtered),
        "is_days_only": filtered <= {"from", "to"},
        "words": request.GET.get("q", ""),
        "no_account": None if accounts else base.no_account(user),
        "last_contact": base.last_contact_of(accounts),
        "groups": run_groups(
            query, filters, accounts if len(accounts) > 1 else [], counts
        ),
        "chips": in_force,
        "chosen": len(in_force),
        "clear_all_url": query.path,
        "clear_words_url": query.url(q=""),
        "kept_for_words": query.hidden_fields("q"),
        "kept_for_more": query.hidden_fields("person", "from", "to"),
        # asked for only where the filters are drawn: polls leave them as they are
        "people": partial(_people, user),
        "person": request.GET.get("person", ""),
        "first_day": filters.cleaned.get("from"),
        "last_day": filters.cleaned.get("to"),
        "zone_words": zone_name(),
        **shown,
    }


def _with_runs(
    query: ListQuery, filters: RunFilter, counts: RunCounts, page: RunPage
) -> dict[str, Any]:
    """What can be done with runs that were found: sort them, export them, go on."""
    previous, following = NEIGHBOURS.get(filters.order, ("Previous", "Next"))
    return {
        "orders": run_orders(query, filters),
        "is_sortable": filters.is_sortable,
        "month_url": query.url(**{"from": "30-days-ago", "to": ""}),
        "is_order_refused": filters.wanted_order != filters.order,
        "total": counts.total_text(query.chosen("status")),
        "csv_url": query.url(reverse("imports:run_export_csv")),
        "json_url": query.url(reverse("imports:run_export_json")),
        "previous_url": query.url(after=page.previous) if page.previous else "",
        "previous_word": previous,
        "next_url": query.url(before=page.next) if page.next else "",
        "next_word": following,
    }


def problems_of(filters: RunFilter) -> list[str]:
    """What of the filters can't be read, in sentences."""
    return [UNREADABLE[name] for name in filters.errors]


def order_of(filters: RunFilter) -> RunOrder:
    """The order in force among what the filters let through; they must be valid."""
    return RunOrder(
        by=filters.order,
        accounts=filters.accounts,
        statuses=filters.cleaned["status"],
    )


def _people(user: User) -> list[str]:
    """Who can start what `user` can see, for the filter's list; not who did, which
    only the whole history could tell.
    """
    accounts = Account.objects.visible_to(user)
    if not accounts.exists():
        return []
    granted = AccountAccess.objects.filter(
        account__in=accounts, level=models.AccessLevel.START
    )
    can_start = Q(groups__in=granted.values("group")) | Q(is_superuser=True)
    people = User.objects.filter(can_start, is_active=True).distinct()
    return sorted({person.shown_name for person in people[:100]})


@signed_in
@require_GET
def run_export(request: SignedInRequest, *, form: str) -> HttpResponse:
    """The runs of the page with the same address, all of them, in its order."""
    runs = ImportRun.objects.visible_to(request.user)
    filters = RunFilter(request.GET, runs, request=request)
    if problems := problems_of(filters):
        text = "\n".join(problems)
        return HttpResponse(text, status=400, content_type="text/plain; charset=utf-8")
    content_type, written = FORMS[form]
    # it may take minutes: each batch asks again what the reader can see
    still_visible = filters.qs.still_visible_to(request.user)
    order, paths = order_of(filters), COLUMNS.values()
    found = batches(still_visible, order, paths, BATCH, are_many=filters.are_many)
    name = f"mcdash-runs-{timezone.localdate().isoformat()}.{form}"
    response = StreamingHttpResponse(written(_rows(found)), content_type=content_type)
    response["Content-Disposition"] = f'attachment; filename="{name}"'
    return response  # type: ignore[return-value]  # both are HttpResponseBase


def _rows(found: Iterable[list[Row]]) -> Iterator[list[Row]]:
    """The batches with the columns' names; times as ISO 8601, always UTC."""
    for batch in found:
        rows = []
        for run in batch:
            row = {name: run[path] for name, path in COLUMNS.items()}
            for name, value in row.items():
                if isinstance(value, datetime):
                    row[name] = value.isoformat()
            row["message"] = models.message_of(run["reason"], run["message"])
            # as `ImportRun.unaccounted_rows`
            is_counted = run["status"] in models.FINISHED
            row[UNACCOUNTED] = (
                models.Counts.read(run).unaccounted if is_counted else None
            )
            rows.append(row)
        yield rows


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
        # part of the answer is sent, so that only its own text can still tell
        logger.exception("An export as CSV broke off after %d runs.", written)
        yield writer.writerow([BROKEN_OFF.format(f"{written:,}")])


def cell(value: Any) -> Any:
    """A text that a spreadsheet cannot take for a formula, and a terminal not for a
    command; numbers and what is unknown (an empty cell) as they are.
    """
    if not value or not isinstance(value, str):
        return value
    text = visible(value, kept="\t\r\n")
    return f"'{text}" if FORMULA.match(text) else text


def json_lines(found: Iterable[list[Row]]) -> Iterator[str]:
    """One array, an object a line; unknown is null; ASCII alone."""
    between = "[\n"
    for batch in found:
        lines = (json.dumps(row).translate(FOR_HTML) for row in batch)
        yield between + ",\n".join(lines)
        between = ",\n"
    yield "\n]\n" if between == ",\n" else "[]\n"


FORMS: dict[str, tuple[str, Callable[[Iterable[list[Row]]], Iterator[str]]]] = {
    "csv": ("text/csv; charset=utf-8", csv_lines),
    "json": ("application/json", json_lines),
}
