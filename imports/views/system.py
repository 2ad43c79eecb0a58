"""Pages about mcdash itself: health and metrics for machines, the pages that say what
went wrong, and the style guide for those who build pages.
"""

from __future__ import annotations

import logging
import re
import secrets
import sys
from datetime import UTC, datetime, timedelta
from ipaddress import ip_address
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

from django.conf import settings
from django.contrib.staticfiles import finders
from django.core.exceptions import PermissionDenied
from django.db import DatabaseError
from django.db.models import Max
from django.db.models.functions import Now
from django.http import HttpRequest, HttpResponse, HttpResponseNotFound, JsonResponse
from django.http.request import split_domain_port
from django.shortcuts import render
from django.template.loader import render_to_string
from django.utils import timezone
from django.utils.http import is_same_domain
from django.views import defaults
from django.views.decorators.cache import never_cache
from django.views.decorators.http import require_safe
from django_htmx.http import reswap, retarget

from imports.metrics import (
    CONTENT_TYPE,
    exposition,
)
from imports.models import (
    ACTIVE,
    ENDED,
    STORAGE,
    Account,
    ImportDefinition,
    ImportRun,
    Origin,
    RunStatus,
    Worker,
    refusal_of,
    workers_word,
)
from imports.models.run import ALIVE
from imports.views.base import SignedInRequest, signed_in
from imports.wording.formats import clock_text

log = logging.getLogger(__name__)

# Health and metrics

# A queued start is taken within a second or two where all is well.
START_WAITS_TOO_LONG = timedelta(seconds=30)
SIGNS_OF_A_PROXY = (
    *("X-Forwarded-For", "X-Forwarded-Proto", "X-Forwarded-Host", "X-Forwarded-Port"),
    *("Forwarded", "X-Real-IP", "Via"),
)


@never_cache
@require_safe
def healthz(_: HttpRequest) -> HttpResponse:
    """200 when this process and its database work, whatever else is degraded: a
    worker that is gone, or a database that can only be read, is no reason to take the
    pages away.
    """
    waiting = ImportRun.objects.filter(
        status=RunStatus.QUEUED, queued_at__lt=Now() - START_WAITS_TOO_LONG
    )
    try:
        parts = {
            # not by heartbeats alone: see `WorkerState.is_stuck`
            "worker": Worker.objects.aggregate(w=Max(workers_word()))["w"] == ALIVE,
            "queue": not waiting.exists(),
            "accounts": not Account.objects.in_trouble().exists(),
        }
    except DatabaseError:
        return _no_database()
    words = {part: "ok" if is_well else "degraded" for part, is_well in parts.items()}
    since = STORAGE.unwritable_since
    is_well = all(parts.values()) and since is None
    # degraded all the same: pages can still be read from it
    answer = {"status": "ok" if is_well else "degraded", "database": "ok"}
    if since:
        answer |= {"database": "cannot be written", "since": _in_utc(since)}
    return JsonResponse(answer | words)


@never_cache
@require_safe
def worker(_: HttpRequest) -> HttpResponse:
    """200 when any worker has responded within a minute, else 503."""
    try:
        is_heard = Worker.objects.alive().exists()
    except DatabaseError:
        return _no_database()
    if since := STORAGE.unwritable_since:
        return _unwell(
            f"The database cannot be written since {_in_utc(since)}: no worker can "
            "start or follow anything."
        )
    if not is_heard:
        return _unwell("No worker has responded for a minute.")
    return JsonResponse({"status": "ok"})


def _no_database() -> HttpResponse:
    log.exception("The database does not answer")
    return _unwell("The database does not answer.")


def _unwell(sentence: str) -> HttpResponse:
    return HttpResponse(f"{sentence}\n", status=503, content_type="text/plain")


def _in_utc(moment: datetime) -> str:
    return moment.astimezone(UTC).isoformat(timespec="seconds").replace("+00:00", "Z")


@never_cache
@require_safe
def metrics(request: HttpRequest) -> HttpResponse:
    """The metrics, for this machine or whoever knows the token; else 404."""
    kind, _, given = request.headers.get("Authorization", "").partition(" ")
    token = settings.MCDASH_METRICS_TOKEN
    knows_token = (
        bool(token)
        and kind.lower() == "bearer"
        # in constant time: how long it takes must not tell how much was right
        and secrets.compare_digest(given.strip().encode(), token.encode())
    )
    if not (knows_token or _comes_from_here(request)):
        return HttpResponseNotFound("Not found.\n", content_type="text/plain")
    return HttpResponse(exposition(), content_type=CONTENT_TYPE)


