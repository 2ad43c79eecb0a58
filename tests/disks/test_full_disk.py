"""A disk on which no byte is free, while mcdash starts, follows and serves: nothing is
sent twice, nothing that was recorded is lost, and all goes on once there is room.
"""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from cryptography.fernet import Fernet

from tests.disks.site import KEY, PERSON, DiskSite
from tests.disks.small_disk import SmallDisk
from tests.e2e.browsing import Browser
from tests.e2e.site import ROOT, Part, wait_until
from tests.e2e.test_with_a_worker import end_of_run

pytestmark = pytest.mark.slow
MakeSite = Callable[..., DiskSite]
START = ("start_import", "Nordlicht DE", KEY)
PAGES = ("/", "/definitions/", "/runs/", "/accounts/", "/profile/")
NOTHING = "Nothing was started or changed."


def look(browser: Browser, *paths: str) -> list[int]:
    """The statuses of some pages."""
    statuses = []
    for path in paths:
        browser.get(path)
        statuses.append(browser.status)
    return statuses


def press_start(site: DiskSite, browser: Browser) -> str:
    """What the page answers to somebody who presses Start."""
    sql = f"SELECT id FROM imports_importdefinition WHERE customer_key = '{KEY}'"
    pk = site.ask(sql)[0][0]
    return browser.post(f"/definitions/{pk}/start/", {})


def wait_for_health(site: DiskSite, database: str) -> None:
    wait_until(
        lambda: site.health().get("database") == database,
        f"health that says {database}",
        seconds=40,
        every_seconds=0.5,
    )


def is_at_work(worker: Part) -> bool:
    return worker.process.poll() is None


def judge(site: DiskSite) -> dict[str, Any]:
    """Our only run, sent once and found to be the task that was performed."""
    run = end_of_run(site)
    (line,) = site.performed()
    assert run["status"] == "completed"
    assert run["task_id"] == str(line["task_id"])
    assert site.events().count("claimed") == 1
    return run


def test_a_full_data_folder_ends_no_process_and_no_start(
    disk: SmallDisk, make_site: MakeSite
) -> None:
    """Counts are in it, the database is elsewhere."""
    site = make_site(data=disk.path)
    site.set_up()
    shutil.rmtree(disk.path / "metrics")  # else there might be room in its file
    disk.fill()
    site.start_web()
    browser = site.browser()
    worker = site.start_worker()
    assert NOTHING not in press_start(site, browser)
    judge(site)
    assert look(browser, *PAGES) == [200] * len(PAGES)
    assert is_at_work(worker)
    # with its next process as well
    worker.kill()
    site.start_worker()
    assert look(browser, *PAGES, "/healthz") == [200] * 6
    assert site.measure("mcdash_counts_up") == 0
    disk.free()
    wait_until(lambda: site.measure("mcdash_counts_up") == 1, "counts")
    assert site.measure("mcdash_requests_seconds_count") > 10


def test_a_full_disk_under_the_database_while_a_run_is_followed(
    disk: SmallDisk, make_site: MakeSite
) -> None:
    site = make_site(database=disk.path)
    site.set_up(pace="3")
    site.start_web()
    browser = site.browser()
    worker = site.start_worker()
    press_start(site, browser)
    wait_until(lambda: site.statuses() == ["running"], "a run that is running")
    disk.fill()
    wait_for_health(site, "cannot be written")
    assert look(browser, *PAGES) == [200] * len(PAGES)
    assert "been able to save anything since" in browser.get("/")
    assert site.fetch("/healthz/worker")[0] == 503
    assert site.measure("mcdash_database_writable") == 0
    said = site.browser().get("/login/")
    assert "been able to save anything since" in said
    assert is_at_work(worker)
    disk.free()
    wait_for_health(site, "ok")
    judge(site)
    assert worker.said.count("The database cannot be written since") == 1
    assert worker.said.count("The database can be written again") == 1
    assert "Traceback" not in worker.said


def test_a_start_on_a_full_disk_is_refused_in_words_and_nothing_is_sent(
    disk: SmallDisk, make_site: MakeSite
) -> None:
    """Both processes begin on the full disk."""
    site = make_site(database=disk.path)
    site.set_up()
    site.must(*START)  # queued before, while no worker ran
    disk.fill()
    site.start_web()
    worker = site.start("run_worker")
    browser = Browser(base=site.web_url)
    said = browser.post("/login/", {"username": PERSON, "password": site.password})
    assert browser.status == 503
    assert "save anything right now" in said
    wait_until(lambda: "The database cannot be written since" in worker.said, "the log")
    # with neither -wal nor -shm there SQLite cannot even read
    assert site.fetch("/healthz") == (503, "The database does not answer.\n")
    assert site.fetch("/healthz/worker")[0] == 503
    assert site.performed() == []
    assert is_at_work(worker)
    disk.free()
    wait_for_health(site, "ok")
    judge(site)
    assert look(site.browser(), *PAGES) == [200] * len(PAGES)


