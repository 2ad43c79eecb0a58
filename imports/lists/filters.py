"""What lists can be narrowed by; every filter is in the URL."""

from __future__ import annotations

import datetime as dt
from collections.abc import Sequence
from itertools import product
from typing import Any

import django_filters as filters
from django.db import models
from django.db.models import BooleanField, Case, ExpressionWrapper, F, Q, Value, When
from django.db.models.functions import Length
from django.db.models.lookups import Exact
from django.utils import timezone

from imports.forms import DayField
from imports.models import Account, ImportDefinition, ImportRun
from imports.models.definition import BY_NAME, DefinitionQuerySet
from imports.models.run import RunQuerySet
from imports.models.status import ACTIVE, Origin, RunStatus
from imports.wording.status import FAILING

LONGEST_SEARCH = 200
LONGEST_RUN = dt.timedelta(days=2)
# Days beyond these do not exist in every zone; no run is there either.
FIRST_DAY, LAST_DAY = dt.date(2000, 1, 1), dt.date(2100, 1, 1)


# The filters' "request" is who reads the list: nothing else of a request matters.
def visible_accounts(reader: Any) -> Any:
    return Account.objects.visible_to(reader)


def visible_definitions(reader: Any) -> Any:
    return ImportDefinition.objects.visible_to(reader)


def as_it_is(rows: Any, _name: str, _value: str) -> Any:
    """A filter that filters nothing: its value is used elsewhere."""
    return rows


def midnight(day: dt.date) -> dt.datetime:
    """The start of `day` in the reader's zone."""
    day = min(max(day, FIRST_DAY), LAST_DAY)
    return dt.datetime.combine(day, dt.time.min, timezone.get_current_timezone())


class Show(models.TextChoices):
    """What else definitions can be narrowed by."""

    FAVOURITES = "favourites", "Favourites"
    FAILING = "failing", "Failing"
    NEVER = "never", "Never run"
    GONE = "gone", "No longer in Marketing Cloud"


class Kind(models.TextChoices):
    """What definitions load into; "" where nothing tells."""

    DATA_EXTENSION = "extension", "Data extension"
    LIST = "list", "List"
    OTHER = "other", "Other"


class DefinitionSort(models.TextChoices):
    FAVOURITES = "", "Favourites, then name"
    NAME = "name", "Name"
    NEWEST = "-last", "Last run, newest first"
    OLDEST = "last", "Last run, oldest first"
    MOST_ROWS = "-rows", "Rows, most first"
    FEWEST_ROWS = "rows", "Rows, fewest first"


# A definition knows its destination by an id only: an ObjectID or a list's number.
# Where it has none, its last run may have told.
KIND = Case(
    When(Exact(Length("destination"), 36), then=Value("extension")),
    When(destination__regex=r"^[0-9]+$", then=Value("list")),
    When(last_run__import_type__iexact="Data Extensions", then=Value("extension")),
    When(last_run__import_type__iexact="Subscriber List", then=Value("list")),
    When(Q(last_run__import_type__gt=""), then=Value("other")),
    default=Value(""),
)


# What an order looks at before the names; the usual one at the favourites.
FIRST_BY: dict[str, tuple[Any, ...]] = {
    DefinitionSort.NAME: (),
    DefinitionSort.NEWEST: (F("last_run__occurred_at").desc(nulls_last=True),),
    DefinitionSort.OLDEST: (F("last_run__occurred_at").asc(nulls_last=True),),
    DefinitionSort.MOST_ROWS: (F("last_run__total_rows").desc(nulls_last=True),),
    DefinitionSort.FEWEST_ROWS: (F("last_run__total_rows").asc(nulls_last=True),),
}
SEARCHED = ("name", "customer_key", "file_spec", "description")
IS_SHOWN = {
    Show.FAVOURITES: Q(is_favourite=True),
    Show.FAILING: Q(last_run__status__in=FAILING),
    Show.NEVER: Q(last_run=None),
    Show.GONE: Q(not_seen_since__isnull=False),
}


