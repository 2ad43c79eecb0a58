"""1,000 active runs of one account looked at once, beside one question for each.

Every run has changed since the last pass: each row is written, all in one
transaction. Both sides hold a token and keep their connection.
"""

from __future__ import annotations

from pathlib import Path
from statistics import median
from typing import TYPE_CHECKING

from tests.bench.figures import Figure, milliseconds, ratio, seconds_of
from tests.bench.plain import PlainScript
from tests.bench.sandboxes import (
    Sandbox,
    add_accounts,
    crowded_sandbox,
    follow_tasks,
)

if TYPE_CHECKING:
    from imports.models import Account

RUNS = 1000
LATENCY_MS = 50
# Counts rise by some rows a second, so every run has changed at every pass.
PACE_SECONDS = 600
ROUNDS, QUICK_ROUNDS = 7, 3
ASKED, QUICK_ASKED = 100, 40
BASELINE = (
    "one equals-Retrieve per run as the vendor's SDKs do it, at 50 ms; "
    "{asked} were measured and scaled to 1,000"
)


def figures(_folder: Path, *, quick: bool) -> list[Figure]:
    """Calls and milliseconds of a pass, and what asking one by one takes instead."""
    with crowded_sandbox(definitions=RUNS, running=RUNS, pace=PACE_SECONDS) as sandbox:
        add_accounts(sandbox, 1)
        follow_tasks(sandbox)
        script = PlainScript(sandbox.url)
        _pass(sandbox)  # learns the token and that IN is taken
        sandbox.set_latency(LATENCY_MS)
        asked = QUICK_ASKED if quick else ASKED
        plain = seconds_of(lambda: _one_by_one(script, sandbox, asked))
        passes = [_pass(sandbox) for _ in range(QUICK_ROUNDS if quick else ROUNDS)]
    return as_figures(passes, plain, asked)


def as_figures(
    passes: list[tuple[int, float]], plain: float, asked: int
) -> list[Figure]:
    """`passes` are calls and seconds; `plain` seconds for `asked` runs."""
    calls, seconds = (median(values) for values in zip(*passes, strict=True))
    baseline = BASELINE.format(asked=asked)
    return [
        Figure(name="refresh_1000_active_calls", value=calls, unit="calls"),
        ratio("refresh_1000_active_ratio", plain * RUNS / asked, seconds, baseline),
        milliseconds("refresh_1000_active_ms", seconds),
    ]


def _pass(sandbox: Sandbox) -> tuple[int, float]:
    """How many Retrieves and seconds one look at all runs took."""
    from imports.models import Account

    before = sandbox.counts()["Retrieve"] if sandbox.counts().get("Retrieve") else 0
    account = Account.objects.get()
    seconds = seconds_of(lambda: _refresh(account))
    return sandbox.counts()["Retrieve"] - before, seconds


def _refresh(account: Account) -> None:
    from imports.models import new_holder
    from imports.usecases.follow import refresh_runs

    report = refresh_runs(account=account, holder=new_holder())
    if (report.checked, report.changed, report.without_row) != (RUNS, RUNS, 0):
        raise RuntimeError(f"Not what was to be measured: {report}")


def _one_by_one(script: PlainScript, sandbox: Sandbox, count: int) -> None:
    for task in sandbox.tasks()[:count]:
        (row,) = script.results_of_task(task["task_id"])
        if row["TaskResultID"] != str(task["task_id"]):
            raise RuntimeError(f"Not what was asked for: {row}")
