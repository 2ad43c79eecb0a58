"""Save what an administrator entered about an account."""

from __future__ import annotations

from collections.abc import Collection

from django.db import transaction

from imports import connection
from imports.models import Account, publish

# A token and a refusal belong to these; with new ones the account is tried anew.
SIGN_IN = frozenset(
    {"auth_kind", "client_id", "username", "secret", "subdomain", "auth_url", "mid"}
)


def save_account(*, account: Account, fields: Collection[str]) -> None:
    """Save a new account, or only `fields` of a known one, and tell the pages.

    No other field is written, because workers note the account's health all the
    time. A changed sign-in drops the stored token and "credentials refused".
    """
    with transaction.atomic():
        if account._state.adding:
            account.save()
            publish(accounts=[account])
        elif fields:
            # first the counter, then the row: the order that `publish` asks for
            publish(accounts=[account])
            _save_fields(account, set(fields))


def _save_fields(account: Account, fields: set[str]) -> None:
    if fields & SIGN_IN:
        connection.forget_token(account)
        account.credentials_refused_at = None
        fields.add("credentials_refused_at")
    account.save(update_fields=sorted(fields))
