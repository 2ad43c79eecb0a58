"""How single values read: names, numbers, times, and what a run's counts say.

Whatever isn't known reads as a dash, never as 0. static/js/times.js keeps times ticking
in the same words, and a browser test holds the two together.
"""

from __future__ import annotations

import re
from datetime import datetime, timedelta
from datetime import timezone as offset_zone
from itertools import pairwise

from django.utils import timezone
from django.utils.html import escape
from django.utils.safestring import SafeString, mark_safe

from imports.models import CountProblem, Counts, ImportRun
from imports.text import has_ink, visible

UNKNOWN = "–"
# A line never breaks before the sign.
PERCENT = "\N{NO-BREAK SPACE}%"
KEPT_AT_THE_END = 14
# A customer key may have 10,000 characters.
LONGEST_SHOWN = 300
LONGEST_SPOKEN = 80
# Marketing Cloud's own clock, unless an account says otherwise: UTC−6, never DST.
DEFAULT_CLOCK_MINUTES = -360


# Names


def middle_html(text: str, limit: int, query: str = "") -> SafeString:
    """`text` on one line that gives way in its middle, the words of `query` marked.

    The stylesheet hides only what doesn't fit, never the last 14 characters; screen
    readers and the clipboard get all of it, up to 300, and the title has the rest.
    """
    if len(text) <= limit:
        return found_html(text, query)
    cut = len(text) - KEPT_AT_THE_END
    shown = min(cut, LONGEST_SHOWN)
    return mark_safe(  # noqa: S308 - every part is escaped
        f'<span class="middle" title="{escape(text)}">'
        f"<span>{found_html(text, query, end=shown)}{'…' * (shown < cut)}</span>"
        f"<span>{found_html(text, query, start=cut)}</span></span>"
    )


def found_html(
    text: str, query: str, *, start: int = 0, end: int | None = None
) -> SafeString:
    """`text` from start to end, the words of `query` marked."""
    end = len(text) if end is None else end
    if not query:  # as in nearly all rows of all pages
        return escape(text[start:end])
    # the longest first: an alternation takes the first that fits
    words = sorted(query.split(), key=len, reverse=True)
    pattern = "|".join(map(re.escape, words)) or "(?!)"  # which matches nothing
    edges = [start]
    # in all of it: of one that reaches across a cut both halves show their share
    for match in re.finditer(pattern, text, re.IGNORECASE):
        edges += (min(max(edge, start), end) for edge in match.span())
    parts: list[str] = [escape(text[a:b]) for a, b in pairwise([*edges, end])]
    parts[1::2] = [part and f"<mark>{part}</mark>" for part in parts[1::2]]
    return mark_safe("".join(parts))  # noqa: S308 - every part is escaped above


