"""`/styleguide/`: every component in every state, for those who build pages.

Drawn by the same templates and tags as the pages, with invented data that is never
stored.
"""

from __future__ import annotations

import re
from datetime import datetime, timedelta
from functools import lru_cache
from pathlib import Path
from typing import Any

from django.conf import settings
from django.contrib.staticfiles import finders
from django.core.exceptions import PermissionDenied
from django.http import HttpResponse
from django.shortcuts import render
from django.utils import timezone

from imports.models import Account, ImportDefinition, ImportRun, Origin, RunStatus
from imports.views.access import SignedInRequest, signed_in

LARGEST = 412_006
PHASES = {RunStatus.RUNNING: "IOWork"}
LONG = "Customer numbers, CRM to Marketing Cloud, all brands (do not rename)"
STATES = ("", "hover", "focus", "disabled", "busy")
KINDS = ("primary", "", "quiet", "danger")
# Of the last 20 runs each status at least once.
LAST_20 = (
    *("completed", "completed", "completed_with_errors", "completed", "failed"),
    *("failed", "completed", "not_started", "completed", "withdrawn", "completed"),
    *("lost", "completed", "unknown", "completed_with_errors", "completed"),
    *("completed", "starting", "running", "queued"),
)


@signed_in
def styleguide(request: SignedInRequest) -> HttpResponse:
    if not request.user.is_staff:
        raise PermissionDenied("The style guide is for those who administer mcdash.")
    now = timezone.now()
    context = {
        "tokens": tokens(),
        "states": STATES,
        "kinds": KINDS,
        "bars": bars(now),
        "all_bars": [(status, [bar(status, now)]) for status in RunStatus.values],
        "phases": PHASES,
        "runs": [*(run_of(status, now) for status in RunStatus), open_run(now)],
        "done": run_of(RunStatus.COMPLETED_WITH_ERRORS, now),
        "cards": CARDS,
        "needs": needs(now),
        "now": now,
        "an_hour_ago": now - timedelta(hours=1),
        "long_name": LONG,
        "steps": steps(now),
        "comparison": COMPARISON,
    }
    return render(request, "imports/styleguide.html", context)


@lru_cache(maxsize=1)
def tokens() -> list[str]:
    """The names of the colours in tokens.css."""
    found = finders.find("css/tokens.css") or settings.STATIC_ROOT / "css/tokens.css"
    colours = re.findall(r"--([\w-]+): light-dark\(\s*oklch", Path(found).read_text())
    return list(dict.fromkeys(colours))


def bar(status: str, at: datetime, rows: int = LARGEST) -> dict[str, Any]:
    """One run as a definition's strip keeps it."""
    is_counted = status in {"completed", "completed_with_errors", "failed", "running"}
    errors = rows // 3 if status in {"completed_with_errors", "failed"} else 0
    return {
        "status": status,
        "at": at.isoformat(),
        "rows": rows if is_counted else None,
        "errors": errors if is_counted else None,
    }


def bars(now: datetime) -> list[dict[str, Any]]:
    """Twenty runs, one a day, none with as many rows as the one before."""
    return [
        bar(status, now - timedelta(days=20 - day), LARGEST - 17_000 * (day % 5))
        for day, status in enumerate(LAST_20)
    ]


def run_of(status: RunStatus, now: datetime) -> ImportRun:
    """A run of this status as a row of a table shows it."""
    account = Account(pk=1, name="Nordlicht DE", last_contact_at=now)
    return ImportRun(
        pk=list(RunStatus).index(status) + 1,
        account=account,
        definition=ImportDefinition(pk=1, account=account, name="Customers daily"),
        status=status,
        phase=PHASES.get(status, ""),
        origin=Origin.DASHBOARD,
        started_by_name="Ana Ruiz",
        occurred_at=now - timedelta(minutes=7),
        queued_at=now - timedelta(minutes=7),
        settled_at=now - timedelta(minutes=1),
        last_checked_at=now - timedelta(seconds=4),
        **_counts(status),
    )


def open_run(now: datetime) -> ImportRun:
    """A completed run whose errors were not reported, with rows unaccounted for."""
    run = run_of(RunStatus.COMPLETED_WITH_ERRORS, now)
    run.pk, run.errors = len(RunStatus) + 1, None
    return run


def _counts(status: RunStatus) -> dict[str, int]:
    if status not in (RunStatus.COMPLETED, RunStatus.COMPLETED_WITH_ERRORS):
        return {}
    errors = 33_450 if status == RunStatus.COMPLETED_WITH_ERRORS else 0
    return {
        "total_rows": LARGEST,
        "successful": LARGEST - errors - 1_204,
        "duplicated": 1_204,
        "errors": errors,
    }


CARDS = [
    {"label": "Running", "figure": "4", "status": "running", "url": "#cards"},
    {
        "label": "With errors",
        "figure": "1",
        "status": "completed_with_errors",
        "hint": "33,450 row errors",
        "url": "#cards",
    },
    {"label": "Rows imported", "figure": "3,218,447", "hint": "today", "url": "#cards"},
    {"label": "Row errors", "figure": "–", "url": "#cards"},
]
COMPARISON = [
    {"label": "Rows", "this": "412,006", "previous": "411,733", "change": "+273"},
    {
        "label": "Errors",
        "this": "33,450",
        "previous": "806",
        "change": "+32,644",
        "is_worse": True,
    },
]


def needs(now: datetime) -> list[dict[str, Any]]:
    """Rows of "Needs attention", with a name that is too long among them."""
    return [
        {
            "id": "guide-failed",
            "name": LONG,
            "account": "Nordlicht DE",
            "status": "failed",
            "word": "Failed",
            "cause": "All 412,006 rows were refused.",
            "at": now - timedelta(hours=3),
            "url": "#needs",
            "action": {"word": "See next steps", "url": "#needs"},
        },
        {
            "id": "guide-unknown",
            "name": "Loyalty points",
            "account": "Nordlicht SE",
            "status": "unknown",
            "word": "Outcome unknown",
            "cause": "The start was sent and no answer came.",
            "at": now - timedelta(minutes=14),
            "url": "#needs",
            "action": {"word": "Choose the run", "url": "#needs"},
        },
        {
            "id": "guide-account",
            "name": "Nordlicht SE",
            "account": "account",
            "hue": "amber",
            "icon": "unplugged",
            "word": "Not answering since 09:14",
            "cause": "Its running import is shown as it was then.",
            "at": now - timedelta(minutes=27),
            "url": "#needs",
            "action": {"word": "Open account", "url": "#needs"},
        },
    ]


def steps(now: datetime) -> list[dict[str, Any]]:
    """A timeline of three steps with a lane each but the last."""
    began = now - timedelta(minutes=7)
    return [
        {"at": began, "words": "Queued by Ana Ruiz", "lane_start": None},
        {
            "at": began + timedelta(seconds=10),
            "words": "Processing",
            "lane_start": 10,
            "seconds": 235,
            "hue": "blue",
        },
        {
            "at": began + timedelta(seconds=245),
            "words": "Completed",
            "more": "412,006 rows",
            "lane_start": None,
            "status": "completed",
        },
    ]
