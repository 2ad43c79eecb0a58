"""Marketing Cloud's clock: texts of its own zone into moments.

StartDate and EndDate are texts without a declared format or zone in the
vendor's WSDL.
The vendor's clock is UTC-6 without daylight saving; an account may differ.
"""

from __future__ import annotations

import re
from datetime import UTC, datetime, timedelta

_LONGEST = 64
_YEARS = range(2000, 2101)
_ISO = re.compile(
    r"(?P<year>\d{4})-(?P<month>\d\d?)-(?P<day>\d\d?)"
    r"(?:[Tt ]+(?P<hour>\d\d?):(?P<minute>\d\d)(?::(?P<second>\d\d))?"
    r"(?:\.(?P<fraction>\d+))?)?"
    r"\s*(?P<zone>[Zz]|(?P<sign>[+-])(?P<zone_hour>\d\d):?(?P<zone_minute>\d\d))?",
    re.ASCII,
)
_US = re.compile(
    r"(?P<month>\d\d?)/(?P<day>\d\d?)/(?P<year>\d{4})"
    r"(?:\s+(?P<hour>\d\d?):(?P<minute>\d\d)(?::(?P<second>\d\d))?"
    r"(?:\.(?P<fraction>\d+))?\s*(?P<half>[AaPp][Mm])?)?",
    re.ASCII,
)


def read_time(text: str, *, offset_minutes: int) -> datetime | None:
    """The moment, in UTC, that a StartDate or EndDate names; None if it names none.

    A text without a zone is on the vendor's clock, `offset_minutes` from UTC
    (-360 unless the account says otherwise). Years outside 2000 to 2100 are
    placeholders or mistakes. Never raises.
    """
    text = text.strip() if len(text) <= _LONGEST else ""
    found = _ISO.fullmatch(text) or _US.fullmatch(text)
    if found is None:
        return None
    parts = found.groupdict()
    try:
        moment = _naive(parts) - _offset(parts, offset_minutes)
    except (ValueError, OverflowError):
        return None
    return moment.replace(tzinfo=UTC) if moment.year in _YEARS else None


def _naive(parts: dict[str, str | None]) -> datetime:
    return datetime(  # noqa: DTZ001 - its zone is applied by the caller
        _number(parts, "year"),
        _number(parts, "month"),
        _number(parts, "day"),
        _hour(parts),
        _number(parts, "minute"),
        _number(parts, "second"),
        int(f"{parts['fraction'] or '':0<6}"[:6]),
    )


def _hour(parts: dict[str, str | None]) -> int:
    hour, half = _number(parts, "hour"), (parts.get("half") or "").upper()
    if not half:
        return hour
    if not 1 <= hour <= 12:
        raise ValueError("no such hour on a twelve-hour clock")
    return hour % 12 + (12 if half == "PM" else 0)


def _offset(parts: dict[str, str | None], offset_minutes: int) -> timedelta:
    zone = parts.get("zone")
    if zone is None:
        return timedelta(minutes=offset_minutes)
    minutes = _number(parts, "zone_hour") * 60 + _number(parts, "zone_minute")
    if minutes >= 24 * 60:
        raise ValueError("no such zone")
    return timedelta(minutes=-minutes if parts["sign"] == "-" else minutes)


def _number(parts: dict[str, str | None], name: str) -> int:
    return int(parts.get(name) or 0)
