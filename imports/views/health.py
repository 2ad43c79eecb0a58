"""For machines: is this process well, is a worker alive, and what is measured.

None of it names an account, a person or a host.
"""

from __future__ import annotations

import logging
import secrets
from datetime import UTC, datetime, timedelta
from ipaddress import ip_address

from django.conf import settings
from django.db import DatabaseError
from django.db.models import Max, Q
from django.db.models.functions import Now
from django.http import HttpRequest, HttpResponse, HttpResponseNotFound, JsonResponse
from django.http.request import split_domain_port
from django.views.decorators.cache import never_cache
from django.views.decorators.http import require_safe

from imports.metrics import (
    CONTENT_TYPE,
    WORKER_SILENT_AFTER_SECONDS,
    QueueDownError,
    exposition,
    queue_depth,
)
from imports.models import (
    STORAGE,
    Account,
    ImportRun,
    RunStatus,
    Worker,
    workers_word,
)
from imports.models.account import NOT_ANSWERING_FROM
from imports.models.workers import ALIVE

log = logging.getLogger(__name__)

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
    try:
        parts = {
            "worker": _workers_get_on(),
            "queue": not _starts_wait() and _queue_answers(),
            "accounts": not _an_account_fails(),
        }
    except DatabaseError:
        log.exception("The database does not answer")
        return _unwell("The database does not answer.")
    words = {part: "ok" if is_well else "degraded" for part, is_well in parts.items()}
    since = STORAGE.unwritable_since
    is_well = all(parts.values()) and since is None
    told = {"status": "ok" if is_well else "degraded", "database": "ok"}
    if since:
        told |= {"database": "cannot be written", "since": _in_utc(since)}
    return JsonResponse(told | words)


@never_cache
@require_safe
def worker(_: HttpRequest) -> HttpResponse:
    """200 when any worker was heard of within a minute, else 503."""
    try:
        is_heard = _worker_is_heard()
    except DatabaseError:
        log.exception("The database does not answer")
        return _unwell("The database does not answer.")
    if since := STORAGE.unwritable_since:
        return _unwell(
            f"The database cannot be written since {_in_utc(since)}: no worker can "
            "start or follow anything."
        )
    if not is_heard:
        return _unwell("No worker was heard of for a minute.")
    return JsonResponse({"status": "ok"})


@never_cache
@require_safe
def metrics(request: HttpRequest) -> HttpResponse:
    """The measures, for this machine or whoever knows the token; else 404."""
    if not (_knows_token(request) or _comes_from_here(request)):
        return HttpResponseNotFound("Not found.\n", content_type="text/plain")
    return HttpResponse(exposition(), content_type=CONTENT_TYPE)


def _unwell(words: str) -> HttpResponse:
    return HttpResponse(f"{words}\n", status=503, content_type="text/plain")


def _workers_get_on() -> bool:
    """Not by heartbeats alone: see `WorkerState.is_stuck`."""
    word: str | None = Worker.objects.aggregate(word=Max(workers_word()))["word"]
    return word == ALIVE


def _in_utc(moment: datetime) -> str:
    return moment.astimezone(UTC).isoformat(timespec="seconds").replace("+00:00", "Z")


def _worker_is_heard() -> bool:
    return Worker.objects.heard_of(WORKER_SILENT_AFTER_SECONDS).exists()


def _starts_wait() -> bool:
    return ImportRun.objects.filter(
        status=RunStatus.QUEUED, queued_at__lt=Now() - START_WAITS_TOO_LONG
    ).exists()


def _an_account_fails() -> bool:
    fails = Q(failures_in_row__gte=NOT_ANSWERING_FROM)
    refused = Q(credentials_refused_at__isnull=False)
    lost, doubled = Q(has_lost_key=True), Q(is_doubled=True)
    accounts = Account.objects.with_lost_keys().filter(is_active=True)
    return accounts.filter(fails | refused | lost | doubled).exists()


def _queue_answers() -> bool:
    try:
        queue_depth()
    except QueueDownError as error:
        log.warning("%s", error)
        return False
    return True


def _knows_token(request: HttpRequest) -> bool:
    kind, _, token = request.headers.get("Authorization", "").partition(" ")
    wanted = settings.MCDASH_METRICS_TOKEN
    if not wanted or kind.lower() != "bearer":
        return False
    return secrets.compare_digest(token.strip().encode(), wanted.encode())


def _comes_from_here(request: HttpRequest) -> bool:
    """Whether somebody on this machine asked us straight.

    Behind a proxy on the same machine everybody's connection comes from loopback. So
    no header may tell of a proxy, and the host must be called as only this machine
    can call it: a proxy that passes on the name under which people know us, or a page
    that leads a browser here by a name of its own, gives itself away.
    """
    if any(name in request.headers for name in SIGNS_OF_A_PROXY):
        return False
    host, _ = split_domain_port(request.META.get("HTTP_HOST", "").lower())
    return host in settings.LOOPBACK_HOSTS and _is_loopback(
        request.META.get("REMOTE_ADDR", "")
    )


def _is_loopback(address: str) -> bool:
    try:
        peer = ip_address(address)
    except ValueError:
        return False
    return (getattr(peer, "ipv4_mapped", None) or peer).is_loopback
