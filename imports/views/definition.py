"""`/definitions/<id>/`: know one definition, and start it."""

from __future__ import annotations

from dataclasses import dataclass
from itertools import pairwise
from statistics import median
from typing import Any

from django.http import HttpResponse
from django.shortcuts import get_object_or_404
from django.utils import timezone

from imports.lists.filters import with_favourites
from imports.models import (
    DefinitionVersion,
    ImportDefinition,
    ImportRun,
    User,
    workers_of,
    workers_word,
)
from imports.ui.svg import MOST as CHARTED
from imports.ui.svg import history_chart, strip_svg
from imports.views.base import (
    PageVersion,
    SignedInRequest,
    answer,
    any_moves,
    can_start,
    is_unchanged,
    live,
    nothing_changed,
    signed_in,
    visible_definition,
)
from imports.wording.definition import (
    HOW,
    Destination,
    bars_of,
    changes,
    destination_of,
    facts_of,
    source_of,
    tolerates_errors,
)
from imports.wording.formats import duration_text, share_text, spoken
from imports.wording.status import SUCCESSFUL

RUNS_SHOWN = 20
VERSIONS_SHOWN = 10
HABIT = 5


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
        title=f"{spoken(shown.shown_name)} · mcdash",
        # as it was read first as well: it may have ended while the rest was read
        is_moving=any_moves(
            filter(None, (context["active"], shown.last_run)), version.workers
        ),
    )
    return answer(
        request,
        "imports/definition/page.html",
        "imports/definition/_parts.html",
        context,
    )


@signed_in
def definition_strip(request: SignedInRequest, pk: int) -> HttpResponse:
    """The strip as bars, each with its words: what a list shows a picture of."""
    return HttpResponse(strip_svg(bars_of(visible_definition(request.user, pk))))


def _definition_and_version(
    user: User, pk: int
) -> tuple[ImportDefinition, PageVersion]:
    """The definition, or 404, and its page's version in the same query: the page
    follows that definition's account alone.
    """
    definitions = ImportDefinition.objects.still_visible_to(user)
    definitions = with_favourites(definitions, user)
    shown = get_object_or_404(
        definitions.annotate(workers=workers_word()).select_related(
            "account", "last_run"
        ),
        pk=pk,
    )
    if shown.last_run:
        shown.last_run.account = shown.account
    return shown, PageVersion(
        number=shown.account.revision,
        workers=workers_of(shown.workers),  # type: ignore[attr-defined]
    )


def _context(user: User, shown: ImportDefinition) -> dict[str, Any]:
    runs = shown.runs.select_related("definition").latest_first()
    latest, active = list(runs[:CHARTED]), runs.active().first()
    for run in filter(None, (*latest, active)):
        run.account = shown.account
    can = can_start(user, shown)
    return {
        "definition": shown,
        "words": words_of(shown, destination := destination_of(shown)),
        "destination": destination,
        "facts": facts_of(shown),
        "versions": _versions(shown),
        "runs": latest[:RUNS_SHOWN],
        "older": latest[RUNS_SHOWN:],
        "chart": history_chart(latest[::-1]),
        "normal": normal(latest),
        "active": active,
        "can_start": can,
        "why_not": shown.why_not_startable if can else "",
        "is_favourite": getattr(shown, "is_favourite", False),
    }


@dataclass(frozen=True, kw_only=True, slots=True)
class Words:
    """What a definition does, for its sentences; empty or None where not known."""

    source: str
    destination: Destination
    how: str
    tolerates_errors: bool | None


def words_of(shown: ImportDefinition, destination: Destination) -> Words:
    _, how = HOW.get(shown.update_type.casefold(), ("", ""))
    return Words(
        source=source_of(shown),
        destination=destination,
        how=how,
        tolerates_errors=tolerates_errors(shown),
    )


def _versions(shown: ImportDefinition) -> list[VersionNote]:
    """The latest versions, newest first, each against the one before it."""
    versions = list(shown.versions.all()[: VERSIONS_SHOWN + 1])
    notes = [
        VersionNote(
            version=new,
            changes=changes(old.facts, new.facts, shown.account),
            is_first=False,
        )
        for new, old in pairwise(versions)
    ]
    if versions and versions[-1].number == 1:
        notes.append(VersionNote(version=versions[-1], changes=[], is_first=True))
    return notes


def normal(runs: list[ImportRun]) -> str:
    """What the good ones among `runs` usually count and take: their medians.

    Empty for fewer than five: some runs are no habit.
    """
    good = [run for run in runs if run.status in SUCCESSFUL and not run.are_counts_open]
    if len(good) < HABIT:
        return ""
    now = timezone.now()
    took = duration_text(median(run.elapsed(now).total_seconds() for run in good))
    rows = [run.total_rows for run in good if run.total_rows is not None]
    loads = f"loads {round(median(rows)):,} rows in {took}" if rows else f"takes {took}"
    of = f"the middle of its last {len(good)} good runs"
    return f"Usually it {loads}{_refused(good)}: {of}."


def _refused(good: list[ImportRun]) -> str:
    """How many rows are usually refused; nothing where too few runs told."""
    shares = [
        run.errors / run.total_rows
        for run in good
        if run.errors is not None and run.total_rows
    ]
    if len(shares) < HABIT:
        return ""
    usual = median(shares)
    if not usual:
        return ", with no row refused"
    return f", with {share_text(max(1, round(usual * 1e6)), 10**6)} of them refused"
