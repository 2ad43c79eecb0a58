"""Send an account's queued starts."""

from __future__ import annotations

import logging
from collections.abc import Callable

from django.conf import settings

from imports.models import Account, ImportRun, Lease, RunStatus
from imports.usecases.send_start import never, send_start

log = logging.getLogger(__name__)

# As many senders as an account may have calls at a time.
SENDERS = 2


def send_queued(
    *, account: Account, holder: str, is_stopping: Callable[[], bool] = never
) -> list[ImportRun]:
    """Send the queued starts of `account`, oldest first; returns those sent.

    Once `is_stopping()` no further one is taken: they stay queued for another
    worker.

    At most two senders work for an account, over all processes; a third one
    leaves its starts to them, so that one slow account cannot occupy a worker.
    """
    name = _free_sender(account, holder)
    if name is None:
        return []
    try:
        return _send_all(account, name, holder, is_stopping)
    finally:
        Lease.objects.release(name, holder=holder)


def _free_sender(account: Account, holder: str) -> str | None:
    for number in range(1, SENDERS + 1):
        name = f"send:{account.pk}:{number}"
        if _hold(name, holder):
            return name
    return None


def _hold(name: str, holder: str) -> bool:
    seconds = settings.MCDASH_START_LEASE_SECONDS
    return Lease.objects.acquire(name, holder=holder, seconds=seconds)


def _send_all(
    account: Account, name: str, holder: str, is_stopping: Callable[[], bool]
) -> list[ImportRun]:
    sent: dict[int, ImportRun] = {}
    while not is_stopping() and _hold(name, holder):
        run = _next_queued(account, list(sent))
        if run is None:
            break
        sent[run.pk] = send_start(run=run, holder=holder, is_stopping=is_stopping)
    return list(sent.values())


def _next_queued(account: Account, tried: list[int]) -> ImportRun | None:
    return (
        account.runs.filter(status=RunStatus.QUEUED)
        .exclude(pk__in=tried)
        .select_related("account", "definition")
        .order_by("queued_at", "pk")
        .first()
    )
