"""Pages through tables that are too long to be counted."""

# ruff: noqa: ARG002  the signatures are Django's

from __future__ import annotations

from typing import Any

from django.contrib import admin
from django.contrib.admin.views.main import PAGE_VAR, ChangeList
from django.core.paginator import Page, Paginator
from django.db.models import QuerySet
from django.http import HttpRequest
from django.utils.functional import cached_property

from imports.admin.base import M, ReadOnlyAdmin

ROWS_A_PAGE = 100
# Deeper pages cost the database as many rows; filters lead there sooner.
LAST_PAGE = 1000


class UncountedPaginator(Paginator):  # type: ignore[type-arg]
    """Knows the rows up to the wanted page and whether one more follows.

    It fetches the page and one row beyond, and never asks for a COUNT: `count`
    is the number of rows known to exist.
    """

    def __init__(self, rows: Any, per_page: int, *, number: int) -> None:
        super().__init__(rows, per_page)
        self.number = number
        self._start = (number - 1) * self.per_page

    @cached_property
    def _fetched(self) -> list[Any]:
        return list(self.object_list[self._start : self._start + self.per_page + 1])

    @cached_property
    def count(self) -> int:
        if self.number > LAST_PAGE:  # then `validate_number` refuses it
            return LAST_PAGE * self.per_page
        return self._start + len(self._fetched)

    def page(self, number: int | str) -> Page:  # type: ignore[type-arg]
        number = self.validate_number(number)
        return Page(self._fetched[: self.per_page], number, self)


class UncountedChangeList(ChangeList):
    def get_results(self, request: HttpRequest) -> None:
        super().get_results(request)
        if not self.multi_page:
            self.result_list = self.paginator.page(1).object_list  # asked already
        # equal numbers hide "N results" beside the search: nobody counted
        self.full_result_count = self.result_count


class UncountedAdmin(ReadOnlyAdmin[M]):
    """A read-only list, newest first, without COUNT and without sorting at will."""

    show_full_result_count = False
    show_facets = admin.ShowFacets.NEVER
    list_per_page = ROWS_A_PAGE
    list_max_show_all = 0
    sortable_by = ()

    def get_changelist(self, request: HttpRequest, **kwargs: Any) -> type[ChangeList]:
        return UncountedChangeList

    def get_paginator(
        self,
        request: HttpRequest,
        queryset: QuerySet[M],
        per_page: int,
        orphans: int = 0,
        allow_empty_first_page: bool = True,
    ) -> UncountedPaginator:
        return UncountedPaginator(queryset, per_page, number=_page_number(request))


def _page_number(request: HttpRequest) -> int:
    """As ChangeList reads it: what is no number is page 1."""
    try:
        return max(int(request.GET.get(PAGE_VAR, 1)), 1)
    except ValueError:
        return 1