def _comes_from_here(request: HttpRequest) -> bool:
    """Whether somebody on this machine asked us directly.

    Behind a proxy on the same machine everybody's connection comes from loopback. So
    no header may tell of a proxy, and the host must be called as only this machine
    can call it: a proxy that passes on the name under which people know us, or a page
    that leads a browser here by a name of its own, gives itself away.
    """
    host, _ = split_domain_port(request.META.get("HTTP_HOST", "").lower())
    is_proxied = any(name in request.headers for name in SIGNS_OF_A_PROXY)
    if is_proxied or host not in settings.LOOPBACK_HOSTS:
        return False
    try:
        peer = ip_address(request.META.get("REMOTE_ADDR", ""))
    except ValueError:
        return False
    return (getattr(peer, "ipv4_mapped", None) or peer).is_loopback


# What went wrong

STALE_FORM = (
    "This form was too old or came from another place, so nothing was done. Go back, "
    "reload the page and try again."
)
OTHER_ORIGIN = (
    "This form was opened at {sent}, but mcdash accepts forms only from {expected}, so "
    "nothing was done. If {sent} is the address in your browser, tell your system "
    "administrator: it belongs in the setting MCDASH_TRUSTED_ORIGINS."
)
UNKNOWN_HOST = (
    "mcdash isn’t set up to be reached under the name in your browser’s address bar. "
    "If the address is right, tell your system administrator: the name belongs in the "
    "setting MCDASH_HOSTS. The log says which name arrived."
)
NOT_BY_HTTPS = (
    "Your browser used https, but the proxy in front of mcdash doesn’t say so, and "
    "mcdash shows nothing over plain http. Tell your system administrator: the proxy "
    "must set X-Forwarded-Proto and be named in the setting MCDASH_TRUSTED_PROXIES. "
    "The log says which of the two is missing."
)
NOT_ALLOWED = "You can’t do this. Ask an administrator for permission."
NOT_FOUND = "Not found, or you don’t have access."
# Instead of a way to the dashboard, which would lead to the same sentence.
NOT_SET_UP = "mcdash isn’t set up for this address"
NOT_SAVED = "Nothing was started or changed."
PERHAPS_SAVED = (
    "If you were starting an import, look in the History before you press again: a "
    "start that was recorded is there, and it is sent once."
)
LONGEST_SENTENCE = 500
LONGEST_ORIGIN = 200


def form_refused(request: HttpRequest, reason: str = "") -> HttpResponse:
    """The CSRF check failed: 403 with a sentence. Where it is the address of the page
    that does not fit, the sentence and the log name both.
    """
    del reason  # it speaks of tokens and cookies, to developers
    try:
        referer = urlsplit(request.headers.get("Referer", ""))
    except ValueError:
        referer = urlsplit("")
    # a page's address in the Referer tells no more of it than its origin does
    own = f"{referer.scheme}://{referer.netloc}" if referer.netloc else ""
    sent = request.headers.get("Origin", own)[:LONGEST_ORIGIN]
    expected = f"{request.scheme}://{request.get_host()}"
    if not sent or sent == expected or _is_trusted_origin(sent):
        return _say(request, STALE_FORM, status=403)
    log.warning(
        "Refused a form that was opened at %r: this request was for %r as it arrived "
        "here. If both are mcdash, add the first to MCDASH_TRUSTED_ORIGINS, or let the "
        "proxy pass on the host with its port and the scheme. Trusted now: %s",
        *(sent, expected, ", ".join(settings.CSRF_TRUSTED_ORIGINS) or "none beside it"),
    )
    sentence = OTHER_ORIGIN.format(sent=sent, expected=expected)
    return _say(request, sentence, status=403)


def _is_trusted_origin(sent: str) -> bool:
    """As Django's CSRF check has it: `https://*.example.com` is every subdomain."""
    scheme, _, host = sent.partition("://")
    for origin in settings.CSRF_TRUSTED_ORIGINS:
        trusted_scheme, _, pattern = origin.partition("://")
        is_subdomain = pattern.startswith("*.") and is_same_domain(host, pattern[1:])
        if sent == origin or (scheme == trusted_scheme and is_subdomain):
            return True
    return False


