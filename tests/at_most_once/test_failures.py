"""Every failure of a Perform, at every moment, over real HTTP."""

from __future__ import annotations

import time
from datetime import timedelta

import pytest
from pytest_django import Settings

from imports.models import (
    EventKind,
    ImportDefinition,
    ImportRun,
    RunStatus,
    database_now,
)
from imports.sandbox.server import SandboxServer
from imports.usecases.adopt import adopt_runs
from imports.usecases.follow import refresh_runs
from imports.usecases.resolve import LEAST_LOOKS, reconcile_runs
from imports.usecases.send import send_start
from imports.usecases.start import start_import
from tests.at_most_once.failures import CASES, DOCS, Ending, Failure, drawn
from tests.at_most_once.reached import performed

pytestmark = pytest.mark.django_db
MOST_LOOKS = 100


def settle(run: ImportRun, settings: Settings) -> ImportRun:
    """Look as the worker does until the run has ended; the grace period is over."""
    grace = timedelta(seconds=settings.MCDASH_UNKNOWN_GRACE_SECONDS + 1)
    run.events.filter(kind=EventKind.UNANSWERED).update(at=database_now() - grace)
    for _ in range(MOST_LOOKS):
        run.refresh_from_db()
        if run.has_ended:
            return run
        if run.status == RunStatus.UNKNOWN:
            reconcile_runs(account=run.account, holder="worker")
        else:
            refresh_runs(account=run.account, holder="worker")
        time.sleep(0.02)
    raise AssertionError(f"It does not end: {run.status}")


def requests_for(failure: Failure) -> int:
    """One, but for the fault that proves that nothing was performed."""
    return 2 if failure.options.get("kind") == "token_expired" else 1


def named(case: tuple[Failure, str, Ending]) -> str:
    return f"{case[0].name} {case[1]}"


@pytest.mark.parametrize("case", CASES, ids=named)
def test_what_a_failure_proves_decides_where_the_run_ends(
    case: tuple[Failure, str, Ending],
    sandbox: SandboxServer,
    definition: ImportDefinition,
    settings: Settings,
) -> None:
    failure, when, ending = case
    if failure.what in {"hang", "drip"}:
        # long enough for a busy machine's sandbox to perform it before it hangs
        settings.MCDASH_CALL_DEADLINE_SECONDS = 1.5
    is_within = failure.what in {
        *("no_task_id", "rows_late", "in_refused", "property_refused"),
    }
    moment = {} if is_within else {"when": when, "operation": "Perform"}
    sandbox.misbehave(failure.what, **moment, **failure.options)
    run = start_import(definition=definition, started_by=None)
    run = send_start(run=run, holder="worker")
    reason = "" if ending.first == RunStatus.RUNNING else failure.reason
    assert (run.status, run.reason) == (ending.first, reason), run.message
    assert performed(sandbox).total() == ending.performed
    assert sandbox.calls.count("Perform") == requests_for(failure)
    assert settle(run, settings).status == ending.end
    assert sandbox.calls.count("Perform") == requests_for(failure)
    if ending.end == "completed":
        (line,) = sandbox.world.performed()
        assert run.task_id == str(line["task_id"])


@pytest.mark.parametrize(
    "case", [case for case in CASES if case[2].words.endswith("outside")], ids=named
)
def test_a_task_behind_a_false_refusal_is_not_lost(
    case: tuple[Failure, str, Ending],
    sandbox: SandboxServer,
    definition: ImportDefinition,
) -> None:
    failure, when, _ = case
    sandbox.misbehave(failure.what, when=when, operation="Perform", **failure.options)
    run = start_import(definition=definition, started_by=None)
    send_start(run=run, holder="worker")
    time.sleep(0.02)
    definition.account.refresh_from_db()
    type(definition.account).objects.update(credentials_refused_at=None)
    adopt_runs(account=definition.account, holder="worker")
    (line,) = sandbox.world.performed()
    outside = ImportRun.objects.exclude(pk=run.pk).get()
    assert (outside.origin, outside.task_id) == ("outside", str(line["task_id"]))


def test_three_looks_are_the_least_before_absence_counts() -> None:
    assert LEAST_LOOKS == 3


def test_the_docs_show_this_table() -> None:
    assert DOCS.read_text() == drawn()