def spoken(name: str) -> str:
    """A name for a title or an announcement: cut, and turning no words around it."""
    ink = next((at for at, char in enumerate(name) if has_ink(char)), 0)
    # what can't be seen before it would use up the room where the name is cut
    return visible(name[ink if ink > LONGEST_SPOKEN // 2 else 0 :][:LONGEST_SPOKEN])


# Numbers


def count_text(value: object) -> str:
    """A count with thousands separators: "412,006"."""
    if value is None or value == "":
        return UNKNOWN
    # a text would be shown as if somebody had counted it
    if not isinstance(value, int):
        raise TypeError(f"a count is an int or None, not {type(value).__name__}")
    return f"{value:,}"


def short_count_text(value: int | None) -> str:
    """A count to two or three figures ("412k"), where the bar is the message."""
    for unit, size in (("M", 1_000_000), ("k", 1_000)):
        if value is not None and value >= 10 * size:
            return f"{value // size:,}{unit}"
    return count_text(value)


def rows_text(n: int | None) -> str:
    """ "1 row", "412,006 rows" """
    return f"{count_text(n)} row{'' if n == 1 else 's'}"


def share_text(part: float | None, whole: int | None) -> str:
    """`part` of `whole` in per cent, never rounded to "none" or to "all"."""
    if part is None or not whole:
        return UNKNOWN
    percent = 100 * part / whole
    # rounded, 3 of 412,006 rows would read as none, and all but 3 as all
    if 0 < percent < 0.05:
        return f"<0.1{PERCENT}"
    if 99.95 <= percent < 100:
        return f">99.9{PERCENT}"
    return f"{percent:.1f}{PERCENT}" if percent % 100 else f"{percent:.0f}{PERCENT}"


# Times. A page has a hundred of them, so they are written by strftime, which takes a
# tenth of the time of Django's dateformat and says the same: all of it is English.


def duration_text(value: timedelta | float | None) -> str:
    """Seconds or a timedelta as m:ss, from an hour on as h:mm:ss."""
    if value is None or value == "":
        return UNKNOWN
    seconds = value.total_seconds() if isinstance(value, timedelta) else value
    # two clocks may differ by a little, and nothing takes less than no time
    minutes, rest = divmod(max(0, int(seconds)), 60)
    hours, minutes = divmod(minutes, 60)
    return f"{hours}:{minutes:02}:{rest:02}" if hours else f"{minutes}:{rest:02}"


def clock_name(offset_minutes: int) -> str:
    """ "UTC−6" or "UTC+5:30" for an offset in minutes."""
    hours, minutes = divmod(abs(offset_minutes), 60)
    sign = "−" if offset_minutes < 0 else "+"
    return f"UTC{sign}{hours}" + (f":{minutes:02}" if minutes else "")


def zone_name() -> str:
    """The reader's zone as people call it: "London" of "Europe/London"."""
    zone = timezone.get_current_timezone_name()
    return zone.split("/")[-1].replace("_", " ")


def exact_text(moment: datetime, clock_minutes: int = DEFAULT_CLOCK_MINUTES) -> str:
    """The moment in the reader's zone, then on Marketing Cloud's own clock."""
    local = timezone.localtime(moment)
    theirs = moment.astimezone(offset_zone(timedelta(minutes=clock_minutes)))
    # only where their day is another one does it need saying
    is_same_day = theirs.date() == local.date()
    clock = f"{theirs:%H:%M:%S}"
    if not is_same_day:
        clock = f"{theirs:%a} {theirs.day} {theirs:%b}, {clock}"
    return (
        f"{local:%a} {local.day} {local:%b %Y, %H:%M:%S}"
        f" · Marketing Cloud’s clock {clock}, {clock_name(clock_minutes)}"
    )


def relative_text(moment: datetime, now: datetime) -> str:
    """How long ago, or ahead: "6 min ago", "yesterday", "3 Jan", "in 6 min"."""
    seconds = int((now - moment).total_seconds())
    local, today = timezone.localtime(moment), timezone.localtime(now)
    days = (today.date() - local.date()).days
    if -60 < seconds < 2:  # a few seconds ahead: two clocks that differ
        return "just now"
    if seconds <= -86_400:
        return f"{local.day} {local:%b %Y}"
    if seconds < 0:
        ahead = -seconds
        return f"in {ahead // 60} min" if ahead < 3600 else f"in {ahead // 3600} h"
    if seconds < 3600:
        return f"{seconds} s ago" if seconds < 60 else f"{seconds // 60} min ago"
    # shortly after midnight "an hour ago" says more than "yesterday"
    if days == 0 or seconds < 6 * 3600:
        return f"{seconds // 3600} h ago"
    if days < 7:
        return "yesterday" if days == 1 else f"{days} days ago"
    is_this_year = local.year == today.year
    return f"{local.day} {local:%b}" if is_this_year else f"{local.day} {local:%b %Y}"


def clock_text(moment: datetime | None) -> str:
    """ "09:14" for a moment of today, with its date for another day's."""
    if moment is None:
        return UNKNOWN
    local = timezone.localtime(moment)
    is_today = local.date() == timezone.localdate()
    return f"{local:%H:%M}" if is_today else f"{local.day} {local:%b, %H:%M}"


def day_text(moment: datetime) -> str:
    """ "today at 08:02", "yesterday at 08:02", "on Tue 10 Mar at 08:02"."""
    local = timezone.localtime(moment)
    days = (timezone.localdate() - local.date()).days
    other = f"on {local:%a} {local.day} {local:%b}"
    day = {0: "today", 1: "yesterday"}.get(days, other)
    return f"{day} at {local:%H:%M}"


def when_html(
    moment: datetime | None, clock_minutes: int = DEFAULT_CLOCK_MINUTES
) -> str:
    """A <time> that ticks, with its exact time for pointer and keyboard."""
    return clock_html(moment, clock_minutes, focusable=True, ticks=True)


def clock_html(
    moment: datetime | None,
    clock_minutes: int = DEFAULT_CLOCK_MINUTES,
    *,
    focusable: bool = False,
    ticks: bool = False,
) -> str:
    """A <time> that says when and stands still, or ticks and says how long ago."""
    if moment is None:
        return UNKNOWN
    css, stop = ' class="when"' * ticks, ' tabindex="0"' * focusable
    text = relative_text(moment, timezone.now()) if ticks else clock_text(moment)
    return mark_safe(  # noqa: S308 - numbers and our own words
        f'<time{css} datetime="{moment.isoformat(timespec="seconds")}"'
        f' title="{exact_text(moment, clock_minutes)}"{stop}>{text}</time>'
    )


def elapsed_html(since: datetime | None) -> str:
    """Time since a moment as m:ss, which times.js keeps counting."""
    if since is None:
        return UNKNOWN
    return mark_safe(  # noqa: S308 - numbers
        f'<span class="elapsed" data-since="{since.isoformat(timespec="seconds")}">'
        f"{duration_text(timezone.now() - since)}</span>"
    )


# What a run's counts say


def counted(run: ImportRun, errors: str) -> list[str]:
    """What became of the rows, as far as it was reported; `errors` is their word."""
    numbers = {
        "loaded": run.successful,
        "duplicates": run.duplicated,
        errors: run.errors,
        "unaccounted for": run.unaccounted_rows or None,
    }
    return [f"{n:,} {word}" for word, n in numbers.items() if n is not None]


def errors_text(counts: Counts) -> str:
    """Empty where there were none."""
    n = counts.errors
    if n is None:
        return "errors not reported"
    return f"{n:,} error{'' if n == 1 else 's'}" if n else ""


def problem_text(counts: Counts) -> str:
    """Why a completed run isn't clean; empty where nothing is wrong."""
    total, lacking = rows_text(counts.total_rows), rows_text(counts.unaccounted)
    unaccounted = f"{lacking} unaccounted for" if counts.unaccounted else ""
    match counts.problem:
        case CountProblem.ERRORS:
            return ", ".join(filter(None, (errors_text(counts), unaccounted)))
        case CountProblem.CONTRADICTORY:
            loaded, duplicates = counts.successful or 0, counts.duplicated or 0
            most = max((loaded, "loaded"), (duplicates, "duplicates"))
            return f"the counts contradict each other, {most[0]:,} {most[1]} of {total}"
        case CountProblem.ROWS_UNACCOUNTED if counts.errors is None:
            return f"errors not reported, {unaccounted}"
        case CountProblem.ROWS_UNACCOUNTED:
            are = "is" if counts.unaccounted == 1 else "are"
            return f"0 errors reported, but {lacking} {are} unaccounted for"
        case CountProblem.ERRORS_NOT_REPORTED:
            kind = "" if counts.total_rows is None else "loaded "
            return f"errors and {kind}rows not reported"
        case CountProblem.LOADED_NOT_REPORTED:
            return f"0 errors reported, but not how many of {total} were loaded"
    return ""
