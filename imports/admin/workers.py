"""Workers: which are alive, and how much waits for them."""

from __future__ import annotations

from datetime import datetime, timedelta
from typing import Any

from django.contrib import admin
from django.db.models import DateTimeField, Value
from django.http import HttpRequest, HttpResponse

from imports.admin.base import ReadOnlyAdmin, column
from imports.models import ImportRun, RunStatus, Worker, database_now
from imports.models.worker import WORKER_SILENT_AFTER

WAITING_SHOWN = 1000


@admin.register(Worker)
class WorkerAdmin(ReadOnlyAdmin):
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
    now: datetime = worker.now  # type: ignore[attr-defined]
    return max(now - worker.seen_at, timedelta(0))


def _seconds(duration: timedelta) -> str:
    return f"{round(duration.total_seconds()):,} s"
