"""Ask an account that stopped answering whether it is back."""

from __future__ import annotations

import secrets

from imports.models import Account, Lease
from imports.usecases.ask_account import ask_account

ONCE_IN_SECONDS = 60


def probe_account(*, account: Account) -> bool:
    """Ask for the system status, once a minute at most over all processes.

    False where this minute's question was already asked. An answer closes the
    breaker; otherwise the `MarketingCloudError` goes on to the caller.
    """
    if not may_ask_status(account):
        return False
    with ask_account(account) as client:
        client.check_connection()
    return True


def may_ask_status(account: Account) -> bool:
    """Whether the account's system status may be asked for now; then it must be.

    The vendor wants GetSystemStatus no more often than every 60 seconds. The lease
    is never given back, not even when the process dies that took it.
    """
    return Lease.objects.acquire(
        f"probe:{account.pk}", holder=secrets.token_hex(8), seconds=ONCE_IN_SECONDS
    )
