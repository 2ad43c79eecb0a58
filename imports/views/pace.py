"""How soon a page may ask again: polls form no line, and stand in nobody's way.

Each process measures for itself how much polls keep it busy. Where they are quick, a
page asks at its own pace; where answers are slow or many watch, later; and more polls
at once than the process has threads to spare are sent away.
"""

from __future__ import annotations

import logging
import math
import random
import time
from collections.abc import Iterator
from contextlib import contextmanager
from threading import Lock

log = logging.getLogger(__name__)

# Polls that a process answers at once, on average, where nothing needs to be held back:
# then nearly all threads are free, and one processor has time to spare.
CALM = 0.5
# Seconds over which that is measured: longer than a bad moment, and than most pauses.
MEASURED_SECONDS = 20.0
LONGEST_PAUSE_SECONDS = 60.0
MOST_STRETCH = 20.0
# A pause is cut by up to a fifth, so that pages that came together part.
LEAST_OF_PAUSE = 0.8
# Threads of a process that polls leave to people. There are many, since all who ask
# while a page is drawn wait for it; gunicorn's number is told by `mcdash.gunicorn`.
KEPT_FREE = 4
USUAL_THREADS = 32
RETRY_SECONDS = (5, 15)
WARNED_EVERY_SECONDS = 60


class Pace:
    """How busy polls keep this process, and what follows for their pauses."""

    def __init__(self, threads: int = USUAL_THREADS) -> None:
        self._lock = Lock()
        self._in_flight = 0
        self._demand = 0.0
        self._silent_until = -math.inf
        self._measured_at = time.monotonic()
        self.set_threads(threads)

    def set_threads(self, threads: int) -> None:
        self.most = max(1, threads - KEPT_FREE)

    @contextmanager
    def poll(self) -> Iterator[bool]:
        """Around the answer to a poll: whether it may be made, since there is room."""
        began = time.monotonic()
        with self._lock:
            is_admitted = self._in_flight < self.most
            self._in_flight += is_admitted
        if not is_admitted and began >= self._silent_until:
            self._silent_until = began + WARNED_EVERY_SECONDS
            log.warning(
                "More than %d open pages ask this process at once, so some are sent "
                "away for a few seconds. If this goes on, it needs more processors",
                self.most,
            )
        try:
            yield is_admitted
        finally:
            if is_admitted:
                self._note(time.monotonic() - began)

    def _note(self, seconds: float) -> None:
        """A poll took so long. Pages that are held back would have asked more often:
        what they cost then is the demand, which does not fall because they wait.
        """
        with self._lock:
            self._in_flight -= 1
            stretch, now = self.stretch, time.monotonic()
            faded = math.exp((self._measured_at - now) / MEASURED_SECONDS)
            self._demand = self._demand * faded + seconds * stretch / MEASURED_SECONDS
            self._measured_at = now

    @property
    def stretch(self) -> float:
        """How many times longer than usual pages wait before they ask again."""
        return min(max(1.0, self._demand / CALM), MOST_STRETCH)

    def pause(self, seconds: float) -> float:
        """How long (s) a page waits that usually asks every `seconds`."""
        stretched = min(seconds * self.stretch, LONGEST_PAUSE_SECONDS)
        return round(stretched * random.uniform(LEAST_OF_PAUSE, 1), 2)  # noqa: S311 - no secret


PACE = Pace()
