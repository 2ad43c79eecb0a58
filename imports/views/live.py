"""How pages keep themselves up to date, and are drawn once for all who see the same.

A poll carries `since`, the version of what the browser shows. Nothing changed: 204,
else those of the page's parts that changed, swapped out of band.

What a page shows is a function of a `Page` and of the data: `draw` is given nothing
else, no request and no person. What is a reader's own (the frame with their name, theme
and messages, CSRF tokens, parts drawn apart) is put in when the answer is sent.
"""

from __future__ import annotations

import datetime as dt
import re
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field, replace
from functools import cache, partial
from typing import Any
from zlib import crc32

from django.db.models import Exists, Max, OuterRef
from django.http import Http404, HttpRequest, HttpResponse
from django.middleware.csrf import get_token
from django.template.loader import render_to_string
from django.utils import timezone
from django.utils.safestring import mark_safe
from django_htmx.http import trigger_client_event

from imports import models
from imports.lists.attention import Attention, attention_counts
from imports.models import (
    STORAGE,
    Account,
    Audience,
    ImportDefinition,
    ImportRun,
    User,
    audience_of,
)
from imports.models.database import BuiltQuery, Given
from imports.ui.drawings import DRAWINGS
from imports.ui.partials import Drawing, Part, digests_of, in_frame, memory_of, slot
from imports.views import base
from imports.views.base import SignedInRequest
from imports.views.pace import PACE
from imports.wording.formats import problem_text, spoken

# Seconds between polls: while something on the page moves, and otherwise.
FAST_SECONDS = 3
QUIET_SECONDS = 20
# "Last checked" on a page is redrawn at most this often.
STEP_SECONDS = 20
MOST_SENTENCES = 5
TOLD_FOR = dt.timedelta(hours=1)
# The seconds until the page's next poll, in a header.
POLL_AFTER = "Poll-After"
# What a poll's address says beside what the page is of.
OF_POLLS = ("since", "seen", "every")
# Parts that every page has in what is around its content.
AROUND = (
    "imports/_shared/_worker_banner.html",
    "imports/_shared/_attention_tally.html",
)

Context = dict[str, Any]


@dataclass(frozen=True, kw_only=True, slots=True)
class PageVersion:
    """What a page depends on, noted before it is read: the greatest revision that the
    reader can see (`number`), when Marketing Cloud last responded (`step`, so that
    "last checked" stays true), what the reader can see and start in (`rights`), their
    day, how the workers do, and whether anything can be saved. `is_of_all`: of all
    accounts, not of a single one.
    """

    number: int
    step: int
    rights: str
    workers: models.WorkerState
    is_of_all: bool
    # noted with the rest: a day that ends while the page is drawn is news for its poll
    day: str = field(default_factory=lambda: f"{timezone.localdate():%j}")
    is_unsaved: bool = field(default_factory=lambda: bool(STORAGE.unwritable_since))

    @property
    def state(self) -> str:
        """What goes back and forth; number and step only grow."""
        silent = "s" if self.workers.is_silent else ""
        stuck = "o" if self.workers.is_stuck else ""
        unsaved = "w" if self.is_unsaved else ""
        return f"{self.day}{silent}{stuck}{unsaved}"

    @property
    def text(self) -> str:
        return f"{self.number}-{self.step}-{self.state}-{self.rights}"


@dataclass(frozen=True, kw_only=True, slots=True)
class Page:
    """All that makes a difference to what a page shows, beside the data."""

    name: str  # of its folder
    path: str
    query: str
    audience: Audience
    zone: str
    state: str  # of its `PageVersion`
    # what is said to who sees no account, see `base.no_account`
    no_account: tuple[tuple[str, str], ...] = ()
    own: tuple[Any, ...] = ()  # what else, such as the reader's favourites


Draw = Callable[[Page, PageVersion], Context]


def page_version(user: User) -> PageVersion:
    """The page's version for `user`, in one query with their audience."""
    query = _accounts_query(user.is_superuser, *_deadlines())
    rows = query.rows(user=user.pk)
    user.audience = models.as_audience((pk, can_start) for pk, can_start, *_ in rows)
    if rows:
        number = max(revision for _, _, revision, *_ in rows)
        step = step_of(max((row[3] for row in rows if row[3]), default=None))
        workers = models.workers_of(rows[0][-1])
    else:
        # whoever sees no account is told whether there are any
        number, step, workers = 0, int(Account.objects.exists()), models.workers_now()
    rights = f"{crc32(repr(user.audience).encode()):x}"
    return PageVersion(
        number=number, step=step, rights=rights, workers=workers, is_of_all=True
    )


def version_of(
    user: User,
    model: type[ImportDefinition | ImportRun],
    pk: int,
    *fields: str,
    step: Callable[..., int] = lambda: 0,
) -> PageVersion:
    """The version of the page of one thing, which follows that account alone, in one
    query; `step` is made of `fields`. Raises `Http404` where `user` can't see it.
    """
    query = _one_query(user.is_superuser, model, fields, *_deadlines())
    rows = query.rows(user=user.pk, pk=pk)
    if not rows:
        raise Http404
    ((number, can_start, word, *values),) = rows
    return PageVersion(
        number=number,
        step=step(*values),
        rights="start" if can_start else "view",
        workers=models.workers_of(word),
        is_of_all=False,
    )


