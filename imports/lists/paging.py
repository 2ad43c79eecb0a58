"""Keyset paging over runs: a page stays right while new runs arrive, in every order.

A place in the history is the key of the last run that was shown, never a number of rows
to skip. The keys end in the run's id, so no two runs share one.
"""

from __future__ import annotations

import datetime as dt
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from functools import partial
from typing import Any

from django.db.models import (
    BigIntegerField,
    Case,
    DurationField,
    ExpressionWrapper,
    F,
    OuterRef,
    Prefetch,
    Q,
    QuerySet,
    Subquery,
    Value,
    When,
)
from django.db.models.functions import Coalesce
from django.utils import timezone

from imports.lists.filters import RunSort
from imports.models import (
    FINISHED,
    Account,
    ImportDefinition,
    ImportRun,
    RunQuerySet,
)

PER_PAGE = 50
RANK = "rank"
EARLIEST = dt.datetime(1970, 1, 1, tzinfo=dt.UTC)
LATEST = dt.datetime(9000, 1, 1, tzinfo=dt.UTC)
MICROSECOND = dt.timedelta(microseconds=1)
# What is not known stands below all that is.
NO_COUNT, NO_DURATION = -1, dt.timedelta(days=-36500)
# A longer number was never given out as a place, and no database column holds it.
MOST_DIGITS = 18
# What no index finds is looked for in so many days first, then in all.
FEW_DAYS = (1, 10, 100)
DURATION = ExpressionWrapper(
    Coalesce("finished_at", "settled_at")
    - Coalesce("started_at", "sent_at", "occurred_at"),
    output_field=DurationField(),
)
# What the orders that are not by time look at first.
RANKS: dict[RunSort, Any] = {
    RunSort.ERRORS: Coalesce(F("errors"), NO_COUNT, output_field=BigIntegerField()),
    RunSort.DURATION: Coalesce(
        Case(When(status__in=sorted(FINISHED), then=DURATION)),
        Value(NO_DURATION),
        output_field=DurationField(),
    ),
}
# A run's values of what its order is by: rank (if there is one), moment, id.
Place = tuple[Any, ...]


@dataclass(frozen=True, kw_only=True, slots=True)
class RunOrder:
    """An order of runs, both ways, and a run's place in it. `accounts` are those that
    the runs may be of, None where no index leads to the runs of an account that fit;
    `statuses` are those that they were narrowed to, if any.
    """

    by: RunSort = RunSort.NEWEST
    accounts: QuerySet[Account] | None = field(default_factory=Account.objects.all)
    statuses: Sequence[str] = ()

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
        parts = text.split("_")
        if len(parts) != len(self.keys):
            return None
        *rank, at, pk = parts
        place: list[Any] = [*map(_whole, rank), _moment(at), _whole(pk)]
        if None in place or pk.startswith("-"):
            return None
        if self.by == RunSort.DURATION:
            place[0] *= MICROSECOND
        return tuple(place)

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
        index tells. Where no index knows which runs fit, the runs of ever more days
        are looked through. Asks for that moment at once.
        """
        following = self.after(runs, place, backwards=backwards)
        if self.by in RANKS:
            return following
        rises = (self.by == RunSort.OLDEST) != backwards
        until = "occurred_at__lte" if rises else "occurred_at__gte"
        if self.accounts is not None:
            ends = self._ends(self.accounts, following, count)
            end = (min if rises else max)(ends, default=None)
            return following.filter(**{until: end}) if end else following
        if rises and not place:  # from the beginning of the history, wherever that is
            return following
        start = place[0] if place else timezone.now()
        for days in FEW_DAYS:
            end = start + dt.timedelta(days=days if rises else -days)
            near = following.filter(**{until: end})
            if len(near.order_by().values("pk")[:count]) == count:
                return near
        return following

    def _ends(
        self, accounts: QuerySet[Account], runs: RunQuerySet, count: int
    ) -> list[dt.datetime]:
        """For each account (and status): the moment of its run number `count`."""
        own = runs.filter(account=OuterRef("pk")).values("occurred_at")
        parts = [own.filter(status=status) for status in self.statuses] or [own]
        moments = {
            f"enough_{number}": Subquery(part[count - 1 : count])
            for number, part in enumerate(parts)
        }
        rows = accounts.annotate(**moments).values_list(*moments)
        return [moment for row in rows for moment in row if moment is not None]


def _whole(text: str) -> int | None:
    digits = text.removeprefix("-")
    is_number = digits.isascii() and digits.isdecimal() and len(digits) <= MOST_DIGITS
    return int(text) if is_number else None


def _moment(text: str) -> dt.datetime | None:
    try:
        # a "+" that was not escaped arrives as a space
        moment = dt.datetime.fromisoformat(text.replace(" ", "+"))
    except ValueError:
        return None
    # databases refuse what lies far outside, and what has no zone is no moment
    is_usable = moment.tzinfo is not None and EARLIEST < moment < LATEST
    return moment if is_usable else None


@dataclass(frozen=True, kw_only=True, slots=True)
class RunPage:
    """The runs of one page in their order, and where its neighbours begin."""

    runs: list[ImportRun] = field(default_factory=list)
    previous: str = ""
    next: str = ""


def page_of(
    runs: RunQuerySet, order: RunOrder, *, before: str, after: str, are_many: bool
) -> RunPage:
    """The 50 runs that follow `before` (below it on the page), or those right above
    `after`; else the first. A page above that is not full begins at the top instead.

    `are_many`: most runs of an account are among `runs`, see `RunOrder.nearest`.
    """
    rows, count = runs.prefetch_related(*run_parents()), PER_PAGE + 1
    look = partial(order.nearest, count=count) if are_many else order.after
    above, below = order.read(after), order.read(before)
    if above:
        nearer = list(look(rows, above, backwards=True)[:count])
        if len(nearer) > PER_PAGE:
            shown = nearer[PER_PAGE - 1 :: -1]
            return RunPage(
                runs=shown,
                previous=order.cursor(shown[0]),
                next=order.cursor(shown[-1]),
            )
        below = None
    found = list(look(rows, below)[:count])
    shown = found[:PER_PAGE]
    return RunPage(
        runs=shown,
        previous=order.cursor(shown[0]) if below and shown else "",
        next=order.cursor(shown[-1]) if len(found) > PER_PAGE else "",
    )


def run_parents() -> tuple[str, Any]:
    """What a list of runs shows of account and definition, to be prefetched: without
    facts and strip, which weigh more than everything else together. Both are read
    once the runs are known, so that none but these is joined.
    """
    definitions = ImportDefinition.objects.defer("facts", "strip", "description")
    return "account", Prefetch("definition", definitions)


def batches(
    runs: RunQuerySet,
    order: RunOrder,
    fields: Iterable[str],
    size: int,
    *,
    are_many: bool,
) -> Iterator[list[dict[str, Any]]]:
    """`fields` of all of `runs` in their order, some at a time, each batch a query
    of its own: nothing is held open between two, so no writer waits for the reader.

    A batch has at most `size` runs; where `are_many` (see `RunOrder.nearest`) up to
    some dozens for each account.
    """
    names = {*fields, *order.keys}
    place: Place | None = None
    while True:
        if are_many and order.by not in RANKS:
            # all that is up to the moment, since the index has found it already
            rows = order.nearest(runs, place, count=min(size, PER_PAGE))
        else:
            rows = order.after(runs, place)[:size]
        batch = list(rows.values(*names))
        if not batch:
            return
        yield batch
        place = tuple(batch[-1][key] for key in order.keys)
