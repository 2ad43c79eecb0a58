"""How many definitions there are of each kind, for the filters beside their list.

What is alike in all that can be filtered is counted together, a *cell*: some dozens for
an account of any size. An account's cells are kept in this process until its revision
says that something in it has changed, so a page counts what has changed, not all.
"""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from typing import Any, NamedTuple

from django.core.cache import cache
from django.db.models import (
    BigIntegerField,
    BooleanField,
    Count,
    ExpressionWrapper,
    Q,
    QuerySet,
    Subquery,
)

from imports.lists.filters import FAILING, KIND, DefinitionFilter, RunFilter, Show
from imports.models import (
    Account,
    DefinitionQuerySet,
    ImportDefinition,
    RunStatus,
    User,
)

# By account, last status, update type, kind of destination, and whether it is gone.
Alike = tuple[int, str | None, str, str, bool]
ALIKE = ("account", "last_run__status", "update_type", "kind", "is_gone")


class Cell(NamedTuple):
    """How many definitions are alike in all that can be filtered."""

    account: int
    status: str | None
    update: str
    kind: str
    is_gone: bool
    is_favourite: bool
    n: int

    def is_in(self, show: str) -> bool:
        """Whether `show` (see `Show`) lets these through; "" is everything seen."""
        if not show or self.is_gone:
            return self.is_gone == (show == Show.GONE)
        match show:
            case Show.FAVOURITES:
                return self.is_favourite
            case Show.FAILING:
                return self.status in FAILING
            case Show.NEVER:
                return self.status is None
        return False

    def has(self, name: str, value: str) -> bool:
        return str(getattr(self, name) or "").casefold() == value


class Cells:
    """All that a search found, counted by all that can be filtered, so that each
    filter's count is a sum. `found` must be valid.
    """

    def __init__(self, found: DefinitionFilter, user: User) -> None:
        self.query = found.data
        form = found.form.cleaned_data
        # how many of what the search found Marketing Cloud still lists
        self.seen = 0
        self.account: Account | None = form["account"]
        self.wanted = {
            name: str(form[name]) for name in ("status", "update", "kind", "show")
        }
        self._let_through: defaultdict[str, list[Cell]] = defaultdict(list)
        accounts = Account.objects.visible_to(user).only(
            "name", "label", "mid", "revision"
        )
        self.account_names = {one.pk: one.shown_name for one in accounts}
        revisions = {one.pk: one.revision for one in accounts}
        for cell in _searched(found) if found.has_words else _all(revisions, user):
            if cell.account in self.account_names:
                self._sort(cell)

    def _sort(self, cell: Cell) -> None:
        """To those that all filters let through, or all but one; others count
        nowhere.
        """
        if not cell.is_gone:
            self.seen += cell.n
        kept_by = [*self._kept_by(cell)]
        if len(kept_by) < 2:
            self._let_through["".join(kept_by)].append(cell)

    def _kept_by(self, cell: Cell) -> Iterator[str]:
        """The filters that keep it away."""
        if self.account and cell.account != self.account.pk:
            yield "account"
        if not cell.is_in(self.wanted["show"]):
            yield "show"
        for name in ("status", "update", "kind"):
            value = self.wanted[name]
            if value and not cell.has(name, value.casefold()):
                yield name

    def but(self, name: str) -> list[Cell]:
        """What all filters but `name` let through."""
        return self._let_through[""] + self._let_through[name] * bool(name)

    @property
    def count(self) -> int:
        """How many definitions all filters together let through."""
        return total(self.but(""))


def _searched(found: DefinitionFilter) -> Iterator[Cell]:
    return (Cell(*row) for row in _counted(found.searched, *ALIKE, "is_favourite"))


def _all(revisions: dict[int, int], user: User) -> Iterator[Cell]:
    """All definitions of the accounts with these revisions."""
    kept = _alike(ImportDefinition.objects.filter(favourites__user=user))
    for alike, n in (_remembered(revisions) - kept).items():
        yield Cell(*alike, is_favourite=False, n=n)
    for alike, n in kept.items():
        yield Cell(*alike, is_favourite=True, n=n)


def _remembered(revisions: dict[int, int]) -> Counter[Alike]:
    """Only those accounts are counted whose cells are not known as of their revision.
    A revision is read before what it is about, so what is remembered is never older
    than it says.
    """
    known = cache.get_many([_key(pk) for pk in revisions])
    counted: Counter[Alike] = Counter()
    changed = []
    for pk, revision in revisions.items():
        as_of, alike = known.get(_key(pk), (None, {}))
        if as_of == revision:
            counted.update(alike)
        else:
            changed.append(pk)
    return counted + _counted_anew(changed, revisions)


def _counted_anew(accounts: list[int], revisions: dict[int, int]) -> Counter[Alike]:
    if not accounts:
        return Counter()
    counted = _alike(ImportDefinition.objects.filter(account__in=accounts))
    of_account: dict[int, dict[Alike, int]] = {pk: {} for pk in accounts}
    for alike, n in counted.items():
        of_account[alike[0]][alike] = n
    cache.set_many(
        {_key(pk): (revisions[pk], alike) for pk, alike in of_account.items()}
    )
    return counted


def _key(account: int) -> str:
    return f"definition-cells-{account}"


def _alike(definitions: DefinitionQuerySet) -> Counter[Alike]:
    rows = _counted(definitions, *ALIKE)
    return Counter({(a, status, *others): n for a, status, *others, n in rows})


def _counted(definitions: DefinitionQuerySet, *names: str) -> Iterable[Any]:
    is_gone = ExpressionWrapper(
        Q(not_seen_since__isnull=False), output_field=BooleanField()
    )
    alike = definitions.order_by().annotate(kind=KIND, is_gone=is_gone)
    return alike.values_list(*names).annotate(n=Count("pk"))


def total(cells: Iterable[Cell]) -> int:
    """How many definitions are in `cells`."""
    return sum(cell.n for cell in cells)


# How many runs each status has, counted to 500 and no further.


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
