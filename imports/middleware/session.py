"""How long somebody stays signed in, and sessions on a database without room.

While the database cannot be written, pages that only read go on. So it must be no harm
that a session cannot be saved, and nobody may be signed out for not having been seen.
"""

from __future__ import annotations

from django.conf import settings
from django.contrib.auth import SESSION_KEY
from django.contrib.sessions import middleware as sessions
from django.contrib.sessions.backends.base import SessionBase, UpdateError
from django.contrib.sessions.exceptions import SessionInterrupted
from django.db import DatabaseError
from django.http import HttpRequest, HttpResponse
from django.utils import timezone
from django.utils.cache import patch_vary_headers

from imports.middleware import Middleware
from imports.models.storage import STORAGE, brief_transaction
from imports.views import system

# Seconds since 1970, in the session of whoever is signed in.
SIGNED_IN_AT, SEEN_AT = "signed_in_at", "seen_at"
# Each time it is noted is a write, and a page is often several requests.
SEEN_EVERY_SECONDS = 60
SAFE_METHODS = ("GET", "HEAD")
# When sessions were last used, by their keys, until that is saved; the oldest first.
MOST_REMEMBERED = 10_000
_unsaved_use: dict[str, int] = {}


class SessionMiddleware(sessions.SessionMiddleware):
    """Django's, but a database that takes no writes spoils no page. That a session was
    used, or that a message was shown, is saved where that is possible; only a sign-in
    is nothing without its session.
    """

    def process_response(
        self, request: HttpRequest, response: HttpResponse
    ) -> HttpResponse:
        session = request.session
        given = request.COOKIES.get(settings.SESSION_COOKIE_NAME)
        is_known = session.session_key is not None and session.session_key == given
        if is_known and session.modified and request.method in SAFE_METHODS:
            _save_if_possible(session)
        try:
            return super().process_response(request, response)
        except (SessionInterrupted, DatabaseError) as error:
            if not STORAGE.note_refusal(error, has_waited=True):
                raise
        if not is_known:  # somebody who signed in, and is not signed in
            return system.not_saved(request, is_certain=False)
        # as Django does, after the step that failed
        patch_vary_headers(response, ("Cookie",))
        return response


def _save_if_possible(session: SessionBase) -> None:
    """Leaves a session that was deleted meanwhile to Django."""
    try:
        if not STORAGE.was_refused_just_now:
            with brief_transaction():
                session.save()
            STORAGE.note_success()
            _unsaved_use.pop(str(session.session_key), None)
    except (UpdateError, DatabaseError) as error:
        if not STORAGE.note_refusal(error):
            return
    session.modified = False


class SessionEndMiddleware(Middleware):
    """A session ends when nobody used it for MCDASH_SESSION_IDLE_SECONDS, and in any
    case MCDASH_SESSION_SECONDS after the sign-in. A poll is no use: a page that was
    left open asks by itself.
    """

    def process_request(self, request: HttpRequest) -> None:
        session = request.session
        if SESSION_KEY in session:
            now, key = _now(), str(session.session_key)
            idle = now - max(session.get(SEEN_AT, 0), _unsaved_use.get(key, 0))
            age = now - session.get(SIGNED_IN_AT, 0)
            if (
                idle > settings.MCDASH_SESSION_IDLE_SECONDS
                or age > settings.MCDASH_SESSION_SECONDS
            ):
                _unsaved_use.pop(key, None)
                _end(request)
            elif idle >= SEEN_EVERY_SECONDS and not is_poll(request):
                session[SEEN_AT] = _unsaved_use[key] = now
                while len(_unsaved_use) > MOST_REMEMBERED:
                    _unsaved_use.pop(next(iter(_unsaved_use)), None)


def _end(request: HttpRequest) -> None:
    try:
        with brief_transaction():
            request.session.flush()
    except DatabaseError as error:
        if not STORAGE.note_refusal(error):
            raise
        # its row stays for now, and is found ended whenever it is used
        request.session = type(request.session)()


def begin_session(request: HttpRequest, **_: object) -> None:
    """Somebody signed in: their session's time runs from now."""
    request.session[SIGNED_IN_AT] = request.session[SEEN_AT] = _now()


def is_poll(request: HttpRequest) -> bool:
    """Whether a page asks by itself what is new."""
    return (
        request.method in SAFE_METHODS
        and "since" in request.GET
        and "HX-Request" in request.headers
    )


def _now() -> int:
    return int(timezone.now().timestamp())