class DefinitionFilter(filters.FilterSet):
    """What is believed to be gone from Marketing Cloud is left out unless it is asked
    for; what only one sync did not list is in. The queryset must carry `is_favourite`
    (see `with_favourites`). Properties need a valid form.
    """

    q = filters.CharFilter(method="search", max_length=LONGEST_SEARCH)
    account = filters.ModelChoiceFilter(queryset=visible_accounts)
    status = filters.ChoiceFilter("last_run__status", choices=RunStatus.choices)
    update = filters.CharFilter("update_type", "iexact", max_length=LONGEST_SEARCH)
    kind = filters.ChoiceFilter(
        choices=Kind.choices,
        method=lambda rows, _name, kind: rows.filter(Exact(KIND, kind)),
    )
    show = filters.ChoiceFilter(
        choices=Show.choices,
        method=lambda rows, _name, show: rows.filter(IS_SHOWN[Show(show)]),
    )
    sort = filters.ChoiceFilter(choices=DefinitionSort.choices, method=as_it_is)

    def filter_queryset(self, queryset: DefinitionQuerySet) -> DefinitionQuerySet:
        if self.form.cleaned_data["show"] != Show.GONE:
            queryset = queryset.filter(not_seen_since=None)
        definitions: DefinitionQuerySet = super().filter_queryset(queryset)
        usual = () if self.are_favourites_apart else (F("is_favourite").desc(),)
        first = FIRST_BY.get(self.form.cleaned_data["sort"], usual)
        return definitions.order_by(*first, BY_NAME, "account__name", "pk")

    @property
    def searched(self) -> DefinitionQuerySet:
        """What the words alone let through, in no order."""
        words = self.form.cleaned_data["q"]
        return self.search(self.queryset.order_by(), "q", words)

    def search(
        self, definitions: DefinitionQuerySet, _name: str, words: str
    ) -> DefinitionQuerySet:
        """Every word must be in one of the searched columns, whatever its case."""
        for word in words.split():
            spellings = {word}
            if not word.isascii():  # SQLite folds the case of ASCII letters only
                spellings |= {word.lower(), word.upper(), word.capitalize()}
            anywhere = Q()
            for column, spelling in product(SEARCHED, sorted(spellings)):
                anywhere |= Q(**{f"{column}__icontains": spelling})
            definitions = definitions.filter(anywhere)
        return definitions

    @property
    def has_words(self) -> bool:
        return bool(self.form.cleaned_data["q"].split())

    @property
    def are_favourites_apart(self) -> bool:
        """Whether the page puts the favourites on top: an index knows names only."""
        sort = self.form.cleaned_data["sort"]
        return sort == DefinitionSort.FAVOURITES and not self.has_words


def with_favourites(
    definitions: DefinitionQuerySet, starred: Sequence[int]
) -> DefinitionQuerySet:
    """Each with `is_favourite`: whether it is among the ids `starred`."""
    is_starred = Q(pk__in=starred) if starred else Value(value=False)
    is_favourite = ExpressionWrapper(is_starred, BooleanField())
    return definitions.annotate(is_favourite=is_favourite)


class RunSort(models.TextChoices):
    NEWEST = "", "Newest"
    OLDEST = "oldest", "Oldest"
    ERRORS = "errors", "Most errors"
    DURATION = "duration", "Longest"


BY_TIME = (RunSort.NEWEST, RunSort.OLDEST)
# The other orders are in no index: they are made for so many days at most.
SORTED_DAYS = 31
# Words that fit more definitions than these are looked for run by run, from the top.
FEW_NAMED = 400


class DayFilter(filters.DateFilter):
    field_class = DayField


