"""What the History can be narrowed by, as links, chips and hidden fields."""

from __future__ import annotations

import datetime as dt
from collections import Counter
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any

from django.http import QueryDict
from django.urls import reverse
from django.utils import timezone

from imports.lists.counts import Cells, Tallies, total
from imports.lists.filters import BY_TIME, Kind, RunFilter, RunSort, Show
from imports.models import Account, ImportDefinition, Origin, RunStatus
from imports.text import first_with_ink
from imports.wording.definition import update_type_word
from imports.wording.formats import zone_name

# The filters beside the list of definitions, each with its count and its address.


NOT_KEPT = ("since", "seen", "page")


@dataclass(frozen=True, kw_only=True, slots=True)
class Choice:
    """One filter: its word, where it leads, and how many it would leave."""

    word: str
    url: str
    count: int
    is_current: bool
    status: str = ""


@dataclass(frozen=True, kw_only=True, slots=True)
class Group:
    """Filters of which one can be chosen."""

    title: str
    items: list[Choice]


def address(query: QueryDict, **changes: Any) -> str:
    """`query` with `changes`, without what is empty or belongs to one moment only."""
    kept = query.copy()
    for name in NOT_KEPT:
        kept.pop(name, None)
    for name, value in changes.items():
        kept[name] = str(value)
    for name in [name for name in kept if not kept[name]]:
        del kept[name]
    return f"?{kept.urlencode()}"


def facets(cells: Cells) -> list[Group]:
    """All groups of filters; each counts what the other groups let through.

    A filter that would leave nothing disappears unless it is chosen.
    """
    groups = [
        Group(title="", items=_shown(cells)),
        Group(title="Account", items=_accounts(cells)),
        Group(title="Last status", items=_statuses(cells)),
        Group(title="Update type", items=_update_types(cells)),
        Group(title="Destination", items=_kinds(cells)),
    ]
    return [group for group in groups if group.items]


def _choice(
    cells: Cells, name: str, value: object, word: str, count: int, status: str = ""
) -> Choice:
    """Choosing what is chosen already lets it go."""
    is_current = (cells.query.get(name) or "").casefold() == str(value).casefold()
    wanted = "" if is_current else value
    return Choice(
        word=word,
        url=address(cells.query, **{name: wanted}),
        count=count,
        is_current=is_current,
        status=status,
    )


def _kept(choices: Iterable[Choice]) -> list[Choice]:
    return [choice for choice in choices if choice.count or choice.is_current]


def _shown(cells: Cells) -> list[Choice]:
    let_through = cells.but("show")
    counts = {
        show: total(cell for cell in let_through if cell.is_in(show))
        for show in ("", *Show.values)
    }
    everything = _choice(cells, "show", "", "All", counts[""])
    some = (_choice(cells, "show", s.value, s.label, counts[s.value]) for s in Show)
    return [everything, *_kept(some)]


def _accounts(cells: Cells) -> list[Choice]:
    counts: Counter[tuple[str, int]] = Counter()
    for cell in cells.but("account"):
        counts[cells.account_names[cell.account], cell.account] += cell.n
    if chosen := cells.account:
        counts[chosen.shown_name, chosen.pk] += 0
    return [
        _choice(cells, "account", pk, name, n)
        for (name, pk), n in sorted(counts.items())
    ]


def _statuses(cells: Cells) -> list[Choice]:
    counts: Counter[str | None] = Counter()
    for cell in cells.but("status"):
        counts[cell.status] += cell.n
    return _kept(
        _choice(cells, "status", s.value, s.label, counts[s.value], s.value)
        for s in RunStatus
    )


