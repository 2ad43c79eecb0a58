"""Guessing passwords is made slow: what django-axes counts, and what it answers.

Failures count for a name at an address and, with a wider limit, for the address. They
never count for a name alone, or a stranger could lock its owner out.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from datetime import datetime, timedelta
from ipaddress import IPv6Address, ip_address, ip_network
from typing import Any

from axes.handlers.database import AxesDatabaseHandler
from axes.models import AccessAttempt
from django.conf import settings
from django.db.models import QuerySet, Sum
from django.db.models.signals import pre_save
from django.dispatch import receiver
from django.http import HttpRequest, HttpResponse
from django.middleware.csrf import get_token
from django.shortcuts import render
from django.utils import timezone
from django.utils.crypto import salted_hmac

from imports.models import AuditEntry, User
from imports.usecases.audit import AuditAction, record_audit, visible

# What the audit learns from a request: who came in, who tried, and from where.


# As long as a user name may be.
MOST_OF_A_NAME = 150
# A stranger fills no disk: so many failures of one address are kept within the hour.
FAILURES_AN_HOUR = 100
HOUR = timedelta(hours=1)


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


def note_sign_in(request: HttpRequest, user: User, **_: Any) -> None:
    record_audit(
        actor=user, action=AuditAction.SIGNED_IN, obj=user, ip=address_of(request)
    )


def note_sign_out(request: HttpRequest, user: User | None, **_: Any) -> None:
    if user is not None:
        record_audit(
            actor=user, action=AuditAction.SIGNED_OUT, obj=user, ip=address_of(request)
        )


def note_failure(
    credentials: dict[str, Any], request: HttpRequest | None = None, **_: Any
) -> None:
    """Keep the name as it was typed, whoever has it; of the password nothing."""
    ip = address_of(request)
    before = AuditEntry.objects.filter(
        action=AuditAction.SIGN_IN_FAILED, ip=ip, at__gte=timezone.now() - HOUR
    )
    number = before.order_by().count() + 1
    if number > FAILURES_AN_HOUR:
        return
    details: dict[str, Any] = {}
    if getattr(request, "axes_locked_out", False):
        details["locked_out"] = True
    if number == FAILURES_AN_HOUR:
        details["further"] = "More of this address are not kept for up to an hour."
    record_audit(
        actor=None,
        action=AuditAction.SIGN_IN_FAILED,
        label=typed_name(credentials),
        ip=ip,
        details=details,
    )


def typed_name(credentials: dict[str, Any]) -> str:
    """The name of a failed sign-in, cut first: it may be of any length."""
    name = str(credentials.get(User.USERNAME_FIELD) or "")
    return visible(name[:MOST_OF_A_NAME])[:MOST_OF_A_NAME]


# Whoever has one IPv6 address has all of its network.
IPV6_NETWORK_BITS = 64


def guessers_address(request: HttpRequest) -> str | None:
    """The client's address, or for IPv6 the network it is in; None where there is
    none, as behind a Unix socket.
    """
    text = address_of(request)
    if text is None or ip_address(text).version == 4:
        return text
    network = ip_network(f"{text}/{IPV6_NETWORK_BITS}", strict=False)
    return str(network.network_address)


def guessed_name(
    request: HttpRequest, credentials: dict[str, Any] | None = None
) -> str | None:
    """The name as it was typed, as far as a user name can reach: what is longer fits
    no column.
    """
    given = (credentials or request.POST).get("username")
    return str(given)[:MOST_OF_A_NAME] if given else None


class SignInGuard(AxesDatabaseHandler):
    """Two limits where django-axes has one, and a success that opens one name only."""

    def get_failures(self, request: HttpRequest, credentials: Any = None) -> int:
        """The failures that count, on the scale of the limit for a name: those of
        the address reach it when they reach their own.
        """
        of_name, of_address = self.get_user_attempts(request, credentials)
        limit = settings.AXES_FAILURE_LIMIT
        wider = settings.MCDASH_SIGN_IN_FAILURES_PER_ADDRESS
        return max(_sum(of_name), _sum(of_address) * limit // wider)

    def reset_user_attempts(self, request: HttpRequest, credentials: Any = None) -> int:
        """The failures for other names stay: else whoever has one password would
        clear the address by it and go on guessing the others.
        """
        of_name, _ = self.filter_user_attempts(request, credentials)
        deleted, _ = of_name.delete()
        return int(deleted)

    def opens_at(self, request: HttpRequest, credentials: Any) -> datetime:
        """When enough of the failures are forgotten for another attempt."""
        of_name, of_address = self.get_user_attempts(request, credentials)
        wider = settings.MCDASH_SIGN_IN_FAILURES_PER_ADDRESS
        opens = (
            _opens_at(of_name, settings.AXES_FAILURE_LIMIT),
            _opens_at(of_address, wider),
        )
        return max((at for at in opens if at), default=timezone.now())


def _sum(attempts: QuerySet[AccessAttempt]) -> int:
    failures = attempts.order_by().aggregate(n=Sum("failures_since_start"))["n"]
    return failures or 0


def _opens_at(attempts: QuerySet[AccessAttempt], limit: int) -> datetime | None:
    """When fewer than `limit` failures are left; None if that is so now."""
    rows = attempts.order_by("attempt_time").values_list(
        "attempt_time", "failures_since_start"
    )
    left, opens = sum(failures for _, failures in rows), None
    for at, failures in rows:
        if left < limit:
            break
        left -= failures
        opens = at + settings.AXES_COOLOFF_TIME
    return opens


@receiver(pre_save, sender=AccessAttempt)
def keep_no_form(instance: AccessAttempt, **_: Any) -> None:
    """Nothing of what was sent is kept but the name: people type passwords into
    wrong fields, and strangers send what they like.
    """
    instance.get_data = instance.post_data = ""


def too_many(
    request: HttpRequest, original: HttpResponse, credentials: Any
) -> HttpResponse:
    """429, the same for names that exist and names that do not."""
    del original  # the form again, which says that the password was wrong
    wait = SignInGuard().opens_at(request, credentials) - timezone.now()
    seconds = max(1, math.ceil(wait.total_seconds()))
    context = {"minutes": math.ceil(seconds / 60)}
    response = render(request, "429.html", context, status=429)
    response["Retry-After"] = str(seconds)
    return response


# Whose page it is: what a page tells with each request that its scripts send, so that


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


# The session that a page was made in, as its scripts know it.


def page_session(request: HttpRequest) -> str:
    """The person's number, and what differs after each sign-in; empty for strangers.

    It opens nothing: it is made from the session's key, which it does not give away.
    """
    key = getattr(getattr(request, "session", None), "session_key", None)
    if not request.user.is_authenticated or not key:
        return ""
    mark = salted_hmac("imports.page_session", key, algorithm="sha256")
    return f"{request.user.pk}.{mark.hexdigest()[:16]}"
