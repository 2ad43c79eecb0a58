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
from django.urls import reverse
from django.utils import timezone
from django.utils.http import is_same_domain
from django.views import defaults
from django.views.decorators.cache import never_cache
from django.views.decorators.http import require_safe
from django_htmx.http import reswap, retarget

from imports import models
from imports.metrics import CONTENT_TYPE, exposition
from imports.models import FINISHED, STORAGE, ImportRun, RunStatus, Worker
from imports.models.run import ALIVE
from imports.signin import address_of
from imports.views.base import SignedInRequest, signed_in
from imports.views.dashboard import figure
from imports.wording.formats import clock_text
from imports.wording.run import compare
from imports.wording.status import BY_SEVERITY, STATUSES
from imports.wording.timeline import timeline

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
    """200 when this process and its database work: that the worker is gone, or the
    database can only be read, is no reason to take the pages away.
    """
    waiting = ImportRun.objects.filter(
        status=RunStatus.QUEUED, queued_at__lt=Now() - START_WAITS_TOO_LONG
    )
    try:
        workers = Worker.objects.aggregate(word=Max(models.workers_word()))
        parts = {
            # not by heartbeats alone: see `WorkerState.is_stuck`
            "worker": workers["word"] == ALIVE,
            "queue": not waiting.exists(),
            "accounts": not models.Account.objects.in_trouble().exists(),
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

    Behind a proxy on this machine everybody comes from loopback. So no header may tell
    of a proxy, and the host must be called as only this machine can call it: a proxy
    that passes on our name, or a page that leads a browser here by a name of its own,
    gives itself away.
    """
    host, _ = split_domain_port(request.META.get("HTTP_HOST", "").lower())
    is_proxied = any(name in request.headers for name in SIGNS_OF_A_PROXY)
    if is_proxied or host not in settings.LOOPBACK_HOSTS:
        return False
    peer = address_of(request)
    return peer is not None and ip_address(peer).is_loopback


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
# To send this browser to https would send it in a circle.
NOT_BY_HTTPS = (
    "Your browser used https, but the proxy in front of mcdash doesn’t say so, and "
    "mcdash shows nothing over plain http. Tell your system administrator: the proxy "
    "must set X-Forwarded-Proto and be named in the setting MCDASH_TRUSTED_PROXIES. "
    "The log says which of the two is missing."
)
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
    # a page's address in the Referer tells no more of it than its origin does
    referer = re.match(r"\w+://[^/?#]+", request.headers.get("Referer", ""))
    sent = request.headers.get("Origin", referer[0] if referer else "")
    sent = sent[:LONGEST_ORIGIN]
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


def not_set_up(request: HttpRequest, sentence: str) -> HttpResponse:
    """400: mcdash cannot be used in the way in which this request came."""
    # with a heading no way to the dashboard, which would lead to the same sentence
    heading = "mcdash isn’t set up for this address"
    return _say(request, sentence, status=400, heading=heading)


def forbidden(request: HttpRequest, exception: Exception) -> HttpResponse:
    """403 with the sentence of `PermissionDenied`, if it has one."""
    sentence = str(exception)[:LONGEST_SENTENCE]
    not_allowed = "You can’t do this. Ask an administrator for permission."
    return _say(request, sentence or not_allowed, status=403)


def not_found(request: HttpRequest, exception: Exception) -> HttpResponse:
    """404; the same for what isn't there and for what one can't see."""
    del exception  # it may name the model or the route
    return _say(request, "Not found, or you don’t have access.", status=404)


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
    refusal = models.refusal_of(error)
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
# as the pages, of rows that are never saved

LARGEST = 412_006
LONG = "Customer numbers, CRM to Marketing Cloud, all brands (do not rename)"


@signed_in
def styleguide(request: SignedInRequest) -> HttpResponse:
    if not request.user.is_staff:
        raise PermissionDenied("The style guide is for those who administer mcdash.")
    now = timezone.now()
    samples = [_sample(status, now) for status in RunStatus]
    # once more, with errors that were not reported and rows unaccounted for
    done, is_open = (_sample("completed_with_errors", now) for _ in range(2))
    is_open.pk, is_open.errors = len(RunStatus) + 1, None
    last_20 = zip(range(20, 0, -1), [*RunStatus, *RunStatus], strict=True)
    outside = _sample("completed", now, 411_733)
    outside.origin = models.Origin.OUTSIDE
    context = {
        "tokens": tokens(),
        "states": ("", "hover", "focus", "disabled", "busy"),
        "kinds": ("primary", "", "quiet", "danger"),
        # one a day, none with as many rows as the one before
        "bars": [
            _sample(status, now - timedelta(day), LARGEST - 17_000 * (day % 5)).as_bar()
            for day, status in last_20
        ],
        "samples": [(run, [run.as_bar()]) for run in samples],
        "runs": [*samples, is_open],
        "done": done,
        "cards": [
            figure(run.get_status_display(), run.errors, [run.status], "today")
            for run in samples
        ],
        "needs": [
            {
                "id": f"guide-{run.status}",
                "name": LONG,
                "url": "#needs",
                "account": run.account.name,
                "status": run.status,
                "word": run.get_status_display(),
                "cause": STATUSES[run.status].sentence,
                "at": run.settled_at,
                "action": {"word": "See next steps", "url": "#needs"},
            }
            for run in samples
            if run.status in BY_SEVERITY
        ],
        "an_hour_ago": now - timedelta(hours=1),
        "long_name": LONG,
        "timeline": timeline(outside, ()),
        "comparison": compare(done, outside),
    }
    page = render_to_string("imports/system/styleguide.html", context, request)
    # these runs are stored nowhere: links to them lead to the guide's own
    invented = rf'href="{re.escape(reverse("imports:run_list"))}\d+/"'
    return HttpResponse(re.sub(invented, 'href="#tables"', page))


def tokens() -> list[str]:
    path = finders.find("css/tokens.css") or settings.STATIC_ROOT / "css/tokens.css"
    colours = re.findall(r"--([\w-]+): light-dark\(\s*oklch", Path(path).read_text())
    return list(dict.fromkeys(colours))


def _sample(status: str, ended_at: datetime, rows: int = LARGEST) -> ImportRun:
    """A run of this status, with as much known of it as such a run can have."""
    account = models.Account(pk=1, name="Nordlicht DE", last_contact_at=ended_at)
    began_at = ended_at - timedelta(minutes=7)
    run = ImportRun(
        pk=RunStatus.values.index(status) + 1,
        account=account,
        definition=models.ImportDefinition(
            pk=1, account=account, name="Customers daily"
        ),
        status=status,
        phase={"running": "IOWork", "completed": "Completed"}.get(status, ""),
        origin=models.Origin.DASHBOARD,
        started_by_name="Ana Ruiz",
        occurred_at=began_at,
        started_at=began_at,
        settled_at=ended_at,
        last_checked_at=ended_at,
    )
    if status in FINISHED:
        run.finished_at = ended_at
        run.total_rows, run.duplicated = rows, 1_204
        run.errors = 0 if status == RunStatus.COMPLETED else 33_450
        run.successful = rows - run.duplicated - run.errors
    return run
