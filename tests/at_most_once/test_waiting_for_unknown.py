"""`start_import --wait` follows a start without an answer until it is settled."""

from __future__ import annotations

import pytest
from pytest_django import Settings

from imports.management.commands import start_import
from imports.models import ImportDefinition, ImportRun, RunStatus
from imports.sandbox.nordlicht import DE
from imports.sandbox.server import SandboxServer
from tests.at_most_once.conftest import KEY
from tests.at_most_once.reached import performed
from tests.commands.running import Ran, run

pytestmark = pytest.mark.django_db


@pytest.fixture(autouse=True)
def _short(
    definition: ImportDefinition,
    settings: Settings,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """A short grace period, and a person who looks often."""
    settings.MCDASH_UNKNOWN_GRACE_SECONDS = 1
    # the test runner adds "testserver", which system checks would refuse
    settings.ALLOWED_HOSTS = ["127.0.0.1"]
    monkeypatch.setattr(start_import, "LOOK_EVERY_SECONDS", 0.05)


def wait(*options: str) -> Ran:
    return run("start_import", DE.name, KEY, "--wait", *options)


def test_a_start_that_is_found_ends_as_its_import_does(sandbox: SandboxServer) -> None:
    sandbox.misbehave("close", when="after", operation="Perform")
    ran = wait()
    assert ran.code == 0
    places = [ran.out.index(words) for words in ("Outcome unknown", "Completed")]
    assert places == sorted(places)
    assert performed(sandbox) == {KEY: 1}


def test_a_start_without_a_trace_ends_as_not_started(sandbox: SandboxServer) -> None:
    sandbox.misbehave("close", when="instead", operation="Perform")
    ran = wait()
    assert ran.code == 1
    assert "no trace" in ran.out
    only = ImportRun.objects.get()
    assert (only.status, only.looks) == (RunStatus.NOT_STARTED, 3)
    assert performed(sandbox) == {}


def test_at_the_timeout_it_says_that_nobody_knows_yet(
    sandbox: SandboxServer, settings: Settings
) -> None:
    settings.MCDASH_UNKNOWN_GRACE_SECONDS = 900
    sandbox.misbehave("close", when="after", operation="Perform")
    sandbox.misbehave("rows_never")
    ran = wait("--timeout", "1", "--json")
    assert ran.code == 3
    assert ran.document["status"] == "unknown"
    assert sandbox.calls.count("Retrieve") == 1
    assert performed(sandbox) == {KEY: 1}


def test_an_account_that_stops_answering_is_told_and_asked_again(
    sandbox: SandboxServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    sandbox.misbehave("close", when="after", operation="Perform")
    sandbox.misbehave("fault", kind="server", operation="Retrieve", times=1)
    ran = wait()
    assert ran.code == 0
    assert "No response:" in ran.out
    assert performed(sandbox) == {KEY: 1}
