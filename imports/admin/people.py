"""People and groups."""

# ruff: noqa: ARG002  the signatures are Django's

from __future__ import annotations

from typing import Any
from zoneinfo import available_timezones

from django import forms
from django.contrib import admin, messages
from django.contrib.auth.admin import GroupAdmin as DjangoGroupAdmin
from django.contrib.auth.admin import UserAdmin as DjangoUserAdmin
from django.contrib.auth.models import Group
from django.db import transaction
from django.db.models import QuerySet
from django.http import HttpRequest, HttpResponse
from django.urls import reverse
from django.utils.html import format_html, format_html_join

from imports.admin.accounts import AccessAudited
from imports.admin.base import AuditedAdmin, column
from imports.models import User
from imports.signin import address_of
from imports.text import first_with_ink, validate_ink
from imports.usecases.people import end_sessions

MEMBERS_SHOWN = 200

admin.site.unregister(Group)


@admin.register(User)
class UserAdmin(AuditedAdmin, DjangoUserAdmin):  # type: ignore[type-arg]  # none at runtime
    """Only a superuser makes superusers, changes them, or grants permissions."""

    list_display = (
        "shown_username",
        "email",
        "first_name",
        "last_name",
        "is_active",
        "is_staff",
        "last_login",
    )
    shown_username = column(
        "Username",
        lambda person: first_with_ink(person.username, otherwise=f"Person {person.pk}"),
        "username",
    )
    actions = ("sign_out_everywhere",)
    fieldsets = (
        *(DjangoUserAdmin.fieldsets or ()),
        ("Reading", {"fields": ("time_zone", "theme", "shortcuts_on")}),
    )

    def formfield_for_dbfield(self, db_field: Any, request: Any, **kwargs: Any) -> Any:
        if db_field.name == "time_zone":
            zones = [(zone, zone) for zone in sorted(available_timezones())]
            return forms.ChoiceField(choices=zones, initial=db_field.default)
        return super().formfield_for_dbfield(db_field, request, **kwargs)

    def user_change_password(
        self, request: HttpRequest, *args: Any, **kwargs: Any
    ) -> HttpResponse:
        with transaction.atomic():  # with its audit entry, or not at all
            return super().user_change_password(request, *args, **kwargs)

    def told_of(self, obj: User, fields: list[str]) -> dict[str, Any]:
        """Which groups a person is in now: they decide what is seen and started."""
        names = obj.groups.order_by("name").values_list("name", flat=True)
        return {"groups": list(names)} if "Groups" in fields else {}

    @admin.action(description="Sign out everywhere", permissions=["change"])
    def sign_out_everywhere(self, request: HttpRequest, people: QuerySet[User]) -> None:
        with transaction.atomic():  # all of them, or nobody is said to be
            for person in people:
                if isinstance(request.user, User) and _may_touch(request, person):
                    end_sessions(person=person, by=request.user, ip=address_of(request))
                    messages.success(request, f"Signed out everywhere: {person}.")
                else:
                    messages.error(request, f"Only a superuser can do that: {person}.")

    def get_readonly_fields(
        self, request: HttpRequest, obj: User | None = None
    ) -> tuple[str, ...]:
        fixed = () if _is_superuser(request) else ("is_superuser", "user_permissions")
        return (*super().get_readonly_fields(request, obj), *fixed)

    def has_change_permission(self, request: HttpRequest, obj: Any = None) -> bool:
        return _may_touch(request, obj) and super().has_change_permission(request, obj)

    def has_delete_permission(self, request: HttpRequest, obj: Any = None) -> bool:
        return _may_touch(request, obj) and super().has_delete_permission(request, obj)


def _is_superuser(request: HttpRequest) -> bool:
    return request.user.is_active and bool(request.user.is_superuser)


def _may_touch(request: HttpRequest, person: User | None) -> bool:
    return _is_superuser(request) or not (person and person.is_superuser)


class GroupForm(forms.ModelForm):  # type: ignore[type-arg]  # it takes none at runtime
    def clean(self) -> Any:
        validate_ink(name=self.cleaned_data.get("name", ""))
        return super().clean()


@admin.register(Group)
class GroupAdmin(AccessAudited, DjangoGroupAdmin):
    form = GroupForm
    list_display = ("shown_name", "shown_accesses")
    fields = ("name", "members", "permissions")
    shown_name = column(
        "Name",
        lambda group: first_with_ink(group.name, otherwise=f"Group {group.pk}"),
        "name",
    )

    def get_queryset(self, request: HttpRequest) -> QuerySet[Group]:
        return super().get_queryset(request).prefetch_related("accesses__account")

    def get_readonly_fields(
        self, request: HttpRequest, obj: Group | None = None
    ) -> tuple[str, ...]:
        return ("members",) if _is_superuser(request) else ("members", "permissions")

    @admin.display(description="Accounts")
    def shown_accesses(self, group: Group) -> str:
        accesses = group.accesses.all()
        words = (f"{a.account} ({a.get_level_display().lower()})" for a in accesses)
        return ", ".join(sorted(words)) or "–"

    @admin.display(description="Members")
    def members(self, group: Group) -> str:
        if group._state.adding:
            return "–"
        people = group.user_set.order_by("username")[: MEMBERS_SHOWN + 1]
        links = [
            (reverse("admin:imports_user_change", args=[person.pk]), person)
            for person in people[:MEMBERS_SHOWN]
        ]
        more = " and more" if len(people) > MEMBERS_SHOWN else ""
        shown = format_html_join(", ", '<a href="{}">{}</a>', links)
        return format_html("{}{}", shown or "–", more)
