"""What is only looked at: definitions, runs, the audit and workers."""

# ruff: noqa: ARG002  the signatures are Django's
from __future__ import annotations

from datetime import datetime, timedelta
from typing import Any

from django.contrib import admin
from django.db.models import DateTimeField, Q, QuerySet, Value
from django.http import HttpRequest, HttpResponse

from imports.admin import base
from imports.admin.base import column, short, shown_facts
from imports.models import Account, AuditEntry, DefinitionVersion, ImportDefinition
from imports.models.database import database_now
from imports.models.run import ImportRun, RunEvent
from imports.models.status import COUNTS, RunStatus
from imports.models.worker import WORKER_SILENT_AFTER, Worker
from imports.usecases.audit import AuditAction

WAITING_SHOWN = 1000


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
class ImportDefinitionAdmin(base.ReadOnlyAdmin):
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
class DefinitionVersionAdmin(base.ReadOnlyAdmin):
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


class PeriodFilter(admin.DateFieldListFilter):
    """Periods of the history, by the index that starts with the account."""

    def queryset(
        self, request: HttpRequest, queryset: QuerySet[Any]
    ) -> QuerySet[Any] | None:
        found = super().queryset(request, queryset)
        if found is None or not self.used_parameters:
            return found
        return found.filter(account__in=Account.objects.order_by().values("pk"))


class EventInline(base.LookOnly, admin.TabularInline):  # type: ignore[type-arg]  # none at runtime
    model = RunEvent
    fields = ("at", "kind", "from_status", "to_status", "actor_name", "details")
    readonly_fields = fields


# A run's page, part by part.
ABOUT = (
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
TIMES = (
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
FOLLOWING = (
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
)


@admin.register(ImportRun)
class ImportRunAdmin(base.UncountedAdmin):
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
        (None, {"fields": ABOUT}),
        ("Counts", {"fields": (*COUNTS, "unaccounted_rows")}),
        ("Times", {"fields": TIMES}),
        (
            "What went wrong",
            {"fields": ("reason", "error_code", "vendor_message", "message")},
        ),
        ("Following it", {"fields": FOLLOWING, "classes": ("collapse",)}),
    )

    def get_search_results(
        self, request: HttpRequest, queryset: QuerySet[ImportRun], search_term: str
    ) -> tuple[QuerySet[ImportRun], bool]:
        """Runs by number, task or beginning of the key."""
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
        # each found by its index: with an OR between them a database may read all runs
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
class AuditEntryAdmin(base.UncountedAdmin):
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


@admin.register(Worker)
class WorkerAdmin(base.ReadOnlyAdmin):
    list_display = ("holder", "is_alive", "heartbeat", "host", "version")
    sortable_by = ()
    fields = ("holder", "host", "version", "seen_at", "heartbeat")
    heartbeat = column("Heartbeat", lambda worker: f"{_seconds(_silence(worker))} ago")

    def get_queryset(self, request: HttpRequest) -> Any:
        now = Value(database_now(), output_field=DateTimeField())
        return super().get_queryset(request).annotate(now=now)

    def changelist_view(
        self, request: HttpRequest, extra_context: dict[str, Any] | None = None
    ) -> HttpResponse:
        load = {"load": load_sentences(database_now())}
        return super().changelist_view(request, load | (extra_context or {}))

    @admin.display(description="Alive", boolean=True)
    def is_alive(self, worker: Worker) -> bool:
        return _silence(worker) <= WORKER_SILENT_AFTER


def load_sentences(now: datetime) -> list[str]:
    """How many starts and looks are due and how long the oldest of each waits."""
    queued = ImportRun.objects.filter(status=RunStatus.QUEUED)
    due = ImportRun.objects.due(now)
    sentences = []
    for what, runs, since in (
        ("Starts queued", queued, "queued_at"),
        ("Runs due for a look", due, "next_check_at"),
    ):
        waiting = runs.exclude(**{since: None}).order_by(since)
        # counting goes no further than anybody reads
        moments = list(waiting.values_list(since, flat=True)[:WAITING_SHOWN])
        if not moments:
            sentences.append(f"{what}: none.")
            continue
        more = " or more" if len(moments) == WAITING_SHOWN else ""
        waited = f"the oldest has waited {_seconds(now - moments[0])}"
        sentences.append(f"{what}: {len(moments)}{more}; {waited}.")
    return sentences


def _silence(worker: Worker) -> timedelta:
    now: datetime = worker.now  # type: ignore[attr-defined]  # annotated
    return max(now - worker.seen_at, timedelta(0))


def _seconds(duration: timedelta) -> str:
    return f"{round(duration.total_seconds()):,} s"
