"""Save what an administrator entered about an account."""

from __future__ import annotations

from collections.abc import Collection

from django.db import IntegrityError, transaction
from django.db.models.functions import Now

from imports import connection
from imports.models import Account, User, forget_lost_key, publish, violated_constraint
from imports.usecases.errors import NameTakenError, UnitTakenError
from imports.usecases.record_audit import AuditAction, record_audit

# A token and a refusal belong to these; with new ones the account is tried anew.
SIGN_IN = frozenset(
    {"auth_kind", "client_id", "username", "secret", "subdomain", "auth_url", "mid"}
)


def save_account(
    *,
    account: Account,
    fields: Collection[str],
    action: AuditAction | None = None,
    by: User | str | None = None,
    ip: str | None = None,
) -> None:
    """Save a new account, or only `fields` of a known one, and tell the pages.

    No other field is written, because workers note the account's health all the
    time. A changed sign-in drops the stored token and "credentials refused". With
    `action` the audit keeps it as the deed of `by`; admin writes its own entry.

    Raises `NameTakenError` where another account has the name, `UnitTakenError` where
    another active one is the same business unit.
    """
    try:
        with transaction.atomic():
            _save(account, fields)
            if action:
                record_audit(
                    actor=by, action=action, obj=account, account=account, ip=ip
                )
    except IntegrityError as error:
        if Account.objects.filter(name=account.name).exclude(pk=account.pk).exists():
            raise NameTakenError(account.name) from error
        twin = Account.objects.twins_of(account).first()
        if twin and violated_constraint(error) == "account_unit_once":
            raise UnitTakenError(twin) from error
        raise


def _save(account: Account, fields: Collection[str]) -> None:
    if account._state.adding:
        account.save()
        publish(accounts=[account])
    elif fields:
        if "secret" in fields:
            forget_lost_key(account.pk)  # as whoever asks an account: then the counter
        if "is_active" in fields and account.is_active:
            # what was due while nobody looked is due now, not overdue
            account.runs.active().filter(next_check_at__lt=Now()).update(
                next_check_at=Now()
            )
        # first the counter, then the row: the order that `publish` asks for
        publish(accounts=[account])
        _save_fields(account, set(fields))


def _save_fields(account: Account, fields: set[str]) -> None:
    if fields & SIGN_IN:
        connection.forget_token(account)
        account.credentials_refused_at = None
        fields.add("credentials_refused_at")
    account.save(update_fields=sorted(fields))