# These are asked by every poll. All that they depend on is in their arguments, what
# `workers_word` makes of settings too.


def _deadlines() -> tuple[dt.timedelta, ...]:
    return models.overdue_after(), models.start_overdue_after()


@cache
def _accounts_query(is_superuser: bool, *_: dt.timedelta) -> BuiltQuery:
    """Of each account that the person `user` can see: its id, whether they can start
    there, revision, last contact, and how the workers do.
    """
    person = _stand_in(is_superuser=is_superuser)
    accounts = Account.objects.still_visible_to(person).with_can_start(person)
    columns = ("pk", "can_start", "revision", "last_contact_at", models.workers_word())
    return BuiltQuery(accounts.order_by("pk").values_list(*columns))


@cache
def _one_query(
    is_superuser: bool,
    model: type[ImportDefinition | ImportRun],
    fields: tuple[str, ...],
    *_: dt.timedelta,
) -> BuiltQuery:
    """Of the one with the id `pk`, if the person `user` can see it: its account's
    revision, whether they can start there, how the workers do, and `fields`.
    """
    person = _stand_in(is_superuser=is_superuser)
    startable = Account.objects.startable_by(person).filter(pk=OuterRef("account"))
    columns: list[Any] = ["account__revision", Exists(startable)]
    columns += [models.workers_word(), *fields]
    rows = model._default_manager.still_visible_to(person).order_by()
    return BuiltQuery(rows.filter(pk=Given("pk", model._meta.pk)).values_list(*columns))


def _stand_in(*, is_superuser: bool) -> User:
    """Whoever is signed in, whose id is given with each use."""
    person = User(is_superuser=is_superuser)
    person.pk = Given("user", User._meta.pk)
    return person


def step_of(moment: dt.datetime | None) -> int:
    return int(moment.timestamp()) // STEP_SECONDS if moment else 0


def is_unchanged(request: SignedInRequest, version: PageVersion) -> bool:
    return request.GET.get("since") == version.text


def nothing_new(request: SignedInRequest) -> HttpResponse:
    """The answer to a poll of a page that is as it was."""
    # the page says how often it asks, since nothing was read that would tell
    is_moving = request.GET.get("every") == str(FAST_SECONDS)
    usual = FAST_SECONDS if is_moving else QUIET_SECONDS
    headers = {POLL_AFTER: str(PACE.pause(usual))}
    return HttpResponse(status=204, headers=headers)


def live(
    page: Page,
    version: PageVersion,
    *,
    title: str,
    is_moving: bool,
    is_over: bool = False,
    attention: Attention | None = None,
    number_after: int | None = None,
    has_active: bool | None = None,
    ended: Iterable[ImportRun] | None = None,
    **own: Any,
) -> Context:
    """What the element `#live` (`_live.html`) tells the script that polls: where and
    how often to ask, and the tab's title and icon (`state`), of all runs unless the
    page has its `own`; and what stands on every page: how much needs attention, how
    the workers do, and which runs have `ended` lately, for screen readers.

    Call it after the page's parts were read. What changed while they were read may
    be on the page by half, so then it asks again soon: where the greatest revision,
    `number_after` if it is known, is another by now.
    """
    attention = attention or attention_counts(page.audience)
    failed = attention.failed_count
    if version.is_of_all and not is_moving:
        if number_after is None:
            visible = Account.objects.visible_to(page.audience)
            number_after = visible.aggregate(number=Max("revision"))["number"] or 0
        is_moving = number_after != version.number
    if "state" not in own:
        title = f"({failed} failed) {title}" if failed else title
        own["state"] = "failed" if failed else "attention"
        if not attention.count:
            active = ImportRun.objects.visible_to(page.audience).active()
            is_running = has_active if has_active is not None else active.exists()
            own["state"] = "running" if is_running else "quiet"
    if ended is None:
        runs = ImportRun.objects.visible_to(page.audience)
        # of the last hour, since an index finds these, and who polls heard of the rest
        runs = runs.ended_since(timezone.now() - TOLD_FOR).select_related("definition")
        ended = runs.order_by("-revision")[:MOST_SENTENCES]
    return {
        "path": page.path,
        "query": f"{page.query}&" if page.query else "",
        "since": version.text,
        "seconds": 0 if is_over else FAST_SECONDS if is_moving else QUIET_SECONDS,
        "title": title,
        "workers": version.workers,
        "attention_count": attention.count,
        "ended": _sentences(ended),
        "wrong": False,
        **own,
    }


def any_moves(runs: Iterable[ImportRun], workers: models.WorkerState) -> bool:
    """Whether one of `runs`, their accounts known, is active and followed."""
    return any(run.is_active and not run.why_not_followed(workers) for run in runs)


