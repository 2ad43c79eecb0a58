"""A sandbox in this process, on real HTTP, and its account as mcdash knows it."""

from __future__ import annotations

from collections.abc import Iterator

import pytest
from pytest_django import Settings

from imports.models import Account, ImportDefinition, database_now
from imports.sandbox.server import SandboxServer
from imports.sandbox.world import World
from tests.never_twice.reached import WSDL, account_of, definition_of

PACE_SECONDS = 0.05
KEY = "customers-daily"


@pytest.fixture
def sandbox() -> Iterator[SandboxServer]:
    """Marketing Cloud without a past; an import takes 0.05 s."""
    world = World(pace_seconds=PACE_SECONDS, history_days=0)
    with SandboxServer(WSDL, world=world) as server:
        yield server
        server.reset()


@pytest.fixture
def account(sandbox: SandboxServer, settings: Settings, db: None) -> Account:
    """Nordlicht DE, whose (empty) past is adopted already."""
    settings.MCDASH_CONNECT_TIMEOUT_SECONDS = 5
    settings.MCDASH_READ_TIMEOUT_SECONDS = 5
    return account_of(sandbox, last_adopted_at=database_now())


@pytest.fixture
def definition(sandbox: SandboxServer, account: Account) -> ImportDefinition:
    """“Customers daily”, known on both sides."""
    return definition_of(sandbox, account, KEY)