def fill_while_performing(site: DiskSite, disk: SmallDisk) -> Part:
    """A worker whose Perform is on the wire while the disk becomes full, and answered
    then.
    """
    rule = {"what": "delay", "when": "after", "operation": "Perform", "seconds": 5}
    site.order(rule=rule)
    worker = site.start_worker()
    site.must(*START)
    wait_until(site.performed, "the Perform")
    disk.fill()
    wait_until(lambda: "cannot be written down yet" in worker.said, "the answer")
    assert site.statuses() == ["starting"]
    return worker


def test_an_answer_that_meets_a_full_disk_is_written_once_there_is_room(
    disk: SmallDisk, make_site: MakeSite
) -> None:
    site = make_site(database=disk.path)
    site.set_up()
    fill_while_performing(site, disk)
    disk.free()
    judge(site)
    assert "unanswered" not in site.events()


def test_an_answer_that_could_not_be_written_leaves_a_run_unknown_that_is_found(
    disk: SmallDisk, make_site: MakeSite
) -> None:
    site = make_site(database=disk.path)
    site.set_up()
    worker = fill_while_performing(site, disk)
    worker.kill()
    disk.free()
    site.start_worker()
    wait_until(lambda: "unanswered" in site.events(), "the end of the lease")
    judge(site)


def test_full_logs_end_no_request_and_no_start(
    disk: SmallDisk, make_site: MakeSite, tmp_path: Path
) -> None:
    site = make_site()
    site.set_up()
    (disk.path / "web.log").touch()
    (disk.path / "worker.log").touch()
    disk.fill()
    site.start_web(log=disk.path / "web.log")
    worker = site.start_program(disk.path / "worker.log", "manage.py", "run_worker")
    browser = site.browser()
    press_start(site, browser)
    judge(site)
    assert look(browser, *PAGES, "/runs/999999999/") == [200] * len(PAGES) + [404]
    assert is_at_work(worker)
    assert (disk.path / "web.log").stat().st_size == 0


COUNT_WITH_LITTLE_ROOM = """
import os, shutil, sys
from pathlib import Path
import django
django.setup()
from imports import metrics
disk = Path(sys.argv[1])
for kilobytes in range(0, 160, 4):
    shutil.rmtree(disk / "metrics", ignore_errors=True)
    (disk / "room").write_bytes(os.urandom(kilobytes * 1024))
    os.sync()  # where nothing was written yet, ext4 frees only what it had promised
    with (disk / "ballast").open("ab", buffering=0) as ballast:
        for size in (65536, 4096, 512, 1):
            try:
                while ballast.write(bytes(size)):
                    pass
            except OSError:
                pass
    (disk / "room").unlink()
    child = os.fork()
    if not child:
        for number in range(400):
            metrics.count_start(f"status {number}")
        os._exit(0 if metrics.COUNTS.are_written() else 7)
    print(kilobytes, os.waitpid(child, 0)[1], flush=True)
    (disk / "ballast").unlink()
"""


def test_however_little_room_is_left_counting_ends_no_process(disk: SmallDisk) -> None:
    """With the library's own files, which it maps into memory, the first steps end by
    SIGBUS.
    """
    done = subprocess.run(
        [sys.executable, "-c", COUNT_WITH_LITTLE_ROOM, str(disk.path)],
        cwd=ROOT,
        env=os.environ
        | {
            "DJANGO_SETTINGS_MODULE": "mcdash.settings",
            "MCDASH_SECRET_KEY": "x" * 50,
            "MCDASH_FIELD_KEYS": Fernet.generate_key().decode(),
            "MCDASH_ALLOW_LOOPBACK": "1",
            "MCDASH_DATA_DIR": str(disk.path),
        },
        stdout=subprocess.PIPE,
        text=True,
        timeout=300,
        check=True,
    )
    ends = [int(line.split()[1]) for line in done.stdout.splitlines()]
    assert len(ends) == 40
    found_no_room, wrote_all = 7 << 8, 0
    assert set(ends) == {found_no_room, wrote_all}
