"""The filters beside the list of definitions, each with its count and its address."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from typing import Any

from django.db.models import Count, Q
from django.http import QueryDict

from imports.filters import SHOWN, DefinitionFilter, Show
from imports.models import RunStatus

from .facts import update_type_word

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


def facets(found: DefinitionFilter) -> list[Group]:
    """All groups of filters; each counts what the other groups let through.

    One query per group. A filter that would leave nothing disappears unless it is
    chosen. `found` must be valid.
    """
    groups = [
        Group(title="", items=_shown(found)),
        Group(title="Account", items=_accounts(found)),
        Group(title="Last status", items=_statuses(found)),
        Group(title="Update type", items=_update_types(found)),
    ]
    return [group for group in groups if group.items]


def _choice(
    found: DefinitionFilter,
    name: str,
    value: object,
    word: str,
    count: int,
    status: str = "",
) -> Choice:
    """Choosing what is chosen already lets it go."""
    is_current = (found.data.get(name) or "").casefold() == str(value).casefold()
    wanted = "" if is_current else value
    return Choice(
        word=word,
        url=address(found.data, **{name: wanted}),
        count=count,
        is_current=is_current,
        status=status,
    )


def _kept(choices: Iterable[Choice]) -> list[Choice]:
    return [choice for choice in choices if choice.count or choice.is_current]


def _shown(found: DefinitionFilter) -> list[Choice]:
    seen = Q(not_seen_since=None)
    wanted = {
        show.value: SHOWN[show] & (Q() if show == Show.GONE else seen) for show in Show
    }
    counts = found.without("show").aggregate(
        all=Count("pk", filter=seen),
        **{show: Count("pk", filter=which) for show, which in wanted.items()},
    )
    everything = _choice(found, "show", "", "All", counts["all"])
    some = (_choice(found, "show", s.value, s.label, counts[s]) for s in Show)
    return [everything, *_kept(some)]


def _accounts(found: DefinitionFilter) -> list[Choice]:
    rows = (
        found.without("account")
        .values_list("account", "account__name")
        .annotate(n=Count("pk"))
        .order_by("account__name")
    )
    counts = {(pk, name): n for pk, name, n in rows}
    if chosen := found.form.cleaned_data["account"]:
        counts.setdefault((chosen.pk, chosen.name), 0)
    return [_choice(found, "account", pk, name, n) for (pk, name), n in counts.items()]


def _statuses(found: DefinitionFilter) -> list[Choice]:
    rows = (
        found.without("status")
        .exclude(last_run=None)
        .values_list("last_run__status")
        .annotate(n=Count("pk"))
    )
    counts = dict(rows)
    return _kept(
        _choice(found, "status", s.value, s.label, counts.get(s.value, 0), s.value)
        for s in RunStatus
    )


def _update_types(found: DefinitionFilter) -> list[Choice]:
    rows = found.without("update").values_list("update_type").annotate(n=Count("pk"))
    counts: Counter[str] = Counter()
    for update_type, n in _by_case(rows, found.form.cleaned_data["update"]):
        counts[update_type] += n
    return [
        _choice(found, "update", name, update_type_word(name), n)
        for name, n in counts.most_common()
    ]


def _by_case(rows: Iterable[tuple[str, int]], chosen: str) -> Iterator[tuple[str, int]]:
    """The same type is one, however its letters are written; the first spelling wins.

    A type that Marketing Cloud did not tell cannot be asked for; the chosen one is
    there even if it leaves nothing.
    """
    spelling: dict[str, str] = {}
    for update_type, n in (*rows, (chosen, 0)):
        if update_type:
            yield spelling.setdefault(update_type.casefold(), update_type), n
