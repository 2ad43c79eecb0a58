"""The parts of a page that a poll can replace: only those that changed are sent,
and of a table whose rows are still the same ones only the rows that changed.

A page's address for polls carries `seen`, a short digest of every part and row that
the page shows: the server keeps no memory of pages. What ticks in the browser by
itself, and what differs at each rendering, is left out of the digests.
"""

from __future__ import annotations

import re
from base64 import urlsafe_b64encode
from dataclasses import dataclass, field
from hashlib import blake2s

from django.utils.safestring import SafeString, mark_safe

DIGEST_LENGTH = 6
_ELAPSED = re.compile(r'( data-since="[^"]*"[^>]*>)[^<]*')
# Django masks it anew each time.
_TOKEN = re.compile(r'(name="csrfmiddlewaretoken" value=)"[^"]*"')
_ROW = re.compile(r'<tr id="([\w-]+)" data-row.*?</tr>', re.DOTALL)
_FIRST_ID = re.compile(r'\bid="([\w-]+)"')
_MEMORY = re.compile(rf"([\w-]+)\.((?:[\w-]{{{DIGEST_LENGTH}}})+)")


def _digest(html: str) -> str:
    """A digest of `html` without what changes by itself: relative and elapsed times,
    and the CSRF token. It is taken of every row of every page, so plain texts are
    looked for before patterns.
    """
    *dated, rest = html.split("</time>")
    html = "".join([*(text.rpartition(">")[0] for text in dated), rest])
    if "data-since" in html:
        html = _ELAPSED.sub(r"\1", html)
    if "csrfmiddlewaretoken" in html:
        html = _TOKEN.sub(r"\1", html)
    digest = blake2s(html.encode(), digest_size=4).digest()
    return urlsafe_b64encode(digest)[:DIGEST_LENGTH].decode()


def _out_of_band(html: str) -> str:
    return _FIRST_ID.sub(r'\g<0> hx-swap-oob="true"', html, count=1)


@dataclass(kw_only=True, slots=True)
class Parts:
    """The parts of one answer: what the page showed before, what it shows now; of each
    part the digest of its frame with the ids of its rows, then those of the rows.
    """

    seen: dict[str, list[str]] = field(default_factory=dict)
    shown: dict[str, list[str]] = field(default_factory=dict)

    @classmethod
    def seen_by(cls, memory: str) -> Parts:
        """As a poll's address tells it; what cannot be read was not seen."""
        parts = filter(None, map(_MEMORY.fullmatch, memory.split("~")))
        cut = re.compile(f".{{{DIGEST_LENGTH}}}")
        return cls(seen={part[1]: cut.findall(part[2]) for part in parts})

    def show(self, html: str, *, is_poll: bool) -> SafeString:
        """The part for the page; for a poll what the page lacks of it: rows in
        templates, since a parser drops a row that stands beside other elements.
        """
        html = html.strip()  # comments and loads leave empty lines
        found = _FIRST_ID.search(html)
        if found is None:
            raise ValueError("A part needs an element with an id around it.")
        rows = [row[0] for row in _ROW.finditer(html)]
        # the ids stay in the frame: other rows, or another order, are another frame
        frame = _ROW.sub(r"\1", html)
        digests = self.shown[found[1]] = [_digest(text) for text in (frame, *rows)]
        seen = self.seen.get(found[1], [])
        if is_poll and digests[:1] == seen[:1] and len(digests) == len(seen):
            pairs = zip(rows, digests[1:], seen[1:], strict=True)
            changed = [_out_of_band(row) for row, new, old in pairs if new != old]
            html = f"<template>{''.join(changed)}</template>" if changed else ""
        elif is_poll:
            html = _out_of_band(html)
        return mark_safe(html)  # noqa: S308  rendered and escaped by a template

    @property
    def memory(self) -> str:
        """What the page shows after this answer, for its next poll."""
        return "~".join(
            f"{name}.{''.join(digests)}"
            # a part that this answer did not look at is still on the page
            for name, digests in (self.seen | self.shown).items()
        )
