"""Runs with their events, and the audit: to look at, never counted."""

# ruff: noqa: ARG002  the signatures are Django's
from __future__ import annotations

from typing import Any

from django.contrib import admin
from django.db.models import Q, QuerySet
from django.http import HttpRequest

from imports.admin.base import LookOnly, UncountedAdmin, column, short, shown_facts
from imports.models import COUNTS, Account, AuditEntry, ImportDefinition, ImportRun
from imports.models.run import RunEvent
from imports.usecases.audit import AuditAction


class PeriodFilter(admin.DateFieldListFilter):
    """Periods of the history, by the index that starts with the account."""

    def queryset(
        self, request: HttpRequest, queryset: QuerySet[Any]
    ) -> QuerySet[Any] | None:
        found = super().queryset(request, queryset)
        if found is None or not self.used_parameters:
            return found
        return found.filter(account__in=Account.objects.order_by().values("pk"))


class EventInline(LookOnly, admin.TabularInline):  # type: ignore[type-arg]
    model = RunEvent
    fields = ("at", "kind", "from_status", "to_status", "actor_name", "details")


@admin.register(ImportRun)
class ImportRunAdmin(UncountedAdmin):
    list_display = (
        "id",
        "account",
        "shown_key",
        "shown_status",
        "shown_phase",
        "origin",
        "shown_starter",
        "occurred_at",
        "total_rows",
        "errors",
        "shown_task",
    )
    list_select_related = ("account",)
    list_filter = ("status", "origin", ("occurred_at", PeriodFilter), "account")
    search_fields = ("id",)
    search_help_text = "A run's number, a task id, or how a customer key begins"
    # the order of recording: it has an index over all accounts, history's has not
    ordering = ("-id",)
    inlines = (EventInline,)
    shown_key = column("Customer key", lambda run: short(run.customer_key))
    shown_status = column("Status", lambda run: run.get_status_display())
    shown_phase = column("Phase", lambda run: short(run.phase))
    shown_starter = column("Started by", lambda run: short(run.started_by_name))
    shown_task = column("Task", lambda run: short(run.task_id or ""))
    unaccounted_rows = column("Unaccounted for", lambda run: run.unaccounted_rows)
    fieldsets = (
        (
            None,
            {
                "fields": (
                    "account",
                    "definition",
                    "definition_version",
                    "customer_key",
                    "origin",
                    "shown_status",
                    "phase",
                    "started_by_name",
                    "started_by",
                )
            },
        ),
        ("Counts", {"fields": (*COUNTS, "unaccounted_rows")}),
        (
            "Times",
            {
                "fields": (
                    "occurred_at",
                    "queued_at",
                    "first_seen_at",
                    "claimed_at",
                    "sent_at",
                    "answered_at",
                    "started_at",
                    "finished_at",
                    "settled_at",
                    "start_text",
                    "end_text",
                )
            },
        ),
        (
            "What went wrong",
            {"fields": ("reason", "error_code", "vendor_message", "message")},
        ),
        (
            "Following it",
            {
                "fields": (
                    "task_id",
                    "request_id",
                    "import_type",
                    "destination_id",
                    "last_checked_at",
                    "next_check_at",
                    "looks",
                    "claimed_by",
                    "claim_expires_at",
                    "request_token",
                    "batch",
                    "again_of",
                ),
                "classes": ("collapse",),
            },
        ),
    )

    def get_search_results(
        self, request: HttpRequest, queryset: QuerySet[ImportRun], search_term: str
    ) -> tuple[QuerySet[ImportRun], bool]:
        """Runs by number, task or beginning of the key: each found by its index; with
        an OR between them a database may read all runs.
        """
        term = search_term.strip()
        if not term:
            return queryset, False
        accounts = Account.objects.order_by().values("pk")
        definitions = ImportDefinition.objects.filter(customer_key__startswith=term)
        ways = [
            Q(account__in=accounts, task_id=term),
            Q(definition__in=definitions.values("pk")),
            Q(definition=None, customer_key__startswith=term),
        ]
        if term.isdecimal():
            ways.append(Q(pk=int(term)))
        first, *others = (ImportRun.objects.filter(way).values("pk") for way in ways)
        return queryset.filter(pk__in=first.union(*others, all=True)), False


class ActionFilter(admin.SimpleListFilter):
    title = "action"
    parameter_name = "action"

    def lookups(self, request: HttpRequest, _admin: object) -> list[tuple[str, str]]:
        return list(AuditAction.choices)

    def queryset(
        self, request: HttpRequest, queryset: QuerySet[AuditEntry]
    ) -> QuerySet[AuditEntry]:
        return queryset.filter(action=self.value()) if self.value() else queryset


@admin.register(AuditEntry)
class AuditEntryAdmin(UncountedAdmin):
    list_display = (
        "at",
        "shown_actor",
        "shown_action",
        "shown_object",
        "account",
        "ip",
    )
    list_select_related = ("account",)
    list_filter = (("at", admin.DateFieldListFilter), ActionFilter, "account", "actor")
    search_fields = ("actor_name", "object_label", "=object_id", "=ip")
    search_help_text = (
        "Part of who or of what, or an object's number or an address as it is"
    )
    fields = (
        "at",
        "actor_name",
        "actor",
        "shown_action",
        "object_type",
        "object_id",
        "object_label",
        "account",
        "ip",
        "details_shown",
    )
    shown_actor = column("Who", lambda entry: short(entry.actor_name))
    shown_action = column(
        "What", lambda entry: dict(AuditAction.choices).get(entry.action, entry.action)
    )
    shown_object = column(
        "To what",
        lambda entry: short(f"{entry.object_type} {entry.object_label}".strip()),
    )
    details_shown = column("Details", lambda entry: shown_facts(entry.details))
