"""Definitions and their versions: what Marketing Cloud said, to look at."""

# ruff: noqa: ARG002  the signatures are Django's

from __future__ import annotations

from django.contrib import admin
from django.db.models import QuerySet
from django.http import HttpRequest

from imports.admin.base import ReadOnlyAdmin, short, shown_facts
from imports.models import DefinitionVersion, ImportDefinition


class NotSeenFilter(admin.SimpleListFilter):
    title = "in Marketing Cloud"
    parameter_name = "seen"

    def lookups(
        self, request: HttpRequest, model_admin: object
    ) -> list[tuple[str, str]]:
        return [("yes", "Still there"), ("no", "No longer there")]

    def queryset(
        self, request: HttpRequest, queryset: QuerySet[ImportDefinition]
    ) -> QuerySet[ImportDefinition]:
        if self.value() not in {"yes", "no"}:
            return queryset
        return queryset.filter(not_seen_since__isnull=self.value() == "yes")


@admin.register(ImportDefinition)
class ImportDefinitionAdmin(ReadOnlyAdmin[ImportDefinition]):
    list_display = (
        "shown_name",
        "account",
        "shown_key",
        "shown_pattern",
        "update_type",
        "last_seen_at",
        "not_listed_since",
        "not_seen_since",
    )
    list_select_related = ("account",)
    list_filter = (NotSeenFilter, "account")
    search_fields = ("name", "customer_key", "file_spec")
    search_help_text = "Name, customer key or file pattern"
    ordering = ("name", "id")
    fields = (
        "account",
        "name",
        "customer_key",
        "object_id",
        "description",
        "file_spec",
        "update_type",
        "destination",
        "first_seen_at",
        "last_seen_at",
        "not_listed_since",
        "not_seen_since",
        "last_run",
        "facts_shown",
    )

    def get_queryset(self, request: HttpRequest) -> QuerySet[ImportDefinition]:
        return super().get_queryset(request).defer("strip", "facts")

    @admin.display(description="Name", ordering="name")
    def shown_name(self, definition: ImportDefinition) -> str:
        return short(definition.shown_name)

    @admin.display(description="Customer key", ordering="customer_key")
    def shown_key(self, definition: ImportDefinition) -> str:
        return short(definition.customer_key)

    @admin.display(description="File pattern", ordering="file_spec")
    def shown_pattern(self, definition: ImportDefinition) -> str:
        return short(definition.file_spec)

    @admin.display(description="Facts")
    def facts_shown(self, definition: ImportDefinition) -> str:
        return shown_facts(definition.facts)


@admin.register(DefinitionVersion)
class DefinitionVersionAdmin(ReadOnlyAdmin[DefinitionVersion]):
    list_display = ("definition_name", "account", "number", "seen_at")
    list_select_related = ("definition__account",)
    list_filter = (("definition__account", admin.RelatedFieldListFilter),)
    search_fields = ("definition__name", "definition__customer_key")
    search_help_text = "Name or customer key of the definition"
    ordering = ("-id",)
    fields = ("definition", "number", "seen_at", "digest", "facts_shown")

    def get_queryset(self, request: HttpRequest) -> QuerySet[DefinitionVersion]:
        unlisted = ("facts", "definition__facts", "definition__strip")
        return super().get_queryset(request).defer(*unlisted)

    @admin.display(description="Definition")
    def definition_name(self, version: DefinitionVersion) -> str:
        return short(version.definition.shown_name)

    @admin.display(description="Account")
    def account(self, version: DefinitionVersion) -> str:
        return version.definition.account.shown_name

    @admin.display(description="Facts")
    def facts_shown(self, version: DefinitionVersion) -> str:
        return shown_facts(version.facts)
