"""Guessing passwords is made slow: what django-axes counts, and what it answers.

Failures count for a name at an address and, with a wider limit, for the address. They
never count for a name alone, or a stranger could lock its owner out.
"""

from __future__ import annotations

import math
from datetime import datetime
from ipaddress import ip_address, ip_network
from typing import Any

from axes.handlers.database import AxesDatabaseHandler
from axes.models import AccessAttempt
from django.conf import settings
from django.db.models import QuerySet, Sum
from django.db.models.signals import pre_save
from django.dispatch import receiver
from django.http import HttpRequest, HttpResponse
from django.shortcuts import render
from django.utils import timezone

from imports.views.audit import MOST_OF_A_NAME, address_of

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
