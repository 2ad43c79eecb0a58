"""Waiting without a connection: PostgreSQL gives a hundred, accounts may be more."""

from __future__ import annotations

from django.db import connection


def lend_connection() -> None:
    """Before this thread waits: let others use its connection until it asks again.

    PostgreSQL only: SQLite's is this thread's own file. Nothing happens within a
    transaction, which belongs to its connection.
    """
    if connection.vendor == "postgresql" and not connection.in_atomic_block:
        connection.close()