def unknown_host(request: HttpRequest) -> HttpResponse:
    """400: the Host header names none of MCDASH_HOSTS."""
    return _say(request, UNKNOWN_HOST, status=400, heading=NOT_SET_UP)


def not_by_https(request: HttpRequest) -> HttpResponse:
    """400: to send this browser to https would send it in a circle."""
    return _say(request, NOT_BY_HTTPS, status=400, heading=NOT_SET_UP)


def forbidden(request: HttpRequest, exception: Exception) -> HttpResponse:
    """403 with the sentence of `PermissionDenied`, if it has one."""
    sentence = str(exception)[:LONGEST_SENTENCE]
    return _say(request, sentence or NOT_ALLOWED, status=403)


def not_found(request: HttpRequest, exception: Exception) -> HttpResponse:
    """404; the same for what isn't there and for what one can't see."""
    del exception  # it may name the model or the route
    return _say(request, NOT_FOUND, status=404)


def not_saved(request: HttpRequest, *, is_certain: bool) -> HttpResponse:
    """503: the database took nothing, or, unless `is_certain`, perhaps nothing."""
    since = STORAGE.unwritable_since
    when = f" (since {clock_text(since)})" if since else ""
    rest = NOT_SAVED if is_certain else PERHAPS_SAVED
    sentence = f"mcdash can’t save anything right now{when}. {rest}"
    response = _say(request, sentence, status=503)
    response.headers["Retry-After"] = "30"
    return response


def server_error(request: HttpRequest) -> HttpResponse:
    """500; or 503 where the database refused before or after the view's own work."""
    error = sys.exc_info()[1]
    refusal = refusal_of(error)
    if error is None or refusal is None:
        return defaults.server_error(request)
    STORAGE.note_refusal(error)
    return not_saved(request, is_certain=refusal.is_certain)


def _say(
    request: HttpRequest, sentence: str, *, status: int, heading: str = ""
) -> HttpResponse:
    """A page; for a button pressed on a page, a toast on that page."""
    if request.headers.get("HX-Request"):
        if "since" in request.GET:  # a poll: the page itself says that it has stopped
            return HttpResponse(sentence, status=status, content_type="text/plain")
        toast = {"text": sentence, "tone": "error"}
        response = render(request, "imports/_shared/_toast.html", toast, status=status)
        return reswap(retarget(response, "#toasts"), "beforeend")
    context, page = {"exception": sentence, "heading": heading}, f"{status}.html"
    try:
        return render(request, page, context, status=status)
    except DatabaseError:  # even who is signed in cannot be read
        return HttpResponse(render_to_string(page, context), status=status)


# The style guide: every component in every state, drawn by the same templates and tags
# as the pages, with invented data that is never stored

LARGEST = 412_006
PHASES = {RunStatus.RUNNING: "IOWork"}
LONG = "Customer numbers, CRM to Marketing Cloud, all brands (do not rename)"
STATES = ("", "hover", "focus", "disabled", "busy")
KINDS = ("primary", "", "quiet", "danger")
# The last 20 runs of a definition, each status at least once.
ENDS = [status.value for status in RunStatus if status in ENDED]
LAST_20 = (["completed"] * 20 + ENDS * 2 + sorted(ACTIVE))[-20:]
CARDS = [
    {"label": "Running", "figure": "4", "status": "running", "url": "#cards"},
    {
        "label": "With errors",
        "figure": "1",
        "status": "completed_with_errors",
        "hint": "33,450 row errors",
        "url": "#cards",
    },
    {"label": "Rows imported", "figure": "3,218,447", "hint": "today", "url": "#cards"},
    {"label": "Row errors", "figure": "–", "url": "#cards"},
]
COMPARISON = [
    {"label": "Rows", "this": "412,006", "previous": "411,733", "change": "+273"},
    {
        "label": "Errors",
        "this": "33,450",
        "previous": "806",
        "change": "+32,644",
        "is_worse": True,
    },
]
# Rows of "Needs attention", with a name that is too long among them.
ATTENTION: list[dict[str, Any]] = [
    {
        "id": "guide-failed",
        "name": LONG,
        "account": "Nordlicht DE",
        "status": "failed",
        "word": "Failed",
        "cause": "All 412,006 rows were rejected.",
        "minutes_ago": 180,
        "action": {"word": "See next steps", "url": "#needs"},
    },
    {
        "id": "guide-unknown",
        "name": "Loyalty points",
        "account": "Nordlicht SE",
        "status": "unknown",
        "word": "Outcome unknown",
        "cause": "The start was sent and no answer came.",
        "minutes_ago": 14,
        "action": {"word": "Choose the run", "url": "#needs"},
    },
    {
        "id": "guide-account",
        "name": "Nordlicht SE",
        "account": "account",
        "hue": "amber",
        "icon": "unplugged",
        "word": "Not answering since 09:14",
        "cause": "Its running import is shown as it was then.",
        "minutes_ago": 27,
        "action": {"word": "Open account", "url": "#needs"},
    },
]
# A timeline with a lane in its middle.
TIMELINE: list[dict[str, Any]] = [
    {"second": 0, "words": "Queued by Ana Ruiz", "lane_start": None},
    {
        "second": 10,
        "words": "Processing",
        "lane_start": 10,
        "seconds": 235,
        "hue": "blue",
    },
    {
        "second": 245,
        "words": "Completed",
        "more": "412,006 rows",
        "lane_start": None,
        "status": "completed",
    },
]


