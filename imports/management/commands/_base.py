"""The base of mcdash's commands: errors as sentences, `--json`, texts and arguments."""

from __future__ import annotations

import argparse
import getpass
import json
import os
import re
import sys
from collections.abc import Callable
from dataclasses import asdict
from typing import Any

from django.core.management.base import BaseCommand, CommandError, CommandParser
from django.db import InternalError, OperationalError, ProgrammingError
from django.db.models import QuerySet

from imports.marketingcloud.errors import MarketingCloudError
from imports.models import Account, ImportRun, Unfollowed, new_holder, refusal_of
from imports.text import visible
from imports.usecases.errors import UseCaseError

INTERRUPTED = 130  # as shells say it: 128 and the number of SIGINT
# What JSON lets stand in a string though a terminal obeys it.
_NOT_SHOWN = re.compile(
    "[\x7f-\x9f\xad\u061c\u200b\u200e\u200f\u2028-\u202e\u2060-\u206f\ufeff"
    "\U000e0000-\U000e0fff]"
)


class McdashCommand(BaseCommand):
    """A command that says what went wrong in a sentence, not a traceback."""

    def add_arguments(self, parser: CommandParser) -> None:
        text = "print one JSON document and nothing else"
        parser.add_argument("--json", action="store_true", help=text)

    def execute(self, *args: Any, **options: Any) -> str | None:
        try:
            return super().execute(*args, **options)
        except KeyboardInterrupt:
            self.stderr.write("Interrupted.")
            sys.exit(INTERRUPTED)
        except (InternalError, OperationalError, ProgrammingError) as error:
            hint = "Is it reachable, and was “manage.py migrate” run?"
            text = f"The database can’t be used: {error}. {hint}"
            if (refusal := refusal_of(error)) and refusal.is_certain:
                text = f"The database cannot be written: {refusal.value} ({error})."
            self._fail(CommandError(text), options)
        except CommandError as error:
            self._fail(error, options)
        return None

    def _fail(self, error: CommandError, options: dict[str, Any]) -> None:
        # Whoever called it by `call_command` gets the exception itself.
        if not getattr(self, "_called_from_command_line", False):
            raise error
        if options.get("json"):
            self.print_json({"error": str(error)})
        self.stderr.write("\n".join(map(printable, str(error).splitlines())))
        sys.exit(error.returncode)

    def print_json(self, document: Any) -> None:
        text = json.dumps(document, indent=2, ensure_ascii=False)
        text = _NOT_SHOWN.sub(lambda match: json.dumps(match[0])[1:-1], text)
        self.stdout.write(text)


def record_of(run: ImportRun, unfollowed: Unfollowed | None) -> dict[str, Any]:
    """The run for `--json`, with why nobody looks at it, if nobody does."""
    since = unfollowed.since if unfollowed else None
    return run.as_record() | {
        "not_followed": unfollowed.why.value if unfollowed else None,
        "not_followed_since": since and since.isoformat(),
    }


def account_named(name: str) -> Account:
    """The account of that name. Raises `CommandError` naming those that exist."""
    if account := Account.objects.filter(name=name).first():
        return account
    known = ", ".join(f"“{a}”" for a in Account.objects.values_list("name", flat=True))
    hint = f"Known accounts: {known}." if known else "Add one with add_account."
    raise CommandError(f"There is no account “{name}”. {hint}")


def login_name() -> str:
    """The system's name for who is logged in; where it has none, the number."""
    try:
        return getpass.getuser()
    except (KeyError, OSError):  # a container's user without a name
        return f"uid {os.getuid()}"


def visible_text(text: str) -> str:
    """An argparse type: a text with something in it that can be seen."""
    if not any(char.isprintable() and not char.isspace() for char in text):
        raise argparse.ArgumentTypeError("has no visible characters")
    return text


def positive_number(text: str) -> int:
    """An argparse type: a whole number of at least 1."""
    if not text.isdecimal() or int(text) < 1:
        raise argparse.ArgumentTypeError(f"{text!r} is not a whole number from 1 on")
    return int(text)


def printable(text: str, *, width: int | None = None) -> str:
    """Text from outside for a terminal, which obeys nothing of it: one line, cut to
    `width`.
    """
    text = visible(text)
    return text if width is None or len(text) <= width else text[: width - 1] + "…"


class AccountsCommand(McdashCommand):
    """Runs a use case once for each named account, or for all that are active."""

    # returns a dataclass of figures, which the sentence says by its fields' names
    use_case: Callable[..., Any]
    sentence: str

    def add_arguments(self, parser: CommandParser) -> None:
        super().add_arguments(parser)
        text = "accounts; all if none is named"
        parser.add_argument("names", nargs="*", metavar="NAME", help=text)

    def handle(self, *_args: Any, **options: Any) -> None:
        self.options = options
        accounts = [account_named(name) for name in options["names"]]
        reports = []
        for account in accounts or self.default_accounts():
            try:
                figures = {"error": None, **self.figures(account)}
            except (MarketingCloudError, UseCaseError) as error:
                figures = {"error": str(error)}  # it doesn't stop the other accounts
            reports.append({"account": account.name, **figures})
        if options["json"]:
            self.print_json(reports)
        elif reports:
            for report in reports:
                out = self.stderr if report["error"] else self.stdout
                text = report["error"] or self.text_of(report)
                out.write(f"{printable(report['account'])}: {printable(text)}")
        else:
            self.stdout.write("There is no active account. Add one with add_account.")
        if any(map(self.is_failure, reports)):
            sys.exit(1)

    def default_accounts(self) -> QuerySet[Account]:
        return Account.objects.filter(is_active=True)

    def figures(self, account: Account) -> dict[str, Any]:
        return asdict(self.use_case(account=account, holder=new_holder()))

    def text_of(self, report: dict[str, Any]) -> str:
        return self.sentence.format(**report)

    def is_failure(self, report: dict[str, Any]) -> bool:
        """Whether the command ends with exit status 1 for it."""
        return bool(report["error"])
