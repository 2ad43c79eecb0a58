"""Keyset paging over runs: a page stays right while new runs arrive at the top."""

from __future__ import annotations

import datetime as dt
from dataclasses import dataclass

from django.db.models import Q

from imports.models import ImportRun, RunQuerySet

PER_PAGE = 50
Place = tuple[dt.datetime, int]
EARLIEST = dt.datetime(1970, 1, 1, tzinfo=dt.UTC)
LATEST = dt.datetime(9000, 1, 1, tzinfo=dt.UTC)


@dataclass(frozen=True, kw_only=True, slots=True)
class RunPage:
    """The runs of one page, the newest first, and where its neighbours begin."""

    runs: list[ImportRun]
    newer: str
    older: str


def cursor(run: ImportRun) -> str:
    """A run's place in the history, for an address."""
    return f"{run.occurred_at.isoformat()}_{run.pk}"


def read_cursor(text: str) -> Place | None:
    """The place that `text` names, or None where it names none."""
    at, _, pk = text.partition("_")
    try:
        # a "+" that was not escaped arrives as a space
        moment = dt.datetime.fromisoformat(at.replace(" ", "+"))
    except ValueError:
        return None
    if not pk.isdecimal() or len(pk) > 18 or moment.tzinfo is None:
        return None
    return (moment, int(pk)) if EARLIEST < moment < LATEST else None


def is_readable(*texts: str) -> bool:
    """Whether every place that was given is one."""
    return all(read_cursor(text) for text in texts if text)


def page_of(runs: RunQuerySet, *, before: str, after: str) -> RunPage:
    """The 50 runs older than `before`, or those right above `after`; else the
    newest. A page above that is not full begins at the top instead.
    """
    rows = runs.select_related("account", "definition")
    if above := read_cursor(after):
        newer = list(newer_than(rows, above)[: PER_PAGE + 1])
        if len(newer) > PER_PAGE:
            return _page(newer[PER_PAGE - 1 :: -1], has_newer=True, has_older=True)
        before = ""
    below = read_cursor(before)
    found = list(older_than(rows, below)[: PER_PAGE + 1])
    return _page(
        found[:PER_PAGE], has_newer=bool(below), has_older=len(found) > PER_PAGE
    )


def _page(runs: list[ImportRun], *, has_newer: bool, has_older: bool) -> RunPage:
    return RunPage(
        runs=runs,
        newer=cursor(runs[0]) if has_newer and runs else "",
        older=cursor(runs[-1]) if has_older else "",
    )


def older_than(runs: RunQuerySet, place: Place | None) -> RunQuerySet:
    """Runs below a place, the newest first."""
    if place:
        at, pk = place
        runs = runs.filter(Q(occurred_at__lt=at) | Q(occurred_at=at, pk__lt=pk))
    return runs.latest_first()


def newer_than(runs: RunQuerySet, place: Place) -> RunQuerySet:
    """Runs above a place, the nearest first."""
    at, pk = place
    above = Q(occurred_at__gt=at) | Q(occurred_at=at, pk__gt=pk)
    return runs.filter(above).order_by("occurred_at", "id")
