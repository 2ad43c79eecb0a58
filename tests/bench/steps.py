"""Row counts that tell when they changed, so that whoever sees one knows how old it is.

The sandbox gives a task of account 2 the count 702,000,017 from the moment of its 17th
change on; a page that shows it has heard of that change.
"""

from __future__ import annotations

import math
import re
from collections.abc import Iterator
from dataclasses import dataclass

LEAST, OF_ACCOUNT = 700_000_000, 1_000_000
SHOWN = re.compile(rb">7(\d\d),(\d\d\d),(\d\d\d)<")


@dataclass(frozen=True, kw_only=True)
class Steps:
    """Each of `accounts` changes every `seconds`, one after the other, from `began`
    (seconds since 1970) on.
    """

    began: float
    accounts: int
    seconds: float

    def rows(self, account: int, now: float) -> int:
        """The count that tasks of this account, from 0 on, have now."""
        step = (now - self._first(account)) / self.seconds
        return LEAST + account * OF_ACCOUNT + max(0, math.floor(step))

    def changed_at(self, account: int, step: int) -> float:
        """When this account came to this step."""
        return self._first(account) + step * self.seconds

    def changes(self, began: float, ended: float) -> list[float]:
        """When something changed between two moments, account by account."""
        return [
            at
            for account in range(self.accounts)
            for step in range(1, math.ceil((ended - self.began) / self.seconds) + 1)
            if began <= (at := self.changed_at(account, step)) < ended
        ]

    def _first(self, account: int) -> float:
        return self.began + account * self.seconds / self.accounts


def steps_in(body: bytes) -> Iterator[tuple[int, int]]:
    """Account and step of each count in a page."""
    for found in SHOWN.finditer(body):
        yield int(found[1]), int(found[2] + found[3])
