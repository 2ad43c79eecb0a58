"""Move a run on, in the one way there is, and settle runs whose time ran out."""

from __future__ import annotations

import logging
from datetime import datetime, timedelta
from typing import Any

from django.conf import settings
from django.db import transaction
from django.db.models import Q

from imports import models
from imports.marketingcloud.errors import MarketingCloudError
from imports.models import ENDED, EventKind, ImportRun, Reason, RunStatus, bump_revision

log = logging.getLogger(__name__)

USUAL_EVENT = {
    **dict.fromkeys(models.FINISHED, EventKind.ENDED),
    RunStatus.UNKNOWN: EventKind.UNANSWERED,
    RunStatus.NOT_STARTED: EventKind.NOT_STARTED,
    RunStatus.LOST: EventKind.LOST,
    RunStatus.CANCELLED: EventKind.CANCELLED,
}


def move_run(
    run: ImportRun,
    status: RunStatus,
    *,
    kind: EventKind | None = None,
    at: datetime | None = None,
    reason: Reason = Reason.NONE,
    by: models.User | None = None,
    by_name: str = "",
    details: dict[str, Any] | None = None,
    is_one_of_many: bool = False,
    **changes: Any,
) -> None:
    """Move `run` to `status`: transition, event, recent runs, revision.

    One that ends is settled `at` that moment, by default now; any other is looked at
    from then on. What it kept of an earlier failure is cleared. `kind` is needed for a
    status that runs reach in several ways.

    The caller opens the transaction. One that moves many runs bumps the revision
    itself, once and last: the counter is locked by whoever bumps it, and two that
    each lock a definition after it could wait for each other. Raises `StaleRunError`
    where somebody else moved the run first.
    """
    at, had_ended, ends = at or models.database_now(), run.has_ended, status in ENDED
    cause = {"why": reason, "message": changes.get("message", "")} if reason else {}
    usual = {
        "settled_at": at if ends else None,
        "next_check_at": None if ends else at,
        "message": "",
        "vendor_message": "",
    }
    run.move_to(
        status,
        kind=kind or USUAL_EVENT[status],
        actor=by,
        actor_name=by_name,
        details=cause | (details or {}),
        reason=reason,
        **usual | changes,
    )
    # after the move: the strip shows the run as it ended, or no longer as an end
    if run.definition and (had_ended or ends):
        run.definition.refresh_recent_runs()
    if not is_one_of_many:
        bump_revision(runs=[run])


def fields_of_error(error: MarketingCloudError) -> dict[str, Any]:
    """What a run keeps of `error`."""
    return {
        "reason": error.reason,
        "message": error.message,
        "vendor_message": error.vendor_message,
        "error_code": error.code or "",
        "request_id": error.request_id or "",
    }


def settle_overdue() -> list[ImportRun]:
    """Settle every overdue run; returns those that were settled.

    A claim older than its lease becomes `unknown`, never `queued`: its Perform may
    have been sent. One that was never claimed becomes `not_started`.
    """
    settled = []
    for run in out_of_time(models.database_now()).select_related("definition"):
        try:
            with transaction.atomic():
                if run.status == RunStatus.STARTING:
                    move_run(
                        run,
                        RunStatus.UNKNOWN,
                        reason=Reason.WORKER_VANISHED,
                        details={"claimed_by": run.claimed_by},
                        claim_expires_at=None,
                    )
                else:
                    move_run(run, RunStatus.NOT_STARTED, reason=Reason.EXPIRED)
        except models.StaleRunError as error:
            log.info("%s", error)
        else:
            settled.append(run)
    return settled


def out_of_time(now: datetime) -> models.RunQuerySet:
    """Claims whose lease is over, and starts that waited too long in the queue."""
    lease = timedelta(seconds=settings.MCDASH_START_LEASE_SECONDS)
    is_over = Q(claim_expires_at__lt=now)
    # made by a clock that ran ahead: nobody holds it for so long
    is_over |= Q(claim_expires_at__gt=now + lease + models.TOO_FAR_AHEAD)
    expired = now - timedelta(seconds=settings.MCDASH_START_EXPIRES_SECONDS)
    return ImportRun.objects.filter(
        Q(is_over, status=RunStatus.STARTING)
        | Q(status=RunStatus.QUEUED, queued_at__lt=expired)
    )
