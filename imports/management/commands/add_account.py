"""`add_account NAME …`: connect a business unit."""

from __future__ import annotations

import getpass
import os
import sys
from typing import Any

from django.core.exceptions import NON_FIELD_ERRORS, ValidationError
from django.core.management.base import CommandError, CommandParser

from imports.models import Account, AuthKind
from imports.usecases.accounts import save_account
from imports.usecases.audit import AuditAction
from imports.usecases.errors import UseCaseError

from ._base import McdashCommand, login_name, printable

SECRET_VARIABLES = {
    AuthKind.OAUTH: "MCDASH_CLIENT_SECRET",
    AuthKind.USERNAME_TOKEN: "MCDASH_PASSWORD",
}
PROMPTS = {"MCDASH_CLIENT_SECRET": "Client secret: ", "MCDASH_PASSWORD": "Password: "}


class Command(McdashCommand):
    help = (
        "Connect a Marketing Cloud business unit. The secret is read from "
        "MCDASH_CLIENT_SECRET (or MCDASH_PASSWORD with --username) or asked for."
    )

    def add_arguments(self, parser: CommandParser) -> None:
        super().add_arguments(parser)
        self.parser = parser
        parser.add_argument("name", metavar="NAME")
        parser.add_argument("--subdomain", metavar="S", default="")
        parser.add_argument(
            "--auth-url", metavar="URL", default="", help="Authentication Base URI"
        )
        parser.add_argument(
            "--soap-url", metavar="URL", default="", help="SOAP Base URI"
        )
        parser.add_argument("--mid", metavar="N", default="")
        who = parser.add_mutually_exclusive_group(required=True)
        who.add_argument("--client-id", metavar="ID", default="")
        who.add_argument("--username", metavar="U", default="")

    def handle(self, *_args: Any, **options: Any) -> None:
        self._check_usage(options)
        account = Account(
            name=options["name"].strip(),
            auth_kind=_kind(options),
            client_id=options["client_id"],
            username=options["username"],
            subdomain=options["subdomain"],
            auth_url=options["auth_url"],
            soap_url=options["soap_url"],
            mid=options["mid"],
        )
        _validate(account)
        account.secret = _secret(options)
        try:
            save_account(
                account=account,
                fields=(),
                action=AuditAction.ACCOUNT_ADDED,
                by=login_name(),
            )
        except UseCaseError as error:  # somebody else was first, while we asked
            raise CommandError(str(error)) from error
        self._report(account, as_json=options["json"])

    def _check_usage(self, options: dict[str, Any]) -> None:
        by_url = options["soap_url"] and (options["auth_url"] or options["username"])
        any_url = options["soap_url"] or options["auth_url"]
        if any_url if options["subdomain"] else not by_url:
            self.parser.error(
                "give either --subdomain, or --soap-url and (with --client-id) "
                "--auth-url"
            )

    def _report(self, account: Account, *, as_json: bool) -> None:
        if as_json:
            self.print_json({"id": account.pk, "name": account.name})
            return
        self.stdout.write(
            f"Account “{printable(account.name)}” was added. Try it with: "
            f"check_account {account.name!r}"
        )


def _kind(options: dict[str, Any]) -> AuthKind:
    return AuthKind.USERNAME_TOKEN if options["username"] else AuthKind.OAUTH


def _validate(account: Account) -> None:
    """Everything but the secret, so that nobody types one in vain."""
    try:
        account.full_clean(exclude=["secret"])
    except ValidationError as error:
        raise CommandError(" ".join(_sentences(error))) from error


def _sentences(error: ValidationError) -> list[str]:
    """Each message with the field it is about, where it is about one."""
    return [
        message if field == NON_FIELD_ERRORS else f"{field}: {message}"
        for field, messages in error.message_dict.items()
        for message in messages
    ]


def _secret(options: dict[str, Any]) -> str:
    name = SECRET_VARIABLES[_kind(options)]
    secret = os.environ.get(name) or _ask(name)
    if not secret:
        raise CommandError("No secret was given; the account was not added.")
    return secret


def _ask(name: str) -> str:
    if not sys.stdin.isatty():
        raise CommandError(
            f"{name} is not set and there is no terminal to ask at; the account was "
            "not added."
        )
    try:
        return getpass.getpass(PROMPTS[name])
    except EOFError:
        return ""
