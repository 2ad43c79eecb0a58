"""`list_runs`: the history, newest first."""

from __future__ import annotations

from typing import Any

from django.core.management.base import CommandParser

from imports.models import ImportRun, Origin, RunStatus, WorkerState, workers_now
from imports.wording.following import clock_in_utc, fact

from ._base import (
    McdashCommand,
    account_named,
    positive_number,
    printable,
    record_of,
)

COLUMNS = "{:>7}  {:<23} {:<28} {:<22} {:>10} {:>8}  {}"


class Command(McdashCommand):
    help = "List runs, newest first."

    def add_arguments(self, parser: CommandParser) -> None:
        super().add_arguments(parser)
        parser.add_argument("--account", metavar="N", help="of this account only")
        parser.add_argument("--status", metavar="S", choices=RunStatus.values)
        parser.add_argument("--origin", metavar="O", choices=Origin.values)
        parser.add_argument("--limit", metavar="N", type=positive_number, default=50)

    def handle(self, *_args: Any, **options: Any) -> None:
        runs, workers = self._runs(options), workers_now()
        if options["json"]:
            self.print_json(
                [record_of(run, run.why_not_followed(workers)) for run in runs]
            )
            return
        if not runs:
            self.stdout.write("No run matches.")
            return
        self.stdout.write(
            COLUMNS.format(
                "RUN", "STATUS", "DEFINITION", "ACCOUNT", "ROWS", "ERRORS", "AT"
            )
        )
        for run in runs:
            self.stdout.write(_line(run))
        for sentence in _nobody_looks(runs, workers):
            self.stdout.write(sentence)

    def _runs(self, options: dict[str, Any]) -> list[ImportRun]:
        runs = ImportRun.objects.select_related("account", "definition")
        if options["account"]:
            runs = runs.filter(account=account_named(options["account"]))
        for name in ("status", "origin"):
            if options[name]:
                runs = runs.filter(**{name: options[name]})
        return list(runs.latest_first()[: options["limit"]])


def _nobody_looks(runs: list[ImportRun], workers: WorkerState) -> list[str]:
    """A sentence for each run that stands as it was last seen, and why."""
    return [
        f"Run {run.pk}: {fact(run, unfollowed, clock_in_utc)}"
        for run in runs
        if (unfollowed := run.why_not_followed(workers))
    ]


def _line(run: ImportRun) -> str:
    return COLUMNS.format(
        run.pk,
        run.get_status_display(),
        printable(run.customer_key or "–", width=28),
        printable(run.account.shown_name, width=22),
        _count(run.total_rows),
        _count(run.errors),
        f"{run.occurred_at:%Y-%m-%d %H:%M} UTC",
    )


def _count(number: int | None) -> str:
    return "–" if number is None else f"{number:,}"
