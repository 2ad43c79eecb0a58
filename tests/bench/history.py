"""A long history, written straight into the database: filling is not what is measured.

Definitions are run unevenly: the one that is run most has a hundredth of all runs,
some were never run. Accounts differ likewise: in the quiet half of them nothing has
happened for months. Everything follows from a row's number, so each fill of a size is
alike.
"""

from __future__ import annotations

import json
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

SPAN_SECONDS = 365 * 24 * 3600
QUIET_SECONDS = 120 * 24 * 3600
FACTS = {
    **{f"Property{n}": f"a value of usual length {n}" for n in range(18)},
    "FileType": "CSV",
    "AllowErrors": "true",
    "UpdateType": "Overwrite",
    "DestinationObject.ObjectID": "6e2e6b4a-0d8f-4f0b-8f5e-0d5a6c1f2b3c",
}
# In thousandths of all runs that have ended.
ENDS = (
    ("completed", 905),
    ("completed_with_errors", 965),
    ("failed", 990),
    ("not_started", 995),
    ("cancelled", 998),
    ("lost", 1000),
)
PHASE = {"completed": "Completed", "completed_with_errors": "Completed"}
PEOPLE = ("Ada Lind", "Jonas Berg", "Maria Söderström", "Kim Öst", "Tove Nyman")


@dataclass(frozen=True, kw_only=True)
class Size:
    """How much there is; `active` of the runs are still running."""

    accounts: int = 50
    definitions: int = 10_000
    runs: int = 1_000_000
    active: int = 1000

    def __str__(self) -> str:
        return (
            f"{self.definitions:,} definitions in {self.accounts} accounts, "
            f"{self.runs:,} runs, {self.active:,} of them active"
        )


def fill(size: Size, **account: Any) -> None:
    """Fill an empty database; `account` are fields that all accounts share."""
    from django.db import connection, transaction

    from imports.models import Account

    Account.objects.bulk_create(
        Account(name=f"Account {n:02}", mid=str(510_000 + n), **account)
        for n in range(1, size.accounts + 1)
    )
    with connection.cursor() as cursor:
        if connection.vendor == "sqlite":
            cursor.execute("PRAGMA synchronous=OFF")
            cursor.execute("PRAGMA cache_size=-400000")
        dialect = Dialect(connection.vendor)
        with transaction.atomic():
            with _without_indexes(cursor, dialect.vendor):
                for statement in _statements(size, dialect):
                    cursor.execute(statement)
            cursor.execute(_strips(dialect))
        # as autovacuum would have left it
        cursor.execute("ANALYZE" if dialect.vendor == "sqlite" else "VACUUM (ANALYZE)")
    connection.close()  # with the next connection the engine's settings are the usual


@contextmanager
def _without_indexes(cursor: Any, vendor: str) -> Iterator[None]:
    """Runs and events go in faster when their indexes are built at the end."""
    catalogue = (
        ("name", "sql", "sqlite_master WHERE sql LIKE 'CREATE %INDEX%' AND tbl_name")
        if vendor == "sqlite"
        else ("indexname", "indexdef", _OWN_INDEXES)
    )
    name, definition, of_table = catalogue
    cursor.execute(
        f"SELECT {name}, {definition} FROM {of_table} "
        "IN ('imports_importrun', 'imports_runevent')"
    )
    indexes = cursor.fetchall()
    for index, _ in indexes:
        cursor.execute(f'DROP INDEX "{index}"')
    yield
    if vendor != "sqlite":  # rows whose keys are still to be checked have no new index
        cursor.execute("SET CONSTRAINTS ALL IMMEDIATE")
    for _, statement in indexes:
        cursor.execute(statement)


# PostgreSQL's indexes but for those that are constraints, which cannot be dropped so.
_OWN_INDEXES = (
    "pg_indexes WHERE schemaname = current_schema() AND indexname NOT IN "
    "(SELECT conname FROM pg_constraint) AND tablename"
)


