"""What the pages of the administration share: read-only ones, audited ones."""

# ruff: noqa: ARG002  the signatures are Django's
from __future__ import annotations

from collections.abc import Callable
from typing import Any

from django.contrib import admin
from django.contrib.admin.options import IncorrectLookupParameters
from django.contrib.admin.views.main import ChangeList
from django.core.exceptions import FieldError, PermissionDenied
from django.core.paginator import Paginator
from django.db import DataError, NotSupportedError, ProgrammingError, transaction
from django.db.models import Model, QuerySet
from django.http import HttpRequest, HttpResponse
from django.utils.html import format_html_join
from django.utils.text import Truncator

from imports.models import Account, User
from imports.signin import address_of
from imports.usecases.audit import AuditAction, record_audit

SHOWN_CHARACTERS = 80


def column(title: str, read: Callable[[Any], Any], ordering: str | None = None) -> Any:
    """A column of a list, or a line of a page: what `read` makes of the row."""
    return admin.display(description=title, ordering=ordering)(
        lambda _admin, row: read(row)
    )


def short(text: str) -> str:
    """A text from outside, cut to the width of a list's column."""
    return Truncator(text).chars(SHOWN_CHARACTERS) or "–"


def shown_facts(facts: dict[str, Any]) -> str:
    """Facts as a list of terms; whatever they hold is shown as text."""
    rows = ((key, "–" if facts[key] is None else facts[key]) for key in sorted(facts))
    return format_html_join("", "<div><b>{}</b>: {}</div>", rows) or "–"


# What Python or a database raises for a value that it cannot take. That a database
# does not answer (OperationalError) is none of these.
UNUSABLE = (
    *(ValueError, TypeError, LookupError, OverflowError, FieldError),
    *(DataError, ProgrammingError, NotSupportedError),
)


class CarefulAdmin(admin.ModelAdmin):  # type: ignore[type-arg]  # it takes none at runtime
    """Django takes any look-up of any field from the address, and sees only some of
    those that cannot be carried out before the database does. Here the list is then
    shown without it.
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

    def get_object(self, *args: Any, **kwargs: Any) -> Any:
        try:
            return super().get_object(*args, **kwargs)
        except UNUSABLE:
            return None


class LookOnly:
    """Nobody adds, changes or deletes, superusers included."""

    def has_add_permission(self, request: HttpRequest, obj: Any = None) -> bool:
        return False

    has_change_permission = has_delete_permission = has_add_permission


class ReadOnlyAdmin(LookOnly, CarefulAdmin):
    def changelist_view(
        self, request: HttpRequest, extra_context: dict[str, Any] | None = None
    ) -> HttpResponse:
        if request.method not in {"GET", "HEAD"}:
            raise PermissionDenied
        return super().changelist_view(request, extra_context)


class AuditedAdmin(CarefulAdmin):
    """Leaves an AuditEntry for whatever is added, changed or deleted here."""

    def log_addition(self, request: HttpRequest, obj: Any, message: Any) -> Any:
        audit(request, self.action("added"), obj)
        return super().log_addition(request, obj, message)

    def log_change(self, request: HttpRequest, obj: Any, message: Any) -> Any:
        # the object's own fields alone, by their labels: other parts name their object
        parts = [] if isinstance(message, str) else message
        own = [part.get("changed", {}) for part in parts]
        named = (change for change in own if "name" not in change)
        if fields := [str(f) for change in named for f in change.get("fields", ())]:
            details = {"fields": fields, **self.told_of(obj, fields)}
            audit(request, self.action("changed"), obj, details=details)
        return super().log_change(request, obj, message)

    def delete_model(self, request: HttpRequest, obj: Model) -> None:
        with transaction.atomic():
            audit(request, self.action("deleted"), obj)
            super().delete_model(request, obj)

    def delete_queryset(self, request: HttpRequest, queryset: QuerySet[Any]) -> None:
        with transaction.atomic():
            for obj in queryset:
                self.delete_model(request, obj)

    def told_of(self, obj: Any, fields: list[str]) -> dict[str, Any]:
        """What the audit keeps of changed `fields` (their labels) beside the names."""
        return {}

    def action(self, deed: str) -> AuditAction:
        return AuditAction(f"{self.opts.model_name}_{deed}")


def audit(
    request: HttpRequest,
    action: AuditAction,
    obj: Model,
    *,
    account: Account | None = None,
    details: dict[str, Any] | None = None,
) -> None:
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


# Deeper pages cost the database as many rows; filters lead there sooner.
LAST_PAGE = 1000


class UncountedChangeList(ChangeList):
    """A page's rows and one beyond: a table that is too long to be counted is not."""

    def get_results(self, request: HttpRequest) -> None:
        if not 1 <= self.page_num <= LAST_PAGE:
            raise IncorrectLookupParameters
        start = (self.page_num - 1) * self.list_per_page
        rows = list(self.queryset[start : start + self.list_per_page + 1])
        if start and not rows:
            raise IncorrectLookupParameters
        self.result_list = rows[: self.list_per_page]
        # as many as are known to exist; where the two are equal, no "N results" is
        # shown beside the search
        self.result_count = self.full_result_count = start + len(rows)
        self.paginator = Paginator(range(self.result_count), self.list_per_page)
        self.multi_page = self.result_count > self.list_per_page
        self.can_show_all = self.show_full_result_count = False
        self.show_admin_actions = True


class UncountedAdmin(ReadOnlyAdmin):
    """A read-only list, newest first, without COUNT and without sorting at will."""

    show_facets = admin.ShowFacets.NEVER
    list_per_page = 100
    list_max_show_all = 0
    sortable_by = ()

    def get_changelist(self, request: HttpRequest, **kwargs: Any) -> type[ChangeList]:
        return UncountedChangeList
