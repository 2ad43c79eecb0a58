"""A definition that both sides know."""

from __future__ import annotations

import pytest

from imports.models import ImportDefinition
from tests.factories import AccountFactory, ImportDefinitionFactory
from tests.fakes import FakeMarketingCloud


@pytest.fixture
def definition(cloud: FakeMarketingCloud, db: None) -> ImportDefinition:
    """“Customers daily” of the account “DE”."""
    facts = cloud.add_definition("customers-daily", Name="Customers daily")
    return ImportDefinitionFactory.create(
        account=AccountFactory.create(name="DE"),
        object_id=facts["ObjectID"],
        customer_key="customers-daily",
        name="Customers daily",
    )
