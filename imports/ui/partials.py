"""The parts of a page that a poll can replace: only those that changed are sent,
and of a table whose rows are still the same ones only the rows that changed.

A page is drawn once for all who see the same (`Drawing`): its parts, and around them
the frame, in which slots stand for the parts and for what is each reader's own.

A page's address for polls carries `seen`, a short digest of every part and row that
the page shows: the server keeps no memory of pages. What ticks in the browser by
itself is left out of the digests.
"""

from __future__ import annotations

import re
from base64 import urlsafe_b64encode
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field
from functools import cache
from hashlib import blake2s
from sys import getsizeof
from typing import Any

from django.utils.crypto import salted_hmac
from django.utils.safestring import SafeString, mark_safe

DIGEST_LENGTH = 6
_ELAPSED = re.compile(r'( data-since="[^"]*"[^>]*>)[^<]*')
_ROW = re.compile(r'<tr id="([\w-]+)" data-row.*?</tr>', re.DOTALL)
_FIRST_ID = re.compile(r'\bid="([\w-]+)"')
_MEMORY = re.compile(rf"([\w-]+)\.((?:[\w-]{{{DIGEST_LENGTH}}})+)")
_DIGEST = re.compile(f".{{{DIGEST_LENGTH}}}")

# The digests of a part: of its frame with the ids of its rows, then of the rows.
Digests = tuple[str, ...]


@cache
def slot(name: str) -> str:
    """What stands in a drawing for something that is put in when it is sent; the same
    in every process, and nothing that a name or a file's pattern could hold.
    """
    return salted_hmac("imports.ui.partials", name, algorithm="sha256").hexdigest()


def _digest(html: str) -> str:
    """A digest of `html` without what changes by itself: relative and elapsed times.
    It is taken of every row of every page, so plain texts are looked for before
    patterns.
    """
    *dated, rest = html.split("</time>")
    html = "".join([*(text.rpartition(">")[0] for text in dated), rest])
    if "data-since" in html:
        html = _ELAPSED.sub(r"\1", html)
    digest = blake2s(html.encode(), digest_size=4).digest()
    return urlsafe_b64encode(digest)[:DIGEST_LENGTH].decode()


def _out_of_band(html: str) -> str:
    return _FIRST_ID.sub(r'\g<0> hx-swap-oob="true"', html, count=1)


def digests_of(memory: str) -> dict[str, Digests]:
    """What a page shows, as its poll's address tells it as far as it can be read."""
    parts = filter(None, map(_MEMORY.fullmatch, memory.split("~")))
    return {part[1]: tuple(_DIGEST.findall(part[2])) for part in parts}


@dataclass(frozen=True, slots=True)
class Part:
    """An element with an id, as a template made it."""

    id: str
    html: str
    digests: Digests
    # where its rows begin and end
    rows: tuple[tuple[int, int], ...]

    @classmethod
    def of(cls, html: str) -> Part:
        """Raises `ValueError` where no element with an id is around it."""
        html = html.strip()  # comments and loads leave empty lines
        found = _FIRST_ID.search(html)
        if found is None:
            raise ValueError("A part needs an element with an id around it.")
        rows = tuple(row.span() for row in _ROW.finditer(html))
        # the ids stay in the frame: other rows, or another order, are another frame
        texts = [_ROW.sub(r"\1", html), *(html[slice(*row)] for row in rows)]
        return cls(found[1], html, tuple(map(_digest, texts)), rows)

    def news(self, seen: Digests) -> str:
        """What a page lacks that shows `seen` of it: rows in templates, since a parser
        drops a row that stands beside other elements.
        """
        if seen == self.digests:
            return ""
        if seen[:1] != self.digests[:1] or len(seen) != len(self.digests):
            return _out_of_band(self.html)
        pairs = zip(self.rows, self.digests[1:], seen[1:], strict=True)
        rows = (self.html[slice(*row)] for row, new, old in pairs if new != old)
        return f"<template>{''.join(map(_out_of_band, rows))}</template>"


@dataclass(kw_only=True, slots=True)
class Drawing:
    """A page, or a piece of one, as all see it who see the same."""

    # by the names of their templates, in the order of the page
    parts: dict[str, Part] = field(default_factory=dict)
    # the page around its parts, cut at their slots: text, name, text, name, …, text
    frame: tuple[str, ...] = ()
    # what `_live.html` and the base need, see `imports.views.live`
    facts: Mapping[str, Any] = field(default_factory=dict)

    def place(self, name: str, draw: Callable[[], str]) -> SafeString:
        """The part for a frame: its slot while the page is being drawn."""
        if name not in self.parts:
            self.parts[name] = Part.of(draw())
        return part_slot(name)

    def set_frame(self, html: str) -> None:
        self.frame = tuple(re.split(rf"{slot('part')}:([\w./-]+):", html))

    @property
    def size(self) -> int:
        """How many bytes its texts take in memory: one letter beyond Latin-1, such as
        an apostrophe, makes two bytes of each.
        """
        texts = (*(part.html for part in self.parts.values()), *self.frame)
        return sum(map(getsizeof, texts))


def part_slot(name: str) -> SafeString:
    return mark_safe(f"{slot('part')}:{name}:")  # noqa: S308  letters and digits


def in_frame(drawing: Drawing, parts: Mapping[str, Part]) -> str:
    """The page around its parts with these in their slots."""
    texts = list(drawing.frame)
    texts[1::2] = (parts[name].html for name in texts[1::2])
    return "".join(texts)


def memory_of(parts: Iterable[Part]) -> str:
    """What a page shows, for the address of its next poll."""
    return "~".join(f"{part.id}.{''.join(part.digests)}" for part in parts)
