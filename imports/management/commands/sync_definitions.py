"""`sync_definitions [NAME…]`: fetch the definitions of accounts now."""

from __future__ import annotations

from dataclasses import asdict
from typing import Any

from imports.models import Account, new_holder
from imports.usecases.sync import sync_definitions

from ._base import AccountsCommand


class Command(AccountsCommand):
    help = "Fetch the definitions of the named accounts (default: all active ones)."

    def pass_over(self, account: Account) -> dict[str, Any]:
        return asdict(sync_definitions(account=account, holder=new_holder()))

    def sentence(self, report: dict[str, Any]) -> str:
        refused = ", ".join(report["refused_properties"])
        return (
            f"{report['seen']} definitions, {report['created']} new, "
            f"{report['changed']} changed, {report['missing']} not listed, "
            f"{report['gone']} believed gone."
            + (" The list may be incomplete." if report["is_doubted"] else "")
            + (f" Not readable here: {refused}." if refused else "")
        )
