"""`rebuild_strips [NAME…] [--check]`: rebuild each definition's recent runs."""

from __future__ import annotations

import sys
from dataclasses import asdict
from typing import Any

from django.core.management.base import CommandParser
from django.db.models import QuerySet

from imports.management.commands._base import AccountsCommand, printable
from imports.models import Account
from imports.usecases.upkeep import rebuild_strips


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
        self.has_wrong = False
        super().handle(*args, **options)
        if self.is_check and self.has_wrong:
            sys.exit(1)

    def default_accounts(self) -> QuerySet[Account]:
        return Account.objects.all()

    def figures(self, account: Account) -> dict[str, Any]:
        report = rebuild_strips(account=account, check=self.is_check)
        self.has_wrong = self.has_wrong or bool(report.wrong)
        return {"is_check": self.is_check, **asdict(report)}

    def text_of(self, report: dict[str, Any]) -> str:
        wrong = report["wrong"]
        if not wrong:
            return f"{report['checked']} strips, all of them right."
        done = "would be rebuilt" if self.is_check else "were rebuilt"
        details = "; ".join(
            f"{printable(strip['name'], width=60)} ({strip['definition']}): "
            f"{strip['what']}"
            for strip in wrong[:20]
        )
        more = "; and more" if len(wrong) > 20 else ""
        return f"{report['checked']} strips, {len(wrong)} {done}: {details}{more}."
