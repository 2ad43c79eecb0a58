"""`rotate_field_keys [--check]`: put stored secrets under the newest field key."""

from __future__ import annotations

import sys
from typing import Any

from django.conf import settings
from django.core.management.base import CommandParser

from imports.usecases.upkeep import KeyUse, field_key_use, rotate_field_keys

from ._base import McdashCommand, login_name, printable


class Command(McdashCommand):
    help = (
        "Encrypt every stored secret with the first key of MCDASH_FIELD_KEYS and tell "
        "which keys are still needed. Safe while pages and worker run, once all of "
        "them know the new key. Exit status: 0 when only the first key is needed, 1 "
        "when older ones still are or a secret cannot be read."
    )

    def add_arguments(self, parser: CommandParser) -> None:
        super().add_arguments(parser)
        parser.add_argument(
            "--check", action="store_true", help="only tell; change nothing"
        )

    def handle(self, *_args: Any, **options: Any) -> None:
        use = (
            field_key_use() if options["check"] else rotate_field_keys(by=login_name())
        )
        if options["json"]:
            self.print_json(_document(use))
        else:
            self._tell(use, is_check=options["check"])
        if use.needs_old_keys or use.unreadable:
            sys.exit(1)

    def _tell(self, use: KeyUse, *, is_check: bool) -> None:
        if not is_check:
            self.stdout.write(f"Put under the newest key: {use.rotated}.")
        for position, _ in enumerate(settings.MCDASH_FIELD_KEYS, start=1):
            self.stdout.write(f"Key {position}: {_secrets(use.positions[position])}")
        if not use.needs_old_keys and len(settings.MCDASH_FIELD_KEYS) > 1:
            self.stdout.write(_droppable(use))
        for label in use.unreadable:
            self.stderr.write(
                f"{printable(label)}: no key of MCDASH_FIELD_KEYS opens its secret. "
                "Put the key back, or enter the secret again."
            )


def _secrets(number: int) -> str:
    if not number:
        return "opens no stored secret."
    return f"{number} stored secret{'' if number == 1 else 's'}."


def _droppable(use: KeyUse) -> str:
    words = "All keys but the first can be removed from MCDASH_FIELD_KEYS."
    return words if not use.unreadable else f"{words} None opens what follows."


def _document(use: KeyUse) -> dict[str, Any]:
    numbers = range(1, len(settings.MCDASH_FIELD_KEYS) + 1)
    return {
        "rotated": use.rotated,
        "keys": [{"key": n, "secrets": use.positions[n]} for n in numbers],
        "unreadable": use.unreadable,
    }
