"""Removes an account's secrets from Marketing Cloud's words before anybody reads them.

A fault may echo the request, and so the password in it: as it was, escaped as in
XML, JSON or an address, or cut short together with the words around it.
"""

from __future__ import annotations

import base64
import html
import json
import re
from collections.abc import Iterable, Iterator
from os.path import commonprefix
from urllib.parse import quote, quote_plus

MASK = "•••"
# Shorter ones would be found in ordinary words.
_SHORTEST = 4
# So much of a secret gives it away, whatever follows.
_TELLING = 12


def redacted(words: str, secrets: Iterable[str]) -> str:
    """`words` without any of `secrets`, whole or cut short."""
    for secret in secrets:
        if len(secret) < _SHORTEST:
            continue
        spellings = set(_spellings(secret))
        starts = {re.escape(spelling[:_TELLING]) for spelling in spellings}
        begin = re.compile("|".join(sorted(starts, key=len, reverse=True)))
        safe, position = "", 0
        while match := begin.search(words, position):
            # one that was cut short is masked as far as the longest spelling goes on
            rest = words[match.start() :]
            longest = max(
                len(commonprefix([rest, spelling]))  # noqa: RUF071 - texts, not paths
                for spelling in spellings
            )
            safe += words[position : match.start()] + MASK
            position = match.start() + longest
        words = safe + words[position:]
    return words


def _spellings(secret: str) -> Iterator[str]:
    """The secret as it is, and escaped as in the formats that we send or are sent."""
    for form in (secret, " ".join(secret.split())):
        as_xml = html.escape(form, quote=False)
        as_json = json.dumps(form)[1:-1]
        yield from (form, as_xml, html.escape(form), html.escape(html.escape(form)))
        yield from (as_json, json.dumps(form, ensure_ascii=False)[1:-1])
        yield from (html.escape(as_json, quote=False), html.escape(as_json))
        yield from (quote(form), quote(form, safe=""), quote_plus(form))
        yield repr(form)[1:-1]
        yield base64.b64encode(form.encode()).decode()
