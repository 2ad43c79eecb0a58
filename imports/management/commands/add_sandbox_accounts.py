"""`manage.py add_sandbox_accounts [--port N]`: for trying mcdash without a real one."""

from __future__ import annotations

from typing import Any

from django.conf import settings
from django.core.management.base import BaseCommand, CommandError, CommandParser
from django.db.models import Q, QuerySet

from imports.management.commands.add_account import check_fields, save_new
from imports.management.commands.run_sandbox import PORT as SANDBOX_PORT
from imports.models import Account, AccountToken
from imports.sandbox.nordlicht import DE, SE


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


def sandbox_accounts() -> QuerySet[Account]:
    """Those of the sandbox's accounts that exist: by MID and client, since somebody
    may have given them other names.
    """
    return Account.objects.filter(
        unit__in=[str(theirs.mid) for theirs in (DE, SE)],
        client_id__in=[theirs.client_id for theirs in (DE, SE)],
    )


def ensure_sandbox_accounts(port: int) -> list[str]:
    """Add those that are missing, point all of them at `port`; the names added."""
    auth_url = f"http://127.0.0.1:{port}"
    soap_url = f"{auth_url}/Service.asmx"
    added = []
    for theirs in (DE, SE):
        name, mid = theirs.name, str(theirs.mid)
        if Account.objects.filter(Q(name=name) | Q(unit=mid)).exists():
            continue
        account = Account(name=name, mid=mid, auth_url=auth_url, soap_url=soap_url)
        account.client_id, account.secret = theirs.client_id, theirs.client_secret
        check_fields(account)
        save_new(account)
        added.append(name)
    # By update and not by save: `Account.clean` freezes the endpoints of an account
    # with definitions, since another address would be another business unit. Here it
    # is the same sandbox, whose port was taken. Its process forgets the tokens it gave.
    moved = sandbox_accounts().exclude(auth_url=auth_url, soap_url=soap_url)
    AccountToken.objects.filter(account__in=moved).delete()
    moved.update(auth_url=auth_url, soap_url=soap_url)
    return added
