"""Learn an account's clock from our own runs."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from datetime import datetime, timedelta

from django.db import transaction

from imports.marketingcloud.clock import read_time
from imports.models import Account, EventKind, ImportRun, publish

STEP_MINUTES = 15
# No zone is further from UTC; what lies beyond is no clock.
FURTHEST = timedelta(hours=15)
LATEST, ENOUGH = 5, 3


def learn_clock(account: Account, runs: Mapping[ImportRun, str]) -> None:
    """Set the clock offset of `account` by what `runs` show, each with its StartDate.

    A text without a zone, read as UTC, lies as far from our send as their clock from
    UTC, plus the time the task waited there. So the least distance of the latest
    runs counts; a larger one than we know needs three runs, since one may have
    waited. Only tasks that Perform's answer named teach anything. Opens a
    transaction of its own: never call it inside one that publishes later.
    """
    taught = [d for d in map(_distance, _of_latest(account, runs)) if d is not None]
    if not taught:
        return
    offset = _rounded(min(taught))
    known = account.clock_offset_minutes
    if offset == known or (offset > known and len(taught) < ENOUGH):
        return
    account.clock_offset_minutes = offset
    with transaction.atomic():
        publish(accounts=[account])
        account.save(update_fields=["clock_offset_minutes"])


def _of_latest(
    account: Account, runs: Mapping[ImportRun, str]
) -> Iterable[tuple[datetime, str]]:
    """When each of the latest own runs was sent, and its StartDate."""
    texts = {run.pk: text for run, text in runs.items()}
    own = account.runs.ours().filter(
        events__kind=EventKind.ACCEPTED, sent_at__isnull=False
    )
    latest = own.order_by("-occurred_at", "-pk").values_list(
        "pk", "sent_at", "start_text"
    )
    return [
        (sent_at, texts.get(pk) or stored)
        for pk, sent_at, stored in latest[:LATEST]
        if sent_at
    ]


def _distance(sent: tuple[datetime, str]) -> timedelta | None:
    """How far a text without a zone lies from the send; None where it has one."""
    sent_at, text = sent
    as_utc = read_time(text, offset_minutes=0)
    if as_utc is None or as_utc == read_time(text, offset_minutes=60):
        return None
    return as_utc - sent_at if abs(as_utc - sent_at) <= FURTHEST else None


def _rounded(distance: timedelta) -> int:
    steps = distance / timedelta(minutes=STEP_MINUTES)
    return STEP_MINUTES * round(steps)
