"""`start_import` leaves the start to a worker: three processes, one Perform."""

from __future__ import annotations

import pytest

from tests.e2e.site import Site, wait_until

FINAL = {"completed", "completed_with_errors", "failed", "not_started"}
COUNTS = ("total_rows", "successful", "duplicated", "errors")


def end_of_run(site: Site, seconds: float = 60) -> dict[str, object]:
    """Our only run, once it has ended."""
    wait_until(
        lambda: FINAL.intersection(site.statuses()), "the run's end", seconds=seconds
    )
    (run,) = site.ours()
    return run


def test_a_queued_start_is_sent_once_by_the_worker_and_followed_to_its_end(
    site: Site,
) -> None:
    site.start_sandbox("--pace", "1")
    site.prepare()
    site.must("sync_definitions")
    site.start_worker()
    said = site.must("start_import", "Nordlicht DE", "customers-daily")
    assert "is queued. The worker sends it." in said
    run = end_of_run(site)
    assert (run["status"], run["origin"]) == ("completed", "command")
    (line,) = site.performed()
    assert run["task_id"] == str(line["task_id"])
    assert all(run[name] is not None for name in COUNTS)
    assert site.events()[:3] == ["queued", "claimed", "accepted"]


@pytest.mark.slow
def test_a_start_that_was_queued_while_no_worker_ran_is_sent_later(site: Site) -> None:
    site.start_sandbox("--pace", "1")
    site.prepare()
    site.must("start_import", "Nordlicht DE", "customers-daily")
    assert site.statuses() == ["queued"]
    assert site.performed() == []
    site.start_worker()
    assert end_of_run(site)["status"] == "completed"
    assert len(site.performed()) == 1


@pytest.mark.slow
def test_the_worker_syncs_and_adopts_a_new_account_by_itself(site: Site) -> None:
    site.start_sandbox()
    site.prepare()
    site.start_worker()
    outside = "SELECT count(*) FROM imports_importrun WHERE origin = 'outside'"
    wait_until(lambda: site.ask(outside)[0][0], "adopted runs", seconds=60)
    assert site.ask("SELECT count(*) FROM imports_importdefinition") == [(26,)]
    assert site.performed() == []
