"""The worker's journey on PostgreSQL, which tells it of starts."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from tests.e2e.site import Site, wait_until

pytestmark = pytest.mark.services


def test_the_worker_runs_an_import(database: str, tmp_path: Path) -> None:
    with Site(folder=tmp_path, extra={"DATABASE_URL": database}) as site:
        site.start_sandbox("--pace", "1")
        site.prepare()
        site.must("sync_definitions")
        worker = site.start("run_worker")
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
