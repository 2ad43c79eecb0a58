"""What a page says when it cannot be shown."""

from __future__ import annotations

from django.http import HttpRequest, HttpResponse
from django.shortcuts import render

STALE_FORM = (
    "This form was too old or came from another place, so nothing was done. Go back, "
    "reload the page and try again."
)


def form_refused(request: HttpRequest, reason: str = "") -> HttpResponse:
    """The CSRF check failed: 403 with a sentence."""
    del reason  # it speaks of tokens and cookies, to developers
    return render(request, "403.html", {"exception": STALE_FORM}, status=403)
