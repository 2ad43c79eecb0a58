"""Settle runs whose time ran out: claims without an answer, starts that waited."""

from __future__ import annotations

import logging
from collections.abc import Callable
from datetime import datetime, timedelta

from django.conf import settings
from django.db import transaction
from django.db.models import Q

from imports.models import (
    TOO_FAR_AHEAD,
    ErrorKind,
    EventKind,
    ImportRun,
    RunStatus,
    StaleRunError,
    database_now,
    publish,
)

log = logging.getLogger(__name__)

_Move = Callable[[ImportRun, datetime], None]


def settle_overdue() -> list[ImportRun]:
    """Settle every overdue run; returns those that were settled.

    A claim older than its lease becomes `unknown`, never `queued`: its Perform
    may have been sent. A run queued longer than MCDASH_START_EXPIRES_SECONDS
    becomes `not_started`.
    """
    now = database_now()
    expired = now - timedelta(seconds=settings.MCDASH_START_EXPIRES_SECONDS)
    runs = ImportRun.objects.select_related("definition")
    lease = timedelta(seconds=settings.MCDASH_START_LEASE_SECONDS)
    is_over = Q(claim_expires_at__lt=now)
    # made by a clock that ran ahead: nobody holds it for so long
    is_over |= Q(claim_expires_at__gt=now + lease + TOO_FAR_AHEAD)
    claims = runs.filter(is_over, status=RunStatus.STARTING)
    waiting = runs.filter(status=RunStatus.QUEUED, queued_at__lt=expired)
    settled = [run for run in claims if _settle(run, _give_up_claim, now)]
    return settled + [run for run in waiting if _settle(run, _expire, now)]


def _settle(run: ImportRun, move: _Move, now: datetime) -> bool:
    try:
        with transaction.atomic():
            move(run, now)
            publish(runs=[run])
    except StaleRunError as error:
        log.info("%s", error)
        return False
    return True


def _give_up_claim(run: ImportRun, now: datetime) -> None:
    message = (
        "The worker that sent the start vanished before it could write down an "
        "answer. The import may be running."
    )
    run.move_to(
        RunStatus.UNKNOWN,
        kind=EventKind.UNANSWERED,
        details={"message": message, "claimed_by": run.claimed_by},
        error_kind=ErrorKind.LEASE_OVER,
        message=message,
        next_check_at=now,
        claim_expires_at=None,
    )


def _expire(run: ImportRun, now: datetime) -> None:
    message = "It waited too long in the queue; nothing was sent."
    run.move_to(
        RunStatus.NOT_STARTED,
        kind=EventKind.NOT_STARTED,
        details={"why": ErrorKind.EXPIRED, "message": message},
        error_kind=ErrorKind.EXPIRED,
        message=message,
        settled_at=now,
    )
    if run.definition:
        run.definition.redraw()
