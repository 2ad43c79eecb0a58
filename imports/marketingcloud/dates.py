"""Reads Marketing Cloud's StartDate and EndDate into datetimes in UTC.

The vendor's WSDL declares them as texts, without a format or a zone. Marketing
Cloud's clock is UTC-6 without daylight saving; an account may differ.
"""

from __future__ import annotations

import re
from datetime import UTC, datetime, timedelta, timezone

_LONGEST = 64
_YEARS = range(2000, 2101)
_CLOCK = (
    r"(?P<hour>\d\d?):(?P<minute>\d\d)(?::(?P<second>\d\d))?(?:\.(?P<fraction>\d+))?"
)
_ISO = re.compile(
    rf"(?P<year>\d{{4}})-(?P<month>\d\d?)-(?P<day>\d\d?)(?:[Tt ]+{_CLOCK})?"
    r"\s*(?P<zone>[Zz]|(?P<sign>[+-])(?P<zone_hour>\d\d):?(?P<zone_minute>\d\d))?",
    re.ASCII,
)
_US = re.compile(
    rf"(?P<month>\d\d?)/(?P<day>\d\d?)/(?P<year>\d{{4}})"
    rf"(?:\s+{_CLOCK}\s*(?P<half>[AaPp][Mm])?)?",
    re.ASCII,
)


def read_time(text: str, *, offset_minutes: int) -> datetime | None:
    """The moment, in UTC, that a StartDate or EndDate names; None if it names none.

    A text without a zone is on the vendor's clock, `offset_minutes` from UTC
    (-360 unless the account says otherwise). Years outside 2000 to 2100 are
    placeholders or mistakes. Never raises.
    """
    text = text.strip() if len(text) <= _LONGEST else ""
    match = _ISO.fullmatch(text) or _US.fullmatch(text)
    if match is None:
        return None
    parts = match.groupdict()
    names = ("year", "month", "day", "hour", "minute", "second")
    year, month, day, hour, minute, second = (int(parts[name] or 0) for name in names)
    fraction = int(f"{parts['fraction'] or '':0<6}"[:6])
    if half := parts.get("half"):
        if not 1 <= hour <= 12:
            return None
        hour = hour % 12 + (12 if half.upper() == "PM" else 0)
    if parts.get("zone"):  # Z has neither hours nor minutes
        minutes = int(parts["zone_hour"] or 0) * 60 + int(parts["zone_minute"] or 0)
        offset_minutes = -minutes if parts["sign"] == "-" else minutes
    try:
        zone = timezone(timedelta(minutes=offset_minutes))
        local = datetime(year, month, day, hour, minute, second, fraction, tzinfo=zone)
        moment = local.astimezone(UTC)
    except (ValueError, OverflowError):
        return None
    return moment if moment.year in _YEARS else None
