"""The worker's journey on the engines of a fleet: PostgreSQL and Redis."""

from __future__ import annotations

import json
import os
import secrets
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from urllib.parse import urlsplit, urlunsplit

import psycopg
import pytest
import redis

from imports.management.processes import Children, free_port

ROOT = Path(__file__).resolve().parent.parent
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


class Site:
    """mcdash's processes on one database and one queue."""

    def __init__(self, folder: Path, database_url: str, queue_url: str) -> None:
        chosen = {"DATABASE_URL": database_url, "MCDASH_QUEUE_URL": queue_url}
        own = {"MCDASH_DATA_DIR": str(folder), "MCDASH_ALLOW_LOOPBACK": "1"}
        self.env = os.environ | own | {key: url for key, url in chosen.items() if url}
        self.children = Children(logs=folder / "logs")

    def run(self, *arguments: str) -> str:
        done = subprocess.run(
            [sys.executable, "manage.py", *arguments],
            cwd=ROOT,
            env=self.env,
            capture_output=True,
            text=True,
            check=False,
            timeout=60,
        )
        assert done.returncode == 0, done.stderr
        return done.stdout

    def start(self, name: str, *arguments: str) -> None:
        command = [sys.executable, "manage.py", *arguments]
        self.children.start(name, command, env=self.env, folder=ROOT)

    def last_run(self) -> dict[str, object]:
        runs = json.loads(self.run("list_runs", "--origin", "command", "--json"))
        found: dict[str, object] = runs[0]
        return found


def wait_for_the_end(site: Site) -> dict[str, object]:
    until = time.monotonic() + 60
    while (run := site.last_run())["status"] in {"queued", "starting", "running"}:
        assert site.children.ended() is None
        assert time.monotonic() < until, run
        time.sleep(0.5)
    return run


@pytest.mark.parametrize("queue", ["postgresql", "redis"])
def test_the_worker_runs_an_import_on(
    queue: str, database: str, redis_queue: str, tmp_path: Path
) -> None:
    site = Site(tmp_path, database, redis_queue if queue == "redis" else database)
    port = free_port(9300)
    site.run("migrate", "--verbosity", "0")
    with site.children:
        site.start("sandbox", "run_sandbox", "--port", str(port), "--pace", "1")
        site.run("add_sandbox_accounts", "--port", str(port))
        site.run("sync_definitions", "Nordlicht DE")
        site.start("worker", "run_huey")
        site.run("start_import", "Nordlicht DE", "customers-daily")
        run = wait_for_the_end(site)
    assert run["status"] == "completed"
    assert run["task_id"]
    assert run["errors"] == 0
    assert run["successful"]
