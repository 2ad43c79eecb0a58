"""What a page says when it cannot be shown."""

from __future__ import annotations

from django.http import HttpRequest, HttpResponse
from django.shortcuts import render
from django_htmx.http import reswap, retarget

STALE_FORM = (
    "This form was too old or came from another place, so nothing was done. Go back, "
    "reload the page and try again."
)
NOT_YOURS = "You may not do this. Ask an administrator for the right."
NOT_THERE = "That is not there any more, or it is not yours to see."
LONGEST_SENTENCE = 500


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


def _say(request: HttpRequest, sentence: str, *, status: int) -> HttpResponse:
    """A page; for a press of a button on a page, a toast on that page."""
    if not request.headers.get("HX-Request"):
        context = {"exception": sentence}
        return render(request, f"{status}.html", context, status=status)
    if "since" in request.GET:  # a poll: the page itself says that it has stopped
        return HttpResponse(sentence, status=status, content_type="text/plain")
    context = {"text": sentence, "tone": "error"}
    response = render(request, "imports/_toast.html", context, status=status)
    return reswap(retarget(response, "#toasts"), "beforeend")
