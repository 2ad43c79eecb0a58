"""`/runs/`: the History, narrowed by what is in the address, and its exports; and
`/runs/<id>/`: what happened to one run, and what a person can do about it.
"""

from __future__ import annotations

import csv
import json
import logging
import re
from collections.abc import Callable, Iterable, Iterator
from datetime import datetime
from functools import partial
from typing import Any

from django.contrib import messages
from django.db.models import Q
from django.http import HttpResponse, QueryDict, StreamingHttpResponse
from django.shortcuts import redirect, render
from django.urls import reverse
from django.utils import timezone
from django.views.decorators.http import require_GET, require_http_methods, require_POST

from imports import models
from imports.lists.attention import can_start_again, start_again
from imports.lists.choices import FILTER_WORDS, ListQuery, chips, run_groups, run_orders
from imports.lists.counts import RunCounts, count_runs
from imports.lists.filters import RunFilter, RunSort
from imports.lists.paging import RunOrder, RunPage, batches, page_of
from imports.models import COUNTS, FINISHED, TRANSITIONS, ImportRun, RunStatus, User
from imports.signin import address_of
from imports.text import visible
from imports.usecases import follow, resolve, start
from imports.usecases.errors import UseCaseError
from imports.views import base, live
from imports.views.base import SignedInRequest, signed_in
from imports.views.live import Page, PageVersion
from imports.wording.definition import facts_in_short
from imports.wording.following import nobody_looks
from imports.wording.formats import clock_text, spoken, zone_name
from imports.wording.run import Surroundings, advice, compare, details_of, support_text
from imports.wording.status import status_look
from imports.wording.timeline import timeline

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
# The columns of exports, whose meaning docs/exports.md tells.
NAMES = (
    *("id", "account", "definition", "customer_key", "status", "phase", "origin"),
    *("started_by", "task_id", *COUNTS),
    *("occurred_at", "queued_at", "sent_at", "started_at", "finished_at", "settled_at"),
    *("start_text", "end_text", "import_type", "destination_id", "request_id"),
    *("reason", "error_code", "vendor_message", "message"),
)
# And where they come from.
COLUMNS = {name: name for name in NAMES} | {
    "id": "pk",
    "account": "account__name",
    "definition": "definition__name",
    "started_by": "started_by_name",
}
# Reckoned from the others.
UNACCOUNTED = "unaccounted_rows"
BROKEN_OFF = "INCOMPLETE: this export broke off after {} runs. Export again."
# Excel takes a CSV for UTF-8 only where it begins with this.
BYTE_ORDER_MARK = "\ufeff"
# The last four are wide letters, which Excel reads as the narrow ones.
FORMULA = re.compile("[\t\r\n]|[\\s\u200c\u200d]*[=+\\-@\uff1d\uff0b\uff0d\uff20]")
# What could end a script element, should anybody put the text into a page.
FOR_HTML = {ord(char): f"\\u{ord(char):04x}" for char in "<>&"}

# On the page of one
NONE_OF_THESE = "none"
OF_STEP = ("last_checked_at", "status", "answered_at", "sent_at", "occurred_at")
NEVER_RAN = (RunStatus.NOT_STARTED, RunStatus.CANCELLED)
# a run that was looked for over a day has some hundreds
MOST_EVENTS = 300
LOOK_FIRST = "Look in Marketing Cloud first, and tick the box. Nothing was changed."
DECLARED = "Marked as not started. Its definition can be started again."

Row = dict[str, Any]
logger = logging.getLogger(__name__)


@signed_in
def run_list(request: SignedInRequest) -> HttpResponse:
    version = live.page_version(request.user)
    if live.is_unchanged(request, version):
        return live.nothing_new(request)
    return live.answer(request, "runs", version, _draw_list)


def _draw_list(page: Page, version: PageVersion) -> dict[str, Any]:
    context = _list_context(page)
    context["live"] = live.live(
        page,
        version,
        title="History · mcdash",
        is_moving=live.any_moves(context["page"].runs, version.workers),
        is_over=bool(context["problems"]),
        wrong=bool(context["problems"]),
    )
    return context


