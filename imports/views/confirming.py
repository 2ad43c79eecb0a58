"""What has to be typed before an Overwrite that replaces a great many rows.

One asks for its definition's name. Several at once ask for the name of the only large
one, or, where there are more, for "replace" and their number: they stand by name right
above the field, and whoever meant to replace one table stumbles over the number. To
type every name would only teach people to copy them.
"""

from __future__ import annotations

import unicodedata
from collections.abc import Sequence
from dataclasses import dataclass

from django.conf import settings

from imports.models import ImportDefinition, ImportRun

LONGEST_KEPT = 1000


@dataclass(frozen=True, kw_only=True, slots=True)
class Wanted:
    """The words to type, why they are asked for, and what was typed so far."""

    words: str
    reason: str
    is_name: bool = True
    typed: str = ""

    def is_typed_in(self, text: str) -> bool:
        """Whether `text` is the words, however they are spaced. A name keeps its
        capital letters.
        """
        wanted, given = _plain(self.words), _plain(text)
        if self.is_name:
            return given == wanted
        return given.casefold() == wanted.casefold()


def _plain(text: str) -> str:
    return " ".join(unicodedata.normalize("NFC", text).split())


def is_large(definition: ImportDefinition, last: ImportRun | None) -> bool:
    """Whether the definition's last good run replaced more rows than may be replaced
    by a mere press.
    """
    rows = (last and last.total_rows) or 0
    return definition.replaces_rows and rows > settings.MCDASH_TYPE_NAME_ROWS


def wanted_for(large: Sequence[ImportDefinition], typed: str = "") -> Wanted | None:
    """What to type before these large Overwrites; None where there are none."""
    if not large:
        return None
    more = f"more than {settings.MCDASH_TYPE_NAME_ROWS:,} rows"
    typed = typed[:LONGEST_KEPT]
    if len(large) == 1:
        return Wanted(
            words=large[0].shown_name,
            reason=f"Asked because it replaced {more} at its last good run.",
            typed=typed,
        )
    return Wanted(
        words=f"replace {len(large)}",
        reason=f"Asked because each of these {len(large)} replaced {more} at its last "
        "good run.",
        is_name=False,
        typed=typed,
    )
