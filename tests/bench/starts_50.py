"""50 starts in one account at once: two calls at a time are all that it gets."""

from __future__ import annotations

import time
from datetime import datetime
from pathlib import Path

from tests.bench.figures import Figure
from tests.bench.sandboxes import Sandbox, add_accounts, crowded_sandbox
from tests.bench.worker import worker
from tests.e2e.site import wait_until

STARTS, AT_ONCE = 50, 2
LATENCY_MS = 200
BASELINE = f"{STARTS // AT_ONCE} answers of {LATENCY_MS} ms, one after the other"


def figures(folder: Path, *, quick: bool) -> list[Figure]:
    """Seconds from the first commit until the last Perform was carried out."""
    with crowded_sandbox(definitions=STARTS) as sandbox:
        add_accounts(sandbox, 1)
        _sync()
        sandbox.set_latency(LATENCY_MS)
        with worker(folder):
            began = time.time()
            _start_all()
            wait_until(lambda: _performed(sandbox), "all Performs", seconds=60)
        last = max(datetime.fromisoformat(task["at"]) for task in sandbox.tasks())
    return as_figures(last.timestamp() - began)


def as_figures(seconds: float) -> list[Figure]:
    least = STARTS / AT_ONCE * LATENCY_MS / 1000
    value = round(seconds, 2)
    return [
        Figure(name="starts_50_s", value=value, unit="s"),
        Figure(
            name="starts_50_ratio",
            value=round(seconds / least, 2),
            unit="ratio",
            baseline=BASELINE,
        ),
    ]


def _sync() -> None:
    """The account with its definitions, and nothing left for the worker to do."""
    from imports.models import Account, database_now, new_holder
    from imports.usecases.sync import sync_definitions

    account = Account.objects.get()
    sync_definitions(account=account, holder=new_holder())
    Account.objects.update(last_adopted_at=database_now())


def _start_all() -> None:
    """As the page does when a person starts several."""

    from imports.models import ImportDefinition, Origin
    from imports.usecases.start import start_import

    for definition in ImportDefinition.objects.order_by("pk"):
        start_import(
            definition=definition,
            started_by=None,
            started_by_name="benchmark",
            origin=Origin.COMMAND,
        )


def _performed(sandbox: Sandbox) -> bool:
    return len(sandbox.tasks()) == STARTS
