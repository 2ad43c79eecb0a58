"""What the History can be narrowed by, as links, chips and hidden fields."""

from __future__ import annotations

import datetime as dt
from dataclasses import dataclass
from typing import Any

from django.http import QueryDict
from django.urls import reverse
from django.utils import timezone

from imports.filters import RunFilter
from imports.models import Account, ImportDefinition, Origin, RunStatus

# The ends of a page and the poll's memory are no filters.
PLACES = ("since", "seen", "before", "after")
SHOWN = ("status", "account", "origin", "person", "from", "to", "definition", "q")
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
class Choice:
    """One link of a filter group, or one chip with its way out."""

    word: str
    url: str
    value: str = ""
    is_current: bool = False
    status: str = ""


@dataclass(frozen=True, kw_only=True, slots=True)
class Group:
    """A titled list of choices of one filter."""

    title: str
    items: list[Choice]


class HistoryQuery:
    """The filters of one request, and the addresses that change one of them."""

    def __init__(self, given: QueryDict) -> None:
        self.given = given.copy()
        for name in PLACES:
            self.given.pop(name, None)

    def url(self, **changes: str | list[str]) -> str:
        """The History with these filters changed; an empty one is left out."""
        query = self.given.copy()
        for name, value in changes.items():
            query.setlist(name, value if isinstance(value, list) else [value])
        for name in [name for name in query if not any(query.getlist(name))]:
            del query[name]
        return f"{reverse('imports:run_list')}?{query.urlencode()}".rstrip("?")

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


def groups(query: HistoryQuery, accounts: list[Account]) -> list[Group]:
    """The filter column: by day, status, account and origin."""
    return [
        Group(title="", items=_days(query)),
        Group(title="Status", items=_statuses(query)),
        *([Group(title="Account", items=_accounts(query, accounts))] * bool(accounts)),
        Group(title="Started from", items=_origins(query)),
    ]


def _days(query: HistoryQuery) -> list[Choice]:
    today = timezone.localdate()
    presets = (
        ("Any day", "", ""),
        ("Today", today.isoformat(), ""),
        ("Yesterday", *[(today - dt.timedelta(days=1)).isoformat()] * 2),
        ("Last 7 days", (today - dt.timedelta(days=6)).isoformat(), ""),
    )
    now = (query.given.get("from", ""), query.given.get("to", ""))
    return [
        Choice(
            word=word,
            url=query.url(**{"from": first, "to": last}),
            is_current=now == (first, last),
        )
        for word, first, last in presets
    ]


def _statuses(query: HistoryQuery) -> list[Choice]:
    chosen = query.chosen("status")
    return [
        Choice(
            word=str(label),
            url=query.toggled("status", str(value)),
            is_current=value in chosen,
            status=str(value),
        )
        for value, label in RunStatus.choices
    ]


def _accounts(query: HistoryQuery, accounts: list[Account]) -> list[Choice]:
    chosen = query.given.get("account", "")
    return [
        Choice(
            word=account.name,
            url=query.url(account="" if chosen == str(account.pk) else str(account.pk)),
            is_current=chosen == str(account.pk),
        )
        for account in accounts
    ]


def _origins(query: HistoryQuery) -> list[Choice]:
    chosen = query.given.get("origin", "")
    return [
        Choice(
            word=str(label),
            url=query.url(origin="" if chosen == value else str(value)),
            is_current=chosen == value,
        )
        for value, label in Origin.choices
    ]


def chips(query: HistoryQuery, found: RunFilter) -> list[dict[str, str]]:
    """What is filtered now, each with the address without it."""
    return [
        {
            "word": WORD_OF[name],
            "value": _shown(name, value, found),
            "clear_url": query.toggled(name, value),
        }
        for name in SHOWN
        for value in query.chosen(name)
    ]


def _shown(name: str, value: str, found: RunFilter) -> str:
    match name:
        case "status":
            return dict(RunStatus.choices).get(value, value)
        case "origin":
            return dict(Origin.choices).get(value, value)
        case "account" | "definition":
            return _name_of(_cleaned(found).get(name), value)
    return value


def _name_of(row: Any, value: str) -> str:
    if isinstance(row, ImportDefinition):
        return row.shown_name
    return row.name if isinstance(row, Account) else value


def _cleaned(found: RunFilter) -> dict[str, Any]:
    return getattr(found.form, "cleaned_data", {})
