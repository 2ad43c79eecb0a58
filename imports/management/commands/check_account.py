"""`check_account NAME`: try an account step by step."""

from __future__ import annotations

import sys
from dataclasses import asdict
from typing import Any

from django.core.management.base import CommandParser

from imports.management.commands import _base as base
from imports.usecases.accounts import check_account


class Command(base.McdashCommand):
    help = "Try an account: addresses, credentials, service, permissions."

    def add_arguments(self, parser: CommandParser) -> None:
        super().add_arguments(parser)
        parser.add_argument("name", metavar="NAME")

    def handle(self, *_args: Any, **options: Any) -> None:
        steps = []
        account = base.account_named(options["name"])
        for step in check_account(account=account, by=base.login_name()):
            steps.append(step)
            if not options["json"]:
                mark = "ok    " if step.is_ok else "FAILED"
                self.stdout.write(f"{mark} {step.name}: {base.printable(step.message)}")
        is_ok = all(step.is_ok for step in steps)
        if options["json"]:
            self.print_json({"is_ok": is_ok, "steps": [asdict(s) for s in steps]})
        if not is_ok:
            sys.exit(1)
