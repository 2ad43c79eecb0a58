"""Ask the worker to read the definitions of accounts now, not at its own hour."""

from __future__ import annotations

from collections.abc import Iterable
from datetime import timedelta

from django.db import transaction
from django.db.models import Q

from imports.models import Account, User, database_now, publish
from imports.usecases.record_audit import AuditAction, record_audit

# Reading thousands of definitions costs the account some calls: not at every press.
SELDOM = timedelta(minutes=1)


def want_sync(
    *, accounts: Iterable[Account], by: User, ip: str | None = None
) -> list[Account]:
    """Note that `by` wants `accounts` synced, and give those for which that is new:
    not asked for within the last minute, and such as can be asked at all.

    Nothing is sent: the worker looks every second.
    """
    with transaction.atomic():
        accounts = list(accounts)
        publish(accounts=accounts)
        return [account for account in accounts if _want(account, by, ip)]


def _want(account: Account, by: User, ip: str | None) -> bool:
    now = database_now()
    long_ago = Q(sync_wanted_at=None) | Q(sync_wanted_at__lte=now - SELDOM)
    rows = Account.objects.reachable().filter(long_ago, pk=account.pk)
    if not rows.update(sync_wanted_at=now):
        return False
    record_audit(
        actor=by,
        action=AuditAction.SYNC_WANTED,
        obj=account,
        account=account,
        ip=ip,
    )
    return True
