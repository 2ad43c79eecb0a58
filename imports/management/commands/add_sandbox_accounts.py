"""`manage.py add_sandbox_accounts [--port N]`: for trying mcdash without a real one."""

from __future__ import annotations

from typing import Any

from django.conf import settings
from django.core.management.base import BaseCommand, CommandError, CommandParser

from imports.management.sandbox_accounts import SANDBOX_PORT, ensure_sandbox_accounts


class Command(BaseCommand):
    help = (
        "Add the two accounts of the sandbox (manage.py run_sandbox), or point them "
        "at another port. Safe to repeat."
    )

    def add_arguments(self, parser: CommandParser) -> None:
        parser.add_argument("--port", type=int, default=SANDBOX_PORT)

    def handle(self, *_: Any, **options: Any) -> None:
        if not settings.MCDASH_ALLOW_LOOPBACK:
            raise CommandError(
                "The sandbox speaks plain http on 127.0.0.1; set "
                "MCDASH_ALLOW_LOOPBACK=1 to use it."
            )
        for name in ensure_sandbox_accounts(options["port"]):
            self.stdout.write(f"Added the sandbox's account “{name}”.")
