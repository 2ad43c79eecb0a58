"""Who may see and start what: the rows below an account and below a group."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from django import forms
from django.contrib import admin
from django.db.models import ForeignKey, QuerySet
from django.http import HttpRequest

from imports.admin.base import AuditedAdmin, M, audit
from imports.models import AccountAccess
from imports.usecases.record_audit import AuditAction

if TYPE_CHECKING:
    from django.contrib.auth.models import Group

    from imports.models import Account

    AccessTable = admin.TabularInline[AccountAccess, Account | Group]
else:
    AccessTable = admin.TabularInline


class AccessInline(AccessTable):
    model = AccountAccess
    extra = 0

    def get_queryset(self, request: HttpRequest) -> QuerySet[AccountAccess]:
        return super().get_queryset(request).select_related("account", "group")

    def formfield_for_foreignkey(
        self, db_field: ForeignKey[Any, Any], request: HttpRequest, **kwargs: Any
    ) -> Any:
        field: Any = super().formfield_for_foreignkey(db_field, request, **kwargs)
        if field is not None:
            field.choices = list(field.choices)  # one query, however many rows
        return field


class AccessAudited(AuditedAdmin[M]):
    """Leaves an AuditEntry for every access that is granted, changed, taken away."""

    inlines = (AccessInline,)

    def save_formset(
        self, request: HttpRequest, form: Any, formset: Any, change: bool
    ) -> None:
        super().save_formset(request, form, formset, change)
        if formset.model is AccountAccess:
            _audit_accesses(request, formset)


def _audit_accesses(
    request: HttpRequest, formset: forms.BaseInlineFormSet[Any, Any, Any]
) -> None:
    changed = [access for access, _fields in formset.changed_objects]
    for action, accesses in (
        (AuditAction.ACCESS_ADDED, formset.new_objects),
        (AuditAction.ACCESS_CHANGED, changed),
        (AuditAction.ACCESS_DELETED, formset.deleted_objects),
    ):
        for access in accesses:
            details = {"group": access.group.name, "level": access.level}
            audit(request, action, access, account=access.account, details=details)
