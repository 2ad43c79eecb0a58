"""What mcdash's commands share: sentences on stderr, one JSON document on stdout."""

from __future__ import annotations

import argparse
import json
import sys
from collections.abc import Callable, Iterable
from typing import Any

from django.core.management.base import BaseCommand, CommandError, CommandParser
from django.db import OperationalError, ProgrammingError

from imports.marketingcloud.errors import MarketingCloudError
from imports.models import Account
from imports.usecases.errors import UseCaseError

INTERRUPTED = 130  # as shells say it: 128 and the number of SIGINT


class McdashCommand(BaseCommand):
    """A command that says what went wrong in a sentence, not a traceback.

    With `--json` stdout is one JSON document and nothing else.
    """

    def add_arguments(self, parser: CommandParser) -> None:
        parser.add_argument(
            "--json",
            action="store_true",
            help="print one JSON document and nothing else",
        )

    def execute(self, *args: Any, **options: Any) -> str | None:
        try:
            return super().execute(*args, **options)
        except KeyboardInterrupt:
            self.stderr.write("Interrupted.")
            sys.exit(INTERRUPTED)
        except (OperationalError, ProgrammingError) as error:
            self._refuse(
                CommandError(
                    f"The database does not serve: {error}. Is it reachable, and was "
                    "“manage.py migrate” run?"
                ),
                options,
            )
        except CommandError as error:
            self._refuse(error, options)
        return None

    def _refuse(self, error: CommandError, options: dict[str, Any]) -> None:
        if not getattr(self, "_called_from_command_line", False):
            raise error
        if options.get("json"):
            self.print_json({"error": str(error)})
        self.stderr.write("\n".join(map(printable, str(error).splitlines())))
        sys.exit(error.returncode)

    def print_json(self, document: Any) -> None:
        self.stdout.write(json.dumps(document, indent=2, ensure_ascii=False))


def account_named(name: str) -> Account:
    """The account of that name. Raises `CommandError` naming those that exist."""
    account = Account.objects.filter(name=name).first()
    if account:
        return account
    known = ", ".join(f"“{a}”" for a in Account.objects.values_list("name", flat=True))
    raise CommandError(
        f"There is no account “{name}”. "
        + (f"Known accounts: {known}." if known else "Add one with add_account.")
    )


def positive_number(text: str) -> int:
    """An argparse type: a whole number of at least 1."""
    if not text.isdecimal() or int(text) < 1:
        raise argparse.ArgumentTypeError(f"{text!r} is not a whole number from 1 on")
    return int(text)


def printable(text: str, *, width: int | None = None) -> str:
    """Text from outside for a terminal: no escape sequences, one line, cut."""
    shown = "".join(c if c.isprintable() else "·" for c in text)
    return shown if width is None or len(shown) <= width else shown[: width - 1] + "…"


class AccountsCommand(McdashCommand):
    """One pass over the named accounts, or over all that are active."""

    def add_arguments(self, parser: CommandParser) -> None:
        super().add_arguments(parser)
        parser.add_argument(
            "names", nargs="*", metavar="NAME", help="accounts; all if none is named"
        )

    def handle(self, *_args: Any, **options: Any) -> None:
        accounts = self._accounts(options["names"])
        reports = [self._try(account) for account in accounts]
        if options["json"]:
            self.print_json(reports)
        else:
            self._print(reports)
        if any(report["error"] for report in reports):
            sys.exit(1)

    def _accounts(self, names: Iterable[str]) -> list[Account]:
        if names:
            return [account_named(name) for name in names]
        return list(Account.objects.filter(is_active=True))

    def _try(self, account: Account) -> dict[str, Any]:
        """One account's report; one that fails does not keep the others waiting."""
        try:
            return {"account": account.name, "error": None, **self.pass_over(account)}
        except (MarketingCloudError, UseCaseError) as error:
            return {"account": account.name, "error": str(error)}

    def _print(self, reports: list[dict[str, Any]]) -> None:
        if not reports:
            self.stdout.write("There is no active account. Add one with add_account.")
        for report in reports:
            if report["error"]:
                words = printable(report["error"])
                self.stderr.write(f"{report['account']}: {words}")
            else:
                words = printable(self.sentence(report))
                self.stdout.write(f"{report['account']}: {words}")

    def pass_over(self, account: Account) -> dict[str, Any]:
        """Do the pass for one account; its figures by name."""
        raise NotImplementedError

    sentence: Callable[[dict[str, Any]], str]
