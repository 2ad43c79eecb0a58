"""The accounts of the sandbox's world, as mcdash knows them."""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import contextmanager
from io import StringIO

from django.core.management import call_command
from django.db.models import Q, QuerySet

from imports.management.commands.run_sandbox import PORT as SANDBOX_PORT
from imports.models import Account, AccountToken
from imports.sandbox.catalogue import Account as SandboxAccount
from imports.sandbox.nordlicht import DE, SE

__all__ = ["SANDBOX_PORT", "ensure_sandbox_accounts", "sandbox_accounts"]

SECRET_VARIABLE = "MCDASH_CLIENT_SECRET"  # noqa: S105 - a variable's name


SANDBOX_ACCOUNTS = (DE, SE)


def sandbox_accounts() -> QuerySet[Account]:
    """The sandbox's accounts as far as they exist: by MID and client, since somebody
    may have given them other names.
    """
    return Account.objects.filter(
        unit__in=[str(account.mid) for account in SANDBOX_ACCOUNTS],
        client_id__in=[account.client_id for account in SANDBOX_ACCOUNTS],
    )


def ensure_sandbox_accounts(port: int) -> list[str]:
    """Add those that are missing, point all of them at `port`; the names added."""
    added = [account for account in SANDBOX_ACCOUNTS if _is_missing(account)]
    for account in added:
        _add(account, port)
    _point_at(port)
    return [account.name for account in added]


def _is_missing(account: SandboxAccount) -> bool:
    is_there = Q(name=account.name) | Q(unit=str(account.mid))
    return not Account.objects.filter(is_there).exists()


def _add(account: SandboxAccount, port: int) -> None:
    auth_url, soap_url = _endpoints(port)
    with _secret_in_environment(account.client_secret):
        call_command(
            "add_account",
            account.name,
            *("--auth-url", auth_url, "--soap-url", soap_url),
            *("--mid", str(account.mid), "--client-id", account.client_id),
            stdout=StringIO(),
        )


def _point_at(port: int) -> None:
    """Let the accounts follow the sandbox to another port.

    By update and not by save: `Account.clean` freezes the endpoints of an account
    with definitions, since another address would be another business unit. Here it
    is the same sandbox, whose port was taken. Its process forgets the tokens it gave.
    """
    auth_url, soap_url = _endpoints(port)
    moved = sandbox_accounts().exclude(auth_url=auth_url, soap_url=soap_url)
    AccountToken.objects.filter(account__in=moved).delete()
    moved.update(auth_url=auth_url, soap_url=soap_url)


def _endpoints(port: int) -> tuple[str, str]:
    base = f"http://127.0.0.1:{port}"
    return base, f"{base}/Service.asmx"


@contextmanager
def _secret_in_environment(secret: str) -> Iterator[None]:
    """`add_account` takes a secret from the environment, never as an argument."""
    before = os.environ.get(SECRET_VARIABLE)
    os.environ[SECRET_VARIABLE] = secret
    try:
        yield
    finally:
        os.environ.pop(SECRET_VARIABLE)
        if before is not None:
            os.environ[SECRET_VARIABLE] = before
