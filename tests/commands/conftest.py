"""A sandbox in this process, and its accounts as mcdash knows them."""

from __future__ import annotations

from collections.abc import Iterator

import pytest
from pytest_django import Settings

from imports.management.commands import start_import
from imports.management.commands.run_sandbox import WSDL
from imports.models import Account
from imports.sandbox.nordlicht import API_USER, DE, SE
from imports.sandbox.server import SandboxServer
from imports.sandbox.world import World
from tests.factories import AccountFactory

PACE_SECONDS = 0.3


@pytest.fixture(autouse=True)
def own_hosts(settings: Settings) -> None:
    """Django's test runner adds "testserver", which system checks would refuse."""
    settings.ALLOWED_HOSTS = ["127.0.0.1"]


@pytest.fixture
def sandbox() -> Iterator[SandboxServer]:
    """A small Marketing Cloud in which an import takes 0.3 s."""
    world = World(pace_seconds=PACE_SECONDS, history_days=2)
    with SandboxServer(WSDL, world=world) as server:
        yield server


@pytest.fixture
def de(sandbox: SandboxServer, db: None) -> Account:
    """Nordlicht DE, signed in with OAuth 2."""
    return AccountFactory.create(
        name=DE.name,
        mid=str(DE.mid),
        client_id=DE.client_id,
        secret=DE.client_secret,
        **_addresses(sandbox),
    )


@pytest.fixture
def se(sandbox: SandboxServer, db: None) -> Account:
    """Nordlicht SE, signed in as an API user."""
    return AccountFactory.create(
        username_token=True,
        name=SE.name,
        mid=str(SE.mid),
        username=API_USER.username,
        secret=API_USER.password,
        **_addresses(sandbox),
    )


def _addresses(sandbox: SandboxServer) -> dict[str, str]:
    return {
        "subdomain": "",
        "auth_url": sandbox.url,
        "soap_url": sandbox.soap_url,
    }


@pytest.fixture
def looks_often(monkeypatch: pytest.MonkeyPatch) -> None:
    """`--wait` looks 20 times a second, so that a short import shows its phases."""
    monkeypatch.setattr(start_import, "LOOK_EVERY_SECONDS", 0.05)
