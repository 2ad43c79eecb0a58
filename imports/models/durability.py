"""How far a commit goes before it counts: the one place that relaxes it."""

from __future__ import annotations

from django.db import connection

NORMAL, FULL = 1, 2


def relax_commits() -> None:
    """From now on commits of this thread's connection need not wait for the disk.

    For work that only asks: what a power cut takes back is asked for again. Nothing
    in the database breaks, and a later commit that does wait, such as the claim of a
    start, brings all earlier ones to the disk with it. SQLite only: its writers wait
    for each other, so each wait for the disk is everybody's.
    """
    if connection.vendor != "sqlite":
        return
    with connection.cursor() as cursor:
        cursor.execute("PRAGMA synchronous")
        if cursor.fetchone()[0] == FULL:
            cursor.execute(f"PRAGMA synchronous={NORMAL}")
