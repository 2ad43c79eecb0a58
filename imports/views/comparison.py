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

COUNTS = (
    ("total_rows", "Rows"),
    ("successful", "Loaded"),
    ("duplicated", "Duplicates"),
    ("errors", "Errors"),
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
    """What is not known of either run is a dash, and so is its change.

    More errors are worse; fewer rows loaded are, where errors took them.
    """
    changes = {name: _change(run, previous, name) for name, _ in COUNTS}
    has_more_errors = (changes["errors"] or 0) > 0
    worse = {
        "errors": has_more_errors,
        "successful": has_more_errors and (changes["successful"] or 0) < 0,
    }
    counts = [
        Row(
            label=label,
            this=count_text(getattr(run, name)),
            previous=count_text(getattr(previous, name)),
            change=_change_text(changes[name]),
            is_worse=worse.get(name, False),
        )
        for name, label in COUNTS
    ]
    if run.unaccounted_rows or previous.unaccounted_rows:
        counts.append(_unaccounted_row(run, previous))
    return [*counts, _share_row(run, previous), _took_row(run, previous)]


def _unaccounted_row(run: ImportRun, previous: ImportRun) -> Row:
    change = _change(run, previous, "unaccounted_rows")
    return Row(
        label="Unaccounted for",
        this=count_text(run.unaccounted_rows),
        previous=count_text(previous.unaccounted_rows),
        change=_change_text(change),
        is_worse=(change or 0) > 0,
    )


def _change(run: ImportRun, previous: ImportRun, name: str) -> int | None:
    this: int | None = getattr(run, name)
    that: int | None = getattr(previous, name)
    return None if this is None or that is None else this - that


def _change_text(change: int | None) -> str:
    return UNKNOWN if change is None else signed(change, count_text(abs(change)))


def signed(value: float, text: str) -> str:
    return f"+{text}" if value > 0 else f"−{text}" if value < 0 else text


def _share(run: ImportRun) -> float | None:
    if run.errors is None or not run.total_rows or run.are_counts_open:
        return None
    return 100 * run.errors / run.total_rows


def _share_text(run: ImportRun) -> str:
    is_known = _share(run) is not None
    return share_text(run.errors, run.total_rows) if is_known else UNKNOWN


def _share_row(run: ImportRun, previous: ImportRun) -> Row:
    this, that = _share(run), _share(previous)
    known = this is not None and that is not None
    change = round((this or 0) - (that or 0), 1) if known else 0.0
    return Row(
        label="Error share",
        this=_share_text(run),
        previous=_share_text(previous),
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
