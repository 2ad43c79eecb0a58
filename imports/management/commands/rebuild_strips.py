"""`rebuild_strips [NAME…] [--check]`: draw strips anew, or prove them right."""

from __future__ import annotations

import sys
from collections.abc import Iterable
from dataclasses import asdict
from typing import Any

from django.core.management.base import CommandParser

from imports.models import Account
from imports.usecases.upkeep import rebuild_strips

from ._base import AccountsCommand, printable


class Command(AccountsCommand):
    help = (
        "Rebuild each definition's last run and its strip of the last 20 ends from "
        "the history (default: of all accounts). Safe beside a working worker."
    )

    def add_arguments(self, parser: CommandParser) -> None:
        super().add_arguments(parser)
        parser.add_argument(
            "--check",
            action="store_true",
            help="change nothing, tell what differs; exit 1 if anything does",
        )

    def handle(self, *args: Any, **options: Any) -> None:
        self.is_check = bool(options["check"])
        self.found_wrong = False
        super().handle(*args, **options)
        if self.is_check and self.found_wrong:
            sys.exit(1)

    def _accounts(self, names: Iterable[str]) -> list[Account]:
        return super()._accounts(names) if names else list(Account.objects.all())

    def pass_over(self, account: Account) -> dict[str, Any]:
        report = rebuild_strips(account=account, check=self.is_check)
        self.found_wrong = self.found_wrong or bool(report.wrong)
        return {"is_check": self.is_check, **asdict(report)}

    def sentence(self, report: dict[str, Any]) -> str:
        wrong = report["wrong"]
        if not wrong:
            return f"{report['checked']} strips, all of them right."
        done = "would be rebuilt" if self.is_check else "were rebuilt"
        told = "; ".join(
            f"{printable(one['name'], width=60)} ({one['definition']}): {one['what']}"
            for one in wrong[:20]
        )
        more = "; and more" if len(wrong) > 20 else ""
        return f"{report['checked']} strips, {len(wrong)} {done}: {told}{more}."
