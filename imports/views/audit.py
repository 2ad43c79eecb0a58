"""What the audit learns from a request: who came in, who tried, and from where."""

from __future__ import annotations

from datetime import timedelta
from ipaddress import IPv6Address, ip_address
from typing import Any

from django.http import HttpRequest
from django.utils import timezone

from imports.models import AuditEntry, User
from imports.usecases.record_audit import AuditAction, record_audit, visible

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
