"""A fleet on a PostgreSQL database of the test's own."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.engines.fleet import Fleet


@pytest.fixture
def fleet(database: str, tmp_path: Path) -> Iterator[Fleet]:
    """Both accounts of the sandbox on that database; no worker yet."""
    with Fleet.on(database=database, folder=tmp_path / "var") as fleet:
        fleet.must("migrate", "--verbosity", "0")
        fleet.prepare_all()
        yield fleet
