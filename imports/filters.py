"""What lists can be narrowed by; every filter is in the URL."""

from __future__ import annotations

import datetime as dt
import zoneinfo
from datetime import datetime, time
from typing import Any

from django import forms
from django.db.models import Q
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
    Account,
    DefinitionQuerySet,
    ImportDefinition,
    ImportRun,
    Origin,
    RunQuerySet,
    RunStatus,
    User,
)

LONGEST_SEARCH = 200


def visible_accounts(request: Any) -> Any:
    return Account.objects.visible_to(request.user)


def visible_definitions(request: Any) -> Any:
    return ImportDefinition.objects.visible_to(request.user)


def midnight(day: dt.date) -> datetime:
    """The start of `day` in the reader's zone."""
    zone: zoneinfo.ZoneInfo | dt.tzinfo = timezone.get_current_timezone()
    return datetime.combine(day, time.min, tzinfo=zone)


class DefinitionFilter(FilterSet):
    """Definitions by words in name, key, file pattern or description; by account."""

    q = CharFilter(method="search", max_length=LONGEST_SEARCH)
    account = ModelChoiceFilter(queryset=visible_accounts)

    class Meta:
        model = ImportDefinition
        fields = ("q", "account")

    def search(
        self, definitions: DefinitionQuerySet, _name: str, words: str
    ) -> DefinitionQuerySet:
        """Every word must occur somewhere."""
        for word in words.replace("\x00", "").split():
            definitions = definitions.filter(
                Q(name__icontains=word)
                | Q(customer_key__icontains=word)
                | Q(file_spec__icontains=word)
                | Q(description__icontains=word)
            )
        return definitions


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
        return runs.filter(occurred_at__gte=midnight(day))

    def until_day(self, runs: RunQuerySet, _name: str, day: dt.date) -> RunQuerySet:
        return runs.filter(occurred_at__lt=midnight(day + dt.timedelta(days=1)))


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
