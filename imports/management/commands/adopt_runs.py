"""`adopt_runs [NAME…]`: enter runs that were started elsewhere now."""

from __future__ import annotations

from dataclasses import asdict
from typing import Any

from imports.models import Account, new_holder
from imports.usecases.adopt import adopt_runs

from ._base import AccountsCommand


class Command(AccountsCommand):
    help = "Enter what was started outside mcdash (default: all active accounts)."

    def pass_over(self, account: Account) -> dict[str, Any]:
        return asdict(adopt_runs(account=account, holder=new_holder()))

    def sentence(self, report: dict[str, Any]) -> str:
        return (
            f"{report['rows']} results read, {report['adopted']} runs adopted, "
            f"{report['waiting']} waiting for a start that is not settled."
        )
