"""A database that can be read but not written, as processes meet it: pages go on and
say so, nothing is sent, and all goes on by itself once it can be written.
"""

from __future__ import annotations

import os
import sqlite3
from collections.abc import Callable
from contextlib import closing
from pathlib import Path
from urllib.parse import urlsplit

import psycopg
import pytest

from tests.disks.site import DiskSite
from tests.disks.small_disk import mounted
from tests.disks.test_full_disk import (
    NOTHING,
    PAGES,
    START,
    MakeSite,
    is_at_work,
    judge,
    look,
    press_start,
    wait_for_health,
)
from tests.e2e.site import wait_until

slow = pytest.mark.slow


def wait_it_out(
    site: DiskSite, *, begin: Callable[[], object], end: Callable[[], object]
) -> None:
    """A start is queued, then nothing can be written for a while."""
    site.start_web()
    browser = site.browser()
    begin()
    worker = site.start("run_worker")
    wait_for_health(site, "cannot be written")
    assert look(browser, *PAGES) == [200] * len(PAGES)
    assert "been able to save anything since" in browser.get("/")
    assert NOTHING in browser.post("/profile/", {"theme": "dark"})
    assert browser.status == 503
    wait_until(lambda: "The database cannot be written since" in worker.said, "the log")
    assert site.performed() == []
    end()
    wait_for_health(site, "ok")
    judge(site)
    assert look(browser, *PAGES) == [200] * len(PAGES)
    assert is_at_work(worker)
    assert worker.said.count("The database cannot be written since") == 1
    assert worker.said.count("The database can be written again") == 1


@slow
def test_somebody_holds_a_lock_for_long(make_site: MakeSite) -> None:
    site = make_site()
    site.set_up()
    site.must(*START)
    file = site.extra["DATABASE_URL"].removeprefix("sqlite:///")
    with closing(sqlite3.connect(file, isolation_level=None)) as other:
        wait_it_out(
            site,
            begin=lambda: other.execute("BEGIN IMMEDIATE"),
            end=lambda: other.execute("ROLLBACK"),
        )


@slow
def test_the_disk_under_the_database_fails(make_site: MakeSite, tmp_path: Path) -> None:
    """No write is taken any more until the machine is looked after."""
    with mounted("ext4", tmp_path / "disk", megabytes=16) as disk:
        site = make_site(database=disk.path)
        site.set_up()
        site.start_web()
        browser = site.browser()
        worker = site.start_worker()
        disk.fail()
        wait_for_health(site, "cannot be written")
        assert look(browser, *PAGES) == [200] * len(PAGES)
        # by now it is read-only, which proves that nothing was saved, or it meets an
        # error of input and output, which proves nothing
        said = press_start(site, browser)
        assert NOTHING in said or "look in the History before" in said
        assert browser.status == 503
        assert is_at_work(worker)
        assert site.performed() == []
        assert worker.said.count("The database cannot be written since") == 1


@pytest.mark.services
def test_the_server_takes_no_writes_as_a_standby_does(
    database: str, make_site: MakeSite
) -> None:
    site = make_site(database=database)
    site.set_up()
    site.must(*START)
    name = urlsplit(database).path[1:]

    def allow_writes(value: str) -> None:
        """For new sessions, and the old ones end: as with a fail-over."""
        # from another database, since this one's sessions are ended
        other = os.environ["MCDASH_TEST_POSTGRES_URL"]
        with psycopg.connect(other, autocommit=True) as server:
            sql = f'ALTER DATABASE "{name}" SET default_transaction_read_only = {value}'
            server.execute(sql.encode())
            if value == "on":
                server.execute(
                    "SELECT pg_terminate_backend(pid) FROM pg_stat_activity"
                    " WHERE datname = %s",
                    [name],
                )

    wait_it_out(site, begin=lambda: allow_writes("on"), end=lambda: allow_writes("off"))
