"""What tests of every page share."""

from __future__ import annotations

from pathlib import Path

import pytest
from pytest_django import Settings


@pytest.fixture(autouse=True)
def static_root(settings: Settings, tmp_path: Path) -> None:
    """WhiteNoise warns of a folder that is not there; tests collect no files."""
    settings.STATIC_ROOT = tmp_path
