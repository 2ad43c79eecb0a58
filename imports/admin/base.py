"""What the pages of the administration share: read-only ones, audited ones."""

# ruff: noqa: ARG002  the signatures are Django's
from __future__ import annotations

from typing import TYPE_CHECKING, Any, Generic, TypeVar

from django.contrib import admin
from django.contrib.admin.options import IncorrectLookupParameters
from django.contrib.admin.views.main import PAGE_VAR, ChangeList
from django.core.exceptions import FieldError, PermissionDenied
from django.core.paginator import Page, Paginator
from django.db import DataError, NotSupportedError, ProgrammingError, transaction
from django.db.models import Model, QuerySet
from django.http import HttpRequest, HttpResponse
from django.utils.functional import cached_property
from django.utils.html import format_html_join
from django.utils.text import Truncator

from imports.models import Account, User
from imports.signin import address_of
from imports.usecases.audit import AuditAction, record_audit

M = TypeVar("M", bound=Model)
SHOWN_CHARACTERS = 80

if TYPE_CHECKING:

    class TypedAdmin(admin.ModelAdmin[M]):
        pass

else:

    class TypedAdmin(admin.ModelAdmin, Generic[M]):
        """ModelAdmin, which takes no type arguments while it runs."""


# What Python or a database raises for a value that it cannot take. That a database
# does not answer (OperationalError) is none of these.
UNUSABLE = (
    *(ValueError, TypeError, LookupError, OverflowError, FieldError),
    *(DataError, ProgrammingError, NotSupportedError),
)


class CarefulAdmin(TypedAdmin[M]):
    """Whatever an address asks for is looked up, or the list is shown without it.

    Django takes any look-up of any field from the address, and sees only some of those
    that cannot be carried out before the database does.
    """

    def lookup_allowed(self, lookup: str, value: str, request: HttpRequest) -> bool:
        # Nothing here offers them, and one can keep a database busy for hours.
        if lookup.endswith(("__regex", "__iregex")):
            return False
        return super().lookup_allowed(lookup, value, request)

    def get_changelist_instance(self, request: HttpRequest) -> Any:
        try:
            return super().get_changelist_instance(request)
        except UNUSABLE as error:
            if not request.GET:  # then it is a mistake of ours
                raise
            raise IncorrectLookupParameters(error) from error

    def get_object(
        self, request: HttpRequest, object_id: str, from_field: str | None = None
    ) -> M | None:
        try:
            return super().get_object(request, object_id, from_field)
        except UNUSABLE:
            return None


class ReadOnlyAdmin(CarefulAdmin[M]):
    """To look at only: nobody adds, changes or deletes, superusers included."""

    def has_add_permission(self, request: HttpRequest) -> bool:
        return False

    def has_change_permission(self, request: HttpRequest, obj: Any = None) -> bool:
        return False

    def has_delete_permission(self, request: HttpRequest, obj: Any = None) -> bool:
        return False

    def changelist_view(
        self, request: HttpRequest, extra_context: dict[str, Any] | None = None
    ) -> HttpResponse:
        if request.method not in {"GET", "HEAD"}:
            raise PermissionDenied
        return super().changelist_view(request, extra_context)


class AuditedAdmin(CarefulAdmin[M]):
    """Leaves an AuditEntry for whatever is added, changed or deleted here."""

    def log_addition(self, request: HttpRequest, obj: Any, message: Any) -> Any:
        audit(request, self.action("added"), obj)
        return super().log_addition(request, obj, message)

    def log_change(self, request: HttpRequest, obj: Any, message: Any) -> Any:
        if fields := changed_fields(message):
            details = {"fields": fields, **self.told_of(obj, fields)}
            audit(request, self.action("changed"), obj, details=details)
        return super().log_change(request, obj, message)

    def delete_model(self, request: HttpRequest, obj: M) -> None:
        with transaction.atomic():
            audit(request, self.action("deleted"), obj)
            super().delete_model(request, obj)

    def delete_queryset(self, request: HttpRequest, queryset: QuerySet[M]) -> None:
        with transaction.atomic():
            for obj in queryset:
                audit(request, self.action("deleted"), obj)
            super().delete_queryset(request, queryset)

    def told_of(self, obj: M, fields: list[str]) -> dict[str, Any]:
        """What the audit keeps of changed `fields` (their labels) beside the names."""
        return {}

    def action(self, deed: str) -> AuditAction:
        """The audit's name for `deed` (added, changed, deleted) on this model."""
        return AuditAction(f"{self.opts.model_name}_{deed}")


def changed_fields(message: Any) -> list[str]:
    """The object's own fields in a change message of the admin, by their labels."""
    parts = [] if isinstance(message, str) else message
    own = [part.get("changed", {}) for part in parts]
    return [str(field) for c in own if "name" not in c for field in c.get("fields", ())]


def audit(
    request: HttpRequest,
    action: AuditAction,
    obj: Model,
    *,
    account: Account | None = None,
    details: dict[str, Any] | None = None,
) -> None:
    """Write down what the person behind `request` did to `obj`."""
    if isinstance(obj, Account) and action != AuditAction.ACCOUNT_DELETED:
        account = obj
    record_audit(
        actor=person_behind(request),
        action=action,
        obj=obj,
        account=account,
        ip=address_of(request),
        details=details,
    )


def person_behind(request: HttpRequest) -> User | None:
    return request.user if isinstance(request.user, User) else None


def short(text: str) -> str:
    """A text from outside, cut to the width of a list's column."""
    return Truncator(text).chars(SHOWN_CHARACTERS) or "–"


def shown_facts(facts: dict[str, Any]) -> str:
    """Facts as a list of terms; whatever they hold is shown as text."""
    rows = ((key, "–" if facts[key] is None else facts[key]) for key in sorted(facts))
    return format_html_join("", "<div><b>{}</b>: {}</div>", rows) or "–"


# Pages through tables that are too long to be counted.


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
