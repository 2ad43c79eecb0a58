"""A page of fifty definitions weighs little, and takes few queries."""

from __future__ import annotations

import gzip
import random
from datetime import timedelta
from typing import Any

import pytest
from django.db import connection
from django.test.utils import CaptureQueriesContext
from django.utils import timezone

from imports.models import Account, ImportDefinition, ImportRun
from tests.factories import AccountFactory, ImportDefinitionFactory, ImportRunFactory

from .defining import ask
from .reading import a_worker_beats, reader

pytestmark = pytest.mark.django_db
SUBJECTS = ("Customers", "Consents", "Prices", "Vouchers", "Returns", "Newsletter")
RHYTHMS = ("daily", "hourly", "full load", "delta (do not rename)", "v3 from SAP")
ENDS = ("completed",) * 12 + ("completed_with_errors", "failed", "not_started")
WAYS = ("AddAndUpdate", "AddAndUpdate", "Overwrite", "UpdateButDoNotAdd")


@pytest.fixture
def accounts() -> list[Account]:
    a_worker_beats()
    names = ("Nordlicht DE", "Nordlicht Loyalty", "Nordlicht Wholesale and Partners")
    now = timezone.now()
    return [AccountFactory.create(name=name, last_synced_at=now) for name in names]


def fill(accounts: list[Account], drawn: random.Random) -> None:
    """Fifty definitions, each with twenty runs, no two of them alike."""
    for number in range(50):
        subject, rhythm = drawn.choice(SUBJECTS), drawn.choice(RHYTHMS)
        stem = f"{subject} {rhythm}".lower().replace(" ", "_")
        made = ImportDefinitionFactory.create(
            account=drawn.choice(accounts),
            name=f"{subject} {rhythm} {drawn.randint(1, 400)}",
            file_spec=f"{stem}_{number}_%%Year%%%%Month%%%%Day%%.csv",
            update_type=drawn.choice(WAYS),
        )
        typical, last = drawn.randint(50, 900_000), drawn.choice(ENDS)
        at = timezone.now() - timedelta(seconds=drawn.randint(60, 400_000))
        run: ImportRun = ImportRunFactory.create(
            definition=made,
            occurred_at=at,
            **{last: True},
        )
        ended = [_bar(run, typical, drawn) for _ in range(19)]
        ImportDefinition.objects.filter(pk=made.pk).update(
            last_run=run, strip=[*ended, run.as_bar()]
        )


def _bar(run: ImportRun, typical: int, drawn: random.Random) -> dict[str, Any]:
    rows = round(typical * drawn.uniform(0.7, 1.1))
    return run.as_bar() | {"status": drawn.choice(ENDS), "rows": rows, "errors": 3}


def test_a_page_of_fifty_definitions_stays_below_15_kilobytes(
    accounts: list[Account],
) -> None:
    fill(accounts, random.Random(11))
    page = ask(reader(*accounts))
    assert len(page.context["rows"]) == 50
    assert len(gzip.compress(page.content, 6)) < 15_000


def test_a_search_takes_few_queries_whatever_it_finds(accounts: list[Account]) -> None:
    fill(accounts, random.Random(11))
    client = reader(*accounts)
    for words in ("", "a", "customers daily", "no such thing"):
        with CaptureQueriesContext(connection) as queries:
            ask(client, q=words)
        of_all = [q for q in queries if "icontains" in q["sql"] or "LIKE" in q["sql"]]
        assert len(queries) <= 22
        assert len(of_all) <= 2
