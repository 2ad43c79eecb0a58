"""The database itself: its clock, violated constraints, commits and connections."""

from __future__ import annotations

import re
from datetime import UTC, datetime

from django.apps import apps
from django.db import IntegrityError, connection, models


def database_now() -> datetime:
    """The database's current time, in UTC: what leases and due times are compared with.

    Clocks of several machines may differ by minutes, but they all ask one database.
    """
    if connection.vendor == "sqlite":
        sql = "SELECT strftime('%Y-%m-%d %H:%M:%f', 'now')"
    else:
        sql = "SELECT clock_timestamp()"
    with connection.cursor() as cursor:
        cursor.execute(sql)
        (value,) = cursor.fetchone()
    if isinstance(value, str):
        return datetime.fromisoformat(value).replace(tzinfo=UTC)
    return value.astimezone(UTC)  # type: ignore[no-any-return]


def violated_constraint(error: IntegrityError) -> str | None:
    """The violated constraint's name, or None where the database does not say.

    PostgreSQL names the constraint; SQLite names a unique constraint's columns,
    so no two unique constraints share their columns on a model.
    """
    diagnosis = getattr(error.__cause__, "diag", None)
    if diagnosis is not None:
        return str(diagnosis.constraint_name) if diagnosis.constraint_name else None
    text = str(error)
    if match := re.search(r"CHECK constraint failed: (\w+)", text):
        return match.group(1)
    if match := re.search(r"UNIQUE constraint failed: (.+)", text):
        columns = frozenset(match.group(1).split(", "))
        for model in apps.get_app_config("imports").get_models():
            for constraint in model._meta.constraints:
                if isinstance(constraint, models.UniqueConstraint) and (
                    columns_of(model, constraint) == columns
                ):
                    return constraint.name
    return None


def columns_of(
    model: type[models.Model], constraint: models.UniqueConstraint
) -> frozenset[str]:
    """The constraint's columns as SQLite names them: `table.column`."""
    meta = model._meta
    return frozenset(
        f"{meta.db_table}.{meta.get_field(name).column}"  # type: ignore[union-attr]
        for name in constraint.fields
    )


# Values of SQLite's `PRAGMA synchronous`.
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


def release_connection() -> None:
    """Give this thread's database connection back before it waits for something slow;
    the next query takes one again. PostgreSQL allows a hundred, accounts may be more.

    PostgreSQL only: SQLite's is this thread's own file. Nothing happens within a
    transaction, which belongs to its connection.
    """
    if connection.vendor == "postgresql" and not connection.in_atomic_block:
        connection.close()
