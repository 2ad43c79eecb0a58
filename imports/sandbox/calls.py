"""What the sandbox heard: every call, how many at once, from how many accounts."""

from __future__ import annotations

from collections import Counter, deque
from dataclasses import asdict, dataclass, field
from datetime import datetime
from threading import Lock
from typing import Any

KEPT = 5000


@dataclass(kw_only=True, slots=True)
class Call:
    """One request; what is not known (yet) is None.

    `operation` is `token` or the SOAP action. `answer` says what was answered in a
    word or two, or what was done to the connection.
    """

    operation: str
    connection: int
    at: datetime
    account: str | None = None
    mid: int | None = None
    object_type: str | None = None
    customer_keys: list[str] = field(default_factory=list)
    filter_operator: str | None = None
    request_id: str | None = None
    status: int | None = None
    answer: str | None = None


class Calls:
    """Counts since the last reset; safe for many threads."""

    def __init__(self) -> None:
        self._lock = Lock()
        self._under_way: list[Call] = []
        self.reset()

    def reset(self) -> None:
        """Forget all counts; calls under way stay under way."""
        with self._lock:
            self._kept: deque[Call] = deque(maxlen=KEPT)
            self._counts: Counter[str] = Counter()
            self._most: Counter[str] = Counter()

    def begin(self, call: Call) -> None:
        """A request has come in."""
        with self._lock:
            self._under_way.append(call)
            self._kept.append(call)
            self._counts[call.operation] += 1
            self._measure("all", len(self._under_way))

    def identified(self, call: Call) -> None:
        """The call's account is known now."""
        with self._lock:
            same = [one for one in self._under_way if one.account == call.account]
            if call.account:
                self._measure(call.account, len(same))

    def end(self, call: Call) -> None:
        """The call was answered, or its connection is gone."""
        with self._lock:
            self._under_way = [one for one in self._under_way if one is not call]

    def count(self, operation: str, account: str | None = None) -> int:
        """How many calls of that operation, of one account if given."""
        with self._lock:
            if account is None:
                return self._counts[operation]
            return sum(
                one.operation == operation and one.account == account
                for one in self._kept
            )

    def state(self) -> dict[str, Any]:
        """Counts by operation, the most at once, and the calls themselves."""
        with self._lock:
            return {
                "counts": dict(self._counts),
                "under_way": len(self._under_way),
                "most_at_once": dict(self._most),
                "calls": [_as_json(call) for call in self._kept],
            }

    def _measure(self, name: str, now: int) -> None:
        self._most[name] = max(self._most[name], now)


def _as_json(call: Call) -> dict[str, Any]:
    return {**asdict(call), "at": call.at.isoformat()}
