"""`/definitions/<id>/`: know one definition, and start it."""

from __future__ import annotations

from itertools import pairwise
from statistics import median
from typing import Any

from django.http import HttpResponse
from django.shortcuts import get_object_or_404
from django.utils import timezone

from imports.lists.filters import with_favourites
from imports.models import ImportDefinition, ImportRun, User, workers_of, workers_word
from imports.ui.svg import MOST as CHARTED
from imports.ui.svg import history_chart, strip_svg
from imports.views import base
from imports.views.base import SignedInRequest, signed_in
from imports.wording import definition as wording
from imports.wording.formats import duration_text, share_text, spoken
from imports.wording.status import SUCCESSFUL

# The chart's other runs are folded away below these.
RUNS_SHOWN = 20
VERSIONS_SHOWN = 10
# Fewer successful runs are no habit.
HABIT = 5


@signed_in
def definition(request: SignedInRequest, pk: int) -> HttpResponse:
    user = request.user
    visible = ImportDefinition.objects.still_visible_to(user).with_destination()
    shown = get_object_or_404(
        with_favourites(visible, user)
        .annotate(workers=workers_word())
        .select_related("account", "last_run"),
        pk=pk,
    )
    if shown.last_run:
        shown.last_run.account = shown.account
    # the page follows that account alone, so its version comes with the same query
    version = base.PageVersion(
        number=shown.account.revision,
        workers=workers_of(shown.workers),  # type: ignore[attr-defined]
    )
    if base.is_unchanged(request, version):
        return base.nothing_changed()
    context = _context(user, shown)
    # as it was read first as well: it may have ended while the rest was read
    runs = filter(None, (context["active"], shown.last_run))
    context["live"] = base.live(
        request,
        version,
        title=f"{spoken(shown.shown_name)} · mcdash",
        is_moving=base.any_moves(runs, version.workers),
    )
    return base.answer(request, "definition", context)


@signed_in
def strip(request: SignedInRequest, pk: int) -> HttpResponse:
    """The strip as bars, each with its words: what a list shows a picture of."""
    return HttpResponse(strip_svg(base.visible_definition(request.user, pk).bars))


def _context(user: User, definition: ImportDefinition) -> dict[str, Any]:
    runs = definition.runs.select_related("definition").latest_first()
    latest, active = list(runs[:CHARTED]), runs.active().first()
    for run in filter(None, (*latest, active)):
        run.account = definition.account
    can = base.can_start(user, definition)
    # newest first, each with what it changed; one more is read, to compare with
    versions = list(definition.versions.all()[: VERSIONS_SHOWN + 1])
    notes = [
        (new, wording.changes(old.facts, new.facts, definition.account))
        for new, old in pairwise(versions)
    ]
    if versions and versions[-1].number == 1:
        notes.append((versions[-1], []))
    update_type = definition.update_type.casefold()
    _, how, _ = wording.UPDATE_TYPES.get(update_type, ("", "", ""))
    return {
        "definition": definition,
        "source": wording.source_of(definition),
        "destination": wording.destination_of(definition),
        "how": how,
        "tolerates_errors": wording.tolerates_errors(definition),
        "facts": wording.facts_of(definition),
        "versions": notes,
        "runs": latest[:RUNS_SHOWN],
        "older": latest[RUNS_SHOWN:],
        "chart": history_chart(latest[::-1]),
        "normal": normal(latest),
        "active": active,
        "can_start": can,
        "why_not": definition.why_not_startable if can else "",
        "is_favourite": getattr(definition, "is_favourite", False),
    }


def normal(runs: list[ImportRun]) -> str:
    """What the successful ones among `runs` usually count and take: their medians.

    Empty for fewer than five: some runs are no habit.
    """
    good = [run for run in runs if run.status in SUCCESSFUL and not run.are_counts_open]
    if len(good) < HABIT:
        return ""
    now = timezone.now()
    took = duration_text(median(run.elapsed(now).total_seconds() for run in good))
    of = f"median of the last {len(good)} successful runs"
    rows = [run.total_rows for run in good if run.total_rows is not None]
    if not rows:
        return f"Typically takes {took} ({of})."
    shares = [
        run.errors / run.total_rows
        for run in good
        if run.errors is not None and run.total_rows
    ]
    rejected = ""
    if len(shares) >= HABIT:
        usual = median(shares)
        # one in a million is not none
        share = share_text(max(1, round(usual * 1e6)), 10**6) if usual else "none"
        rejected = f", {share} rejected"
    return f"Typically {round(median(rows)):,} rows in {took}{rejected} ({of})."
