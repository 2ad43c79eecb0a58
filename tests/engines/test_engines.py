"""The worker's journey on the engines of a fleet: PostgreSQL and Redis."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from tests.e2e.site import Site, wait_until

pytestmark = pytest.mark.services


def test_the_worker_runs_an_import_on(
    database: str, queue: str, tmp_path: Path
) -> None:
    engines = {"DATABASE_URL": database, "MCDASH_QUEUE_URL": queue}
    with Site(folder=tmp_path, extra=engines) as site:
        site.start_sandbox("--pace", "1")
        site.prepare()
        site.must("sync_definitions")
        worker = site.start("run_huey")
        site.must("start_import", "Nordlicht DE", "customers-daily")
        run = wait_until(lambda: ended_run(site), worker.log.name, seconds=60)
    assert run["status"] == "completed"
    assert run["task_id"]
    assert run["successful"]
    assert [line["task_id"] for line in site.performed()] == [int(run["task_id"])]


def ended_run(site: Site) -> dict[str, Any] | None:
    (run,) = site.ours()
    under_way = run["status"] in {"queued", "starting", "running"}
    return None if under_way else run
