"""What a page says when it cannot be shown."""

from __future__ import annotations

import logging
import sys
from urllib.parse import urlsplit

from django.conf import settings
from django.db import DatabaseError
from django.http import HttpRequest, HttpResponse
from django.shortcuts import render
from django.template.loader import render_to_string
from django.utils.http import is_same_domain
from django.views import defaults
from django_htmx.http import reswap, retarget

from imports.models import STORAGE, refusal_of
from imports.templatetags.times import clock_text

log = logging.getLogger(__name__)

STALE_FORM = (
    "This form was too old or came from another place, so nothing was done. Go back, "
    "reload the page and try again."
)
OTHER_ORIGIN = (
    "This form was opened at {sent}, but mcdash accepts forms only from {expected}, so "
    "nothing was done. If {sent} is the address in your browser, tell whoever runs "
    "mcdash: it belongs in the setting MCDASH_TRUSTED_ORIGINS."
)
UNKNOWN_HOST = (
    "mcdash isn’t set up to be reached under the name in your browser’s address bar. "
    "If the address is right, tell whoever runs mcdash: the name belongs in the "
    "setting MCDASH_HOSTS. The log says which name arrived."
)
NOT_BY_HTTPS = (
    "Your browser used https, but the proxy in front of mcdash doesn’t say so, and "
    "mcdash shows nothing over plain http. Tell whoever runs mcdash: the proxy must "
    "set X-Forwarded-Proto and be named in the setting MCDASH_TRUSTED_PROXIES. The log "
    "says which of the two is missing."
)
NOT_YOURS = "You may not do this. Ask an administrator for the right."
NOT_THERE = "That is not there any more, or it is not yours to see."
# Instead of a way to the dashboard, which would lead to the same sentence.
NOT_SET_UP = "mcdash isn’t set up for this address"
LONGEST_SENTENCE = 500
NOT_SAVED = "Nothing was started or changed."
PERHAPS_SAVED = (
    "If you were starting an import, look in the History before you press again: a "
    "start that was recorded is there, and it is sent once."
)
LONGEST_ORIGIN = 200


def form_refused(request: HttpRequest, reason: str = "") -> HttpResponse:
    """The CSRF check failed: 403 with a sentence. Where it is the address of the page
    that does not fit, the sentence and the log name both.
    """
    del reason  # it speaks of tokens and cookies, to developers
    sent, expected = _origin_of(request), f"{request.scheme}://{request.get_host()}"
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


def _origin_of(request: HttpRequest) -> str:
    """Where the browser says that the form was opened; a page's address in the Referer
    tells no more of it than its origin does.
    """
    try:
        referer = urlsplit(request.headers.get("Referer", ""))
    except ValueError:
        return ""
    own = f"{referer.scheme}://{referer.netloc}" if referer.netloc else ""
    return request.headers.get("Origin", own)[:LONGEST_ORIGIN]


def _is_trusted_origin(sent: str) -> bool:
    if sent in settings.CSRF_TRUSTED_ORIGINS:
        return True
    scheme, _, host = sent.partition("://")
    trusted = (origin.partition("://") for origin in settings.CSRF_TRUSTED_ORIGINS)
    return any(
        scheme == wanted and is_same_domain(host, pattern.removeprefix("*"))
        for wanted, _, pattern in trusted
        if pattern.startswith("*.")
    )


def unknown_host(request: HttpRequest) -> HttpResponse:
    """400: the Host header names none of MCDASH_HOSTS."""
    return _say(request, UNKNOWN_HOST, status=400, heading=NOT_SET_UP)


def not_by_https(request: HttpRequest) -> HttpResponse:
    """400: to send this browser to https would send it in a circle."""
    return _say(request, NOT_BY_HTTPS, status=400, heading=NOT_SET_UP)


def forbidden(request: HttpRequest, exception: Exception) -> HttpResponse:
    """403 with the sentence of `PermissionDenied`, if it has one."""
    sentence = str(exception)[:LONGEST_SENTENCE]
    return _say(request, sentence or NOT_YOURS, status=403)


def not_found(request: HttpRequest, exception: Exception) -> HttpResponse:
    """404; the same for what is not there and for what one may not see."""
    del exception  # it may name the model or the route
    return _say(request, NOT_THERE, status=404)


def not_saved(request: HttpRequest, *, is_certain: bool) -> HttpResponse:
    """503: the database took nothing, or for all we know nothing."""
    since = STORAGE.unwritable_since
    told = f" (since {clock_text(since)})" if since else ""
    sentence = f"mcdash can’t save anything right now{told}. "
    sentence += NOT_SAVED if is_certain else PERHAPS_SAVED
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
    """A page; for a press of a button on a page, a toast on that page."""
    if not request.headers.get("HX-Request"):
        return _page(request, sentence, status, heading)
    if "since" in request.GET:  # a poll: the page itself says that it has stopped
        return HttpResponse(sentence, status=status, content_type="text/plain")
    context = {"text": sentence, "tone": "error"}
    response = render(request, "imports/_toast.html", context, status=status)
    return reswap(retarget(response, "#toasts"), "beforeend")


def _page(
    request: HttpRequest, sentence: str, status: int, heading: str
) -> HttpResponse:
    context, name = {"exception": sentence, "heading": heading}, f"{status}.html"
    try:
        return render(request, name, context, status=status)
    except DatabaseError:  # even who is signed in cannot be read
        return HttpResponse(render_to_string(name, context), status=status)
