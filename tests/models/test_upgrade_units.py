"""A database in which a unit is two accounts already: upgraded, marked, guarded."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest
from django.core.checks import run_checks
from django.db import connection
from django.db.migrations.executor import MigrationExecutor
from django.utils import timezone

from imports.models import Account, ImportRun

pytestmark = pytest.mark.django_db(transaction=True)

BEFORE = ("imports", "0007_who_looks_at_runs")
GUID = "0FA4E000-AAAA-BBBB-CCCC-000000000001"


def migrate(*targets: tuple[str, str]) -> Any:
    """The models as they are there."""
    executor = MigrationExecutor(connection)
    executor.migrate(list(targets))
    return executor.loader.project_state(list(targets)).apps


@pytest.fixture
def old_models() -> Iterator[Any]:
    """The models of the release before."""
    latest = MigrationExecutor(connection).loader.graph.leaf_nodes("imports")
    yield migrate(BEFORE)
    migrate(*latest)


def enter(models: Any, **fields: Any) -> Any:
    return models.get_model("imports", "Account").objects.create(
        **{"auth_kind": "oauth", "secret": "s", "subdomain": "mc1"} | fields
    )


def run_in(models: Any, account: Any, object_id: str) -> None:
    now = timezone.now()
    definition = models.get_model("imports", "ImportDefinition").objects.create(
        account=account,
        object_id=object_id,
        customer_key="customers-daily",
        key_digest="0" * 64,
        digest="0" * 64,
        first_seen_at=now,
        last_seen_at=now,
    )
    models.get_model("imports", "ImportRun").objects.create(
        account=account,
        definition=definition,
        origin="dashboard",
        status="running",
        task_id="1",
        occurred_at=now,
    )


def test_doubles_pass_the_upgrade_and_are_told(old_models: Any) -> None:
    for name, mid, client_id in (
        ("A", "510001", "a"),
        ("B", "0٥10001", "b"),
        ("C", "510002", "c"),
        ("D", "", "pkg"),
        ("E", "", "PKG"),
        ("F", "", ""),
        ("G", "", ""),
    ):
        account = enter(old_models, name=name, mid=mid, client_id=client_id)
        if name in "AB":
            run_in(old_models, account, GUID)
    enter(old_models, name="H", mid="510002", client_id="h", is_active=False)
    leaves = MigrationExecutor(connection).loader.graph.leaf_nodes("imports")
    assert run_checks(databases=["default"], tags=["database"]) == []
    migrate(*leaves)
    told = {one.name: (one.unit, one.is_doubled) for one in Account.objects.all()}
    assert told == {
        "A": ("510001", True),
        "B": ("510001", True),
        "C": ("510002", False),
        "D": ("oauth:pkg", True),
        "E": ("oauth:pkg", True),
        "F": (None, False),
        "G": (None, False),
        "H": ("510002", False),
    }
    guards = sorted(ImportRun.objects.values_list("guard", flat=True), key=str)
    assert guards == [None, f"object:{GUID.lower()}"]
    found = run_checks(databases=["default"], tags=["database"])
    assert [one.id for one in found] == ["mcdash.W201", "mcdash.W201"]
    assert "(510001): A, B." in found[0].msg
    assert "Disable all but one" in str(found[0].hint)
