"""How many rows each filter beside a list would leave.

Definitions that agree in all that can be filtered are counted together: some dozens of
counts for an account of any size. They stay in this process until the account's
revision says that something has changed (docs/adr/0011).
"""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Sequence
from typing import Any, NamedTuple

from django.core.cache import cache
from django.db import models
from django.db.models import Count

from imports.lists.filters import KIND, DefinitionFilter, RunFilter, Show
from imports.models import Account, ImportDefinition, Reader, RunStatus
from imports.models.definition import DefinitionQuerySet
from imports.wording.status import FAILING

# As `DefinitionCount` has them first.
FACTS = ("account", "last_run__status", "update_type", "kind", "is_gone")


class DefinitionCount(NamedTuple):
    """How many definitions agree in all that can be filtered."""

    account: int
    status: str | None
    update: str
    kind: str
    is_gone: bool
    is_favourite: bool
    n: int

    def is_in(self, show: str) -> bool:
        """Whether `show` (see `Show`) lets these through; "" is all that are listed."""
        if not show or self.is_gone:
            return self.is_gone == (show == Show.GONE)
        lets_through = {
            Show.FAVOURITES: self.is_favourite,
            Show.FAILING: self.status in FAILING,
            Show.NEVER: self.status is None,
        }
        return lets_through.get(Show(show), False)


class DefinitionCounts:
    """What a search found, so that each filter's count is a sum of these counts. The
    filters must be valid.
    """

    def __init__(
        self, filters: DefinitionFilter, reader: Reader, starred: Sequence[int]
    ) -> None:
        form = filters.form.cleaned_data
        self.account: Account | None = form["account"]
        self.update: str = form["update"]
        accounts = Account.objects.visible_to(reader)
        accounts = accounts.only("name", "label", "mid", "revision")
        self.account_names = {account.pk: account.shown_name for account in accounts}
        if filters.has_words:
            counted = _counted(filters.searched, *FACTS, "is_favourite")
        else:
            revisions = {account.pk: account.revision for account in accounts}
            definitions = ImportDefinition.objects.filter(pk__in=starred)
            favourites = _counted(definitions, *FACTS)
            others = _of_accounts(revisions) - favourites
            counted = Counter({(*facts, True): n for facts, n in favourites.items()})
            counted.update({(*facts, False): n for facts, n in others.items()})
        counts = [DefinitionCount._make((*key, n)) for key, n in counted.items()]
        counts = [count for count in counts if count.account in self.account_names]
        # found by the search, and listed in Marketing Cloud
        self.listed = sum(count.n for count in counts if not count.is_gone)
        chosen = {name: str(form[name]) for name in ("status", "update", "kind")}
        chosen["account"] = str(self.account.pk) if self.account else ""
        chosen = {name: text.casefold() for name, text in chosen.items() if text}
        # what all filters let through, and what all but the one named do
        self._let_through: defaultdict[str, list[DefinitionCount]] = defaultdict(list)
        for count in counts:
            rejected_by = [
                name
                for name, text in chosen.items()
                if str(getattr(count, name) or "").casefold() != text
            ]
            if not count.is_in(form["show"]):
                rejected_by.append("show")
            if len(rejected_by) < 2:
                self._let_through["".join(rejected_by)].append(count)
        # how many definitions all filters together let through
        self.total = sum(count.n for count in self._let_through[""])

    def _without(self, name: str) -> list[DefinitionCount]:
        """What all filters but `name` let through."""
        return self._let_through[""] + self._let_through[name]

    def by(self, name: str) -> Counter[Any]:
        """How many each value of a filter would leave."""
        counts: Counter[Any] = Counter()
        for count in self._without(name):
            counts[getattr(count, name)] += count.n
        return counts

    def showing(self, show: str) -> int:
        return sum(count.n for count in self._without("show") if count.is_in(show))


def _of_accounts(revisions: dict[int, int]) -> Counter[Any]:
    """All definitions of these accounts; counted are those that changed since."""
    keys = {pk: f"definition-counts-{pk}" for pk in revisions}
    kept = cache.get_many(keys.values())
    counts: Counter[Any] = Counter()
    changed: dict[int, dict[tuple[Any, ...], int]] = {}
    for pk, revision in revisions.items():
        as_of, of_account = kept.get(keys[pk], (None, {}))
        if as_of == revision:
            counts.update(of_account)
        else:
            changed[pk] = {}
    if changed:
        definitions = ImportDefinition.objects.filter(account__in=list(changed))
        for facts, n in _counted(definitions, *FACTS).items():
            changed[facts[0]][facts] = counts[facts] = n
        # each with a revision that was read before, so never older than that says
        cache.set_many({keys[pk]: (revisions[pk], own) for pk, own in changed.items()})
    return counts


def _counted(definitions: DefinitionQuerySet, *names: str) -> Counter[Any]:
    is_gone = models.ExpressionWrapper(
        models.Q(not_seen_since__isnull=False), output_field=models.BooleanField()
    )
    rows = definitions.order_by().annotate(kind=KIND, is_gone=is_gone)
    counts = rows.values_list(*names).annotate(n=Count("pk"))
    return Counter({tuple(facts): n for *facts, n in counts})


# Runs of each status are counted to 500 and no further; so many together always are.
COUNTED_TO = 500
COUNTED_TOGETHER = 2000
MANY = f"{COUNTED_TO}+"


class RunCounts(Counter[str]):
    """Runs by status, counted to 501, "more than 500"; empty: nothing was counted."""

    def text(self, status: str) -> str:
        if not self:
            return ""
        return MANY if self[status] > COUNTED_TO else str(self[status])

    def total_text(self, chosen: Sequence[str]) -> str:
        """How many runs the statuses `chosen` have together; none chosen: all."""
        counts = [self[status] for status in chosen or self]
        if not self:
            return "all of them"
        if max(counts) > COUNTED_TO:
            return f"{MANY} runs"
        return "1 run" if sum(counts) == 1 else f"{sum(counts):,} runs"


class _LimitedCount(models.Subquery):
    """How many rows a query has, its LIMIT kept."""

    template = "(SELECT COUNT(*) FROM (%(subquery)s) counted)"
    output_field = models.BigIntegerField()


def count_runs(filters: RunFilter) -> RunCounts:
    """What all filters but the status let through. The filters must be valid."""
    runs = filters.without("status").order_by()
    few = list(runs.values_list("status", flat=True)[: COUNTED_TOGETHER + 1])
    if len(few) <= COUNTED_TOGETHER:
        return RunCounts(dict.fromkeys(RunStatus.values, 0) | dict(Counter(few)))
    if not filters.is_by_index:  # then to count so many takes too long
        return RunCounts()
    counts = {
        status: _LimitedCount(runs.filter(status=status).values("pk")[: COUNTED_TO + 1])
        for status in RunStatus.values
    }
    # counted beside some row: a query has to be about something
    row = Account.objects.order_by().values_list(*counts.values())[:1].get()
    return RunCounts(dict(zip(counts, row, strict=True)))
