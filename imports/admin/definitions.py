"""Definitions and their versions: what Marketing Cloud said, to look at."""

# ruff: noqa: ARG002  the signatures are Django's

from __future__ import annotations

from django.contrib import admin
from django.db.models import QuerySet
from django.http import HttpRequest

from imports.admin.base import ReadOnlyAdmin, column, short, shown_facts
from imports.models import DefinitionVersion, ImportDefinition


class NotSeenFilter(admin.SimpleListFilter):
    title = "in Marketing Cloud"
    parameter_name = "seen"

    def lookups(self, request: HttpRequest, _admin: object) -> list[tuple[str, str]]:
        return [("yes", "Still there"), ("no", "No longer there")]

    def queryset(
        self, request: HttpRequest, queryset: QuerySet[ImportDefinition]
    ) -> QuerySet[ImportDefinition]:
        if self.value() not in {"yes", "no"}:
            return queryset
        return queryset.filter(not_seen_since__isnull=self.value() == "yes")


@admin.register(ImportDefinition)
class ImportDefinitionAdmin(ReadOnlyAdmin):
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
    shown_name = column("Name", lambda row: short(row.shown_name), "name")
    shown_key = column(
        "Customer key", lambda row: short(row.customer_key), "customer_key"
    )
    shown_pattern = column(
        "File pattern", lambda row: short(row.file_spec), "file_spec"
    )
    facts_shown = column("Facts", lambda row: shown_facts(row.facts))

    def get_queryset(self, request: HttpRequest) -> QuerySet[ImportDefinition]:
        return super().get_queryset(request).defer("strip", "facts")


@admin.register(DefinitionVersion)
class DefinitionVersionAdmin(ReadOnlyAdmin):
    list_display = ("definition_name", "account", "number", "seen_at")
    list_select_related = ("definition__account",)
    list_filter = (("definition__account", admin.RelatedFieldListFilter),)
    search_fields = ("definition__name", "definition__customer_key")
    search_help_text = "Name or customer key of the definition"
    ordering = ("-id",)
    fields = ("definition", "number", "seen_at", "digest", "facts_shown")
    definition_name = column("Definition", lambda row: short(row.definition.shown_name))
    account = column("Account", lambda row: row.definition.account.shown_name)
    facts_shown = column("Facts", lambda row: shown_facts(row.facts))

    def get_queryset(self, request: HttpRequest) -> QuerySet[DefinitionVersion]:
        unlisted = ("facts", "definition__facts", "definition__strip")
        return super().get_queryset(request).defer(*unlisted)
