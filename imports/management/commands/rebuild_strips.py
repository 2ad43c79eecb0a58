"""`rebuild_strips [NAME…] [--check]`: rebuild each definition's recent runs."""

from __future__ import annotations

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
        text = "change nothing, tell what differs; exit 1 if anything does"
        parser.add_argument("--check", action="store_true", help=text)

    def default_accounts(self) -> QuerySet[Account]:
        return Account.objects.all()

    def figures(self, account: Account) -> dict[str, Any]:
        is_check = self.options["check"]
        report = rebuild_strips(account=account, check=is_check)
        return {"is_check": is_check, **asdict(report)}

    def is_failure(self, report: dict[str, Any]) -> bool:
        return bool(report["error"] or (report["is_check"] and report["wrong"]))

    def text_of(self, report: dict[str, Any]) -> str:
        wrong = report["wrong"]
        if not wrong:
            return f"{report['checked']} strips, all of them right."
        done = "would be rebuilt" if report["is_check"] else "were rebuilt"
        details = [
            f"{printable(one['name'], width=60)} ({one['definition']}): {one['what']}"
            for one in wrong[:20]
        ]
        details += ["and more"] if len(wrong) > 20 else []
        text = f"{report['checked']} strips, {len(wrong)} {done}"
        return f"{text}: {'; '.join(details)}."
