"""Signing in: its audit, the login throttle, and in which session a page was made.

Failed sign-ins count for a name at an address and, with a wider limit, for the address.
They never count for a name alone, or a stranger could lock its owner out.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from datetime import datetime, timedelta
from functools import cache
from ipaddress import IPv6Address, ip_address, ip_network
from typing import Any

from axes.handlers.database import AxesDatabaseHandler
from axes.models import AccessAttempt
from django.conf import settings
from django.contrib.auth import signals
from django.contrib.auth.backends import ModelBackend
from django.contrib.sessions.backends import db as sessions
from django.contrib.sessions.models import Session
from django.db import DEFAULT_DB_ALIAS, models
from django.db.models import Sum
from django.db.models.signals import pre_save
from django.dispatch import Signal, receiver
from django.http import HttpRequest, HttpResponse
from django.middleware.csrf import get_token
from django.shortcuts import render
from django.utils import timezone
from django.utils.crypto import salted_hmac

from imports.models import AuditEntry, User
from imports.models.database import BuiltQuery, Given
from imports.text import visible
from imports.usecases.audit import AuditAction, record_audit

# As long as a user name may be.
LONGEST_NAME = 150
# Of one address, so that no stranger fills the disk.
FAILURES_KEPT_AN_HOUR = 100
# Whoever has one IPv6 address has all of its network.
IPV6_NETWORK_BITS = 64
SESSION_HEADER, TOKEN_HEADER = "X-Page-Session", "X-CSRFToken"


def address_of(request: HttpRequest | None) -> str | None:
    """The client's address as TrustedProxyMiddleware left it; None where there is
    none, as behind a Unix socket.
    """
    text = request.META.get("REMOTE_ADDR", "") if request else ""
    try:
        # the zone of a link-local address (fe80::1%eth0) means nothing elsewhere
        address = ip_address(text.strip().partition("%")[0])
    except ValueError:
        return None
    mapped = address.ipv4_mapped if isinstance(address, IPv6Address) else None
    return str(mapped or address)


# The session and its person, whom every request loads


@cache
def _session_query() -> BuiltQuery:
    live = Session.objects.filter(
        session_key=Given("key", models.CharField()),
        expire_date__gt=Given("now", models.DateTimeField()),
    )
    return BuiltQuery(live.values_list("session_data"))


class SessionStore(sessions.SessionStore):
    """Django's, with the query built once."""

    def load(self) -> dict[str, Any]:
        for (data,) in _session_query().rows(key=self.session_key, now=timezone.now()):
            return self.decode(data)
        self._session_key = None  # as Django does: nobody chooses their session's key
        return {}


USER_COLUMNS = [field.attname for field in User._meta.concrete_fields]


@cache
def _user_query() -> BuiltQuery:
    person = User.objects.filter(pk=Given("pk", models.BigAutoField()))
    return BuiltQuery(person.values_list(*USER_COLUMNS))


class PasswordBackend(ModelBackend):
    """Django's, with the query of who is signed in built once."""

    def get_user(self, user_id: int) -> User | None:
        for row in _user_query().rows(pk=user_id):
            user = User.from_db(DEFAULT_DB_ALIAS, USER_COLUMNS, row)
            return user if self.user_can_authenticate(user) else None
        return None


# The audit: Django's signals of who came in, who left, who failed


@receiver([signals.user_logged_in, signals.user_logged_out])
def note_session(
    signal: Signal, request: HttpRequest, user: User | None, **_: Any
) -> None:
    is_in = signal is signals.user_logged_in
    did = AuditAction.SIGNED_IN if is_in else AuditAction.SIGNED_OUT
    if user is not None:
        record_audit(actor=user, action=did, obj=user, ip=address_of(request))


@receiver(signals.user_login_failed)
def note_failure(
    credentials: dict[str, Any], request: HttpRequest | None = None, **_: Any
) -> None:
    """Keep the name as it was typed, whoever has it; of the password nothing."""
    ip, an_hour_ago = address_of(request), timezone.now() - timedelta(hours=1)
    earlier = AuditEntry.objects.filter(
        action=AuditAction.SIGN_IN_FAILED, ip=ip, at__gte=an_hour_ago
    )
    number = earlier.order_by().count() + 1
    if number > FAILURES_KEPT_AN_HOUR:
        return
    is_locked_out = getattr(request, "axes_locked_out", False)
    details: dict[str, Any] = {"locked_out": True} if is_locked_out else {}
    if number == FAILURES_KEPT_AN_HOUR:
        details["further"] = "More of this address are not kept for up to an hour."
    name = str(credentials.get(User.USERNAME_FIELD) or "")
    record_audit(
        actor=None,
        action=AuditAction.SIGN_IN_FAILED,
        # cut first, since it may be of any length, and again, since escapes are longer
        label=visible(name[:LONGEST_NAME])[:LONGEST_NAME],
        ip=ip,
        details=details,
    )


