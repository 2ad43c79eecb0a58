"""The journal: one JSON line for each task that came to be while we served.

It is written before the answer leaves, and read back at the next start, so that a
restarted sandbox still knows its tasks and a test can ask what was performed.
"""

from __future__ import annotations

import json
import os
from pathlib import Path
from threading import Lock
from typing import Any

LINE_START = b'{"task_id"'


class JournalError(Exception):
    """The journal's file cannot be read or written."""


class Journal:
    """Lines of JSON, kept in memory and, given a path, in a file."""

    def __init__(self, path: Path | None = None) -> None:
        """Read what the file holds; raise JournalError where it is no journal."""
        self._path = path
        self._lock = Lock()
        self._entries: list[dict[str, Any]] = self._read() if path else []

    @property
    def entries(self) -> list[dict[str, Any]]:
        """A copy of all lines, oldest first."""
        with self._lock:
            return list(self._entries)

    def append(self, entry: dict[str, Any]) -> None:
        """Write the line through to the disk, then remember it."""
        with self._lock:
            if self._path:
                self._write(self._path, json.dumps(entry, ensure_ascii=False))
            self._entries.append(entry)

    @staticmethod
    def _write(path: Path, line: str) -> None:
        with path.open("a", encoding="utf-8") as file:
            file.write(line + "\n")
            file.flush()
            os.fsync(file.fileno())

    def _read(self) -> list[dict[str, Any]]:
        path = self._path
        if path is None or not path.exists():
            return []
        whole, _, torn = path.read_bytes().rpartition(b"\n")
        if torn:
            self._drop_torn_line(path, whole, torn)
        try:
            return [json.loads(line) for line in whole.splitlines() if line.strip()]
        except ValueError as exc:
            raise JournalError(f"{path} is not a journal: {exc}") from exc

    @staticmethod
    def _drop_torn_line(path: Path, whole: bytes, torn: bytes) -> None:
        """Cut off the line on which a sandbox was killed: it was never answered."""
        if not torn.startswith(LINE_START):
            raise JournalError(f"{path} is not a journal: it ends in a strange line.")
        os.truncate(path, len(whole) + 1 if whole else 0)
