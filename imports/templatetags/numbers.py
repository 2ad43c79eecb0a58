"""Numbers as pages show them: an unknown count is a dash, never nought."""

from __future__ import annotations

from datetime import timedelta

UNKNOWN = "–"


def count_text(value: object) -> str:
    """A count with its thousands apart; a dash when it is not known."""
    if value is None or value == "":
        return UNKNOWN
    if not isinstance(value, int):
        raise TypeError(f"a count is an int or None, not {type(value).__name__}")
    return f"{value:,}"


def duration_text(value: timedelta | float | None) -> str:
    """Seconds or a timedelta as m:ss, from an hour on as h:mm:ss."""
    if value is None or value == "":
        return UNKNOWN
    seconds = value.total_seconds() if isinstance(value, timedelta) else value
    minutes, rest = divmod(max(0, int(seconds)), 60)
    hours, minutes = divmod(minutes, 60)
    if hours:
        return f"{hours}:{minutes:02}:{rest:02}"
    return f"{minutes}:{rest:02}"


def share_text(part: int | None, whole: int | None) -> str:
    """`part` of `whole` in per cent, never rounded to "none" or to "all"."""
    if part is None or not whole:
        return UNKNOWN
    percent = 100 * part / whole
    if 0 < percent < 0.05:
        return "<0.1 %"
    if 99.95 <= percent < 100:
        return ">99.9 %"
    return f"{percent:.1f} %" if percent % 100 else f"{percent:.0f} %"


def short_count_text(value: int | None) -> str:
    """A count to two or three figures ("412k"), where the bar is the message."""
    if value is None:
        return UNKNOWN
    for unit, size in (("M", 1_000_000), ("k", 1_000)):
        if value >= 10 * size:
            return f"{value // size:,}{unit}"
    return f"{value:,}"
