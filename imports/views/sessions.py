"""Whose page it is: what a page tells with each request that its scripts send, so that
a sign-in in another tab wakes it, and one by somebody else does not act for them.
"""

from __future__ import annotations

from collections.abc import Callable

from django.http import HttpRequest, HttpResponse
from django.middleware.csrf import get_token
from django.views.decorators.http import require_safe

from imports.templatetags.sessions import page_session
from imports.views.access import SignedInRequest, signed_in

HEADER, TOKEN_HEADER = "X-Page-Session", "X-CSRFToken"
GetResponse = Callable[[HttpRequest], HttpResponse]


class PageSessionMiddleware:
    """Compares the session that a page was made in with the one that asks now.

    Another person's page is refused, whatever it asks (409): it must be loaded anew.
    In a newer session of the same person it is served, and told the session and the
    CSRF token that its forms need from now on: both change with each sign-in.
    """

    def __init__(self, get_response: GetResponse) -> None:
        self.get_response = get_response

    def __call__(self, request: HttpRequest) -> HttpResponse:
        made_in = request.headers.get(HEADER)
        now = page_session(request) if made_in else ""
        if not made_in or not now or made_in == now:
            return self.get_response(request)
        if _person(made_in) != _person(now):
            response = HttpResponse(
                "Somebody else is signed in now.",
                status=409,
                content_type="text/plain",
            )
        else:
            response = self.get_response(request)
            response.headers[TOKEN_HEADER] = get_token(request)
        response.headers[HEADER] = now
        return response


def _person(mark: str) -> str:
    return mark.partition(".")[0]


@signed_in
@require_safe
def session(request: SignedInRequest) -> HttpResponse:
    """Nothing but whether somebody is signed in; the middleware tells the rest."""
    del request
    return HttpResponse(status=204)
