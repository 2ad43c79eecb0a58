"""An account with everything one can do something about, and people of every kind."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import timedelta
from functools import cache
from typing import Any

from django.db import connection
from django.test import Client
from django.utils import timezone

from imports.models import (
    AccessLevel,
    Account,
    EventKind,
    ImportDefinition,
    ImportRun,
    User,
)
from tests.factories import (
    AccountFactory,
    ImportDefinitionFactory,
    ImportRunFactory,
    RunEventFactory,
    UserFactory,
    WorkerFactory,
    grant,
)

PASSWORD = "a long pass phrase"
ROLES = (
    "anonymous",
    "no group",
    "viewer elsewhere",
    "viewer",
    "starter elsewhere",
    "starter",
    "staff",
    "superuser",
)
# Sessions are the test's own; the counter of changes may count one that was none.
NOT_COMPARED = {"django_session", "imports_revision", "sqlite_sequence"}


@dataclass(frozen=True, kw_only=True)
class World:
    """`objects` are rows of one account, by what can be done to them."""

    account: Account
    objects: dict[str, Any]
    people: dict[str, User]

    def client(self, role: str, **options: Any) -> Client:
        client = Client(**options)
        if role in self.people:
            client.force_login(self.people[role])
        return client


def make_world() -> World:
    # heard of by the database's clock, however long the test takes
    WorkerFactory.create(seen_at=timezone.now() + timedelta(hours=1))
    account, elsewhere = AccountFactory.create(), AccountFactory.create()
    people = {role: UserFactory.create() for role in ROLES if role != "anonymous"}
    grant(people["viewer"], account, AccessLevel.VIEW)
    grant(people["starter"], account, AccessLevel.START)
    grant(people["viewer elsewhere"], elsewhere, AccessLevel.VIEW)
    grant(people["starter elsewhere"], elsewhere, AccessLevel.START)
    grant(people["starter elsewhere"], account, AccessLevel.VIEW)
    for role in ("staff", "superuser"):
        people[role].is_staff = True
        people[role].is_superuser = role == "superuser"
        people[role].save()
    return World(account=account, objects=make_objects(account), people=people)


def make_objects(account: Account) -> dict[str, Any]:
    past = timezone.now() - timedelta(hours=1)
    long_ago = {"occurred_at": past, "sent_at": past, "answered_at": past}
    choice = _run(account, unknown=True)
    found = [{"task_id": n, "phase": "New", "start_text": ""} for n in ("501", "502")]
    details = {"candidates": [c | {"total_rows": None, "errors": None} for c in found]}
    RunEventFactory.create(run=choice, kind=EventKind.LOOKED, details=details)
    return {
        "definition": ImportDefinitionFactory.create(account=account),
        "run": _run(account, completed=True),
        "queued": _run(account, queued=True),
        "lost": _run(account, lost=True),
        "choice": choice,
        "traceless": _run(account, unknown=True, **long_ago),
    }


def _run(account: Account, **facts: Any) -> ImportRun:
    definition: ImportDefinition = ImportDefinitionFactory.create(account=account)
    made: ImportRun = ImportRunFactory.create(definition=definition, **facts)
    return made


@cache
def _tables() -> list[str]:
    return sorted(set(connection.introspection.table_names()) - NOT_COMPARED)


def stored() -> dict[str, list[tuple[Any, ...]]]:
    """Every row of every table."""
    rows = {}
    with connection.cursor() as cursor:
        for table in _tables():
            name = connection.ops.quote_name(table)
            cursor.execute(f"SELECT * FROM {name} ORDER BY 1")
            rows[table] = cursor.fetchall()
    return rows
