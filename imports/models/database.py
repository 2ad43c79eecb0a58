"""The database itself: clock, queries built once, constraints, commits, connections,
LISTEN/NOTIFY.
"""

from __future__ import annotations

import logging
import re
import select
import time
from collections.abc import Callable, Iterator
from contextlib import closing
from datetime import UTC, datetime
from typing import Any

from django.apps import apps
from django.db import Error, IntegrityError, connection, models

log = logging.getLogger(__name__)


def database_now() -> datetime:
    """The database's time, in UTC: clocks of several machines may differ by minutes."""
    is_sqlite = connection.vendor == "sqlite"
    now = "strftime('%Y-%m-%d %H:%M:%f+00:00', 'now')"
    with connection.cursor() as cursor:
        cursor.execute(f"SELECT {now if is_sqlite else 'clock_timestamp()'}")
        (value,) = cursor.fetchone()
    moment: datetime = datetime.fromisoformat(value) if is_sqlite else value
    return moment.astimezone(UTC)


class Given(models.Expression):
    """Stands in a `BuiltQuery` for a value that comes with each use."""

    def __init__(self, name: str, output_field: models.Field[Any, Any]) -> None:
        super().__init__(output_field=output_field)
        self.name = name

    def as_sql(self, *_: Any, **__: Any) -> tuple[str, Any]:
        return "%s", (self,)


class BuiltQuery:
    """A query of rows of values that is built once and asked many times. Building takes
    Django five times as long as asking, so it pays for what every poll asks.
    """

    def __init__(self, queryset: models.QuerySet[Any, Any]) -> None:
        compiler = queryset.query.get_compiler(queryset.db)
        self.sql, self.params = compiler.as_sql()
        columns = [column for column, *_ in compiler.select]
        # by column, how what the database gives becomes a value, as Django does it
        self.converters = compiler.get_converters(columns)

    def rows(self, **given: Any) -> list[tuple[Any, ...]]:
        params = [
            param.output_field.get_db_prep_value(given[param.name], connection)
            if isinstance(param, Given)
            else param
            for param in self.params
        ]
        with connection.cursor() as cursor:
            cursor.execute(self.sql, params)
            rows = [list(row) for row in cursor.fetchall()]
        for column, (converters, expression) in self.converters.items():
            for convert in converters:
                for row in rows:
                    row[column] = convert(row[column], expression, connection)
        return [tuple(row) for row in rows]


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
        f"{meta.db_table}.{meta.get_field(name).column}"  # type: ignore[union-attr]  # a column
        for name in constraint.fields
    )


# Values of SQLite's `PRAGMA synchronous`.
NORMAL, FULL = 1, 2


def relax_commits() -> None:
    """From now on commits of this thread's connection need not wait for the disk.

    For work that only asks: what a power cut takes back is asked for again. A later
    commit that does wait, such as the claim of a start, brings all earlier ones to the
    disk with it. SQLite only: its writers wait for each other.
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


# Telling workers at once that a start was committed: LISTEN and NOTIFY of PostgreSQL.
# It only saves time. Workers look for queued starts as well: SQLite has nothing like
# it, and through PgBouncer in transaction mode nothing is ever heard.
CHANNEL = "mcdash_starts"
# How often the listening connection is tried: one may break without a sign.
TRIED_EVERY_SECONDS = 30
RECONNECT_AFTER_SECONDS = 5
# For a server that lost its power, or a firewall that forgot the connection.
LIMITS = {
    "connect_timeout": 10,
    "keepalives_idle": 30,
    "keepalives_interval": 10,
    "keepalives_count": 3,
}


def wake_workers() -> None:
    """Tell workers of a start, once the transaction that queues it is committed."""
    if connection.vendor == "postgresql":
        with connection.cursor() as cursor:
            cursor.execute("SELECT pg_notify(%s, '')", [CHANNEL])


def listen(wake: Callable[[], object], is_stopping: Callable[[], bool]) -> None:
    """Call `wake` for each start that is committed; for a thread of its own."""
    is_deaf = False
    while not is_stopping():
        try:
            for _ in _heard():
                if is_deaf:
                    log.warning("Starts are announced again")
                is_deaf = False
                # also after connecting, for what was committed meanwhile
                wake()
                if is_stopping():
                    return
        except Error as error:
            if not is_deaf:  # not with each try
                log.warning("Starts are found by looking alone: %s", error)
            is_deaf = True
            time.sleep(RECONNECT_AFTER_SECONDS)


def _heard() -> Iterator[None]:
    """Yields once it listens, then whenever there may be something new."""
    listening = connection.copy()
    options = listening.settings_dict["OPTIONS"]
    # none of the pool's, which lends each one to many in turn
    listening.settings_dict["OPTIONS"] = LIMITS | options | {"pool": False}
    with closing(listening), listening.cursor() as cursor:
        cursor.execute(f"LISTEN {CHANNEL}")
        # psycopg would keep every message for somebody who asks for it
        listening.connection.add_notify_handler(lambda _message: None)
        poll = select.poll()
        poll.register(listening.connection.fileno(), select.POLLIN)
        while True:
            yield
            poll.poll(TRIED_EVERY_SECONDS * 1000)
            # takes in what came, and raises where the connection has ended
            cursor.execute("SELECT 1")