# The login throttle: what django-axes counts, and what it answers


def throttled_address(request: HttpRequest) -> str | None:
    """The client's address, or for IPv6 the network it is in; None where there is
    none, as behind a Unix socket.
    """
    text = address_of(request)
    if text is None or ip_address(text).version == 4:
        return text
    network = ip_network(f"{text}/{IPV6_NETWORK_BITS}", strict=False)
    return str(network.network_address)


def throttled_name(
    request: HttpRequest, credentials: dict[str, Any] | None = None
) -> str | None:
    """The name as it was typed, cut to what fits the column."""
    given = (credentials or request.POST).get("username")
    return str(given)[:LONGEST_NAME] if given else None


class LoginThrottle(AxesDatabaseHandler):
    """Two limits where django-axes has one, and a success that clears one name only."""

    def get_failures(self, request: HttpRequest, credentials: Any = None) -> int:
        """On the scale of the limit for a name: those of the address reach it when
        they reach their own.
        """
        of_name, of_address = (
            attempts.order_by().aggregate(n=Sum("failures_since_start"))["n"] or 0
            for attempts in self.get_user_attempts(request, credentials)
        )
        limit = settings.AXES_FAILURE_LIMIT
        wider = settings.MCDASH_SIGN_IN_FAILURES_PER_ADDRESS
        return int(max(of_name, of_address * limit // wider))

    def reset_user_attempts(self, request: HttpRequest, credentials: Any = None) -> int:
        """The failures for other names stay: whoever knows one password could sign in
        between attempts to clear the address, and keep trying other names.
        """
        of_name, _ = self.filter_user_attempts(request, credentials)
        deleted, _ = of_name.delete()
        return int(deleted)

    def opens_at(self, request: HttpRequest, credentials: Any) -> datetime:
        """When enough of the failures are forgotten for another attempt."""
        wider = settings.MCDASH_SIGN_IN_FAILURES_PER_ADDRESS
        limits = (settings.AXES_FAILURE_LIMIT, wider)
        opens = [timezone.now()]
        found = self.get_user_attempts(request, credentials)
        for attempts, limit in zip(found, limits, strict=True):
            rows = attempts.order_by("attempt_time").values_list(
                "attempt_time", "failures_since_start"
            )
            left = sum(failures for _, failures in rows)
            for at, failures in rows:
                if left >= limit:
                    left -= failures
                    opens.append(at + settings.AXES_COOLOFF_TIME)
        return max(opens)


@receiver(pre_save, sender=AccessAttempt)
def keep_no_form(instance: AccessAttempt, **_: Any) -> None:
    """Nothing of what was sent is kept but the name: people type passwords into
    wrong fields, and strangers send what they like.
    """
    instance.get_data = instance.post_data = ""


def too_many_failures(
    request: HttpRequest, original: HttpResponse, credentials: Any
) -> HttpResponse:
    """429, the same for names that exist and names that do not."""
    del original  # the form again, which says that the password was wrong
    wait = LoginThrottle().opens_at(request, credentials) - timezone.now()
    seconds = max(1, math.ceil(wait.total_seconds()))
    context = {"minutes": math.ceil(seconds / 60)}
    response = render(request, "429.html", context, status=429)
    response["Retry-After"] = str(seconds)
    return response


# The page session: in which session a page was made


def page_session(request: HttpRequest) -> str:
    """The person's number, and what differs after each sign-in, as "7.1f2e…"; empty for
    strangers. It grants nothing: it is a one-way hash of the session's key.
    """
    key = getattr(getattr(request, "session", None), "session_key", None)
    if not request.user.is_authenticated or not key:
        return ""
    mark = salted_hmac("imports.page_session", key, algorithm="sha256")
    return f"{request.user.pk}.{mark.hexdigest()[:16]}"


class PageSessionMiddleware:
    """Compares the session that a page was made in, which its scripts send along, with
    the session of the request.

    Another person's page is refused, whatever it asks (409). In a newer session of the
    same person it is served, and told the session and the CSRF token that its forms
    need from now on: both change with each sign-in.
    """

    def __init__(self, get_response: Callable[[HttpRequest], HttpResponse]) -> None:
        self.get_response = get_response

    def __call__(self, request: HttpRequest) -> HttpResponse:
        made_in = request.headers.get(SESSION_HEADER)
        now = page_session(request) if made_in else ""
        if not made_in or not now or made_in == now:
            return self.get_response(request)
        if made_in.partition(".")[0] != now.partition(".")[0]:
            sentence = "Somebody else is signed in now."
            response = HttpResponse(sentence, status=409, content_type="text/plain")
        else:
            response = self.get_response(request)
            response.headers[TOKEN_HEADER] = get_token(request)
        response.headers[SESSION_HEADER] = now
        return response
