"""Send an account's queued starts."""

from __future__ import annotations

import logging

from django.conf import settings

from imports.models import Account, ImportRun, Lease, RunStatus

from .send_start import send_start

log = logging.getLogger(__name__)

# As many senders as an account may have calls at a time.
SENDERS = 2


def send_queued(*, account: Account, holder: str) -> list[ImportRun]:
    """Send the queued starts of `account`, oldest first; returns those sent.

    At most two senders work for an account, over all processes; a third one
    leaves its starts to them, so that one slow account cannot occupy a worker.
    """
    name = _free_sender(account, holder)
    if name is None:
        return []
    try:
        return _send_all(account, holder)
    finally:
        Lease.objects.release(name, holder=holder)


def _free_sender(account: Account, holder: str) -> str | None:
    seconds = settings.MCDASH_START_LEASE_SECONDS
    for number in range(1, SENDERS + 1):
        name = f"send:{account.pk}:{number}"
        if Lease.objects.acquire(name, holder=holder, seconds=seconds):
            return name
    return None


def _send_all(account: Account, holder: str) -> list[ImportRun]:
    sent: dict[int, ImportRun] = {}
    while run := _next_queued(account, list(sent)):
        sent[run.pk] = send_start(run=run, holder=holder)
    return list(sent.values())


def _next_queued(account: Account, tried: list[int]) -> ImportRun | None:
    return (
        account.runs.filter(status=RunStatus.QUEUED)
        .exclude(pk__in=tried)
        .select_related("account", "definition")
        .order_by("queued_at", "pk")
        .first()
    )
