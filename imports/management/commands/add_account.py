"""`add_account NAME …`: connect a business unit."""

from __future__ import annotations

import getpass
import os
import sys
from contextlib import suppress
from typing import Any

from django.core.exceptions import NON_FIELD_ERRORS, ValidationError
from django.core.management.base import CommandError, CommandParser

from imports.management.commands._base import McdashCommand, login_name, printable
from imports.models import Account, AuthKind
from imports.usecases.accounts import save_account
from imports.usecases.audit import AuditAction
from imports.usecases.errors import UseCaseError

# The variable of each kind of secret, and what is asked where it is not set.
SECRETS = {
    AuthKind.OAUTH: ("MCDASH_CLIENT_SECRET", "Client secret: "),
    AuthKind.USERNAME_TOKEN: ("MCDASH_PASSWORD", "Password: "),
}


class Command(McdashCommand):
    help = (
        "Connect a Marketing Cloud business unit. The secret is read from "
        "MCDASH_CLIENT_SECRET (or MCDASH_PASSWORD with --username) or asked for."
    )

    def add_arguments(self, parser: CommandParser) -> None:
        super().add_arguments(parser)
        self.parser = parser
        add = parser.add_argument
        add("name", metavar="NAME")
        add("--subdomain", metavar="S", default="")
        add("--auth-url", metavar="URL", default="", help="Authentication Base URI")
        add("--soap-url", metavar="URL", default="", help="SOAP Base URI")
        add("--mid", metavar="N", default="")
        who = parser.add_mutually_exclusive_group(required=True)
        who.add_argument("--client-id", metavar="ID", default="")
        who.add_argument("--username", metavar="U", default="")

    def handle(self, *_args: Any, **options: Any) -> None:
        by_url = options["soap_url"] and (options["auth_url"] or options["username"])
        any_url = options["soap_url"] or options["auth_url"]
        if any_url if options["subdomain"] else not by_url:
            urls = "--soap-url and (with --client-id) --auth-url"
            self.parser.error(f"give either --subdomain, or {urls}")
        kind = AuthKind.USERNAME_TOKEN if options["username"] else AuthKind.OAUTH
        names = ("client_id", "username", "subdomain", "auth_url", "soap_url", "mid")
        fields = {name: options[name] for name in names}
        account = Account(name=options["name"].strip(), auth_kind=kind, **fields)
        check_fields(account)  # before the secret: nobody is to type one in vain
        account.secret = _secret(kind)
        save_new(account)
        if options["json"]:
            self.print_json({"id": account.pk, "name": account.name})
        else:
            added = f"Account “{printable(account.name)}” was added."
            self.stdout.write(f"{added} Try it with: check_account {account.name!r}")


def check_fields(account: Account) -> None:
    """Everything but the secret. Raises `CommandError`."""
    try:
        account.full_clean(exclude=["secret"])
    except ValidationError as error:
        sentences = [
            message if field == NON_FIELD_ERRORS else f"{field}: {message}"
            for field, messages in error.message_dict.items()
            for message in messages
        ]
        raise CommandError(" ".join(sentences)) from error


def save_new(account: Account) -> None:
    """Add the account. Raises `CommandError` where somebody else was first."""
    added = AuditAction.ACCOUNT_ADDED
    try:
        save_account(account=account, fields=(), action=added, by=login_name())
    except UseCaseError as error:
        raise CommandError(str(error)) from error


def _secret(kind: AuthKind) -> str:
    """The secret from the environment, or asked for at the terminal."""
    name, prompt = SECRETS[kind]
    secret = os.environ.get(name)
    if not secret and not sys.stdin.isatty():
        lack = f"{name} is not set and there is no terminal to ask at"
        raise CommandError(f"{lack}; the account was not added.")
    with suppress(EOFError):
        secret = secret or getpass.getpass(prompt)
    if not secret:
        raise CommandError("No secret was given; the account was not added.")
    return secret
