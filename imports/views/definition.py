"""`/definitions/<id>/`: know one definition, and start it."""

from __future__ import annotations

from dataclasses import dataclass
from itertools import pairwise
from typing import Any

from django.db.models import Exists
from django.db.models.functions import Now
from django.http import HttpResponse
from django.shortcuts import get_object_or_404
from django.utils import timezone

from imports.filters import with_favourites
from imports.models import (
    DefinitionVersion,
    ImportDefinition,
    ImportRun,
    RunStatus,
    User,
    Worker,
)
from imports.templatetags.numbers import count_text, duration_text, share_text

from .access import SignedInRequest, may_start, signed_in
from .facts import bars_of, changes, definition_in_words, destination_of, facts_of
from .live import (
    WORKER_SILENT_AFTER,
    PageVersion,
    answer,
    is_unchanged,
    live,
    nothing_changed,
)

RUNS_SHOWN = 20
VERSIONS_SHOWN = 10
GOOD = (RunStatus.COMPLETED, RunStatus.COMPLETED_WITH_ERRORS)


@dataclass(frozen=True, kw_only=True, slots=True)
class VersionNote:
    """A version of a definition with what it changed: name, before, after."""

    version: DefinitionVersion
    changes: list[tuple[str, Any, Any]]
    is_first: bool


@signed_in
def definition(request: SignedInRequest, pk: int) -> HttpResponse:
    shown, version = _definition_and_version(request.user, pk)
    if is_unchanged(request, version):
        return nothing_changed()
    context = _context(request.user, shown)
    context["live"] = live(
        request,
        version,
        title=f"{shown.shown_name[:80]} · mcdash",
        is_moving=context["active"] is not None or _looks_active(shown),
    )
    return answer(
        request, "imports/definition.html", "imports/_definition_parts.html", context
    )


def _looks_active(shown: ImportDefinition) -> bool:
    """As it was read first; it may have ended while the rest was read."""
    return shown.last_run is not None and shown.last_run.is_active


def _definition_and_version(
    user: User, pk: int
) -> tuple[ImportDefinition, PageVersion]:
    """The definition, or 404, and its page's version in the same query: the page
    follows that definition's account alone.
    """
    beating = Worker.objects.filter(seen_at__gte=Now() - WORKER_SILENT_AFTER)
    definitions = with_favourites(ImportDefinition.objects.visible_to(user), user)
    shown = get_object_or_404(
        definitions.annotate(heard=Exists(beating)).select_related(
            "account", "last_run__account"
        ),
        pk=pk,
    )
    return shown, PageVersion(
        number=shown.account.revision,
        worker_is_silent=not getattr(shown, "heard", False),
    )


def _context(user: User, shown: ImportDefinition) -> dict[str, Any]:
    runs = shown.runs.select_related("account", "definition").latest_first()
    latest = list(runs[:RUNS_SHOWN])
    may = may_start(user, shown) and shown.not_seen_since is None
    return {
        "definition": shown,
        "in_words": definition_in_words(shown),
        "destination": destination_of(shown),
        "facts": facts_of(shown),
        "versions": _versions(shown),
        "runs": latest,
        "bars": bars_of(shown),
        "usual": usual(latest),
        "active": runs.active().first(),
        "may_start": may,
        "why_not": shown.account.why_not_startable if may else "",
        "is_favourite": getattr(shown, "is_favourite", False),
    }


def _versions(shown: ImportDefinition) -> list[VersionNote]:
    """The latest versions, newest first, each against the one before it."""
    versions = list(shown.versions.all()[: VERSIONS_SHOWN + 1])
    notes = [
        VersionNote(version=new, changes=changes(old.facts, new.facts), is_first=False)
        for new, old in pairwise(versions)
    ]
    if versions and versions[-1].number == 1:
        notes.append(VersionNote(version=versions[-1], changes=[], is_first=True))
    return notes


def usual(runs: list[ImportRun]) -> list[tuple[str, str]]:
    """What the good ones among `runs` counted and took, from the least to the most.

    Empty for fewer than three: two runs are no habit.
    """
    good = [run for run in runs if run.status in GOOD]
    if len(good) < 3:
        return []
    now = timezone.now()
    took = [duration_text(d) for d in sorted(run.elapsed(now) for run in good)]
    rows = [
        count_text(n)
        for n in sorted(r.total_rows for r in good if r.total_rows is not None)
    ]
    shares = sorted(
        (run.errors / run.total_rows, share_text(run.errors, run.total_rows))
        for run in good
        if run.errors is not None and run.total_rows
    )
    errors = [text for _, text in shares]
    parts = (("Rows", rows), ("Row errors", errors), ("Took", took))
    return [(word, _span(values)) for word, values in parts if values]


def _span(ordered: list[str]) -> str:
    least, most = ordered[0], ordered[-1]
    return least if least == most else f"{least} to {most}"
