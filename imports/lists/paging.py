"""Keyset paging over runs: a page stays right while new runs arrive, in every order.

A place in the history is the key of the last run that was shown. The keys end in the
run's id, so no two runs share one.
"""

from __future__ import annotations

import datetime as dt
import re
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from typing import Any, NamedTuple

from django.db import models
from django.db.models import F, OuterRef, Q, Value
from django.db.models.functions import Coalesce
from django.utils import timezone

from imports.lists.filters import RunSort
from imports.models import FINISHED, Account, ImportDefinition, ImportRun
from imports.models.run import RunQuerySet

PER_PAGE = 50
RANK = "rank"
# A place as an address has it: rank, if there is one, moment and id. A longer number
# was never given out, and no database column holds it.
PLACE = re.compile(r"(?:(-?\d{1,18})_)?(.+)_(\d{1,18})", re.ASCII)
# Databases refuse what lies far outside.
EARLIEST = dt.datetime(1970, 1, 1, tzinfo=dt.UTC)
LATEST = dt.datetime(9000, 1, 1, tzinfo=dt.UTC)
MICROSECOND = dt.timedelta(microseconds=1)
# What is not known stands below all that is.
NO_COUNT, NO_DURATION = -1, dt.timedelta(days=-36500)
DURATION = models.ExpressionWrapper(
    Coalesce("finished_at", "settled_at")
    - Coalesce("started_at", "sent_at", "occurred_at"),
    output_field=models.DurationField(),
)
# What the orders that are not by time look at first.
RANKS: dict[RunSort, Any] = {
    RunSort.ERRORS: Coalesce(
        F("errors"), NO_COUNT, output_field=models.BigIntegerField()
    ),
    RunSort.DURATION: Coalesce(
        models.Case(models.When(status__in=sorted(FINISHED), then=DURATION)),
        Value(NO_DURATION),
        output_field=models.DurationField(),
    ),
}
Place = tuple[Any, ...]  # a run's rank, if there is one, moment and id


