"""A worker without the key that the stored secrets need, as a real process."""

from __future__ import annotations

from collections.abc import Callable

import pytest
from cryptography.fernet import Fernet

from tests.e2e.site import Site, wait_until
from tests.e2e.test_with_a_worker import end_of_run

pytestmark = pytest.mark.slow
MARKS = "SELECT count(*) FROM imports_account WHERE secret_unreadable_since IS NOT NULL"


def test_a_worker_without_the_key_stays_up_and_sends_nothing(
    make_site: Callable[..., Site],
) -> None:
    site = make_site()
    site.start_sandbox("--pace", "0.5")
    site.prepare()
    site.must("sync_definitions")
    heard = {name: site.calls(name) for name in ("token", "Retrieve", "Perform")}
    right, site.env["MCDASH_FIELD_KEYS"] = (
        site.env["MCDASH_FIELD_KEYS"],
        Fernet.generate_key().decode(),
    )
    worker = site.start_worker()
    site.must("start_import", "Nordlicht DE", "customers-daily")
    run = end_of_run(site)
    assert run["status"] == "not_started"
    assert "MCDASH_FIELD_KEYS" in str(run["message"])
    told = site.manage("check_account", "Nordlicht DE")
    assert told.returncode == 1
    assert "FAILED Stored secret: A stored secret cannot be read" in told.stdout
    assert "Traceback" not in told.stdout + told.stderr

    seen = site.ask("SELECT max(seen_at) FROM imports_worker")
    wait_until(
        lambda: site.ask("SELECT max(seen_at) FROM imports_worker") > seen,
        "a heartbeat",
    )
    assert worker.process.poll() is None
    assert "InvalidToken" not in worker.said
    assert "LostKeyError" not in worker.said
    assert worker.said.count("MCDASH_FIELD_KEYS") < 10
    assert {name: site.calls(name) for name in heard} == heard
    assert site.ask(MARKS) == [(1,)]

    worker.kill()
    site.env["MCDASH_FIELD_KEYS"] = right
    site.start_worker()
    site.must("start_import", "Nordlicht DE", "customers-daily")
    wait_until(lambda: "completed" in site.statuses(), "the end of the second run")
    assert len(site.performed()) == 1
    assert site.ask(MARKS) == [(0,)]
