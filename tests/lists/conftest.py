"""What tests of lists share; lists are tested on their pages."""

from __future__ import annotations

import pytest
from django.test import Client
from django.utils import timezone

from imports.models import Account, ImportDefinition
from tests.factories import AccountFactory, ImportDefinitionFactory
from tests.views.reading import a_worker_beats, reader


@pytest.fixture
def account() -> Account:
    a_worker_beats()
    return AccountFactory.create(name="Nordlicht DE", last_synced_at=timezone.now())


@pytest.fixture
def definition(account: Account) -> ImportDefinition:
    return ImportDefinitionFactory.create(account=account, name="Customers daily")


@pytest.fixture
def client(account: Account) -> Client:
    return reader(account)
