"""`reconcile_runs [NAME…]`: look for runs whose outcome is unknown now."""

from __future__ import annotations

from imports.management.commands._base import AccountsCommand
from imports.usecases.resolve import reconcile_runs


class Command(AccountsCommand):
    help = "Look for starts that got no answer (default: in all active accounts)."
    use_case = staticmethod(reconcile_runs)
    sentence = (
        "{looked_for} runs looked for, {found} found, {no_trace} without a trace, "
        "{to_choose} for a person to choose."
    )
