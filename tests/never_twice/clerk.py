"""Starts definitions as people do, for as long as there are lines on stdin.

    python -m tests.never_twice.clerk

Each line is a number: so many runs shall wait in the queue. Starts are recorded by
the use case, and the worker is woken as by a page. The answer is a line of JSON: the
ids of the runs that were queued.
"""

from __future__ import annotations

import json
import sys
from itertools import zip_longest


def main() -> None:
    import django

    django.setup()
    for line in sys.stdin:
        sys.stdout.write(f"{json.dumps(top_up(int(line)))}\n")
        sys.stdout.flush()


def top_up(wanted: int) -> list[int]:
    """Start definitions at rest, in turns over the accounts, until `wanted` wait."""
    from imports.models import ImportRun, Origin, RunStatus
    from imports.tasks import wake_worker
    from imports.usecases.start_import import start_import

    waiting = ImportRun.objects.filter(status=RunStatus.QUEUED).count()
    begun = []
    for definition in at_rest()[: max(0, wanted - waiting)]:
        run = start_import(
            definition=definition,
            started_by=None,
            started_by_name="clerk",
            origin=Origin.COMMAND,
        )
        wake_worker(run)
        begun.append(run.pk)
    return begun


def at_rest() -> list[object]:
    """Definitions without an active run; those started longest ago come first."""
    from django.db.models import F, Max, Q

    from imports.models import ACTIVE, Account, ImportDefinition, Origin

    ours = ~Q(runs__origin=Origin.OUTSIDE)
    found = (
        ImportDefinition.objects.exclude(customer_key="")
        .annotate(last=Max("runs__queued_at", filter=ours))
        .exclude(pk__in=ImportDefinition.objects.filter(runs__status__in=ACTIVE))
        .order_by(F("last").asc(nulls_first=True), "pk")
    )
    by_account = [found.filter(account=account) for account in Account.objects.all()]
    return [one for turn in zip_longest(*by_account) for one in turn if one]


if __name__ == "__main__":
    main()