def _list_context(asked: Page) -> dict[str, Any]:
    reader, given = asked.audience, QueryDict(asked.query)
    query = ListQuery(given, reverse("imports:run_list"))
    runs = ImportRun.objects.visible_to(reader)
    filters = RunFilter(given, runs, request=reader)
    problems = [UNREADABLE[name] for name in filters.errors]
    page, counts, with_runs = RunPage(), RunCounts(), {}
    if not problems:
        order, places = order_of(filters), {"before": "", "after": ""}
        # a place in an order that isn't in force is none
        if filters.wanted_order == filters.order:
            places = {name: given.get(name, "") for name in places}
        if all(order.read(text) for text in places.values() if text):
            counts = count_runs(filters)
            page = page_of(filters.qs, order, **places)
            with_runs = _with_runs(query, filters, counts, page)
        else:
            problems = [NO_PLACE]
    accounts = list(models.Account.objects.visible_to(reader).order_by("name"))
    filtered = {name for name in FILTER_WORDS if query.chosen(name)}
    return {
        "page": page,
        "problems": problems,
        "is_filtered": bool(filtered),
        "is_days_only": filtered <= {"from", "to"},
        "words": given.get("q", ""),
        "last_contact": base.last_contact_of(accounts),
        "groups": run_groups(
            query, filters, accounts if len(accounts) > 1 else [], counts
        ),
        "chips": chips(query, filters),
        "clear_all_url": query.path,
        "clear_words_url": query.url(q=""),
        "kept_for_words": query.hidden_fields("q"),
        "kept_for_more": query.hidden_fields("person", "from", "to"),
        "people": _people(reader),
        "person": given.get("person", ""),
        "first_day": filters.cleaned.get("from"),
        "last_day": filters.cleaned.get("to"),
        "zone_words": zone_name(),
        **with_runs,
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


def order_of(filters: RunFilter) -> RunOrder:
    """The order in force among what the filters let through; they must be valid."""
    return RunOrder(
        by=filters.order,
        accounts=filters.accounts,
        statuses=filters.cleaned["status"],
        are_many=filters.are_many,
    )


def _people(reader: models.Audience) -> list[str]:
    """Who can start what `reader` can see, for the filter's list; not who did, which
    only the whole history could tell.
    """
    if not reader.visible:
        return []
    granted = models.AccountAccess.objects.filter(
        account__in=reader.visible, level=models.AccessLevel.START
    )
    can_start = Q(groups__in=granted.values("group")) | Q(is_superuser=True)
    people = User.objects.filter(can_start, is_active=True).distinct()
    return sorted({person.shown_name for person in people[:100]})


@signed_in
@require_GET
def run_export(request: SignedInRequest, *, form: str) -> HttpResponse:
    """The runs of the page with the same address, all of them, in its order."""
    runs = ImportRun.objects.visible_to(request.user)
    filters = RunFilter(request.GET, runs, request=request.user)
    if filters.errors:
        text = "\n".join(UNREADABLE[name] for name in filters.errors)
        return HttpResponse(text, status=400, content_type="text/plain; charset=utf-8")
    content_type, written = FORMS[form]
    # it may take minutes: each batch asks again what the reader can see
    still_visible = filters.qs.still_visible_to(request.user)
    batched = batches(still_visible, order_of(filters), COLUMNS.values(), BATCH)
    name = f"mcdash-runs-{timezone.localdate().isoformat()}.{form}"
    response = StreamingHttpResponse(written(batched), content_type=content_type)
    response["Content-Disposition"] = f'attachment; filename="{name}"'
    return response  # type: ignore[return-value]  # both are HttpResponseBase


def _row(run: Row) -> Row:
    """A run by the columns' names; times as ISO 8601, always UTC."""
    row = {name: run[path] for name, path in COLUMNS.items()}
    for name, value in row.items():
        if isinstance(value, datetime):
            row[name] = value.isoformat()
    row["message"] = models.message_of(run["reason"], run["message"])
    # as `ImportRun.unaccounted_rows`
    is_counted = run["status"] in FINISHED
    row[UNACCOUNTED] = models.Counts.read(run).unaccounted if is_counted else None
    return row


class _Echo:
    """A file that gives back what is written to it."""

    def write(self, text: str) -> str:
        return text


def csv_lines(batched: Iterable[list[Row]]) -> Iterator[str]:
    """Comma-separated, lines ended by CR LF, as RFC 4180 has it; see `cell`."""
    writer = csv.writer(_Echo())
    written = 0
    yield BYTE_ORDER_MARK + writer.writerow([*COLUMNS, UNACCOUNTED])
    try:
        for batch in batched:
            rows = (map(cell, _row(run).values()) for run in batch)
            yield "".join(map(writer.writerow, rows))
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


def json_lines(batched: Iterable[list[Row]]) -> Iterator[str]:
    """One array, an object a line; unknown is null; ASCII alone."""
    between = "[\n"
    for batch in batched:
        lines = (json.dumps(_row(run)).translate(FOR_HTML) for run in batch)
        yield between + ",\n".join(lines)
        between = ",\n"
    yield "\n]\n" if between == ",\n" else "[]\n"


FORMS = {
    "csv": ("text/csv; charset=utf-8", csv_lines),
    "json": ("application/json", json_lines),
}


# The page of one


@signed_in
def run(request: SignedInRequest, pk: int) -> HttpResponse:
    version = live.version_of(request.user, ImportRun, pk, *OF_STEP, step=_step)
    if live.is_unchanged(request, version):
        return live.nothing_new(request)
    run = base.visible_run(request.user, pk)
    user, draw = request.user, partial(_draw_run, run)
    can_administer = user.is_staff and user.has_perm("imports.change_account")
    return live.answer(request, "run", version, draw, can_administer)


def _step(*values: Any) -> int:
    """Of a run's `OF_STEP`: when it was last checked, and whether a person can mark it
    as not started by now, though no row has changed.
    """
    run = ImportRun(**dict(zip(OF_STEP, values, strict=True)))
    is_overdue = (
        run.status == RunStatus.UNKNOWN and resolve.grace_ends_at(run) <= timezone.now()
    )
    return 2 * live.step_of(run.last_checked_at) + is_overdue


def _draw_run(run: ImportRun, page: Page, version: PageVersion) -> dict[str, Any]:
    unfollowed = run.why_not_followed(version.workers)
    # a result may still turn up for a run that was given up, also by a person
    is_given_up = run.status == RunStatus.NOT_STARTED and run.reason in models.GIVEN_UP
    is_over = run.has_ended and not is_given_up
    word = run.get_status_display() + (", not followed" if unfollowed else "")
    context = _run_context(page, run, unfollowed)
    context["live"] = live.live(
        page,
        version,
        title=f"{word}: {spoken(run.shown_name)} · mcdash",
        is_moving=run.is_active and not unfollowed,
        is_over=is_over,
        state="attention" if unfollowed else status_look(run.status).tab,
        workers=models.WorkerState() if is_over else version.workers,
        # the page's own notice says what is wrong with them, and since when
        has_notice=unfollowed is not None and unfollowed.why.lies_with_workers,
    )
    return context


def _run_context(
    page: Page, run: ImportRun, unfollowed: models.Unfollowed | None
) -> dict[str, Any]:
    is_unknown = run.status == RunStatus.UNKNOWN
    candidates = resolve.candidates_of(run) if is_unknown else []
    can = run.account_id in page.audience.startable
    (can_administer,) = page.own
    can_declare = (
        can and is_unknown and not resolve.why_not_declarable(run, timezone.now())
    )
    can_be_repeated = can and run.has_ended and can_start_again(run)
    previous, declared = _previous(run), None
    if run.reason == models.Reason.DECLARED:
        declared = run.events.filter(kind=models.EventKind.NOT_STARTED).last()
    around = Surroundings(
        candidates=len(candidates),
        previous=previous,
        can_declare=can_declare,
        declared_by=declared.actor_name if declared else "",
        is_followed=unfollowed is None,
    )
    events = run.events.all()[:MOST_EVENTS]
    definition, started_from = None, run.definition_version
    if run.definition_id:
        # read again, since its facts in short say where it loads to
        definitions = models.ImportDefinition.objects.with_destination()
        definition = definitions.get(pk=run.definition_id)
    return {
        "run": run,
        "advice": advice(run, around),
        "nobody_looks": nobody_looks(run, unfollowed, can_administer=can_administer),
        "timeline": timeline(run, events, is_followed=unfollowed is None),
        "previous": previous,
        "comparison": compare(run, previous) if previous else [],
        "facts": facts_in_short(definition) if definition else [],
        "is_changed_since": definition
        and started_from
        and started_from.digest != definition.digest,
        "details": details_of(run),
        "support_text": support_text(run),
        "zone_words": zone_name(),
        "again": list(run.again.latest_first()[:3]),
        "start_again": start_again(run) if can_be_repeated else None,
        "can_cancel": can and RunStatus.CANCELLED in TRANSITIONS[RunStatus(run.status)],
        "can_check_again": can and run.status == RunStatus.LOST,
        "can_choose": can and len(candidates) > 1,
        "can_declare": can_declare,
    }


def _previous(run: ImportRun) -> ImportRun | None:
    """The run of the same definition before this one; none for one that never ran."""
    if run.definition is None or run.status in NEVER_RAN:
        return None
    earlier = run.definition.runs.filter(status__in=FINISHED).exclude(total_rows=None)
    return RunOrder().after(earlier, (run.occurred_at, run.pk)).first()


# What is done at the press of a button, and what is said of it.
ACTIONS: dict[str, tuple[Callable[..., ImportRun], str]] = {
    "cancel": (start.cancel_run, "Cancelled: nothing was sent to Marketing Cloud."),
    "check": (follow.check_again, "Checking again: the worker asks for it now."),
}


@signed_in
@require_POST
def act(request: SignedInRequest, pk: int, *, name: str) -> HttpResponse:
    return _act(request, _startable_run(request, pk), *ACTIONS[name])


@signed_in
@require_http_methods(["GET", "HEAD", "POST"])
def choose(request: SignedInRequest, pk: int) -> HttpResponse:
    """A person chooses which of several runs in Marketing Cloud this one is."""
    run, choice = _startable_run(request, pk), request.POST.get("task", "")
    if request.method != "POST":
        return _ask_which(request, run)
    if not choice:
        return _ask_which(request, run, 400, "Choose one of them first.")
    task = None if choice == NONE_OF_THESE else choice
    done = (
        f"{spoken(run.shown_name)} is task {task}. mcdash follows it now."
        if task
        else "None of those. mcdash keeps looking."
    )
    action = partial(resolve.choose_task, task_id=task)
    return _act(request, run, action, done, _ask_which)


def _ask_which(
    request: SignedInRequest, run: ImportRun, status: int = 200, problem: str = ""
) -> HttpResponse:
    # it may have been settled while the dialog was on its way
    is_open = run.status == RunStatus.UNKNOWN
    context = {
        "run": run,
        "candidates": resolve.candidates_of(run) if is_open else [],
        "none_of_these": NONE_OF_THESE,
        "problem": problem,
    }
    return base.dialog(request, "run", "choose", context, status)


@signed_in
@require_http_methods(["GET", "HEAD", "POST"])
def declare_not_started(request: SignedInRequest, pk: int) -> HttpResponse:
    """A person marks an unknown run as not started, once they have looked."""
    run = _startable_run(request, pk)
    if request.method != "POST":
        return _ask_whether(request, run)
    if request.POST.get("looked") != "yes":
        return _ask_whether(request, run, 400, LOOK_FIRST)
    return _act(request, run, resolve.declare_not_started, DECLARED, _ask_whether)


def _ask_whether(
    request: SignedInRequest, run: ImportRun, status: int = 200, problem: str = ""
) -> HttpResponse:
    now, opens_at = timezone.now(), resolve.grace_ends_at(run)
    context = {
        "run": run,
        "opens_at": clock_text(opens_at) if opens_at > now else "",
        "why_not": resolve.why_not_declarable(run, now),
        "sent_at": clock_text(run.sent_at),
        "problem": problem,
    }
    return base.dialog(request, "run", "declare", context, status)


def _startable_run(request: SignedInRequest, pk: int) -> ImportRun:
    run = base.visible_run(request.user, pk)
    base.require_start(request.user, run)
    return run


def _act(
    request: SignedInRequest,
    run: ImportRun,
    action: Callable[..., ImportRun],
    done: str,
    ask: Callable[..., HttpResponse] | None = None,
) -> HttpResponse:
    """Do it and say what came of it: on the run's page, or in the dialog that asked."""
    try:
        action(run=run, by=request.user, ip=address_of(request))
    except UseCaseError as error:
        if ask:
            # read again, since it is no longer what it was when the dialog opened
            return ask(request, _startable_run(request, run.pk), 409, str(error))
        messages.error(request, str(error))
        return redirect("imports:run", pk=run.pk)
    # the page behind the dialog stays, and is asked to look at once
    if ask and request.htmx:
        response = render(request, "imports/run/_toast_done.html", {"text": done})
        return base.close_dialog(response)
    messages.success(request, done)
    return redirect("imports:run", pk=run.pk)
