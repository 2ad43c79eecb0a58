"""What any request and any answer needs: an id, a count, headers, a time zone, and an
answer for load balancers and for a database that cannot be written.
"""

from __future__ import annotations

import re
import secrets
import time
import zoneinfo
from functools import cached_property
from http import HTTPStatus

from django.http import HttpRequest, HttpResponse
from django.urls import get_script_prefix, resolve, reverse
from django.utils import timezone
from django.utils.cache import add_never_cache_headers

from imports import logs, metrics
from imports.middleware import Middleware
from imports.models.storage import STORAGE, refusal_of
from imports.views import system

# As nginx, load balancers and tracers make them: people search the log for it, so it
# must be long enough to be the only one, and hold nothing that a log line could hide.
REQUEST_ID = re.compile(r"[A-Za-z0-9-]{8,64}")
FOR_MACHINES = ("healthz", "healthz_worker", "metrics")
PERMISSIONS = "camera=(), geolocation=(), microphone=(), payment=(), usb=()"


class RequestIdMiddleware(Middleware):
    """Every request has an id, on its log lines and in its answer: the one that it
    brings in X-Request-ID if that is one, else a new one.
    """

    def __call__(self, request: HttpRequest) -> HttpResponse:
        request_id = request.headers.get("X-Request-ID", "")
        if not REQUEST_ID.fullmatch(request_id):
            request_id = secrets.token_hex(8)
        # Django logs refused requests when its middleware, and `about` with it, is done
        request.META[logs.REQUEST_ID_KEY] = request_id
        with logs.about(request=request_id):
            response = self.get_response(request)
        response.headers["X-Request-ID"] = request_id
        return response


class MetricsMiddleware(Middleware):
    """Counts requests and how long they took, by route: addresses hold ids, and of
    those there are many.
    """

    def __call__(self, request: HttpRequest) -> HttpResponse:
        began = time.monotonic()
        response = self.get_response(request)
        match = request.resolver_match
        metrics.count_request(
            route=(match and match.view_name) or "unresolved",
            method=request.method or "",
            status=response.status_code,
            seconds=time.monotonic() - began,
        )
        return response


class ForMachinesMiddleware(Middleware):
    """Answers load balancers and scrapers before anything asks for a host name, a
    session or https: they call a process by its number and have none of these.
    """

    @cached_property
    def paths(self) -> frozenset[str]:
        # reversed addresses begin with MCDASH_PATH, the paths of requests do not
        prefix = get_script_prefix()
        paths = (reverse(name).removeprefix(prefix) for name in FOR_MACHINES)
        return frozenset(f"/{path}" for path in paths)

    def process_request(self, request: HttpRequest) -> HttpResponse | None:
        if request.path_info not in self.paths:
            return None
        match = request.resolver_match = resolve(request.path_info)
        response: HttpResponse = match.func(request, *match.args, **match.kwargs)
        # what CommonMiddleware and the server would do
        response.headers["Content-Length"] = str(len(response.content))
        if request.method == "HEAD":
            response.content = b""
        return response


class AnswerHeadersMiddleware(Middleware):
    """No answer is kept by browsers or proxies unless it says so itself, none is for
    pages of other sites, and none may use the camera and the like.
    """

    def __call__(self, request: HttpRequest) -> HttpResponse:
        response = self.get_response(request)
        if "Cache-Control" not in response:
            add_never_cache_headers(response)
        response.setdefault("Cross-Origin-Resource-Policy", "same-origin")
        # 204 is the answer to most polls, so it carries no byte that it can do without
        if response.status_code == HTTPStatus.NO_CONTENT:
            del response["Content-Type"]
        else:
            response.setdefault("Permissions-Policy", PERMISSIONS)
        return response


class UnwritableMiddleware(Middleware):
    """What cannot be saved is not done: 503, and a page that says so."""

    def process_exception(
        self, request: HttpRequest, exception: Exception
    ) -> HttpResponse | None:
        refusal = refusal_of(exception)
        if refusal is None:
            return None
        STORAGE.note_refusal(exception, has_waited=True)
        return system.not_saved(request, is_certain=refusal.is_certain)


class ReaderZoneMiddleware(Middleware):
    """Dates are shown in the reader's time zone."""

    def __call__(self, request: HttpRequest) -> HttpResponse:
        try:
            zone = zoneinfo.ZoneInfo(getattr(request.user, "time_zone", "UTC"))
        except (zoneinfo.ZoneInfoNotFoundError, ValueError):
            # saved when the machine's zones were others
            zone = zoneinfo.ZoneInfo("UTC")
        with timezone.override(zone):
            return self.get_response(request)