@dataclass(frozen=True)
class Dialect:
    """What the engines write differently."""

    vendor: str

    def ago(self, seconds: str) -> str:
        """The moment that many seconds before now."""
        if self.vendor == "sqlite":
            shift = f"(-({seconds})) || ' seconds'"
            return f"strftime('%Y-%m-%d %H:%M:%S', 'now', {shift})"
        return f"date_trunc('second', now() - ({seconds}) * interval '1 second')"

    def json(self, text: str) -> str:
        return text if self.vendor == "sqlite" else f"({text})::jsonb"

    def bars(self) -> str:
        """Runs as the bars of a strip, see `ImportRun.as_bar`."""
        if self.vendor == "sqlite":
            array, pairs = "json_group_array", "json_object"
            at = "replace(occurred_at, ' ', 'T') || '+00:00'"
        else:
            array, pairs = "jsonb_agg", "jsonb_build_object"
            at = (
                "to_char(occurred_at AT TIME ZONE 'UTC', "
                "'YYYY-MM-DD\"T\"HH24:MI:SS') || '+00:00'"
            )
        known = f"'rows', total_rows, 'errors', errors, 'at', {at}"
        return f"{array}({pairs}('run', id, 'status', status, {known}))"


def _numbers(count: int) -> str:
    """`n` from 1 to `count`."""
    return (
        f"(WITH RECURSIVE number(n) AS (SELECT CAST(1 AS bigint) UNION ALL "
        f"SELECT n + 1 FROM number "
        f"WHERE n < {count}) SELECT n FROM number) AS numbers"
    )


def _statements(size: Size, dialect: Dialect) -> list[str]:
    return [
        _definitions(size, dialect),
        _versions(),
        _runs(size, dialect),
        _events(dialect),
    ]


def _definitions(size: Size, dialect: Dialect) -> str:
    facts = dialect.json("'" + json.dumps(FACTS) + "'")
    fields = {
        "account_id": f"1 + (n - 1) % {size.accounts}",
        "object_id": "'6e2e6b4a-0d8f-4f0b-8f5e-' || (100000000000 + n)",
        "customer_key": "'import-key-' || n",
        "key_digest": "'key ' || n",
        "name": "CASE n % 4 WHEN 0 THEN 'Customers' WHEN 1 THEN 'Prices' "
        "WHEN 2 THEN 'Consents' ELSE 'Orders' END || ' import ' || n",
        "description": "'What definition ' || n || ' loads, in a sentence or two.'",
        "file_spec": "'file_' || n || '_%%Year%%%%Month%%%%Day%%.csv'",
        "update_type": "CASE n % 3 WHEN 0 THEN 'Overwrite' WHEN 1 THEN 'AddAndUpdate' "
        "ELSE 'UpdateButDoNotAdd' END",
        "destination": "'6e2e6b4a-0d8f-4f0b-8f5e-' || (200000000000 + n)",
        "facts": facts,
        "digest": "'digest ' || n",
        "first_seen_at": dialect.ago(str(SPAN_SECONDS)),
        "last_seen_at": dialect.ago("60"),
        "not_seen_since": f"CASE WHEN n % 50 = 0 THEN {dialect.ago('86400')} END",
        "strip": dialect.json("'[]'"),
    }
    return _insert("imports_importdefinition", fields, _numbers(size.definitions))


def _versions() -> str:
    return """
        INSERT INTO imports_definitionversion
            (definition_id, number, digest, facts, seen_at)
        SELECT id, 1, digest, facts, first_seen_at FROM imports_importdefinition
    """


