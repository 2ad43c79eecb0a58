"""`rebuild_strips [NAME…] [--check]`."""

from __future__ import annotations

import pytest

from imports.models import ImportDefinition
from tests.commands.running import run
from tests.factories import AccountFactory, ImportDefinitionFactory, ImportRunFactory

pytestmark = pytest.mark.django_db


@pytest.fixture
def definition() -> ImportDefinition:
    """“Prices” of the account “DE”, with one run and an empty strip."""
    account = AccountFactory.create(name="DE")
    definition = ImportDefinitionFactory.create(account=account, name="Prices")
    ImportRunFactory.create(account=account, definition=definition, completed=True)
    return definition


def test_it_rebuilds_and_says_what(definition: ImportDefinition) -> None:
    ran = run("rebuild_strips")
    assert (ran.code, ran.err) == (0, "")
    assert ran.out.startswith(
        f"DE: 1 strips, 1 were rebuilt: Prices ({definition.pk}): last run –, not "
    )
    assert run("rebuild_strips").out == "DE: 1 strips, all of them right.\n"


def test_a_check_that_finds_something_fails_and_changes_nothing(
    definition: ImportDefinition,
) -> None:
    ran = run("rebuild_strips", "--check")
    assert ran.code == 1
    assert "1 would be rebuilt" in ran.out
    definition.refresh_from_db()
    assert definition.strip == []


def test_a_check_that_finds_nothing_succeeds(definition: ImportDefinition) -> None:
    definition.refresh_recent_runs()
    ran = run("rebuild_strips", "--check", "--json")
    assert ran.code == 0
    assert ran.document == [
        {"account": "DE", "error": None, "is_check": True, "checked": 1, "wrong": []}
    ]


def test_accounts_that_are_switched_off_are_among_them() -> None:
    AccountFactory.create(name="Old", is_active=False)
    assert run("rebuild_strips").out == "Old: 0 strips, all of them right.\n"


def test_only_named_accounts_are_rebuilt(definition: ImportDefinition) -> None:
    AccountFactory.create(name="SE")
    assert run("rebuild_strips", "SE").out == "SE: 0 strips, all of them right.\n"
    definition.refresh_from_db()
    assert definition.strip == []
