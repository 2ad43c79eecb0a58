"""What tests of every room share; settings for tests are in tests/settings.py."""

from __future__ import annotations

import gc
import logging
import os
import secrets
import shutil
from collections.abc import Iterator
from typing import TYPE_CHECKING
from urllib.parse import urlsplit, urlunsplit

import psycopg
import pytest
from django.core.cache import cache
from xdist.scheduler import LoadScopeScheduling, Scheduling

if TYPE_CHECKING:
    from xdist.remote import Producer

    from tests.fakes import FakeDoor, FakeMarketingCloud

POSTGRES = os.environ.get("MCDASH_TEST_POSTGRES_URL", "")


def pytest_unconfigure() -> None:
    """Leave nothing behind."""
    from tests.settings import DATA_DIR, MADE_DATA_DIR

    if MADE_DATA_DIR:
        shutil.rmtree(DATA_DIR, ignore_errors=True)


def pytest_collection_finish() -> None:
    """What is collected stays until the end: without it each full collection of
    garbage is cheap, which saves a twelfth of all processor time.
    """
    gc.collect()
    gc.freeze()


class BrowserTestsTogether(LoadScopeScheduling):
    """Any test to any process, but all browser tests to one, and first: they share
    one Chromium and one running mcdash.

    `--dist loadgroup` is made for this; xdist 3.8 does not group under pytest 9.2.
    """

    def _split_scope(self, nodeid: str) -> str:
        return "browser" if nodeid.startswith("tests/browser/") else nodeid


@pytest.hookimpl(optionalhook=True)
def pytest_xdist_make_scheduler(
    config: pytest.Config, log: Producer
) -> Scheduling | None:
    """Where `-n` says nothing else about the distribution."""
    if config.getvalue("dist") != "load":
        return None
    return BrowserTestsTogether(config, log)


@pytest.fixture(autouse=True)
def nothing_remembered() -> None:
    """Each test's database begins with the same ids and revisions, and is well."""
    from imports.models.storage import STORAGE, Storage
    from imports.ui.drawings import DRAWINGS
    from imports.views.pace import PACE, Pace

    cache.clear()
    DRAWINGS.clear()
    vars(PACE).update(vars(Pace()))
    vars(STORAGE).update(vars(Storage()))


@pytest.fixture
def database() -> Iterator[str]:
    """The address of a PostgreSQL database of this test's own."""
    if not POSTGRES:
        pytest.skip("MCDASH_TEST_POSTGRES_URL is not set")
    name = f"mcdash_test_{secrets.token_hex(4)}"
    with psycopg.connect(POSTGRES, autocommit=True) as server:
        server.execute(f'CREATE DATABASE "{name}"'.encode())
        yield urlunsplit(urlsplit(POSTGRES)._replace(path=f"/{name}"))
        server.execute(f'DROP DATABASE "{name}" WITH (FORCE)'.encode())


@pytest.fixture
def door(monkeypatch: pytest.MonkeyPatch) -> FakeDoor:
    """The one door to Marketing Cloud, leading to fakes."""
    from tests.fakes import FakeDoor

    door = FakeDoor()
    monkeypatch.setattr("imports.gateway.connect", door.connect)
    return door


@pytest.fixture
def cloud(door: FakeDoor) -> FakeMarketingCloud:
    """The fake that every account reaches which has none of its own."""
    return door.usual


@pytest.fixture
def caplog_imports(
    caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch
) -> pytest.LogCaptureFixture:
    """caplog that hears our own loggers, which do not propagate."""
    monkeypatch.setattr(logging.getLogger("imports"), "propagate", True)
    return caplog
