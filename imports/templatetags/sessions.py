"""The session that a page was made in, as its scripts know it."""

from __future__ import annotations

from django.http import HttpRequest
from django.utils.crypto import salted_hmac


def page_session(request: HttpRequest) -> str:
    """The person's number, and what differs after each sign-in; empty for strangers.

    It opens nothing: it is made from the session's key, which it does not give away.
    """
    key = getattr(getattr(request, "session", None), "session_key", None)
    if not request.user.is_authenticated or not key:
        return ""
    mark = salted_hmac("imports.page_session", key, algorithm="sha256")
    return f"{request.user.pk}.{mark.hexdigest()[:16]}"
