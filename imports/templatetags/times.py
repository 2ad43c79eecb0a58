"""Times as pages show them: relative in the text, exact one key or pointer away.

static/js/times.js lets the same words tick on; both follow `relative_text`.
"""

from __future__ import annotations

from datetime import datetime, timedelta, timezone, tzinfo
from functools import lru_cache

from django.utils import dateformat
from django.utils import timezone as django_timezone
from django.utils.html import format_html
from django.utils.safestring import SafeString

from imports.templatetags.numbers import UNKNOWN, duration_text

DEFAULT_CLOCK_MINUTES = -360


def clock_name(offset_minutes: int) -> str:
    """ "UTC−6" or "UTC+5:30" for an offset in minutes."""
    hours, minutes = divmod(abs(offset_minutes), 60)
    sign = "−" if offset_minutes < 0 else "+"
    return f"UTC{sign}{hours}" + (f":{minutes:02}" if minutes else "")


def exact_text(moment: datetime, clock_minutes: int = DEFAULT_CLOCK_MINUTES) -> str:
    """The moment in the reader's zone, then on Marketing Cloud's own clock."""
    zone = django_timezone.get_current_timezone()
    return _exact_text(moment, zone, clock_minutes)


@lru_cache(maxsize=10_000)
def _exact_text(moment: datetime, zone: tzinfo, clock_minutes: int) -> str:
    """Kept, since polls and pages tell the same moments again and again."""
    local = moment.astimezone(zone)
    theirs = moment.astimezone(timezone(timedelta(minutes=clock_minutes)))
    clock = dateformat.format(theirs, "H:i:s")
    if theirs.date() != local.date():
        clock = dateformat.format(theirs, "D j M, H:i:s")
    return (
        f"{dateformat.format(local, 'D j M Y, H:i:s')}"
        f" · Marketing Cloud’s clock {clock}, {clock_name(clock_minutes)}"
    )


def relative_text(moment: datetime, now: datetime) -> str:
    """How long ago, in the reader's words: "6 min ago", "yesterday", "3 Jan"."""
    seconds = int((now - moment).total_seconds())
    if seconds < 0:
        return _ahead_text(-seconds, moment)
    if seconds < 3600:
        return _under_an_hour(seconds)
    local, today = django_timezone.localtime(moment), django_timezone.localtime(now)
    days = (today.date() - local.date()).days
    if days == 0 or seconds < 6 * 3600:
        return f"{seconds // 3600} h ago"
    if days < 7:
        return "yesterday" if days == 1 else f"{days} days ago"
    same_year = local.year == today.year
    return dateformat.format(local, "j M" if same_year else "j M Y")


def _under_an_hour(seconds: int) -> str:
    if seconds < 2:
        return "just now"
    return f"{seconds} s ago" if seconds < 60 else f"{seconds // 60} min ago"


def _ahead_text(seconds: int, moment: datetime) -> str:
    if seconds < 60:
        return "just now"
    if seconds < 3600:
        return f"in {seconds // 60} min"
    if seconds < 86400:
        return f"in {seconds // 3600} h"
    return dateformat.format(django_timezone.localtime(moment), "j M Y")


def clock_text(moment: datetime | None) -> str:
    """ "09:14" for a moment of today, with its date for another day's."""
    if moment is None:
        return UNKNOWN
    local = django_timezone.localtime(moment)
    is_today = local.date() == django_timezone.localdate()
    return dateformat.format(local, "H:i" if is_today else "j M, H:i")


def clock_html(moment: datetime, clock_minutes: int = DEFAULT_CLOCK_MINUTES) -> str:
    """A <time> that says when rather than how long ago, for "since …"."""
    return format_html(
        '<time datetime="{}" title="{}">{}</time>',
        moment.isoformat(timespec="seconds"),
        exact_text(moment, clock_minutes),
        clock_text(moment),
    )


def when_html(
    moment: datetime | None,
    *,
    clock_minutes: int = DEFAULT_CLOCK_MINUTES,
    focusable: bool = True,
) -> str:
    """A <time> that ticks, with its exact time for pointer and keyboard."""
    if moment is None:
        return UNKNOWN
    return format_html(
        '<time class="when" datetime="{}" title="{}"{}>{}</time>',
        moment.isoformat(timespec="seconds"),
        exact_text(moment, clock_minutes),
        SafeString(' tabindex="0"') if focusable else "",
        relative_text(moment, django_timezone.now()),
    )


def elapsed_html(since: datetime | None) -> str:
    """Time gone by since a moment as m:ss, counted on by times.js."""
    if since is None:
        return UNKNOWN
    return format_html(
        '<span class="elapsed" data-since="{}">{}</span>',
        since.isoformat(timespec="seconds"),
        duration_text(django_timezone.now() - since),
    )
