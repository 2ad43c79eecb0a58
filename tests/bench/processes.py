"""What /proc tells of a process: memory, processor time, children."""

from __future__ import annotations

import os
from collections.abc import Iterable
from pathlib import Path

PROC = Path("/proc")


def resident_mb(pid: int, *, peak: bool = False) -> float:
    """Resident memory in MB (2**20 bytes), now or at its highest so far."""
    name = "VmHWM:" if peak else "VmRSS:"
    lines = (PROC / str(pid) / "status").read_text().splitlines()
    (kilobytes,) = (line.split()[1] for line in lines if line.startswith(name))
    return int(kilobytes) / 1024


def private_mb(pid: int) -> float:
    """Resident memory in MB (2**20 bytes) without the pages of files, the database's
    among them, which processes share with each other and with the system.
    """
    lines = (PROC / str(pid) / "status").read_text().splitlines()
    (kilobytes,) = (line.split()[1] for line in lines if line.startswith("RssAnon:"))
    return int(kilobytes) / 1024


def processor_seconds(pid: int) -> float:
    """User and system time that it has used so far."""
    text = (PROC / str(pid) / "stat").read_text()
    # after the name, which may hold anything, in brackets
    fields = text.rpartition(")")[2].split()
    return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")


def thread_seconds(pid: int) -> float:
    """As `processor_seconds`, to the nanosecond, of the threads that it has now."""
    tasks = (PROC / str(pid) / "task").iterdir()
    spent = (_read(task / "schedstat").split() for task in tasks)
    return sum(int(fields[0]) for fields in spent if fields) / 1e9


def spent_by(pids: Iterable[int]) -> float:
    """Processor seconds of all of them so far."""
    return sum(processor_seconds(pid) for pid in pids)


def children(pid: int) -> list[int]:
    """Its children's ids."""
    tasks = (PROC / str(pid) / "task").iterdir()
    return [int(one) for task in tasks for one in _read(task / "children").split()]


def family(pid: int) -> list[int]:
    """Its own id and all below it."""
    return [pid, *(one for child in children(pid) for one in family(child))]


def _read(path: Path) -> str:
    try:
        return path.read_text()
    except (FileNotFoundError, ProcessLookupError):  # the thread ended in between
        return ""