def _update_types(cells: Cells) -> list[Choice]:
    """The same type is one, however its letters are written; the first spelling wins.

    A type that Marketing Cloud did not tell cannot be asked for; the chosen one is
    there even if it leaves nothing.
    """
    spelling: dict[str, str] = {}
    counts: Counter[str] = Counter()
    told = [(cell.update, cell.n) for cell in cells.but("update")]
    for update, n in (*told, (cells.wanted["update"], 0)):
        if update:
            counts[spelling.setdefault(update.casefold(), update)] += n
    return [
        _choice(cells, "update", name, _update_word(name), n)
        for name, n in counts.most_common()
    ]


def _update_word(name: str) -> str:
    return first_with_ink(update_type_word(name), otherwise="(no name)")


def _kinds(cells: Cells) -> list[Choice]:
    counts: Counter[str] = Counter()
    for cell in cells.but("kind"):
        counts[cell.kind] += cell.n
    return _kept(
        _choice(cells, "kind", kind.value, kind.label, counts[kind.value])
        for kind in Kind
    )


# The ends of a page and the poll's memory are no filters.
PLACES = ("since", "seen", "before", "after")
SHOWN = ("status", "account", "origin", "person", "from", "to", "definition", "q")
DAYS = ("from", "to")
WORD_OF = {
    "status": "Status",
    "account": "Account",
    "origin": "Origin",
    "person": "Started by",
    "from": "From",
    "to": "To",
    "definition": "Definition",
    "q": "Search",
}


@dataclass(frozen=True, kw_only=True, slots=True)
class HistoryChoice:
    """One link of a filter group, or one chip with its way out."""

    word: str
    url: str
    value: str = ""
    is_current: bool = False
    status: str = ""
    tally: str = ""


@dataclass(frozen=True, kw_only=True, slots=True)
class HistoryGroup:
    """A titled list of choices of one filter."""

    title: str
    items: list[HistoryChoice]


class HistoryQuery:
    """The filters of one request, and the addresses that change one of them."""

    def __init__(self, given: QueryDict) -> None:
        self.given = given.copy()
        for name in PLACES:
            self.given.pop(name, None)

    def url(self, route: str = "run_list", /, **changes: str | list[str]) -> str:
        """The History with these filters changed; an empty one is left out."""
        query = self.given.copy()
        for name, value in changes.items():
            query.setlist(name, value if isinstance(value, list) else [value])
        for name in [name for name in query if not any(query.getlist(name))]:
            del query[name]
        return f"{reverse(f'imports:{route}')}?{query.urlencode()}".rstrip("?")

    def kept(self, *without: str) -> list[tuple[str, str]]:
        """Hidden fields that carry on every filter but those named."""
        return [
            (name, value)
            for name, values in self.given.lists()
            for value in values
            if name not in without and value
        ]

    def toggled(self, name: str, value: str) -> str:
        chosen = self.given.getlist(name)
        left = [one for one in chosen if one != value]
        return self.url(**{name: left if value in chosen else [*left, value]})

    def chosen(self, name: str) -> list[str]:
        return [value for value in self.given.getlist(name) if value]

    @property
    def has_filters(self) -> bool:
        return any(self.chosen(name) for name in SHOWN)

    @property
    def has_days_only(self) -> bool:
        return {name for name in SHOWN if self.chosen(name)} <= set(DAYS)


def groups(
    query: HistoryQuery, found: RunFilter, accounts: list[Account], tallies: Tallies
) -> list[HistoryGroup]:
    """The filter column: by day, status, account and origin."""
    return [
        HistoryGroup(title=f"Days in {zone_name()}", items=_days(query, found)),
        HistoryGroup(title="Status", items=_history_statuses(query, tallies)),
        *(
            [HistoryGroup(title="Account", items=_history_accounts(query, accounts))]
            * bool(accounts)
        ),
        HistoryGroup(title="Started from", items=_origins(query)),
    ]


# What is told as days ago goes on to mean it in a saved address.
PRESETS = (
    ("Any day", "", ""),
    ("Today", "today", ""),
    ("Yesterday", "yesterday", "yesterday"),
    ("Last 7 days", "6-days-ago", ""),
    ("Last 31 days", "30-days-ago", ""),
)
_DAYS_BACK = {"today": 0, "yesterday": 1, "6-days-ago": 6, "30-days-ago": 30, "": None}


