"""The filters beside the list of definitions, each with its count and its address."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any

from django.http import QueryDict

from imports.filters import Kind, Show
from imports.models import RunStatus
from imports.models.names import first_with_ink
from imports.views.cells import Cells, total
from imports.views.facts import update_type_word

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
