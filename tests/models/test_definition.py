"""Definitions: keys, names, versions."""

from __future__ import annotations

from datetime import timedelta

import pytest
from django.utils import timezone

from imports.models import ImportDefinition, key_digest
from tests.factories import (
    AccountFactory,
    DefinitionVersionFactory,
    ImportDefinitionFactory,
)

pytestmark = pytest.mark.django_db


def test_a_definition_is_found_by_its_key_the_one_still_seen_first() -> None:
    now = timezone.now()
    account = AccountFactory.create()
    same = {"account": account, "customer_key": "customers-daily"}
    gone = ImportDefinitionFactory.create(**same, not_seen_since=now)
    older = ImportDefinitionFactory.create(**same, last_seen_at=now - timedelta(days=1))
    newer = ImportDefinitionFactory.create(**same, last_seen_at=now)
    ImportDefinitionFactory.create(customer_key="customers-daily")
    found = ImportDefinition.objects.with_key(account, "customers-daily")
    assert list(found) == [newer, older, gone]


def test_saving_keeps_the_digest_of_the_key() -> None:
    definition = ImportDefinitionFactory.create()
    definition.customer_key = "customers-hourly"
    definition.save()
    definition.refresh_from_db()
    assert definition.key_digest == key_digest("customers-hourly")


@pytest.mark.parametrize(
    ("fields", "shown"),
    [
        ({"name": "Customers", "customer_key": "k", "object_id": "o"}, "Customers"),
        ({"name": "", "customer_key": "k", "object_id": "o"}, "k"),
        ({"name": "", "customer_key": "", "object_id": "o"}, "o"),
        ({}, "(no name)"),
    ],
)
def test_a_definition_is_shown_by_the_best_name_it_has(
    fields: dict[str, str], shown: str
) -> None:
    assert str(ImportDefinition(**fields)) == shown


@pytest.mark.parametrize(
    ("update_type", "replaces"),
    [("Overwrite", True), ("overwrite", True), ("AddAndUpdate", False), ("", False)],
)
def test_overwrite_alone_replaces_rows(update_type: str, replaces: bool) -> None:
    assert ImportDefinition(update_type=update_type).replaces_rows is replaces


def test_the_first_version_listed_is_the_latest() -> None:
    definition = ImportDefinitionFactory.create()
    DefinitionVersionFactory.create_batch(3, definition=definition)
    assert [version.number for version in definition.versions.all()] == [3, 2, 1]
