"""Which tasks may be the run whose start got no answer."""

from __future__ import annotations

from collections.abc import Iterable
from datetime import timedelta

from django.utils import timezone

from imports.marketingcloud.clock import read_time
from imports.marketingcloud.records import ImportResult
from imports.models import ImportRun

# The vendor's dates have no certain format and no zone: 26 h cover every zone.
TOO_FAR = timedelta(hours=26)


def find_candidates(run: ImportRun, rows: Iterable[ImportResult]) -> list[ImportResult]:
    """Tasks of the run's key that are nobody's yet, the nearest to the send first.

    A task whose start can be read and lies more than 26 hours from the send is
    none, unless it lies as far in the future and cannot be true; otherwise dates only
    rank.
    """
    key = run.customer_key.casefold()
    mine = [row for row in rows if row.customer_key.casefold() == key]
    known = set(
        ImportRun.objects.filter(
            account=run.account_id, task_id__in=[row.task_id for row in mine]
        ).values_list("task_id", flat=True)
    )
    free = {row.task_id: row for row in mine if row.task_id not in known}
    near = [row for row in free.values() if rank(run, row) <= TOO_FAR]
    return sorted(near, key=lambda row: rank(run, row))


def rank(run: ImportRun, row: ImportResult) -> timedelta:
    """The distance to sort by: an unreadable start comes last, but is no reason
    against the task.
    """
    known = distance(run, row)
    return TOO_FAR if known is None else known


def distance(run: ImportRun, row: ImportResult) -> timedelta | None:
    """How far the task's start lies from the run's send; None where it cannot be read
    or cannot be true.
    """
    offset = run.account.clock_offset_minutes
    started_at = read_time(row.start_text, offset_minutes=offset)
    if started_at is None or run.sent_at is None:
        return None
    apart = abs(started_at - run.sent_at)
    return None if started_at > timezone.now() + TOO_FAR else apart
