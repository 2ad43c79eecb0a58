"""Taking our own secrets out of what the other side says.

A fault may echo the request, and so the password in it: as it was, or as XML, JSON
and addresses write it, or cut short with the words around it.
"""

from __future__ import annotations

import base64
import html
import json
import re
from collections.abc import Iterable, Iterator
from urllib.parse import quote, quote_plus

MASK = "•••"
# Shorter ones would be found in ordinary words.
_SHORTEST = 4
# So much of a secret gives it away, whatever follows.
_TELLING = 12


def scrubbed(words: str, secrets: Iterable[str]) -> str:
    """`words` without any of `secrets`, whole or cut short."""
    for secret in secrets:
        if len(secret) >= _SHORTEST:
            words = _without(words, set(_writings(secret)))
    return words


def _writings(secret: str) -> Iterator[str]:
    """The secret as it is, and as the formats write it that we send or are sent."""
    for form in (secret, " ".join(secret.split())):
        as_xml = html.escape(form, quote=False)
        as_json = json.dumps(form)[1:-1]
        yield from (form, as_xml, html.escape(form), html.escape(html.escape(form)))
        yield from (as_json, json.dumps(form, ensure_ascii=False)[1:-1])
        yield from (html.escape(as_json, quote=False), html.escape(as_json))
        yield from (quote(form), quote(form, safe=""), quote_plus(form))
        yield repr(form)[1:-1]
        yield base64.b64encode(form.encode()).decode()


def _without(words: str, writings: set[str]) -> str:
    """Masks any of `writings` wherever one begins, as far as the longest goes on."""
    starts = {re.escape(written[:_TELLING]) for written in writings}
    begin = re.compile("|".join(sorted(starts, key=len, reverse=True)))
    told, at = "", 0
    while found := begin.search(words, at):
        longest = max(_in_common(words, found.start(), one) for one in writings)
        told += words[at : found.start()] + MASK
        at = found.start() + longest
    return told + words[at:]


def _in_common(words: str, at: int, written: str) -> int:
    """How much of `written` stands in `words` at that place."""
    length = min(len(words) - at, len(written))
    same = (n for n in range(length) if words[at + n] != written[n])
    return next(same, length)
