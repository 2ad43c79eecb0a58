"""Tags and filters about one run, for every table and page that shows runs."""

from __future__ import annotations

from datetime import datetime

from django.utils import timezone
from django.utils.html import format_html
from django.utils.safestring import SafeString

from imports.models import FINISHED, ImportRun, RunStatus
from imports.templatetags import icons, numbers, times
from imports.usecases.record_result import is_final


def run_name(run: ImportRun) -> str:
    """The definition's name; the customer key where the definition is gone."""
    if run.definition is not None:
        return run.definition.shown_name
    return run.customer_key or "(unknown definition)"


def is_stale(run: ImportRun) -> bool:
    """True where the run is shown as it was before its account fell silent."""
    return run.is_active and run.account.not_answering_since is not None


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


def last_checked_html(run: ImportRun) -> str:
    """When we last looked; with a pulled plug while the account is silent."""
    seen = times.when_html(
        run.last_checked_at, clock_minutes=run.account.clock_offset_minutes
    )
    if not is_stale(run):
        return seen
    return format_html(
        '<span class="as-of">{}<span class="visually-hidden">Not answering; as of'
        " </span>{}</span>",
        icons.icon_svg("unplugged"),
        SafeString(seen),
    )
