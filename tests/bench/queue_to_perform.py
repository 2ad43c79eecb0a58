"""From the commit of a queued run to its Perform in the sandbox's journal.

A worker process with nothing else to do, a sandbox process that answers at once;
this process queues runs as a page does. All three share the machine's clock.
"""

from __future__ import annotations

import time
from collections.abc import Sequence
from datetime import UTC, datetime
from pathlib import Path
from statistics import median
from typing import TYPE_CHECKING

from tests.bench.figures import Figure, milliseconds
from tests.bench.here import settings_given
from tests.e2e.site import Site, wait_until

if TYPE_CHECKING:
    from imports.models import ImportDefinition

ROUNDS, QUICK_ROUNDS = 20, 8
WARM_UP = 2
# Different pauses, so that no start keeps step with the worker's own rhythm.
SHORTEST_PAUSE_SECONDS, PAUSES = 0.1, 97


def figures(folder: Path, *, quick: bool) -> list[Figure]:
    """Median and worst of some starts of an account at rest."""
    with Site(folder=folder, extra=settings_given()) as site:
        site.start_sandbox("--pace", "0.3", "--quiet")
        site.prepare()
        site.must("sync_definitions")
        site.start_worker()
        wait_until(lambda: _is_at_rest(site), "the first adoption", seconds=60)
        waits = _waits(site, WARM_UP + (QUICK_ROUNDS if quick else ROUNDS))[WARM_UP:]
    return as_figures(waits)


def as_figures(waits: Sequence[float]) -> list[Figure]:
    """The median and the worst of `waits`, in seconds."""
    return [
        milliseconds("queue_to_perform_ms", median(waits)),
        milliseconds("queue_to_perform_worst_ms", max(waits)),
    ]


def _is_at_rest(site: Site) -> bool:
    (answer,) = site.ask("SELECT last_adopted_at IS NOT NULL FROM imports_account")
    return bool(answer[0])


def _waits(site: Site, rounds: int) -> list[float]:
    """Seconds, one for each start; every start is of another definition."""
    waits = []
    for number, definition in enumerate(_definitions(rounds)):
        time.sleep(SHORTEST_PAUSE_SECONDS + number * 37 % PAUSES / 1000)
        waits.append(_wait(site, definition))
    return waits


def _definitions(count: int) -> list[ImportDefinition]:
    from imports.models import ImportDefinition
    from imports.sandbox.catalogue import Behaviour
    from imports.sandbox.nordlicht import DE, nordlicht

    keys = [
        one.customer_key
        for one in nordlicht().definitions
        if one.mid == DE.mid
        and one.customer_key
        and one.behaviour is not Behaviour.REFUSED
    ]
    found = ImportDefinition.objects.filter(customer_key__in=keys).order_by("pk")
    if len(found) < count:
        raise RuntimeError(f"{count} definitions are needed, there are {len(found)}.")
    return list(found[:count])


def _wait(site: Site, definition: ImportDefinition) -> float:

    from imports.models import Origin
    from imports.usecases.start import start_import

    before = len(site.performed())
    start_import(
        definition=definition,
        started_by=None,
        started_by_name="benchmark",
        origin=Origin.COMMAND,
    )
    committed = datetime.now(UTC)
    wait_until(lambda: len(site.performed()) > before, "the Perform")
    line = site.performed()[-1]
    if line["customer_key"] != definition.customer_key:
        raise RuntimeError(f"Not what was to be measured: {line}")
    return (datetime.fromisoformat(line["at"]) - committed).total_seconds()
