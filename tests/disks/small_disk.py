"""A file system of a few megabytes that a test may fill, empty and make read-only."""

from __future__ import annotations

import errno
import os
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import pytest

BALLAST = "ballast"


@dataclass(frozen=True, kw_only=True)
class SmallDisk:
    """A mounted file system; `fill` leaves no byte free on it."""

    path: Path

    def fill(self) -> None:
        """As a log or a dump would that nobody watched."""
        with (self.path / BALLAST).open("ab", buffering=0) as ballast:
            for size in (65536, 4096, 512, 1):
                _write_until_full(ballast.fileno(), b"\0" * size)

    def free(self) -> None:
        """Somebody made room."""
        (self.path / BALLAST).unlink()

    def fail(self) -> None:
        """What ext4 does by itself when the device fails: no write is taken any more,
        whoever has a file open.
        """
        run("mount", "-o", "remount,abort", str(self.path))


def _write_until_full(file: int, block: bytes) -> None:
    try:
        while os.write(file, block):
            pass
    except OSError as error:
        if error.errno != errno.ENOSPC:
            raise


@contextmanager
def mounted(kind: str, at: Path, *, megabytes: int) -> Iterator[SmallDisk]:
    """A new tmpfs or ext4 at `at`; skips where this user may not mount."""
    at.mkdir(parents=True, exist_ok=True)
    if kind == "tmpfs":
        source, options = ["-t", "tmpfs", "tmpfs"], f"size={megabytes}m,mode=0755"
    else:
        image = at.with_suffix(".img")
        with image.open("wb") as file:
            file.truncate(megabytes * 1024 * 1024)
        # no blocks that only root may use: tests run as root
        run("mkfs.ext4", "-q", "-m", "0", str(image))
        source, options = [str(image)], "loop"
    try:
        run("mount", "-o", options, *source, str(at))
    except (OSError, subprocess.CalledProcessError) as error:
        pytest.skip(f"no file system can be mounted here: {error}")
    try:
        yield SmallDisk(path=at)
    finally:
        # lazily: what a process still holds goes with it
        run("umount", "--lazy", str(at))


def run(*command: str) -> None:
    subprocess.run(command, check=True, capture_output=True, timeout=30)
