"""A sandbox in this process, on real HTTP, or a site of processes of their own."""

from __future__ import annotations

import shutil
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from pathlib import Path

import pytest
from pytest_django import Settings

from imports.models import Account, ImportDefinition, database_now
from imports.sandbox.server import SandboxServer
from imports.sandbox.world import World
from tests.at_most_once.crashing import SHORT, CrashSite
from tests.at_most_once.reached import WSDL, account_of, definition_of
from tests.e2e.site import Site

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


@pytest.fixture(scope="session")
def migrated(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with an empty database."""
    with Site(folder=tmp_path_factory.mktemp("migrated")) as site:
        site.must("migrate", "--verbosity", "0")
    return site.folder


@pytest.fixture
def make_site(tmp_path: Path, migrated: Path) -> Iterator[Callable[..., CrashSite]]:
    """Gives a prepared site whose settings may differ; its processes end with it."""
    with ExitStack() as stack:

        def make(**extra: str) -> CrashSite:
            site = CrashSite(folder=tmp_path / "var", extra=SHORT | extra)
            stack.enter_context(site)
            for file in migrated.glob("*.sqlite3"):
                shutil.copy(file, site.folder)
            site.prepare_all()
            return site

        yield make


@pytest.fixture
def site(make_site: Callable[..., CrashSite]) -> CrashSite:
    return make_site()
