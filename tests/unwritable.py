"""A database that can be read but not written, as a test's own connection meets it."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

from django.db import connection, transaction


@contextmanager
def unwritable() -> Iterator[None]:
    """Within, each write of this thread's connection is refused by the database; until
    the connection is given up, as it is after a refusal outside a transaction.
    """
    savepoint = None
    if connection.vendor == "sqlite":
        refuse, take = "PRAGMA query_only=1", "PRAGMA query_only=0"
    elif connection.in_atomic_block:
        refuse, take = "SET LOCAL transaction_read_only = on", ""
        savepoint = transaction.savepoint()  # with which it ends
    else:
        refuse = "SET default_transaction_read_only = on"
        take = "SET default_transaction_read_only = off"
    _execute(refuse)
    try:
        yield
    finally:
        if savepoint:
            transaction.savepoint_rollback(savepoint)
        else:
            _execute(take)


def _execute(sql: str) -> None:
    with connection.cursor() as cursor:
        cursor.execute(sql)
