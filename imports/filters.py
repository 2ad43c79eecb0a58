"""What lists can be narrowed by; every filter is in the URL."""

from __future__ import annotations

import datetime as dt
import zoneinfo
from datetime import datetime, time
from typing import Any

from django import forms
from django.db import models
from django.db.models import Exists, F, OuterRef, Q
from django.db.models.functions import Lower
from django.utils import timezone
from django_filters.filters import (
    CharFilter,
    ChoiceFilter,
    DateFilter,
    ModelChoiceFilter,
    MultipleChoiceFilter,
)
from django_filters.filterset import FilterSet

from imports.models import (
    ACTIVE,
    Account,
    DefinitionQuerySet,
    Favourite,
    ImportDefinition,
    ImportRun,
    Origin,
    RunQuerySet,
    RunStatus,
    User,
)

LONGEST_SEARCH = 200
LONGEST_RUN = dt.timedelta(days=2)
# Days beyond these cannot be told in every zone; no run is there either.
FIRST_DAY, LAST_DAY = dt.date(2000, 1, 1), dt.date(2100, 1, 1)


def visible_accounts(request: Any) -> Any:
    return Account.objects.visible_to(request.user)


def visible_definitions(request: Any) -> Any:
    return ImportDefinition.objects.visible_to(request.user)


def midnight(day: dt.date) -> datetime:
    """The start of `day` in the reader's zone."""
    day = min(max(day, FIRST_DAY), LAST_DAY)
    zone: zoneinfo.ZoneInfo | dt.tzinfo = timezone.get_current_timezone()
    return datetime.combine(day, time.min, tzinfo=zone)


class Show(models.TextChoices):
    """What else definitions can be narrowed by."""

    FAVOURITES = "favourites", "Favourites"
    FAILING = "failing", "Failing"
    NEVER = "never", "Never run"
    GONE = "gone", "Not seen any more"


class DefinitionSort(models.TextChoices):
    FAVOURITES = "", "Favourites, then name"
    NAME = "name", "Name"
    NEWEST = "-last", "Last run, newest first"
    OLDEST = "last", "Last run, oldest first"


class DefinitionFilter(FilterSet):
    """Definitions by words, account, last status, update type and `Show`.

    What Marketing Cloud no longer lists is left out unless it is asked for. The
    queryset must carry `is_favourite` (see `with_favourites`).
    """

    q = CharFilter(method="search", max_length=LONGEST_SEARCH)
    account = ModelChoiceFilter(queryset=visible_accounts)
    status = ChoiceFilter(field_name="last_run__status", choices=RunStatus.choices)
    update = CharFilter(
        field_name="update_type", lookup_expr="iexact", max_length=LONGEST_SEARCH
    )
    show = ChoiceFilter(method="narrow", choices=Show.choices)
    sort = ChoiceFilter(method="order", choices=DefinitionSort.choices)

    class Meta:
        model = ImportDefinition
        fields = ("q", "account", "status", "update", "show", "sort")

    def filter_queryset(self, _queryset: DefinitionQuerySet) -> DefinitionQuerySet:
        found = self.without("sort")
        return self.order(found, "sort", self.form.cleaned_data["sort"])

    def without(self, name: str) -> DefinitionQuerySet:
        """What all filters but `name` let through, in no order. Needs a valid form."""
        wanted = self.form.cleaned_data
        found: DefinitionQuerySet = self.queryset.order_by()
        if name != "show" and wanted["show"] != Show.GONE:
            found = found.filter(not_seen_since=None)
        for other, value in wanted.items():
            if other not in (name, "sort"):
                found = self.filters[other].filter(found, value)
        return found

    def search(
        self, definitions: DefinitionQuerySet, _name: str, words: str
    ) -> DefinitionQuerySet:
        """Every word must occur somewhere."""
        for word in words.split():
            definitions = definitions.filter(_anywhere(word))
        return definitions

    def narrow(
        self, definitions: DefinitionQuerySet, _name: str, show: str
    ) -> DefinitionQuerySet:
        return definitions.filter(SHOWN[Show(show)])

    def order(
        self, definitions: DefinitionQuerySet, _name: str, sort: str
    ) -> DefinitionQuerySet:
        by_name = (Lower("name"), "account__name", "pk")
        last = F("last_run__occurred_at")
        first: dict[str, tuple[Any, ...]] = {
            DefinitionSort.NAME: (),
            DefinitionSort.NEWEST: (last.desc(nulls_last=True),),
            DefinitionSort.OLDEST: (last.asc(nulls_last=True),),
        }
        return definitions.order_by(*first.get(sort, ("-is_favourite",)), *by_name)


