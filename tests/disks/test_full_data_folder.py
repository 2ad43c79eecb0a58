from __future__ import annotations

from pathlib import Path

import pytest

from tests.disks.site import KEY, DiskSite
from tests.disks.small_disk import mounted
from tests.journeys.site import wait_until
from tests.journeys.test_with_a_worker import end_of_run

pytestmark = pytest.mark.slow
START = ("start_import", "Nordlicht DE", KEY)


@pytest.mark.parametrize("kind", ["tmpfs", "ext4"])
def test_a_full_data_folder(kind: str, tmp_path: Path) -> None:
    with (
        mounted(kind, tmp_path / "data", megabytes=12) as disk,
        DiskSite.on(
            tmp_path / "site",
            data=disk.path,
            database=tmp_path,
            MCDASH_QUEUE_URL=f"sqlite:///{tmp_path / 'queue.sqlite3'}",
        ) as site,
    ):
        site.set_up()
        disk.fill()
        web = site.start_web()
        browser = site.browser()
        codes = [
            site.fetch(p)[0]
            for p in (
                "/login/",
                "/healthz",
                "/login/",
                "/metrics",
                "/healthz",
                "/login/",
            )
        ]
        print(codes)
        worker = site.start_worker()
        site.must(*START)
        run = end_of_run(site)
        print(run["status"], len(site.performed()), worker.process.poll())
        print(web.said[-3000:])
        print(worker.said[-3000:])
        print(site.fetch("/metrics")[1][:600])
        assert codes == [200] * 6
        assert worker.process.poll() is None
