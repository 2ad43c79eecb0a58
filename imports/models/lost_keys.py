"""Accounts whose stored secret a process could not read: its field keys are others.

Kept beside the leases, whose rows are made and forgotten without touching the
account's; pages show it although they may have the right keys themselves.
"""

from __future__ import annotations

from django.db import models
from django.db.models.functions import Cast, Concat, Now

from imports.models.lease import Lease

HOLDER = "lost-key"
# Whoever cannot read it says so again with each try; this is for processes that went.
KEPT_SECONDS = 24 * 3600


def note_lost_key(account_id: int) -> bool:
    """Remember that the secret could not be read; False where that was known."""
    name = _name(account_id)
    was_known = _kept().filter(name=name).exists()
    Lease.objects.acquire(name, holder=HOLDER, seconds=KEPT_SECONDS)
    return not was_known


def forget_lost_key(account_id: int) -> bool:
    """The secret was read, or replaced; True where it had been lost."""
    lost = Lease.objects.filter(name=_name(account_id))
    return lost.exists() and bool(lost.delete()[0])


def is_key_lost(account: str = "pk") -> models.Exists:
    """For a query of accounts, or of rows with their `account`: whether a process could
    not read its secret.
    """
    number = Cast(models.OuterRef(account), models.CharField())
    name = Concat(models.Value(_name("")), number, output_field=models.CharField())
    return models.Exists(_kept().filter(name=name))


def _kept() -> models.QuerySet[Lease]:
    return Lease.objects.filter(expires_at__gt=Now())


def _name(account_id: int | str) -> str:
    return f"lost-key:{account_id}"