@signed_in
def styleguide(request: SignedInRequest) -> HttpResponse:
    if not request.user.is_staff:
        raise PermissionDenied("The style guide is for those who administer mcdash.")
    now = timezone.now()
    open_run = _run(RunStatus.COMPLETED_WITH_ERRORS, now)
    # whose errors were not reported, with rows unaccounted for
    open_run.pk, open_run.errors = len(RunStatus) + 1, None
    began = now - timedelta(minutes=7)
    context = {
        "tokens": tokens(),
        "states": STATES,
        "kinds": KINDS,
        # one a day, none with as many rows as the one before
        "bars": [
            _bar(status, now - timedelta(days=20 - day), LARGEST - 17_000 * (day % 5))
            for day, status in enumerate(LAST_20)
        ],
        "all_bars": [(status, [_bar(status, now)]) for status in RunStatus.values],
        "phases": PHASES,
        "runs": [*(_run(status, now) for status in RunStatus), open_run],
        "done": _run(RunStatus.COMPLETED_WITH_ERRORS, now),
        "cards": CARDS,
        "needs": [
            item | {"at": now - timedelta(minutes=item["minutes_ago"]), "url": "#needs"}
            for item in ATTENTION
        ],
        "now": now,
        "an_hour_ago": now - timedelta(hours=1),
        "long_name": LONG,
        "steps": [
            step | {"at": began + timedelta(seconds=step["second"])}
            for step in TIMELINE
        ],
        "comparison": COMPARISON,
    }
    return render(request, "imports/system/styleguide.html", context)


def tokens() -> list[str]:
    """The names of the colours in tokens.css."""
    path = finders.find("css/tokens.css") or settings.STATIC_ROOT / "css/tokens.css"
    colours = re.findall(r"--([\w-]+): light-dark\(\s*oklch", Path(path).read_text())
    return list(dict.fromkeys(colours))


def _bar(status: str, at: datetime, rows: int = LARGEST) -> dict[str, Any]:
    """One run as a definition's strip keeps it."""
    is_counted = status in {"completed", "completed_with_errors", "failed", "running"}
    errors = rows // 3 if status in {"completed_with_errors", "failed"} else 0
    return {
        "status": status,
        "at": at.isoformat(),
        "rows": rows if is_counted else None,
        "errors": errors if is_counted else None,
    }


def _run(status: RunStatus, now: datetime) -> ImportRun:
    """A run of this status as a row of a table shows it."""
    account = Account(pk=1, name="Nordlicht DE", last_contact_at=now)
    run = ImportRun(
        pk=list(RunStatus).index(status) + 1,
        account=account,
        definition=ImportDefinition(pk=1, account=account, name="Customers daily"),
        status=status,
        phase=PHASES.get(status, ""),
        origin=Origin.DASHBOARD,
        started_by_name="Ana Ruiz",
        occurred_at=now - timedelta(minutes=7),
        queued_at=now - timedelta(minutes=7),
        settled_at=now - timedelta(minutes=1),
        last_checked_at=now - timedelta(seconds=4),
    )
    if status in (RunStatus.COMPLETED, RunStatus.COMPLETED_WITH_ERRORS):
        run.errors = 33_450 if status == RunStatus.COMPLETED_WITH_ERRORS else 0
        run.total_rows, run.duplicated = LARGEST, 1_204
        run.successful = LARGEST - run.errors - run.duplicated
    return run
