"""Which tasks may be the run whose start got no answer."""

from __future__ import annotations

from collections.abc import Iterable
from datetime import timedelta

from imports.marketingcloud.clock import read_time
from imports.marketingcloud.records import ImportResult
from imports.models import ImportRun

# The vendor's dates have no certain format and no zone: 26 h cover every zone.
TOO_FAR = timedelta(hours=26)


def find_candidates(run: ImportRun, rows: Iterable[ImportResult]) -> list[ImportResult]:
    """Tasks of the run's key that are nobody's yet, the nearest to the send first.

    A task whose start can be read and lies more than 26 hours from the send is
    none; otherwise dates only rank.
    """
    key = run.customer_key.casefold()
    mine = [row for row in rows if row.customer_key.casefold() == key]
    known = set(
        ImportRun.objects.filter(
            account=run.account_id, task_id__in=[row.task_id for row in mine]
        ).values_list("task_id", flat=True)
    )
    free = {row.task_id: row for row in mine if row.task_id not in known}
    distances = {task_id: distance(run, row) for task_id, row in free.items()}
    near = [task_id for task_id in free if (distances[task_id] or TOO_FAR) <= TOO_FAR]
    near.sort(key=lambda task_id: distances[task_id] or TOO_FAR)
    return [free[task_id] for task_id in near]


def distance(run: ImportRun, row: ImportResult) -> timedelta | None:
    """How far the task's start lies from the run's send; None where unreadable."""
    offset = run.account.clock_offset_minutes
    started_at = read_time(row.start_text, offset_minutes=offset)
    if started_at is None or run.sent_at is None:
        return None
    return abs(started_at - run.sent_at)
