"""A run's way to its end, a line for each thing that changed."""

from __future__ import annotations

from typing import Any

from django.utils import timezone

from imports.models import ImportRun, RunStatus, Unfollowed
from imports.wording.following import clock_in_utc, fact, meaning
from imports.wording.formats import problem_text

from ._base import printable


class Progress:
    """Prints to `out`, or nothing where `out` is None."""

    def __init__(self, out: Any) -> None:
        self.out = out
        self._last = ""

    def show(self, run: ImportRun) -> None:
        self._say(_state(run))

    def trouble(self, message: str) -> None:
        self._say(f"Not answering: {printable(message)}")

    def nobody_looks(self, run: ImportRun, unfollowed: Unfollowed) -> None:
        self._say(f"{fact(run, unfollowed, clock_in_utc)} {meaning(run)}")

    def end(self, run: ImportRun) -> None:
        """The last word: the counts, and where nothing is known, that."""
        if run.message:
            self._say(printable(run.message))
        if run.are_counts_open:
            self._say(f"Not clean: {problem_text(run.counts)}.")
        if run.status == RunStatus.UNKNOWN:
            self._say("It is never sent again by itself. Look at the run later.")
        elif not run.has_ended:
            self._say(f"Run {run.pk} is still under way; no longer waiting.")

    def _say(self, text: str) -> None:
        if self.out is None or text == self._last:
            return
        self._last = text
        self.out.write(f"{timezone.now():%H:%M:%S}  {text}")
        self.out.flush()


def _state(run: ImportRun) -> str:
    words = [f"Run {run.pk}", str(run.get_status_display())]
    if run.phase:
        words.append(printable(run.phase))
    if run.task_id:
        words.append(f"task {printable(run.task_id)}")
    counts = {
        "rows": run.total_rows,
        "loaded": run.successful,
        "duplicates": run.duplicated,
        "errors": run.errors,
        "unaccounted for": run.unaccounted_rows or None,
    }
    words += [f"{n:,} {name}" for name, n in counts.items() if n is not None]
    return "  ".join(words)