SEARCHED = ("name", "customer_key", "file_spec", "description")
# Ended, and not well: what "Failing" means of a definition's last run.
FAILING = (RunStatus.FAILED, RunStatus.NOT_STARTED, RunStatus.LOST)
SHOWN = {
    Show.FAVOURITES: Q(is_favourite=True),
    Show.FAILING: Q(last_run__status__in=FAILING),
    Show.NEVER: Q(last_run=None),
    Show.GONE: Q(not_seen_since__isnull=False),
}


def _anywhere(word: str) -> Q:
    """`word` in any of the searched columns, whatever its case.

    SQLite folds the case of ASCII letters only, so others are asked for in each.
    """
    forms = {word}
    if not word.isascii():
        forms |= {word.lower(), word.upper(), word.capitalize()}
    pairs = [(column, form) for column in SEARCHED for form in sorted(forms)]
    wanted = Q()
    for column, form in pairs:
        wanted |= Q(**{f"{column}__icontains": form})
    return wanted


def with_favourites(definitions: DefinitionQuerySet, user: User) -> DefinitionQuerySet:
    """`definitions`, each with `is_favourite`: whether `user` keeps it at hand."""
    kept = Favourite.objects.filter(user=user, definition=OuterRef("pk"))
    return definitions.annotate(is_favourite=Exists(kept))


class RunFilter(FilterSet):
    """The history by words, status, account, definition, origin, person and days."""

    q = CharFilter(method="search", max_length=LONGEST_SEARCH)
    status = MultipleChoiceFilter(choices=RunStatus.choices)
    account = ModelChoiceFilter(queryset=visible_accounts)
    definition = ModelChoiceFilter(
        queryset=visible_definitions, widget=forms.HiddenInput
    )
    origin = ChoiceFilter(choices=Origin.choices)
    person = CharFilter(
        field_name="started_by_name", lookup_expr="iexact", max_length=LONGEST_SEARCH
    )

    class Meta:
        model = ImportRun
        fields = ("q", "status", "account", "definition", "origin", "person")

    def search(self, runs: RunQuerySet, _name: str, words: str) -> RunQuerySet:
        for word in words.replace("\x00", "").split():
            runs = runs.filter(
                Q(definition__name__icontains=word)
                | Q(customer_key__icontains=word)
                | Q(task_id=word)
            )
        return runs

    def since_day(self, runs: RunQuerySet, _name: str, day: dt.date) -> RunQuerySet:
        """Runs that were under way on that day or later, whenever they began; as
        far back as a run may last, so that the index is used.
        """
        start = midnight(day)
        ended = Q(finished_at__gte=start) | Q(finished_at=None, settled_at__gte=start)
        under_way = Q(occurred_at__gte=start) | Q(status__in=ACTIVE) | ended
        return runs.filter(under_way, occurred_at__gte=start - LONGEST_RUN)

    def until_day(self, runs: RunQuerySet, _name: str, day: dt.date) -> RunQuerySet:
        next_day = min(day, LAST_DAY) + dt.timedelta(days=1)
        return runs.filter(occurred_at__lt=midnight(next_day))


# "from" is a word of Python's, so these two cannot be class attributes.
for _name, _method in (("from", "since_day"), ("to", "until_day")):
    RunFilter.base_filters[_name] = DateFilter(
        method=_method,
        widget=forms.DateInput(attrs={"type": "date"}),
        label=_name.capitalize(),
    )


def people(user: User) -> list[str]:
    """The names of those who started what `user` may see, for the filter's list."""
    names = (
        ImportRun.objects.visible_to(user)
        .exclude(started_by_name="")
        .order_by("started_by_name")
        .values_list("started_by_name", flat=True)
        .distinct()
    )
    return list(names[:100])
