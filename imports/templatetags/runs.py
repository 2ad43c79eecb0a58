"""Tags and filters about one run, for every table and page that shows runs."""

from __future__ import annotations

from datetime import datetime

from django.utils import timezone

from imports.models import FINISHED, ImportRun, RunStatus
from imports.templatetags import numbers
from imports.usecases.record_result import is_final


def run_name(run: ImportRun) -> str:
    """The definition's name; the customer key where the definition is gone."""
    return run.shown_name


def shown_phase(run: ImportRun) -> str:
    """Marketing Cloud's phase says something only while the run is under way; one
    that is final there is looked at once more for its counts.
    """
    if run.status != RunStatus.RUNNING:
        return ""
    return "waiting for its counts" if is_final(run.phase) else run.phase


def took_text(run: ImportRun) -> str:
    """How long a finished run took; a dash where nothing ran to an end."""
    if run.status not in FINISHED:
        return numbers.UNKNOWN
    return numbers.duration_text(run.elapsed(timezone.now()))


def ended_at(run: ImportRun) -> datetime | None:
    """When Marketing Cloud ended the run, else when we settled it."""
    return run.finished_at or run.settled_at
