"""Each page is drawn once for all who see the same, and kept while it is the newest.

A drawing is a function of its subject (everything that makes a difference, who may see
what included) and of the version of the data, which is read before it is drawn. So a
drawing of the same or a later version is right for whoever asks.
"""

from __future__ import annotations

import time
from collections import OrderedDict
from collections.abc import Callable, Hashable
from concurrent.futures import Future
from dataclasses import dataclass, field
from threading import Lock

from imports.models.database import release_connection
from imports.ui.partials import Drawing

# Versions do not tell of everything that passes with time ("new" for seven days) or is
# changed beside runs and definitions (the name of a person).
OLDEST_SECONDS = 20.0
# Of all drawings together; a page takes 100 to 300 kB.
MOST_BYTES = 32 * 1024 * 1024

Version = tuple[int, ...]


@dataclass(frozen=True, slots=True)
class _Kept:
    """A drawing that is there, or is being made."""

    version: Version
    began: float
    future: Future[Drawing] = field(default_factory=Future)

    def is_good_for(self, version: Version) -> bool:
        is_young = time.monotonic() - self.began < OLDEST_SECONDS
        return is_young and self.version >= version


class Drawings:
    """Drawings by subject, those longest not asked for dropped first. Threads share
    one; each process has its own.
    """

    def __init__(self, most_bytes: int = MOST_BYTES) -> None:
        self._most_bytes = most_bytes
        self._lock = Lock()
        self._kept: OrderedDict[Hashable, _Kept] = OrderedDict()
        self.bytes = 0

    def get(
        self, subject: Hashable, version: Version, draw: Callable[[], Drawing]
    ) -> Drawing:
        """The drawing of `subject` at `version` or later. Whoever asks while it is
        being made waits for it, and gets its exception where it fails.
        """
        with self._lock:
            kept = self._kept.get(subject)
            if is_mine := kept is None or not kept.is_good_for(version):
                self._drop(subject)
                kept = self._kept[subject] = _Kept(version, time.monotonic())
            self._kept.move_to_end(subject)
        if not is_mine:
            release_connection()  # there are fewer than threads
            return kept.future.result()
        try:
            drawing = draw()
        except BaseException as error:
            with self._lock:
                if self._kept.get(subject) is kept:
                    del self._kept[subject]
            kept.future.set_exception(error)
            raise
        with self._lock:
            kept.future.set_result(drawing)
            if self._kept.get(subject) is kept:
                self.bytes += drawing.size
            while self.bytes > self._most_bytes:
                self._drop(next(iter(self._kept)))
        return drawing

    def _drop(self, subject: Hashable) -> None:
        kept = self._kept.pop(subject, None)
        # what is still being made was not counted yet
        if kept and kept.future.done():
            self.bytes -= kept.future.result().size

    def clear(self) -> None:
        with self._lock:
            self._kept.clear()
            self.bytes = 0


DRAWINGS = Drawings()