def _runs(size: Size, dialect: Dialect) -> str:
    """Runs by number, the oldest first. `pick` is the definition's; its square makes
    the low ones frequent.
    """
    pick = "((n * 2654435761) % 4294967296) / 65536"
    chance = "(n * 40503 + n / 1000) % 1000"
    step = SPAN_SECONDS / size.runs
    rows = f"""
        (SELECT n, pick, chance,
            1 + (pick * pick * {size.definitions * 97 // 100}) / 4294967296
                AS definition,
            CAST(({size.runs - size.active} - n) * {step:.6f} AS bigint)
                + pick % 1800 AS age,
            n > {size.runs - size.active} AS is_active
        FROM (SELECT n, {pick} AS pick, {chance} AS chance
              FROM {_numbers(size.runs)}) AS drawn) AS dated
    """
    aged = f"""
        (SELECT n, pick, chance, definition, account, is_active,
            CASE WHEN is_active THEN 200 + pick % 1800
                 WHEN account % 2 = 0 AND age < {QUIET_SECONDS}
                 THEN age + {QUIET_SECONDS} ELSE age + 1800 END AS age,
            {_status("chance")} AS status
        FROM (SELECT dated.*, 1 + (definition - 1) % {size.accounts} AS account
              FROM {rows}) AS placed) AS aged
    """
    counted = "status IN ('completed', 'completed_with_errors')"
    has_task = "status NOT IN ('not_started', 'cancelled')"
    has_row = f"({has_task} AND status <> 'lost')"
    fields = {
        "account_id": "account",
        "definition_id": "definition",
        "customer_key": "'import-key-' || definition",
        "origin": "CASE WHEN is_active OR pick % 10 < 7 THEN 'outside' "
        "ELSE 'dashboard' END",
        "status": "status",
        "phase": f"CASE WHEN is_active THEN 'Processing' WHEN {counted} "
        "THEN 'Completed' WHEN status = 'failed' THEN 'Error' ELSE '' END",
        "task_id": f"CASE WHEN {has_task} THEN CAST(100000000 + n AS text) END",
        "request_id": "''",
        "import_type": f"CASE WHEN {has_row} THEN 'Data Extensions' ELSE '' END",
        "destination_id": f"CASE WHEN {has_row} THEN 'target_' || definition "
        "ELSE '' END",
        "started_by_name": _starter(),
        "queued_at": dialect.ago("age"),
        "sent_at": dialect.ago("age"),
        "answered_at": dialect.ago("age"),
        "settled_at": f"CASE WHEN NOT is_active THEN {dialect.ago('age - 200')} END",
        "last_checked_at": dialect.ago("age - 200"),
        "next_check_at": f"CASE WHEN is_active THEN {dialect.ago('0')} END",
        "claimed_by": "''",
        "started_at": f"CASE WHEN {has_row} THEN {dialect.ago('age')} END",
        "finished_at": f"CASE WHEN {has_row} AND NOT is_active "
        f"THEN {dialect.ago('age - 200')} END",
        "start_text": f"CASE WHEN {has_row} THEN '11/22/2026 04:14:27 AM' ELSE '' END",
        "end_text": f"CASE WHEN {has_row} AND NOT is_active "
        "THEN '11/22/2026 04:17:47 AM' ELSE '' END",
        "occurred_at": dialect.ago("age"),
        "total_rows": f"CASE WHEN {counted} THEN 1000 + pick END",
        "successful": f"CASE WHEN {counted} THEN 900 + pick END",
        "duplicated": f"CASE WHEN {counted} THEN 10 END",
        "errors": "CASE status WHEN 'completed' THEN 0 "
        "WHEN 'completed_with_errors' THEN 90 END",
        "vendor_message": "''",
        "reason": "CASE status WHEN 'not_started' THEN 'refused' "
        "WHEN 'lost' THEN 'too_old' ELSE '' END",
        "error_code": "''",
        "message": "CASE status WHEN 'not_started' "
        "THEN 'ImportDefinition validation error.' ELSE '' END",
        "looks": "3",
        "revision": "0",
    }
    return _insert("imports_importrun", fields, aged + " ORDER BY n")


def _status(chance: str) -> str:
    cases = " ".join(f"WHEN {chance} < {most} THEN '{status}'" for status, most in ENDS)
    return f"CASE WHEN is_active THEN 'running' {cases} END"


def _starter() -> str:
    names = " ".join(f"WHEN {n} THEN '{name}'" for n, name in enumerate(PEOPLE))
    return (
        "CASE WHEN is_active OR pick % 10 < 7 THEN '' ELSE "
        f"CASE pick % {len(PEOPLE)} {names} END END"
    )


def _events(dialect: Dialect) -> str:
    """How each run ended, or that it was found."""
    details = dialect.json('\'{"phase": "Completed", "total_rows": 1000}\'')
    return f"""
        INSERT INTO imports_runevent
            (run_id, at, kind, from_status, to_status, actor_name, details)
        SELECT id, last_checked_at, 'adopted', '', status, '', {details}
        FROM imports_importrun ORDER BY id
    """


def _strips(dialect: Dialect) -> str:
    """Each definition's last run and strip, by the index of its runs."""
    own = "FROM imports_importrun WHERE definition_id = imports_importdefinition.id"
    latest = "ORDER BY occurred_at DESC, id DESC LIMIT"
    ends = f"SELECT * {own} AND status <> 'running' {latest} 20"
    return f"""
        UPDATE imports_importdefinition SET
            last_run_id = (SELECT id {own} {latest} 1),
            strip = COALESCE((SELECT {dialect.bars()} FROM (SELECT * FROM ({ends})
                AS ends ORDER BY occurred_at, id) AS ordered), {dialect.json("'[]'")})
    """


def _insert(table: str, fields: dict[str, str], source: str) -> str:
    return (
        f"INSERT INTO {table} ({', '.join(fields)}) "
        f"SELECT {', '.join(fields.values())} FROM {source}"
    )
