"""A PostgreSQL database of the test's own, and a fleet on it."""

from __future__ import annotations

import os
import secrets
from collections.abc import Iterator
from pathlib import Path
from urllib.parse import urlsplit, urlunsplit

import psycopg
import pytest

from tests.engines.fleet import Fleet

POSTGRES = os.environ.get("MCDASH_TEST_POSTGRES_URL", "")


@pytest.fixture
def database() -> Iterator[str]:
    """A PostgreSQL database of this test's own."""
    if not POSTGRES:
        pytest.skip("MCDASH_TEST_POSTGRES_URL is not set")
    name = f"mcdash_fleet_{secrets.token_hex(4)}"
    with psycopg.connect(POSTGRES, autocommit=True) as server:
        server.execute(f'CREATE DATABASE "{name}"'.encode())
        yield urlunsplit(urlsplit(POSTGRES)._replace(path=f"/{name}"))
        server.execute(f'DROP DATABASE "{name}" WITH (FORCE)'.encode())


@pytest.fixture
def fleet(database: str, tmp_path: Path) -> Iterator[Fleet]:
    """Both accounts of the sandbox on that database; no worker yet."""
    with Fleet.on(database=database, folder=tmp_path / "var") as fleet:
        fleet.must("migrate", "--verbosity", "0")
        fleet.prepare_all()
        yield fleet
