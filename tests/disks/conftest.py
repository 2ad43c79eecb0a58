"""Small file systems and a site on them; all of it ends with the test."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import ExitStack
from pathlib import Path

import pytest

from tests.disks.site import DiskSite
from tests.disks.small_disk import SmallDisk, mounted

MEGABYTES = {"tmpfs": 10, "ext4": 16}


@pytest.fixture(params=["tmpfs", "ext4"])
def disk(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[SmallDisk]:
    """A disk of a few megabytes."""
    with mounted(
        request.param, tmp_path / "disk", megabytes=MEGABYTES[request.param]
    ) as made:
        yield made


@pytest.fixture
def make_site(tmp_path: Path) -> Iterator[Callable[..., DiskSite]]:
    """Gives a site; `data` and `database` are elsewhere unless they are named."""
    with ExitStack() as stack:

        def make(
            *,
            data: Path | None = None,
            database: Path | str | None = None,
            **extra: str,
        ) -> DiskSite:
            elsewhere = tmp_path / "elsewhere"
            elsewhere.mkdir()
            site = DiskSite.on(
                tmp_path / "site",
                data=data or elsewhere,
                database=database or elsewhere,
                **extra,
            )
            return stack.enter_context(site)

        yield make
