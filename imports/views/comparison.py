"""A run beside the previous one of its definition, number by number."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import timedelta

from django.utils import timezone

from imports.models import FINISHED, ImportRun
from imports.templatetags.numbers import (
    UNKNOWN,
    count_text,
    duration_text,
    share_text,
)

# Name, label, and whether more (1) or fewer (-1) is worse.
COUNTS = (
    ("total_rows", "Rows", 0),
    ("successful", "Loaded", -1),
    ("duplicated", "Duplicates", 0),
    ("errors", "Errors", 1),
)


@dataclass(frozen=True, kw_only=True, slots=True)
class Row:
    """One figure of both runs, and what changed between them."""

    label: str
    this: str
    previous: str
    change: str
    is_worse: bool = False


def compare(run: ImportRun, previous: ImportRun) -> list[Row]:
    """What is not known of either run is a dash, and so is its change."""
    counts = [
        _count_row(label, getattr(run, name), getattr(previous, name), worse)
        for name, label, worse in COUNTS
    ]
    return [*counts, _share_row(run, previous), _took_row(run, previous)]


def signed(value: float, text: str) -> str:
    return f"+{text}" if value > 0 else f"−{text}" if value < 0 else text


def _count_row(label: str, this: int | None, that: int | None, worse: int) -> Row:
    known = this is not None and that is not None
    change = (this or 0) - (that or 0) if known else 0
    return Row(
        label=label,
        this=count_text(this),
        previous=count_text(that),
        change=signed(change, count_text(abs(change))) if known else UNKNOWN,
        is_worse=change * worse > 0,
    )


def _share(run: ImportRun) -> float | None:
    if run.errors is None or not run.total_rows:
        return None
    return 100 * run.errors / run.total_rows


def _share_row(run: ImportRun, previous: ImportRun) -> Row:
    this, that = _share(run), _share(previous)
    known = this is not None and that is not None
    change = round((this or 0) - (that or 0), 1) if known else 0.0
    return Row(
        label="Error share",
        this=share_text(run.errors, run.total_rows),
        previous=share_text(previous.errors, previous.total_rows),
        change=signed(change, f"{abs(change):.1f} pts") if known else UNKNOWN,
        is_worse=change > 0,
    )


def _took(run: ImportRun) -> timedelta | None:
    return run.elapsed(timezone.now()) if run.status in FINISHED else None


def _took_row(run: ImportRun, previous: ImportRun) -> Row:
    this, that = _took(run), _took(previous)
    change = UNKNOWN
    if this is not None and that is not None:
        seconds = int(this.total_seconds()) - int(that.total_seconds())
        change = signed(seconds, duration_text(abs(seconds)))
    return Row(
        label="Took",
        this=duration_text(this),
        previous=duration_text(that),
        change=change,
    )
