"""`list_runs`: the history, newest first."""

from __future__ import annotations

from typing import Any

from django.core.management.base import CommandParser

from imports.management.commands import _base as base
from imports.management.commands._base import printable
from imports.models import ImportRun, Origin, RunStatus, workers_now
from imports.wording.following import clock_in_utc, fact
from imports.wording.formats import count_text

COLUMNS = "{:>7}  {:<23} {:<28} {:<22} {:>10} {:>8}  {}"
HEADS = ("RUN", "STATUS", "DEFINITION", "ACCOUNT", "ROWS", "ERRORS", "AT")


class Command(base.McdashCommand):
    help = "List runs, newest first."

    def add_arguments(self, parser: CommandParser) -> None:
        super().add_arguments(parser)
        add = parser.add_argument
        add("--account", metavar="N", help="of this account only")
        add("--status", metavar="S", choices=RunStatus.values)
        add("--origin", metavar="O", choices=Origin.values)
        add("--limit", metavar="N", type=base.positive_number, default=50)

    def handle(self, *_args: Any, **options: Any) -> None:
        runs = ImportRun.objects.select_related("account", "definition").latest_first()
        if options["account"]:
            runs = runs.filter(account=base.account_named(options["account"]))
        chosen = {name: options[name] for name in ("status", "origin") if options[name]}
        runs = runs.filter(**chosen)[: options["limit"]]
        workers = workers_now()
        listed = [(run, run.why_not_followed(workers)) for run in runs]
        if options["json"]:
            self.print_json([base.record_of(*pair) for pair in listed])
            return
        if not listed:
            self.stdout.write("No run matches.")
            return
        self.stdout.write(COLUMNS.format(*HEADS))
        for run, _ in listed:
            line = COLUMNS.format(
                run.pk,
                run.get_status_display(),
                printable(run.customer_key or "–", width=28),
                printable(run.account.shown_name, width=22),
                *map(count_text, (run.total_rows, run.errors)),
                clock_in_utc(run.occurred_at),
            )
            self.stdout.write(line)
        for run, why in listed:
            if why:
                self.stdout.write(f"Run {run.pk}: {fact(run, why, clock_in_utc)}")
