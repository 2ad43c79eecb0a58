"""A worker that dies by SIGKILL loses no run and sends nothing twice."""

from __future__ import annotations

from collections.abc import Callable

import pytest

from tests.e2e.site import Site, wait_until
from tests.e2e.test_with_a_worker import end_of_run

pytestmark = pytest.mark.slow

SHORT_LEASE = {
    "MCDASH_CALL_DEADLINE_SECONDS": "8",
    "MCDASH_START_LEASE_SECONDS": "9",
}
START = ("start_import", "Nordlicht DE", "customers-daily")


def ready(site: Site, pace: str) -> None:
    site.start_sandbox("--pace", pace)
    site.prepare()
    site.must("sync_definitions")


def wait_for_status(site: Site, status: str) -> None:
    wait_until(lambda: site.statuses() == [status], f"a run that is {status}")


def test_killed_after_it_took_a_start_up_and_before_the_claim(site: Site) -> None:
    """Its lease on the sending is left behind; the run is another worker's to send."""
    ready(site, "1")
    # the token comes before the claim: while it hangs, the run is queued
    site.change("DELETE FROM imports_accounttoken")
    site.order(rule={"what": "hang", "operation": "token", "times": None})
    worker = site.start_worker()
    tokens = site.calls("token")
    site.must(*START)
    wait_until(lambda: site.calls("token") > tokens, "a token that hangs")
    worker.kill()
    assert site.statuses() == ["queued"]
    site.end_hanging()
    site.start_worker()
    assert end_of_run(site)["status"] == "completed"
    assert len(site.performed()) == 1


def test_killed_on_the_wire_the_outcome_is_unknown_and_never_sent_again(
    make_site: Callable[..., Site],
) -> None:
    site = make_site(**SHORT_LEASE)
    ready(site, "1")
    site.order(rule={"what": "hang", "when": "after", "operation": "Perform"})
    worker = site.start_worker()
    site.must(*START)
    wait_until(site.performed, "the Perform")
    worker.kill()
    assert site.statuses() == ["starting"]
    site.start_worker()
    wait_until(lambda: "unanswered" in site.events(), "the end of the lease")
    assert site.events().count("claimed") == 1
    assert "starting" not in site.statuses()
    # two heartbeats of the new worker: time enough to send it again
    second = site.ask("SELECT max(seen_at) FROM imports_worker")
    wait_until(
        lambda: site.ask("SELECT max(seen_at) FROM imports_worker") > second,
        "a heartbeat",
    )
    assert len(site.performed()) == 1


def test_killed_while_the_import_runs_the_next_worker_follows_it(site: Site) -> None:
    ready(site, "4")
    worker = site.start_worker()
    site.must(*START)
    wait_for_status(site, "running")
    worker.kill()
    site.start_worker()
    run = end_of_run(site)
    assert run["status"] == "completed"
    (line,) = site.performed()
    assert run["task_id"] == str(line["task_id"])


def test_killed_again_and_again_it_still_sends_once(
    make_site: Callable[..., Site],
) -> None:
    site = make_site(**SHORT_LEASE)
    ready(site, "3")
    site.must(*START)
    for _ in range(4):
        site.start_worker().kill()
    site.start_worker()
    settled = {"completed", "unknown"}
    wait_until(lambda: settled.intersection(site.statuses()), "an end", seconds=90)
    assert site.events().count("claimed") == 1
    assert len(site.performed()) <= 1
    if site.statuses() == ["completed"]:
        assert len(site.performed()) == 1
