"""Ask an account something, and remember how it fared."""

from __future__ import annotations

import logging
from collections.abc import Iterator
from contextlib import contextmanager

from django.db import transaction
from django.db.models import F
from django.db.models.functions import Coalesce, Now

from imports import connection, logs
from imports.marketingcloud.client import MarketingCloudClient
from imports.marketingcloud.errors import (
    AuthenticationError,
    MarketingCloudError,
    RequestRefusedError,
)
from imports.models import (
    Account,
    database_now,
    forget_lost_key,
    note_lost_key,
    publish,
)
from imports.models.lost_keys import is_key_lost

log = logging.getLogger(__name__)


@contextmanager
def ask_account(
    account: Account, *, although_refused: bool = False
) -> Iterator[MarketingCloudClient]:
    """A client for `account`; how the asking ends is noted on the account.

    Every `MarketingCloudError` goes on to the caller. An account whose credentials
    were refused raises `AuthenticationError` without being asked; only with
    `although_refused` it is, and then an answer clears the refusal.
    """
    if not although_refused:
        _stop_if_refused(account)
    try:
        with logs.about(account=account.pk):
            yield connection.connect(account)
    except connection.LostSecretError as error:
        note_unreadable(account, error)
        raise
    except connection.NotAskedError:
        raise
    except AuthenticationError as error:
        log.warning("Account %s: credentials refused: %s", account.pk, error.message)
        _note_refused(account)
        raise
    except RequestRefusedError:
        _note_contact(account, clears_refusal=although_refused)
        raise
    except MarketingCloudError as error:
        log.warning("Account %s does not answer: %s", account.pk, error.message)
        _note_failure(account)
        raise
    else:
        _note_contact(account, clears_refusal=although_refused)


def note_unreadable(account: Account, error: connection.LostSecretError) -> None:
    """Pages say so from now on; the log says it once, not with every try."""
    with transaction.atomic():
        if note_lost_key(account.pk):
            log.error("Account %s: %s", account.pk, error.message)
            publish(accounts=[account])


def _stop_if_refused(account: Account) -> None:
    refused = Account.objects.filter(
        pk=account.pk, credentials_refused_at__isnull=False
    )
    if refused.exists():
        raise AuthenticationError(
            "Marketing Cloud refused this account's credentials. It is not asked "
            "again until they are changed or the connection is tested."
        )


# Each publishes before it writes: whoever changes runs locks the counter first and
# accounts after it, so the other order could deadlock with them.


def _note_contact(account: Account, *, clears_refusal: bool) -> None:
    rows = Account.objects.filter(pk=account.pk)
    # a call that was under way with an older token proves nothing about a refusal
    cleared = {"credentials_refused_at": None} if clears_refusal else {}
    well = {"failures_in_row": 0, "not_answering_since": None, **cleared}
    as_before = rows.filter(~is_key_lost(), **well)
    if as_before.update(last_contact_at=Now()):
        return
    with transaction.atomic():
        # both are asked: an account may have been without key and answer
        was_lost = forget_lost_key(account.pk)
        if was_lost or rows.exclude(**well).exists():
            publish(accounts=[account])
        rows.update(last_contact_at=database_now(), **well)


def _note_failure(account: Account) -> None:
    with transaction.atomic():
        publish(accounts=[account])
        Account.objects.filter(pk=account.pk).update(
            failures_in_row=F("failures_in_row") + 1,
            not_answering_since=Coalesce("not_answering_since", database_now()),
        )


def _note_refused(account: Account) -> None:
    with transaction.atomic():
        publish(accounts=[account])
        Account.objects.filter(pk=account.pk).update(
            credentials_refused_at=Coalesce("credentials_refused_at", database_now())
        )
