"""Starts definitions as people do, for as long as there are lines on stdin.

    python -m tests.at_most_once.clerk PORT

First it adds the accounts of the sandbox at PORT, with definitions and history. Then
each line is a number and the beginning of accounts' names: so many runs shall wait in
their queue. Starts are recorded by the use case, as by a page. The answer is a line of
JSON: the ids of the runs that were queued.
"""

from __future__ import annotations

import json
import sys
from itertools import zip_longest
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from imports.models import ImportDefinition


def main() -> None:
    import django

    django.setup()
    prepare(int(sys.argv[1]))
    for line in sys.stdin:
        wanted, _, names = line.strip().partition(" ")
        sys.stdout.write(f"{json.dumps(top_up(int(wanted), names))}\n")
        sys.stdout.flush()


def prepare(port: int) -> None:
    """Both accounts as a worker would know them after its first minute."""
    from imports.management.commands.add_sandbox_accounts import ensure_sandbox_accounts
    from imports.models import Account
    from imports.usecases.adopt import adopt_runs
    from imports.usecases.sync import sync_definitions

    ensure_sandbox_accounts(port)
    for account in Account.objects.all():
        sync_definitions(account=account, holder="clerk")
        adopt_runs(account=account, holder="clerk")


def top_up(wanted: int, names: str) -> list[int]:
    """Start definitions at rest, in turns over the accounts, until `wanted` wait."""

    from imports.models import ImportRun, Origin, RunStatus
    from imports.usecases.start import start_import

    waiting = ImportRun.objects.filter(
        status=RunStatus.QUEUED, account__name__startswith=names
    )
    begun = []
    for definition in at_rest(names)[: max(0, wanted - waiting.count())]:
        run = start_import(
            definition=definition,
            started_by=None,
            started_by_name="clerk",
            origin=Origin.COMMAND,
        )
        begun.append(run.pk)
    return begun


def at_rest(names: str) -> list[ImportDefinition]:
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
    accounts = Account.objects.filter(name__startswith=names)
    by_account = [found.filter(account=account) for account in accounts]
    return [one for turn in zip_longest(*by_account) for one in turn if one]


if __name__ == "__main__":
    main()
