"""`reconcile_runs [NAME…]`: look for runs whose outcome is unknown now."""

from __future__ import annotations

from dataclasses import asdict
from typing import Any

from imports.models import Account, new_holder
from imports.usecases.resolve import reconcile_runs

from ._base import AccountsCommand


class Command(AccountsCommand):
    help = "Look for starts that got no answer (default: in all active accounts)."

    def pass_over(self, account: Account) -> dict[str, Any]:
        return asdict(reconcile_runs(account=account, holder=new_holder()))

    def sentence(self, report: dict[str, Any]) -> str:
        return (
            f"{report['looked_for']} runs looked for, {report['found']} found, "
            f"{report['no_trace']} without a trace, {report['to_choose']} for a person "
            "to choose."
        )
