"""`rotate_field_keys [--check]`: put stored secrets under the newest field key."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from typing import Any

from django.conf import settings
from django.core.management.base import CommandParser

from imports.management.commands._base import McdashCommand, login_name, printable
from imports.usecases.upkeep import KeyUse, field_key_use, rotate_field_keys


class Command(McdashCommand):
    help = (
        "Encrypt every stored secret with the first key of MCDASH_FIELD_KEYS and tell "
        "which keys are still needed. Safe while pages and worker run, once all of "
        "them know the new key. Exit status: 0 when only the first key is needed, 1 "
        "when older ones still are or a secret cannot be read."
    )

    def add_arguments(self, parser: CommandParser) -> None:
        super().add_arguments(parser)
        text = "only tell; change nothing"
        parser.add_argument("--check", action="store_true", help=text)

    def handle(self, *_args: Any, **options: Any) -> None:
        is_check = options["check"]
        use = field_key_use() if is_check else rotate_field_keys(by=login_name())
        numbers = range(1, len(settings.MCDASH_FIELD_KEYS) + 1)
        secrets = {number: use.positions[number] for number in numbers}
        if options["json"]:
            keys = [{"key": key, "secrets": count} for key, count in secrets.items()]
            self.print_json(
                {"rotated": use.rotated, "keys": keys, "unreadable": use.unreadable}
            )
        else:
            done = [] if is_check else [f"Put under the newest key: {use.rotated}."]
            self.stdout.write("\n".join([*done, *_lines(use, secrets)]))
            for label in use.unreadable:
                self.stderr.write(
                    f"{printable(label)}: no key of MCDASH_FIELD_KEYS opens its "
                    "secret. Put the key back, or enter the secret again."
                )
        if use.needs_old_keys or use.unreadable:
            sys.exit(1)


def _lines(use: KeyUse, secrets: dict[int, int]) -> Iterator[str]:
    for key, count in secrets.items():
        text = f"{count} stored secret{'' if count == 1 else 's'}."
        yield f"Key {key}: {text if count else 'opens no stored secret.'}"
    if not use.needs_old_keys and len(secrets) > 1:
        more = " None opens what follows." if use.unreadable else ""
        yield f"All keys but the first can be removed from MCDASH_FIELD_KEYS.{more}"
