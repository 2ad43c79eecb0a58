"""Ask an account that stopped answering whether it is back."""

from __future__ import annotations

from imports.models import Account, Lease, new_holder

from .ask_account import ask_account

ONCE_IN_SECONDS = 60


def probe_account(*, account: Account) -> bool:
    """Ask for the system status, once a minute at most over all processes.

    False where this minute's probe was already sent. An answer closes the
    breaker; otherwise the `MarketingCloudError` goes on to the caller. The
    vendor asks for GetSystemStatus no more often than every 60 seconds.
    """
    name = f"probe:{account.pk}"
    # never given back: the lease is what spaces the probes
    if not Lease.objects.acquire(name, holder=new_holder(), seconds=ONCE_IN_SECONDS):
        return False
    with ask_account(account) as client:
        client.check_connection()
    return True
