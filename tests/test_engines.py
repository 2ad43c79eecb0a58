"""The worker's journey on the engines of a fleet: PostgreSQL and Redis."""

from __future__ import annotations

import os
import secrets
from collections.abc import Iterator
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit, urlunsplit

import psycopg
import pytest
import redis

from tests.journeys.site import Site, wait_until

POSTGRES = os.environ.get("MCDASH_TEST_POSTGRES_URL", "")
REDIS = os.environ.get("MCDASH_TEST_REDIS_URL", "")
pytestmark = [
    pytest.mark.services,
    pytest.mark.skipif(
        not (POSTGRES and REDIS),
        reason="MCDASH_TEST_POSTGRES_URL and MCDASH_TEST_REDIS_URL are not set",
    ),
]


@pytest.fixture
def database() -> Iterator[str]:
    """A PostgreSQL database of this test's own."""
    name = f"mcdash_engines_{secrets.token_hex(4)}"
    with psycopg.connect(POSTGRES, autocommit=True) as server:
        server.execute(f'CREATE DATABASE "{name}"'.encode())
        yield urlunsplit(urlsplit(POSTGRES)._replace(path=f"/{name}"))
        server.execute(f'DROP DATABASE "{name}" WITH (FORCE)'.encode())


@pytest.fixture
def redis_queue() -> Iterator[str]:
    """A Redis database that is emptied before and after."""
    server = redis.Redis.from_url(REDIS)
    server.flushdb()
    yield REDIS
    server.flushdb()
    server.close()


@pytest.mark.parametrize("queue", ["postgresql", "redis"])
def test_the_worker_runs_an_import_on(
    queue: str, database: str, redis_queue: str, tmp_path: Path
) -> None:
    queue_url = redis_queue if queue == "redis" else database
    engines = {"DATABASE_URL": database, "MCDASH_QUEUE_URL": queue_url}
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