def _days(query: HistoryQuery, found: RunFilter) -> list[HistoryChoice]:
    current = _preset(found)
    return [
        HistoryChoice(
            word=word,
            url=query.url(**{"from": first, "to": last}),
            is_current=word == current,
        )
        for word, first, last in PRESETS
    ]


def _preset(found: RunFilter) -> str:
    """The preset that the days come to, however they were written; "" for none."""
    days = _cleaned(found)
    now = (days.get("from"), days.get("to"))
    ways = ((word, (_day(a), _day(b))) for word, a, b in PRESETS)
    return next((word for word, both in ways if both == now), "")


def _day(word: str) -> dt.date | None:
    back = _DAYS_BACK[word]
    return None if back is None else timezone.localdate() - dt.timedelta(days=back)


def _history_statuses(query: HistoryQuery, tallies: Tallies) -> list[HistoryChoice]:
    """One that would leave nothing disappears unless it is chosen."""
    chosen = query.chosen("status")
    return [
        HistoryChoice(
            word=str(label),
            url=query.toggled("status", str(value)),
            is_current=value in chosen,
            status=str(value),
            tally=tallies.word(value),
        )
        for value, label in RunStatus.choices
        if value in chosen or tallies.of(value) != 0
    ]


def _history_accounts(
    query: HistoryQuery, accounts: list[Account]
) -> list[HistoryChoice]:
    chosen = query.given.get("account", "")
    return [
        HistoryChoice(
            word=account.shown_name,
            url=query.url(account="" if chosen == str(account.pk) else str(account.pk)),
            is_current=chosen == str(account.pk),
        )
        for account in accounts
    ]


def _origins(query: HistoryQuery) -> list[HistoryChoice]:
    chosen = query.given.get("origin", "")
    return [
        HistoryChoice(
            word=str(label),
            url=query.url(origin="" if chosen == value else str(value)),
            is_current=chosen == value,
        )
        for value, label in Origin.choices
    ]


def orders(query: HistoryQuery, found: RunFilter) -> list[HistoryChoice]:
    """The orders that can be had; without the ranks where the days are too many."""
    return [
        HistoryChoice(
            word=str(label),
            url=query.url(sort=str(value)),
            is_current=value == found.order,
        )
        for value, label in RunSort.choices
        if found.may_rank or value in BY_TIME
    ]


def chips(query: HistoryQuery, found: RunFilter) -> list[dict[str, str]]:
    """What is filtered now, each with the address without it."""
    preset = _preset(found) if query.chosen("from") else ""
    apart = [name for name in SHOWN if not (preset and name in DAYS)]
    found_days = {
        "word": "Days",
        "value": preset,
        "clear_url": query.url(**dict.fromkeys(DAYS, "")),
    }
    return [found_days] * bool(preset) + [
        {
            "word": WORD_OF[name],
            "value": _history_shown(name, value, found),
            "clear_url": query.toggled(name, value),
        }
        for name in apart
        for value in query.chosen(name)
    ]


def _history_shown(name: str, value: str, found: RunFilter) -> str:
    match name:
        case "status":
            return dict(RunStatus.choices).get(value, value)
        case "origin":
            return dict(Origin.choices).get(value, value)
        case "account" | "definition":
            return _name_of(_cleaned(found).get(name), value)
        case "from" | "to":
            day = _cleaned(found).get(name)
            return day.isoformat() if day else value
    return value


def _name_of(row: Any, value: str) -> str:
    if isinstance(row, ImportDefinition):
        return row.shown_name
    return row.name if isinstance(row, Account) else value


def _cleaned(found: RunFilter) -> dict[str, Any]:
    return getattr(found.form, "cleaned_data", {})
