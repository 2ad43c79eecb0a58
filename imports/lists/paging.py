"""Keyset paging over runs: a page stays right while new runs arrive, in every order.

A place in the history is the last key that was shown, never a number of rows to skip.
The keys end in the run's id, so no two runs share one.
"""

from __future__ import annotations

import datetime as dt
from collections.abc import Iterable, Iterator
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
_MOST_DIGITS = 18
# What no index finds is looked for in so many days first, then in all.
FEW_DAYS = (1, 10, 100)


@dataclass(frozen=True, kw_only=True, slots=True)
class Place:
    """One run's place in an order; `rank` only where the order is not by time."""

    at: dt.datetime
    pk: int
    rank: int | None = None


@dataclass(frozen=True, kw_only=True, slots=True)
class RunPage:
    """The runs of one page in their order, and where its neighbours begin."""

    runs: list[ImportRun]
    previous: str
    next: str


@dataclass(frozen=True, kw_only=True, slots=True)
class RunOrder:
    """An order of runs, both ways, and a run's place in it. `accounts` are those that
    the runs may be of, None where no index leads to the runs of an account that fit;
    `statuses` are those that they were narrowed to, if any.
    """

    by: RunSort = RunSort.NEWEST
    accounts: QuerySet[Account] | None = field(default_factory=Account.objects.all)
    statuses: tuple[str, ...] = ()

    @property
    def is_ranked(self) -> bool:
        return self.by in _RANKS

    def cursor(self, run: ImportRun) -> str:
        """A run's place, for an address. The run must have come through `after`."""
        place = f"{run.occurred_at.isoformat()}_{run.pk}"
        if not self.is_ranked:
            return place
        return f"{_number(getattr(run, RANK))}_{place}"

    def read(self, text: str) -> Place | None:
        """The place in this order that `text` names, or None where it names none."""
        parts = text.split("_")
        if len(parts) != (3 if self.is_ranked else 2):
            return None
        at, pk = _moment(parts[-2]), _whole(parts[-1])
        rank = _whole(parts[0]) if self.is_ranked else None
        if at is None or pk is None or pk < 0 or (self.is_ranked and rank is None):
            return None
        return Place(at=at, pk=pk, rank=rank)

    def after(
        self, runs: RunQuerySet, place: Place | None, *, backwards: bool = False
    ) -> RunQuerySet:
        """The runs that follow `place`, the nearest first; all of them without one."""
        keys = self._keys(backwards=backwards)
        if self.is_ranked:
            runs = runs.annotate(**{RANK: _RANKS[self.by]})
        if place:
            runs = runs.filter(_beyond(keys, self._values(place)))
        return runs.order_by(*keys)

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
        found = self.after(runs, place, backwards=backwards)
        if self.is_ranked:
            return found
        rises = (self.by == RunSort.OLDEST) != backwards
        if self.accounts is None:
            return self._of_few_days(found, place, count, rises=rises)
        ends = self._ends(self.accounts, found, count)
        if not ends:
            return found
        return _up_to(found, min(ends) if rises else max(ends), rises=rises)

    def _of_few_days(
        self, found: RunQuerySet, place: Place | None, count: int, *, rises: bool
    ) -> RunQuerySet:
        start = place.at if place else timezone.now()
        for days in FEW_DAYS if place or not rises else ():
            way = dt.timedelta(days=days if rises else -days)
            some = _up_to(found, start + way, rises=rises)
            if len(some.order_by().values("pk")[:count]) == count:
                return some
        return found

    def _ends(
        self, accounts: QuerySet[Account], found: RunQuerySet, count: int
    ) -> list[dt.datetime]:
        """For each account (and status): the moment of its run number `count`."""
        own = found.filter(account=OuterRef("pk")).values("occurred_at")
        alike = [own.filter(status=status) for status in self.statuses] or [own]
        moments = {
            f"enough_{number}": Subquery(some[count - 1 : count])
            for number, some in enumerate(alike)
        }
        rows = accounts.annotate(**moments).values_list(*moments)
        return [moment for row in rows for moment in row if moment is not None]

    def _keys(self, *, backwards: bool) -> list[str]:
        rises = (self.by == RunSort.OLDEST) != backwards
        names = [RANK] * self.is_ranked + ["occurred_at", "id"]
        return [name if rises else f"-{name}" for name in names]

    def _values(self, place: Place) -> list[Any]:
        rank: Any = place.rank
        if self.by == RunSort.DURATION:
            rank = place.rank * MICROSECOND if place.rank is not None else NO_DURATION
        return [rank] * self.is_ranked + [place.at, place.pk]


