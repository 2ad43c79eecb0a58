"""What a page says when it cannot be shown."""

from __future__ import annotations

import sys

from django.db import DatabaseError
from django.http import HttpRequest, HttpResponse
from django.shortcuts import render
from django.template.loader import render_to_string
from django.views import defaults
from django_htmx.http import reswap, retarget

from imports.models import STORAGE, refusal_of

from .moments import clock_text

STALE_FORM = (
    "This form was too old or came from another place, so nothing was done. Go back, "
    "reload the page and try again."
)
NOT_YOURS = "You may not do this. Ask an administrator for the right."
NOT_THERE = "That is not there any more, or it is not yours to see."
LONGEST_SENTENCE = 500
NOT_SAVED = "Nothing was started or changed."
PERHAPS_SAVED = (
    "If you were starting an import, look in the History before you press again: a "
    "start that was recorded is there, and it is sent once."
)


def form_refused(request: HttpRequest, reason: str = "") -> HttpResponse:
    """The CSRF check failed: 403 with a sentence."""
    del reason  # it speaks of tokens and cookies, to developers
    return _say(request, STALE_FORM, status=403)


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
    sentence = f"mcdash can't save anything right now{told}. "
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


def _say(request: HttpRequest, sentence: str, *, status: int) -> HttpResponse:
    """A page; for a press of a button on a page, a toast on that page."""
    if not request.headers.get("HX-Request"):
        return _page(request, sentence, status)
    if "since" in request.GET:  # a poll: the page itself says that it has stopped
        return HttpResponse(sentence, status=status, content_type="text/plain")
    context = {"text": sentence, "tone": "error"}
    response = render(request, "imports/_toast.html", context, status=status)
    return reswap(retarget(response, "#toasts"), "beforeend")


def _page(request: HttpRequest, sentence: str, status: int) -> HttpResponse:
    context, name = {"exception": sentence}, f"{status}.html"
    try:
        return render(request, name, context, status=status)
    except DatabaseError:  # even who is signed in cannot be read
        return HttpResponse(render_to_string(name, context), status=status)
