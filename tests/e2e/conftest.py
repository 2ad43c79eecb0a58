"""A site for each test; the empty database is made once and copied."""

from __future__ import annotations

import shutil
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from pathlib import Path

import pytest

from tests.e2e.site import DATABASE, Site


@pytest.fixture(scope="session")
def empty_database(tmp_path_factory: pytest.TempPathFactory) -> Path:
    with Site(folder=tmp_path_factory.mktemp("empty")) as site:
        site.must("migrate", "--verbosity", "0")
    return site.folder / DATABASE


@pytest.fixture
def make_site(tmp_path: Path, empty_database: Path) -> Iterator[Callable[..., Site]]:
    """Gives a site whose settings may differ; all its processes end with the test."""
    with ExitStack() as stack:

        def make(**extra: str) -> Site:
            site = stack.enter_context(Site(folder=tmp_path / "var", extra=extra))
            shutil.copy(empty_database, site.folder / DATABASE)
            return site

        yield make


@pytest.fixture
def site(make_site: Callable[..., Site]) -> Site:
    return make_site()