@dataclass(frozen=True, kw_only=True, slots=True)
class RunOrder:
    """An order of runs, both ways, and a run's place in it."""

    by: RunSort = RunSort.NEWEST
    # those that the runs may be of; None where no index leads to those that fit
    accounts: models.QuerySet[Account] | None = field(
        default_factory=Account.objects.all
    )
    statuses: Sequence[str] = ()  # that the runs were narrowed to
    are_many: bool = True  # so many may fit that a page looks for the nearest alone

    @property
    def keys(self) -> list[str]:
        return [RANK] * (self.by in RANKS) + ["occurred_at", "pk"]

    def cursor(self, run: ImportRun) -> str:
        """A run's place, for an address. The run must have come through `after`."""
        *rank, at, pk = (getattr(run, key) for key in self.keys)
        if self.by == RunSort.DURATION:
            rank = [rank[0] // MICROSECOND]
        return "_".join(map(str, [*rank, at.isoformat(), pk]))

    def read(self, text: str) -> Place | None:
        """The place in this order that `text` names, or None where it names none."""
        match = PLACE.fullmatch(text)
        if match is None or (match[1] is not None) != (self.by in RANKS):
            return None
        rank, moment, pk = match.groups()
        try:
            # a "+" that was not escaped arrives as a space
            at = dt.datetime.fromisoformat(moment.replace(" ", "+"))
            if not EARLIEST < at < LATEST:
                return None
        except (ValueError, TypeError):  # no moment, or one without a zone
            return None
        unit = MICROSECOND if self.by == RunSort.DURATION else 1
        return (at, int(pk)) if rank is None else (int(rank) * unit, at, int(pk))

    def after(
        self, runs: RunQuerySet, place: Place | None, *, backwards: bool = False
    ) -> RunQuerySet:
        """The runs that follow `place`, the nearest first; all of them without one."""
        rises = (self.by == RunSort.OLDEST) != backwards
        way, sign = ("gt", "") if rises else ("lt", "-")
        if self.by in RANKS:
            runs = runs.annotate(**{RANK: RANKS[self.by]})
        if place:
            values = dict(zip(self.keys, place, strict=True))
            beyond, same = Q(), Q()
            for key, value in values.items():
                beyond |= same & Q(**{f"{key}__{way}": value})
                same &= Q(**{key: value})
            # an index begins with the first key: say what holds of it in every case
            first = self.keys[0]
            runs = runs.filter(Q(**{f"{first}__{way}e": values[first]}) & beyond)
        return runs.order_by(*(f"{sign}{key}" for key in self.keys))

    def nearest(
        self,
        runs: RunQuerySet,
        place: Place | None,
        *,
        count: int,
        backwards: bool = False,
    ) -> RunQuerySet:
        """As `after`, but with no more than is needed for `count` runs.

        No index holds the runs of several accounts by time, so all would be sorted.
        Yet some account has its `count` nearest runs (of one of the statuses) before a
        moment: beyond it there is nothing to look for, and up to it each account's
        index tells. Asks for that moment at once.
        """
        following = self.after(runs, place, backwards=backwards)
        if not self.are_many or self.by in RANKS:
            return following
        rises = (self.by == RunSort.OLDEST) != backwards
        until = "occurred_at__lte" if rises else "occurred_at__gte"
        if self.accounts is not None:
            # for each account (and status): the moment of its run number `count`
            own = following.filter(account=OuterRef("pk")).values("occurred_at")
            parts = [own.filter(status=status) for status in self.statuses] or [own]
            moments = {
                f"enough_{number}": models.Subquery(part[count - 1 : count])
                for number, part in enumerate(parts)
            }
            rows = self.accounts.annotate(**moments).values_list(*moments)
            ends = [moment for row in rows for moment in row if moment is not None]
            end = (min if rises else max)(ends, default=None)
            return following.filter(**{until: end}) if end else following
        if rises and not place:  # from the beginning of the history, wherever that is
            return following
        # no index knows which runs fit: those of ever more days are looked through
        start = place[0] if place else timezone.now()
        for days in (1, 10, 100):
            end = start + dt.timedelta(days=days if rises else -days)
            near = following.filter(**{until: end})
            if len(near.order_by().values("pk")[:count]) == count:
                return near
        return following


class RunPage(NamedTuple):
    """The runs of one page in their order, and where its neighbours begin."""

    runs: Sequence[ImportRun] = ()
    previous: str = ""
    next: str = ""


def page_of(runs: RunQuerySet, order: RunOrder, *, before: str, after: str) -> RunPage:
    """The 50 runs that follow `before` (below it on the page), or those right above
    `after`; else the first. A page above that is not full begins at the top instead.
    """
    runs, count = runs.prefetch_related(*run_parents()), PER_PAGE + 1
    above, below = order.read(after), order.read(before)
    if above:
        rows = order.nearest(runs, above, count=count, backwards=True)[:count]
        if len(rows) > PER_PAGE:
            shown = list(rows)[PER_PAGE - 1 :: -1]
            return RunPage(shown, order.cursor(shown[0]), order.cursor(shown[-1]))
        below = None
    rows = order.nearest(runs, below, count=count)[:count]
    shown = list(rows)[:PER_PAGE]
    return RunPage(
        shown,
        previous=order.cursor(shown[0]) if below and shown else "",
        next=order.cursor(shown[-1]) if len(rows) > PER_PAGE else "",
    )


def run_parents() -> tuple[str, Any]:
    """What a list of runs shows of account and definition, to be prefetched, since a
    join would be made of all runs before those of the page are known.
    """
    # without what weighs more than everything else together
    definitions = ImportDefinition.objects.defer("facts", "strip", "description")
    return "account", models.Prefetch("definition", definitions)


def batches(
    runs: RunQuerySet, order: RunOrder, fields: Iterable[str], size: int
) -> Iterator[list[dict[str, Any]]]:
    """`fields` of all of `runs` in their order, at most `size` at a time, or where they
    are many up to some dozens for each account. Each batch is a query of its own, so no
    writer waits for the reader.
    """
    names = {*fields, *order.keys}
    place: Place | None = None
    while True:
        if order.are_many and order.by not in RANKS:
            # all that is up to the moment, since the index has found it already
            rows = order.nearest(runs, place, count=min(size, PER_PAGE))
        else:
            rows = order.after(runs, place)[:size]
        batch = list(rows.values(*names))
        if not batch:
            return
        yield batch
        place = tuple(batch[-1][key] for key in order.keys)
