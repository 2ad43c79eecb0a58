"""`adopt_runs [NAME…]`: enter runs that were started elsewhere now."""

from __future__ import annotations

from imports.management.commands._base import AccountsCommand
from imports.usecases.adopt import adopt_runs


class Command(AccountsCommand):
    help = "Enter what was started outside mcdash (default: all active accounts)."
    use_case = staticmethod(adopt_runs)
    sentence = (
        "{rows} results read, {adopted} runs adopted, {waiting} waiting for a start "
        "that is not settled."
    )