_TOOK = ExpressionWrapper(
    Coalesce("finished_at", "settled_at")
    - Coalesce("started_at", "sent_at", "occurred_at"),
    output_field=DurationField(),
)
_RANKS: dict[RunSort, Any] = {
    RunSort.ERRORS: Coalesce(F("errors"), NO_COUNT, output_field=BigIntegerField()),
    RunSort.DURATION: Coalesce(
        Case(When(status__in=sorted(FINISHED), then=_TOOK)),
        Value(NO_DURATION),
        output_field=DurationField(),
    ),
}


def _up_to(runs: RunQuerySet, end: dt.datetime, *, rises: bool) -> RunQuerySet:
    return runs.filter(**{f"occurred_at__{'lte' if rises else 'gte'}": end})


def _beyond(keys: list[str], values: list[Any]) -> Q:
    """Rows after these values, when ordered by these keys, all of one direction."""
    wanted = Q()
    for number, key in enumerate(keys):
        way = "lt" if key.startswith("-") else "gt"
        same = {k.lstrip("-"): v for k, v in zip(keys[:number], values, strict=False)}
        wanted |= Q(**same, **{f"{key.lstrip('-')}__{way}": values[number]})
    # an index begins with the first key: say what holds of it in every case
    way = "lte" if keys[0].startswith("-") else "gte"
    return Q(**{f"{keys[0].lstrip('-')}__{way}": values[0]}) & wanted


def _number(rank: int | dt.timedelta) -> int:
    return rank // MICROSECOND if isinstance(rank, dt.timedelta) else rank


def _whole(text: str) -> int | None:
    digits = text.removeprefix("-")
    is_number = digits.isascii() and digits.isdecimal() and len(digits) <= _MOST_DIGITS
    return int(text) if is_number else None


def _moment(text: str) -> dt.datetime | None:
    try:
        # a "+" that was not escaped arrives as a space
        moment = dt.datetime.fromisoformat(text.replace(" ", "+"))
    except ValueError:
        return None
    is_usable = moment.tzinfo is not None and EARLIEST < moment < LATEST
    return moment if is_usable else None


def page_of(
    runs: RunQuerySet, order: RunOrder, *, before: str, after: str, are_many: bool
) -> RunPage:
    """The 50 runs that follow `before` (below it on the page), or those right above
    `after`; else the first. A page above that is not full begins at the top instead.

    `are_many`: most runs of an account are among `runs`, see `RunOrder.nearest`.
    """
    rows, wanted = with_names(runs), PER_PAGE + 1
    look = partial(order.nearest, count=wanted) if are_many else order.after
    if above := order.read(after):
        nearer = list(look(rows, above, backwards=True)[:wanted])
        if len(nearer) > PER_PAGE:
            nearest = nearer[PER_PAGE - 1 :: -1]
            return _page(order, nearest, is_first=False, is_last=False)
        before = ""
    below = order.read(before)
    found = list(look(rows, below)[:wanted])
    is_last = len(found) <= PER_PAGE
    return _page(order, found[:PER_PAGE], is_first=below is None, is_last=is_last)


def _page(
    order: RunOrder, runs: list[ImportRun], *, is_first: bool, is_last: bool
) -> RunPage:
    return RunPage(
        runs=runs,
        previous="" if is_first or not runs else order.cursor(runs[0]),
        next="" if is_last else order.cursor(runs[-1]),
    )


def with_names(runs: RunQuerySet) -> RunQuerySet:
    """`runs` with account and definition, but without what only their own pages
    show: facts and strips weigh more than everything else together. Both are read
    once the runs are known, so that none but these is joined.
    """
    return runs.prefetch_related(*names())


def names() -> tuple[Any, Any]:
    """What `with_names` reads, for runs of several lists at once."""
    heavy = ("facts", "strip", "description")
    definitions = ImportDefinition.objects.defer(*heavy)
    accounts = Account.objects.with_lost_keys()
    return Prefetch("account", accounts), Prefetch("definition", definitions)


def older_than(runs: RunQuerySet, place: tuple[dt.datetime, int] | None) -> RunQuerySet:
    """Runs below a moment and id, the newest first."""
    where = Place(at=place[0], pk=place[1]) if place else None
    return RunOrder().after(runs, where)


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
    wanted = {*fields, "pk", "occurred_at"} | ({RANK} if order.is_ranked else set())
    place: Place | None = None
    while batch := list(_batch(runs, order, place, size, are_many).values(*wanted)):
        yield batch
        last = batch[-1]
        rank = _number(last[RANK]) if order.is_ranked else None
        place = Place(at=last["occurred_at"], pk=last["pk"], rank=rank)


def _batch(
    runs: RunQuerySet, order: RunOrder, place: Place | None, size: int, are_many: bool
) -> RunQuerySet:
    if are_many and not order.is_ranked:
        # all that is up to the moment, since the index has found it already
        return order.nearest(runs, place, count=min(size, PER_PAGE))
    return order.after(runs, place)[:size]
