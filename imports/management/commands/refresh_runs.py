"""`refresh_runs [NAME…]`: look at the running runs of accounts now."""

from __future__ import annotations

from dataclasses import asdict
from typing import Any

from imports.models import Account, new_holder
from imports.usecases.follow import refresh_runs

from ._base import AccountsCommand


class Command(AccountsCommand):
    help = "Look at the running runs of the named accounts (default: all active ones)."

    def pass_over(self, account: Account) -> dict[str, Any]:
        return asdict(refresh_runs(account=account, holder=new_holder()))

    def sentence(self, report: dict[str, Any]) -> str:
        return (
            f"{report['checked']} running runs looked at, {report['changed']} changed, "
            f"{report['ended']} ended, {report['without_row']} without a row yet."
        )
