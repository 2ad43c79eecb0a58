"""`refresh_runs [NAME…]`: look at the running runs of accounts now."""

from __future__ import annotations

from imports.management.commands._base import AccountsCommand
from imports.usecases.follow import refresh_runs


class Command(AccountsCommand):
    help = "Look at the running runs of the named accounts (default: all active ones)."
    use_case = staticmethod(refresh_runs)
    sentence = (
        "{checked} running runs looked at, {changed} changed, {ended} ended, "
        "{without_row} without a row yet."
    )
