"""The filters beside a list; the whole state of a list is in its address."""

from __future__ import annotations

import datetime as dt
from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, NamedTuple

from django.http import QueryDict
from django.utils import timezone

from imports.lists.counts import DefinitionCounts, RunCounts
from imports.lists.filters import BY_TIME, Kind, RunFilter, RunSort, Show
from imports.models import Account, Origin, RunStatus
from imports.text import first_with_ink
from imports.wording.definition import update_type_word
from imports.wording.formats import count_text, zone_name

# What a poll remembers, and which page it is: a changed filter begins at the top.
NOT_FILTERS = ("since", "seen", "page", "before", "after")


@dataclass(frozen=True, kw_only=True, slots=True)
class Choice:
    """One value of a filter as a link; `count` is empty where nothing was counted."""

    word: str
    url: str
    is_current: bool
    count: str = ""
    status: str = ""


class Group(NamedTuple):
    title: str
    items: list[Choice]


class ListQuery:
    """The filters of one request, and the addresses that change one of them."""

    def __init__(self, given: QueryDict, path: str = "") -> None:
        self.path = path
        self.given = given.copy()
        for name in NOT_FILTERS:
            self.given.pop(name, None)

    def url(self, path: str = "", /, **changes: Any) -> str:
        """The list with these filters changed; one without a value is left out."""
        query = self.given.copy()
        for name, value in changes.items():
            query.setlist(name, value if isinstance(value, list) else [value])
        for name in [name for name in query if not any(query.getlist(name))]:
            del query[name]
        path = path or self.path
        # "?" alone leads to a relative address without a query, "" would keep it
        return f"{path}?{query.urlencode()}" if query or not path else path

    def chosen(self, name: str) -> list[str]:
        return [value for value in self.given.getlist(name) if value]

    def choice(
        self, name: str, value: object, word: str, *, many: bool = False, **shown: str
    ) -> Choice:
        """The link to a value of a filter; the one in force leads away from it. `many`:
        the filter takes several values side by side.
        """
        text = str(value)
        chosen = self.chosen(name) if many else self.chosen(name)[-1:]
        others = [other for other in chosen if other.casefold() != text.casefold()]
        is_current = len(others) < len(chosen) if text else not chosen
        added = [] if is_current else [text]
        url = self.url(**{name: [*others, *added] if many else added})
        return Choice(word=word, url=url, is_current=is_current, **shown)

    def hidden_fields(self, *without: str) -> list[tuple[str, str]]:
        """What a form beside the filters sends along with its own fields `without`."""
        names = [name for name in self.given if name not in without]
        return [(name, value) for name in names for value in self.chosen(name)]


def definition_groups(query: ListQuery, counts: DefinitionCounts) -> list[Group]:
    """The filters beside the definitions; each counts what the other filters leave."""
    by_account = counts.by("account")
    names = {pk: counts.account_names[pk] for pk in by_account}
    # the chosen one is offered even where it leaves nothing
    if chosen := counts.account:
        names[chosen.pk] = chosen.shown_name
    accounts = [
        query.choice("account", pk, name, count=count_text(by_account[pk]))
        for pk, name in sorted(names.items(), key=lambda item: item[::-1])
    ]
    by_status, by_kind = counts.by("status"), counts.by("kind")
    all_listed = count_text(counts.showing(""))
    shows = _offered(query, "show", Show, lambda show: count_text(counts.showing(show)))
    statuses = _offered(query, "status", RunStatus, lambda s: count_text(by_status[s]))
    kinds = _offered(query, "kind", Kind, lambda kind: count_text(by_kind[kind]))
    groups = [
        Group("", [query.choice("show", "", "All", count=all_listed), *shows]),
        Group("Account", accounts),
        Group("Last status", statuses),
        Group("Update type", _update_types(query, counts)),
        Group("Destination", kinds),
    ]
    return [group for group in groups if group.items]


def _offered(
    query: ListQuery,
    name: str,
    values: Any,
    text_of: Callable[[str], str],
    *,
    many: bool = False,
) -> list[Choice]:
    """The choices of a filter but those that would leave nothing and aren't chosen."""
    choices = []
    for value, label in values.choices:
        looks = {"count": text_of(value), "status": value if name == "status" else ""}
        choices.append(query.choice(name, value, label, many=many, **looks))
    return [choice for choice in choices if choice.count != "0" or choice.is_current]


