"""A process that lacks its tables or static files says so and does not start."""

from __future__ import annotations

import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest
from django.core.exceptions import ImproperlyConfigured
from pytest_django import Settings

from imports.checks import require_preparation
from tests.e2e.site import PYTHON, ROOT, Site


@pytest.fixture
def site(tmp_path: Path) -> Iterator[Site]:
    with Site(folder=tmp_path / "var") as made:
        yield made


def load_pages(site: Site, **env: str) -> subprocess.CompletedProcess[str]:
    """What gunicorn does first in each of its processes."""
    return subprocess.run(
        [PYTHON, "-c", "import mcdash.wsgi"],
        cwd=ROOT,
        env=site.env | env,
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )


@pytest.mark.slow
def test_pages_start_once_tables_and_static_files_are_there(site: Site) -> None:
    without_tables = load_pages(site)
    assert without_tables.returncode
    assert "contenttypes.0001_initial is its next" in without_tables.stderr

    site.must("migrate", "--verbosity", "0")
    without_files = load_pages(site)
    assert without_files.returncode
    assert "static files were not collected" in without_files.stderr

    site.must("collectstatic", "--no-input", "--verbosity", "0")
    assert load_pages(site).returncode == 0
    assert load_pages(site, MCDASH_DEBUG="1").returncode == 0

    # what manage.py refuses, gunicorn doesn't serve either
    for dangerous in (
        {"MCDASH_HOSTS": "dash.example.com"},
        {"MCDASH_ALLOW_LOOPBACK": "0", "MCDASH_DEBUG": "1"},
        {"MCDASH_ALLOW_LOOPBACK": "0", "MCDASH_TRUSTED_PROXIES": "0.0.0.0/0"},
    ):
        refused = load_pages(site, **dangerous)
        assert refused.returncode
        assert "ImproperlyConfigured: MCDASH_" in refused.stderr

    # a newer program over an older database
    site.must("migrate", "axes", "0008", "--verbosity", "0")
    assert "axes.0009" in load_pages(site).stderr


@pytest.mark.slow
def test_the_worker_does_not_start_without_tables(site: Site) -> None:
    ended = site.manage("run_worker")
    assert ended.returncode == 1
    assert ended.stderr.strip().endswith("Run: manage.py migrate")
    assert "Traceback" not in ended.stderr


@pytest.mark.slow
def test_pages_start_while_the_database_is_away(site: Site) -> None:
    site.must("migrate", "--verbosity", "0")
    site.must("collectstatic", "--no-input", "--verbosity", "0")
    started = load_pages(site, DATABASE_URL="postgresql://a:b@127.0.0.1:1/c")
    assert started.returncode == 0
    assert "although the database does not answer" in started.stderr


@pytest.mark.django_db(transaction=True)
def test_a_file_that_is_new_since_the_last_collection_is_missed(
    monkeypatch: pytest.MonkeyPatch, settings: Settings
) -> None:
    settings.ALLOWED_HOSTS = ["127.0.0.1"]  # the test runner adds one of its own
    monkeypatch.setattr("imports.checks._uncollected", lambda: ["css/new.css"])
    require_preparation(of_pages=False)
    with pytest.raises(ImproperlyConfigured, match=r"such as css/new\.css"):
        require_preparation(of_pages=True)