def answer(
    request: SignedInRequest,
    name: str,
    version: PageVersion,
    draw: Draw,
    *own: Any,
    apart: Mapping[str, tuple[Any, Draw]] | None = None,
) -> HttpResponse:
    """The whole page of the folder `name`, or for a poll what changed of its parts
    since the page last heard, with what happened in sentences.

    `own` is what the page is drawn from beside its address and who sees it; `apart`
    are parts by their templates' names that are drawn from something more.
    """
    query = request.GET.copy()
    for word in OF_POLLS:
        query.pop(word, None)
    page = Page(
        name=name,
        path=request.path,
        query=query.urlencode(),
        audience=audience_of(request.user),
        zone=timezone.get_current_timezone_name(),
        state=version.state,
        own=own,
        no_account=_no_account(request.user),
    )
    make = partial(_draw_page, page, version, draw)
    drawing = DRAWINGS.get(page, (version.number, version.step), make)
    parts = dict(drawing.parts)
    for template, (more, draw_part) in (apart or {}).items():
        part_of = replace(page, name=template, own=more)
        make = partial(_draw_part, part_of, version, draw_part)
        parts |= DRAWINGS.get(part_of, (version.number, version.step), make).parts
    # an address with `since` that somebody opens by hand is a page like any other
    if request.htmx and "since" in request.GET:
        return _announced(request, drawing, _news(request, drawing, parts))
    target = request.htmx.target if request.htmx else None
    if target in {part.id for part in parts.values()}:
        return _news(request, drawing, parts, in_place=target)
    context = {
        "live": drawing.facts,
        "parts": parts,
        "memory": memory_of(parts.values()),
        "content": mark_safe(in_frame(drawing, parts)),  # noqa: S308  by templates
    }
    html = render_to_string("imports/_shared/live_page.html", context, request)
    return _sent(request, html, 400 if drawing.facts["wrong"] else 200)


def _draw_page(page: Page, version: PageVersion, draw: Draw) -> Drawing:
    context = draw(page, version)
    drawing = Drawing(facts=context["live"])
    context |= {
        "drawing": drawing,
        "csrf_token": slot("csrf"),
        "no_account": dict(page.no_account),
    }
    for template in AROUND:
        drawing.place(template, partial(render_to_string, template, context))
    drawing.set_frame(render_to_string(f"imports/{page.name}/page.html", context))
    return drawing


def _draw_part(page: Page, version: PageVersion, draw: Draw) -> Drawing:
    context = draw(page, version) | {"csrf_token": slot("csrf")}
    return Drawing(parts={page.name: Part.of(render_to_string(page.name, context))})


def _no_account(user: User) -> tuple[tuple[str, str], ...]:
    return () if audience_of(user).visible else tuple(base.no_account(user).items())


def _sentences(ended: Iterable[ImportRun]) -> list[tuple[int, str]]:
    """Those that changed last: their revisions, and how it is told."""
    sentences = []
    for run in sorted(ended, key=lambda run: -run.revision)[:MOST_SENTENCES]:
        problem = f", {problem_text(run.counts)}" if run.are_counts_open else ""
        status = f"{run.get_status_display()}{problem}"
        sentences.append((run.revision, f"{spoken(run.shown_name)}: {status}."))
    return sentences


def _news(
    request: SignedInRequest,
    drawing: Drawing,
    parts: Mapping[str, Part],
    in_place: str = "",
) -> HttpResponse:
    """Those of the page's parts that differ from what the poll says it shows; first
    the one whose id is `in_place`, for which htmx asked.
    """
    seen = digests_of(request.GET.get("seen", ""))
    asked = [part.html for part in parts.values() if part.id == in_place]
    others = (part for part in parts.values() if part.id != in_place)
    news = (part.news(seen.get(part.id, ())) for part in others)
    memory = memory_of(parts.values())
    context = {"live": drawing.facts, "memory": memory, "oob": True}
    live_html = render_to_string("imports/_shared/_live.html", context)
    html = "".join([*asked, *news, live_html])
    # htmx swaps no 400
    response = _sent(request, html, 422 if asked and drawing.facts["wrong"] else 200)
    if seconds := drawing.facts["seconds"]:
        response.headers[POLL_AFTER] = str(PACE.pause(seconds))
    if asked and "found" in drawing.facts:
        sentences = [drawing.facts["found"]]
        trigger_client_event(response, "mcdash:announce", {"sentences": sentences})
    return response


def _announced(
    request: SignedInRequest, drawing: Drawing, response: HttpResponse
) -> HttpResponse:
    """With what ended since the page last heard, for screen readers."""
    if since := re.match(r"\d{1,18}", request.GET["since"]):
        ended = drawing.facts["ended"]
        sentences = [text for at, text in ended if at > int(since.group())]
        if sentences:
            trigger_client_event(response, "mcdash:announce", {"sentences": sentences})
    return response


def _sent(request: HttpRequest, html: str, status: int) -> HttpResponse:
    if slot("csrf") in html:
        html = html.replace(slot("csrf"), get_token(request))
    return HttpResponse(html, status=status)
