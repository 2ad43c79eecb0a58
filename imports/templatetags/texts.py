"""Long names on one line: cut in the middle, found letters marked."""

from __future__ import annotations

import re
from itertools import pairwise
from unicodedata import category

from django.utils.html import escape, format_html
from django.utils.safestring import SafeString, mark_safe

from imports.models.names import has_ink

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
