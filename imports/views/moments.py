"""Moments as sentences say them."""

from __future__ import annotations

from datetime import datetime

from django.utils import dateformat, timezone


def clock_text(moment: datetime | None) -> str:
    """ "09:14" for a moment of today, with its date for another day's."""
    if moment is None:
        return "–"
    local = timezone.localtime(moment)
    is_today = local.date() == timezone.localdate()
    return dateformat.format(local, "H:i" if is_today else "j M, H:i")
