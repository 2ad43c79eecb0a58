"""A database that can be read but not written, as a test's own connection meets it."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

from django.db import connection


@contextmanager
def unwritable() -> Iterator[None]:
    """Within, each write of this thread's connection is refused by the database; until
    the connection is given up, as it is after a refusal outside a transaction.
    """
    _allow_writes(is_allowed=False)
    try:
        yield
    finally:
        _allow_writes(is_allowed=True)


def _allow_writes(*, is_allowed: bool) -> None:
    if connection.vendor == "sqlite":
        sql = f"PRAGMA query_only={int(not is_allowed)}"
    elif not connection.in_atomic_block:
        sql = f"SET default_transaction_read_only = {'off' if is_allowed else 'on'}"
    elif is_allowed:
        return  # it ends with the test's transaction
    else:
        sql = "SET LOCAL transaction_read_only = on"
    with connection.cursor() as cursor:
        cursor.execute(sql)