def _update_types(query: ListQuery, counts: DefinitionCounts) -> list[Choice]:
    """A type is one however its letters are written, and shown as they come first."""
    spelling: dict[str, str] = {}
    by_type: Counter[str] = Counter()
    # the chosen one is offered even where it leaves nothing
    for name, count in (*counts.by("update").items(), (counts.update, 0)):
        if name:  # one that Marketing Cloud did not tell cannot be asked for
            by_type[spelling.setdefault(name.casefold(), name)] += count
    choices = []
    for name, count in by_type.most_common():
        word = first_with_ink(update_type_word(name), otherwise="(no name)")
        choices.append(query.choice("update", name, word, count=count_text(count)))
    return choices


# A saved address with days ago in it keeps meaning that: its days move along.
PRESETS = (
    ("Any day", "", ""),
    ("Today", "today", ""),
    ("Yesterday", "yesterday", "yesterday"),
    ("Last 7 days", "6-days-ago", ""),
    ("Last 31 days", "30-days-ago", ""),
)
DAYS_AGO = {"today": 0, "yesterday": 1, "6-days-ago": 6, "30-days-ago": 30}


def run_groups(
    query: ListQuery, filters: RunFilter, accounts: list[Account], counts: RunCounts
) -> list[Group]:
    """The filters beside the History, of which statuses alone are counted: no index
    knows how many runs the other values leave.
    """
    preset = _preset(filters)
    days = []
    for word, first, last in PRESETS:
        url = query.url(**{"from": first, "to": last})
        days.append(Choice(word=word, url=url, is_current=word == preset))
    statuses = _offered(query, "status", RunStatus, counts.text, many=True)
    own = [query.choice("account", one.pk, one.shown_name) for one in accounts]
    origins = [query.choice("origin", value, label) for value, label in Origin.choices]
    groups = [
        Group(f"Days in {zone_name()}", days),
        Group("Status", statuses),
        Group("Account", own),
        Group("Started from", origins),
    ]
    return [group for group in groups if group.items or group.title == "Status"]


def _preset(filters: RunFilter) -> str:
    """The preset that the days come to, however they were written; "" for none."""
    today = timezone.localdate()
    days = {word: today - dt.timedelta(days=n) for word, n in DAYS_AGO.items()}
    chosen = (filters.cleaned.get("from"), filters.cleaned.get("to"))
    same = (word for word, *ends in PRESETS if chosen == tuple(map(days.get, ends)))
    return next(same, "")


def run_orders(query: ListQuery, filters: RunFilter) -> list[Choice]:
    """The orders of the History, without those that take too long over its days."""
    return [
        Choice(word=label, url=query.url(sort=value), is_current=value == filters.order)
        for value, label in RunSort.choices
        if filters.is_sortable or value in BY_TIME
    ]


FILTER_WORDS = {
    "status": "Status",
    "account": "Account",
    "origin": "Origin",
    "person": "Started by",
    "from": "From",
    "to": "To",
    "definition": "Definition",
    "q": "Search",
}
LABELS = {"status": dict(RunStatus.choices), "origin": dict(Origin.choices)}


def chips(query: ListQuery, filters: RunFilter) -> list[dict[str, str]]:
    """The filters in force in the History, each with the address without it."""
    shown, words = [], FILTER_WORDS
    if query.chosen("from") and (preset := _preset(filters)):
        without_days = query.url(**{"from": "", "to": ""})
        shown.append({"word": "Days", "value": preset, "clear_url": without_days})
        words = {name: words[name] for name in words if name not in {"from", "to"}}
    for name, word in words.items():
        chosen, cleaned = query.chosen(name), filters.cleaned.get(name)
        for value in chosen:
            # in words; as it was given where it means nothing here
            text = LABELS.get(name, {}).get(value, value)
            text = getattr(cleaned, "shown_name", None) or text
            if isinstance(cleaned, dt.date):
                text = cleaned.isoformat()  # of "6-days-ago" too
            url = query.url(**{name: [one for one in chosen if one != value]})
            shown.append({"word": word, "value": text, "clear_url": url})
    return shown
