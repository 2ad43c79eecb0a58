"""`sync_definitions [NAME…]`: fetch the definitions of accounts now."""

from __future__ import annotations

from typing import Any

from imports.management.commands._base import AccountsCommand
from imports.usecases.sync import sync_definitions


class Command(AccountsCommand):
    help = "Fetch the definitions of the named accounts (default: all active ones)."
    use_case = staticmethod(sync_definitions)
    sentence = (
        "{seen} definitions, {created} new, {changed} changed, {missing} not listed, "
        "{gone} believed gone."
    )

    def text_of(self, report: dict[str, Any]) -> str:
        text = super().text_of(report)
        if report["is_doubted"]:
            text += " The list may be incomplete."
        if refused := ", ".join(report["refused_properties"]):
            text += f" Not readable here: {refused}."
        return text