class RunFilter(filters.FilterSet):
    """In no order: `sort` is only read here, see `order`. Most properties need a valid
    form.
    """

    q = filters.CharFilter(method="search", max_length=LONGEST_SEARCH)
    status = filters.MultipleChoiceFilter(
        choices=RunStatus.choices,
        method=lambda runs, _name, statuses: runs.filter(status__in=statuses),
    )
    account = filters.ModelChoiceFilter(queryset=visible_accounts)
    definition = filters.ModelChoiceFilter(queryset=visible_definitions)
    origin = filters.ChoiceFilter(choices=Origin.choices)
    person = filters.CharFilter(
        method=lambda runs, _name, person: runs.started_by_person(person),
        max_length=LONGEST_SEARCH,
    )
    sort = filters.ChoiceFilter(choices=RunSort.choices, method=as_it_is)

    @property
    def cleaned(self) -> dict[str, Any]:
        """The values that can be read, also of a form that isn't valid as a whole."""
        return getattr(self.form, "cleaned_data", {})

    def without(self, name: str) -> RunQuerySet:
        """What all filters but `name` let through."""
        runs: RunQuerySet = self.queryset
        if self.cleaned["definition"] and name != "definition":
            # one that the reader can see: its runs are of its account, and a database
            # that is told so guesses that hardly any run is of both
            runs = ImportRun.objects.all()
        for other, value in self.cleaned.items():
            if other != name:
                runs = self.filters[other].filter(runs, value)
        return runs

    def filter_queryset(self, _queryset: RunQuerySet) -> RunQuerySet:
        return self.without("")

    def since_day(self, runs: RunQuerySet, _name: str, day: dt.date) -> RunQuerySet:
        """Runs that were active on that day or later, whenever they began."""
        start = midnight(day)
        ended = Q(finished_at__gte=start) | Q(finished_at=None, settled_at__gte=start)
        was_active = Q(occurred_at__gte=start) | Q(status__in=ACTIVE) | ended
        # as far back as a run can last, so that the index is used
        return runs.filter(was_active, occurred_at__gte=start - LONGEST_RUN)

    def until_day(self, runs: RunQuerySet, _name: str, day: dt.date) -> RunQuerySet:
        next_day = min(day, LAST_DAY) + dt.timedelta(days=1)
        return runs.filter(occurred_at__lt=midnight(next_day))

    def search(self, runs: RunQuerySet, _name: str, words: str) -> RunQuerySet:
        """Every word must be in the definition's name or key, or be the task's id."""
        for word in words.replace("\x00", "").split():
            named = self._named(word)
            if len(named) > FEW_NAMED:
                name = Q(definition__name__icontains=word)
                key = Q(customer_key__icontains=word)
                runs = runs.filter(name | key | Q(task_id=word))
                continue
            # each found by its index; with an OR between them a database may read all
            visible = self.queryset.order_by().values("pk")
            nameless = visible.filter(definition=None, customer_key__icontains=word)
            of_named = visible.filter(definition__in=named)
            tasks = visible.filter(task_id=word)
            runs = runs.filter(pk__in=of_named.union(nameless, tasks, all=True))
        return runs

    def _named(self, word: str) -> list[int]:
        """The first definitions that `word` fits, at most one more than a few."""
        known: dict[str, list[int]] = self.__dict__.setdefault("_known", {})
        if word not in known:
            fits = Q(name__icontains=word) | Q(customer_key__icontains=word)
            named = visible_definitions(self.request).filter(fits)
            known[word] = list(named.values_list("pk", flat=True)[: FEW_NAMED + 1])
        return known[word]

    @property
    def is_by_index(self) -> bool:
        """Whether an index leads to the runs of a status among these."""
        scattered = ("q", "person", "origin", "definition")
        return not any(self.cleaned[name] for name in scattered)

    @property
    def are_many(self) -> bool:
        """Whether so many runs may fit that a page looks for the nearest alone."""
        words = self.cleaned["q"].replace("\x00", "").split()
        has_rare_word = any(len(self._named(word)) <= FEW_NAMED for word in words)
        return not self.cleaned["definition"] and not has_rare_word

    @property
    def accounts(self) -> Any:
        """Those that the runs may be of, where an index leads there: not for words."""
        has_words = bool(self.cleaned["q"].strip())
        return None if has_words else visible_accounts(self.request).order_by()

    @property
    def is_sortable(self) -> bool:
        """Whether the days, up to today, are few enough for an unindexed order."""
        first, last = self.cleaned["from"], self.cleaned["to"]
        today = timezone.localdate()
        end = min(last or today, today)
        return bool(first) and (end - first).days < SORTED_DAYS

    @property
    def wanted_order(self) -> RunSort:
        return RunSort(self.cleaned["sort"])

    @property
    def order(self) -> RunSort:
        """The order in force: by time where the wanted one cannot be made."""
        is_possible = self.wanted_order in BY_TIME or self.is_sortable
        return self.wanted_order if is_possible else RunSort.NEWEST


# "from" is a word of Python's, so these two cannot be class attributes.
RunFilter.base_filters["from"] = DayFilter(method="since_day")
RunFilter.base_filters["to"] = DayFilter(method="until_day")
