"""What tests of every page share."""

from __future__ import annotations

import pytest
from django.test import Client
from django.utils import timezone

from imports.models import Account, ImportDefinition
from tests.factories import AccountFactory, ImportDefinitionFactory

from .reading import a_worker_beats, reader


@pytest.fixture
def account() -> Account:
    """An account that answers and was synced, and a worker that follows it."""
    a_worker_beats()
    now = timezone.now()
    return AccountFactory.create(
        name="Nordlicht DE", mid="510001", last_contact_at=now, last_synced_at=now
    )


@pytest.fixture
def definition(account: Account) -> ImportDefinition:
    return ImportDefinitionFactory.create(account=account, name="Customers daily")


@pytest.fixture
def client(account: Account) -> Client:
    """A person's who can start imports in the account. Tests of what strangers and
    machines get make a client of their own.
    """
    return reader(account)
