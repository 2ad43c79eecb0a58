"""Times as pages show them: relative in the text, exact one key or pointer away.

static/js/times.js lets the same words tick on; both follow `relative_text`.
"""

from __future__ import annotations

import re
from datetime import datetime, timedelta, timezone
from itertools import pairwise
from unicodedata import category

from django.utils import dateformat
from django.utils import timezone as django_timezone
from django.utils.html import escape, format_html
from django.utils.safestring import SafeString, mark_safe

from imports.models import CountProblem, Counts
from imports.models.names import has_ink

# Long names on one line: cut in the middle, found letters marked.


KEPT_AT_THE_END = 14
# They shape the letters and pictures beside them, and do nothing else.
_JOINERS = "\u200c\u200d"
LONGEST_SHOWN = 300
LONGEST_SPOKEN = 80


def middle_html(text: str, limit: int, query: str = "") -> SafeString:
    """`text` in one line that gives way in its middle.

    A text longer than `limit` is split so that its last 14 characters always
    stay; the stylesheet hides only what really does not fit, and readers and the
    clipboard keep the whole. A customer key may have 10,000 characters: past 300
    the rest is in the title only.
    """
    if len(text) <= limit:
        return found_html(text, query)
    cut = len(text) - KEPT_AT_THE_END
    shown = min(cut, LONGEST_SHOWN)
    return format_html(
        '<span class="middle" title="{}"><span>{}{}</span><span>{}</span></span>',
        text,
        _marked(text, 0, shown, query),
        "…" if shown < cut else "",
        _marked(text, cut, len(text), query),
    )


def visible(text: str, *, kept: str = "") -> str:
    """`text` with every character that commands rather than shows (control characters,
    turned directions, line separators) escaped as in Python, but for those `kept`.
    """
    if text.isprintable():
        return text
    return "".join(
        char
        if char.isprintable() or char in kept or char in _JOINERS or _is_shown(char)
        else char.encode("unicode_escape").decode()
        for char in text
    )


def spoken(name: str) -> str:
    """A name for a title, a toast or an announcement, which are text alone: cut, and
    with nothing in it that could turn the words around it.
    """
    ink = next((at for at, char in enumerate(name) if has_ink(char)), 0)
    # what stands before it would take its place where the name is cut
    return visible(name[ink if ink > LONGEST_SPOKEN // 2 else 0 :][:LONGEST_SPOKEN])


def _is_shown(char: str) -> bool:
    """A space of any width, or a character that is newer than this Python."""
    return category(char) in ("Zs", "Cn")


def found_html(text: str, query: str) -> SafeString:
    """`text` with every place where one of the words of `query` stands marked."""
    return _marked(text, 0, len(text), query)


def _marked(text: str, start: int, end: int, query: str) -> SafeString:
    """The part of `text` from start to end, its marks cut at both edges."""
    edges = [start, *_edges(text, start, end, query), end]
    parts = [escape(text[a:b]) for a, b in pairwise(edges)]
    marked = (
        f"<mark>{part}</mark>" if number % 2 and part else part
        for number, part in enumerate(parts)
    )
    return mark_safe("".join(marked))  # noqa: S308 - every part is escaped above


def _edges(text: str, start: int, end: int, query: str) -> list[int]:
    words = sorted(query.split(), key=len, reverse=True)
    if not words:
        return []
    pattern = "|".join(re.escape(word) for word in words)
    spans = (match.span() for match in re.finditer(pattern, text, re.IGNORECASE))
    inside = ((max(a, start), min(b, end)) for a, b in spans if b > start and a < end)
    return [edge for span in inside for edge in span]


# Numbers as pages show them: an unknown count is a dash, never nought.


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


DEFAULT_CLOCK_MINUTES = -360


def clock_name(offset_minutes: int) -> str:
    """ "UTC−6" or "UTC+5:30" for an offset in minutes."""
    hours, minutes = divmod(abs(offset_minutes), 60)
    sign = "−" if offset_minutes < 0 else "+"
    return f"UTC{sign}{hours}" + (f":{minutes:02}" if minutes else "")


def exact_text(moment: datetime, clock_minutes: int = DEFAULT_CLOCK_MINUTES) -> str:
    """The moment in the reader's zone, then on Marketing Cloud's own clock."""
    local = django_timezone.localtime(moment)
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
) -> str:
    """A <time> that ticks, with its exact time for pointer and keyboard."""
    if moment is None:
        return UNKNOWN
    return format_html(
        '<time class="when" datetime="{}" title="{}" tabindex="0">{}</time>',
        moment.isoformat(timespec="seconds"),
        exact_text(moment, clock_minutes),
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


# What a run's counts say, in words. Errors are spoken of only where some were


def problem_text(counts: Counts) -> str:
    """Why a completed run is not clean; empty where nothing is wrong."""
    match counts.problem:
        case CountProblem.ERRORS:
            return ", ".join(filter(None, (errors_text(counts), _open(counts))))
        case CountProblem.CONTRADICTORY:
            return f"the counts contradict each other, {_more_than_all(counts)}"
        case CountProblem.ROWS_UNACCOUNTED if counts.errors is None:
            return f"errors not reported, {_open(counts)}"
        case CountProblem.ROWS_UNACCOUNTED:
            are = "is" if counts.unaccounted == 1 else "are"
            rows = rows_text(counts.unaccounted)
            return f"0 errors reported, but {rows} {are} unaccounted for"
        case CountProblem.ERRORS_NOT_REPORTED:
            return f"{_missing(counts)} not reported"
        case CountProblem.LOADED_NOT_REPORTED:
            rows = rows_text(counts.total_rows)
            return f"0 errors reported, but not how many of {rows} were loaded"
    return ""


def rows_text(n: int | None) -> str:
    return f"{count_text(n)} row{'' if n == 1 else 's'}"


def errors_text(counts: Counts) -> str:
    """The errors as far as they were reported; empty where there were none."""
    if counts.errors is None:
        return "errors not reported"
    errors = f"{counts.errors:,} error{'' if counts.errors == 1 else 's'}"
    return errors if counts.errors else ""


def _open(counts: Counts) -> str:
    if not counts.unaccounted:
        return ""
    return f"{rows_text(counts.unaccounted)} unaccounted for"


def _more_than_all(counts: Counts) -> str:
    parts = {"loaded": counts.successful, "duplicates": counts.duplicated}
    word, most = max(parts.items(), key=lambda part: part[1] or 0)
    return f"{count_text(most)} {word} of {rows_text(counts.total_rows)}"


def _missing(counts: Counts) -> str:
    """What of the counts is not known, errors being one of it."""
    if counts.are_absent:
        return "errors and rows"
    return "errors and loaded rows" if counts.successful is None else "errors and rows"
