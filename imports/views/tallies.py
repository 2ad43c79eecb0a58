"""How many runs each status has, counted to 500 and no further.

A full count over a history of millions costs more than the page; past 500 nobody
counts. All statuses together are one query, each part of which stops by itself.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

from django.db.models import BigIntegerField, QuerySet, Subquery

from imports.filters import RunFilter
from imports.models import RunStatus, User

COUNTED_TO = 500
# So many are counted whatever the filters are.
COUNTED_TOGETHER = 2000
MANY = f"{COUNTED_TO}+"


class _Count(Subquery):
    """How many rows a query has, its LIMIT kept."""

    template = "(SELECT COUNT(*) FROM (%(subquery)s) counted)"
    output_field = BigIntegerField()


@dataclass(frozen=True, kw_only=True, slots=True)
class Tallies:
    """Runs by status as far as they were counted: 501 means "more than 500". Empty
    where nothing was counted.
    """

    by_status: dict[str, int] = field(default_factory=dict)

    def of(self, status: str) -> int | None:
        return self.by_status.get(status)

    def word(self, status: str) -> str:
        count = self.of(status)
        return "" if count is None else _word(count)

    def total_words(self, chosen: Sequence[str]) -> str:
        """How many the statuses `chosen` have together (none chosen: all of them)."""
        counts = [self.by_status.get(status, 0) for status in chosen or self.by_status]
        if not self.by_status:
            return "all of them"
        if max(counts, default=0) > COUNTED_TO:
            return f"{MANY} runs"
        return "1 run" if sum(counts) == 1 else f"{sum(counts):,} runs"


def _word(count: int) -> str:
    return MANY if count > COUNTED_TO else str(count)


def tallies(found: RunFilter, user: User) -> Tallies:
    """What all filters but the status let through; nothing where that is much and no
    index tells it by status. `found` must be valid.
    """
    runs = found.without("status").order_by()
    few = list(runs.values_list("status", flat=True)[: COUNTED_TOGETHER + 1])
    if len(few) <= COUNTED_TOGETHER:
        return Tallies(by_status={**dict.fromkeys(RunStatus.values, 0), **Counter(few)})
    if not found.is_by_index:
        return Tallies()
    return Tallies(by_status=_by_status(runs.values("pk"), user))


def _by_status(runs: QuerySet[Any], user: User) -> dict[str, int]:
    counts = {
        f"n_{status}": _Count(runs.filter(status=status)[: COUNTED_TO + 1])
        for status in RunStatus.values
    }
    # counted beside the reader's own row: a query has to be about something
    row = User.objects.filter(pk=user.pk).values_list(*counts.values()).get()
    return dict(zip(RunStatus.values, row, strict=True))
