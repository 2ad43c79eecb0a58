"""Which business unit an account is, however it was typed or signed in to.

A MID names a business unit in all of Marketing Cloud. Without one an account is the
unit of its package or API user: called by that sign-in, until answers tell more.
"""

from __future__ import annotations

import logging
from collections.abc import Collection
from typing import TYPE_CHECKING
from uuid import UUID

from django.db.models import Exists, OuterRef, Q

from imports.models.endpoints import trimmed

if TYPE_CHECKING:
    from imports.models.account import Account
    from imports.models.definition import ImportDefinition

log = logging.getLogger(__name__)

LONGEST_NUMBER = 100
# So many ObjectIDs tell whether another account lists the same definitions.
COMPARED_OBJECTS = 50


def tidy_mid(text: str) -> str:
    """A MID in plain digits, without zeros before it; what is none stays as typed."""
    typed = trimmed(text)
    is_number = typed.isdecimal() and len(typed) <= LONGEST_NUMBER
    return str(int(typed)) if is_number else typed  # also of digits beyond ASCII


def unit_of(account: Account) -> str | None:
    """The account's business unit: its MID, what answers told, else its sign-in."""
    if known := tidy_mid(account.mid) or account.learned_unit:
        return known
    name = trimmed(account.client_id if account.is_oauth else account.username)
    return f"{account.auth_kind}:{name.casefold()}" if name else None


def told_unit(
    account: Account, clients: Collection[str], object_ids: Collection[str]
) -> str | None:
    """The unit of a listing, by the clients that its definitions name if they agree."""
    if clients:
        mids = {tidy_mid(client) for client in clients}
        return mids.pop() if len(mids) == 1 else None
    # another account that lists the same GUID is the same unit
    objects = sorted(filter(is_guid, object_ids))[:COMPARED_OBJECTS]
    others = type(account).objects.filter(definitions__object_id__in=objects)
    units = others.exclude(pk=account.pk).exclude(unit=None).order_by("pk")
    return units.values_list("unit", flat=True).first()


def guard_of(definition: ImportDefinition) -> str:
    """What one active run at most may have: the definition, over all accounts."""
    object_id = definition.object_id or ""
    if is_guid(object_id):
        return f"object:{tidy_object_id(object_id)}"
    # another id, or a key, is unique in its business unit
    account = definition.account
    unit = account.unit or f"account:{account.pk}"
    return f"{unit}:{object_id or definition.key_digest}"


def tidy_object_id(text: str) -> str:
    """A GUID as it is compared, however it was written; what is none stays as it is."""
    return str(UUID(text)) if is_guid(text) else text


def is_guid(text: str) -> bool:
    """Whether it is a GUID, and not the one of zeros that means none."""
    try:
        return UUID(text).int != 0
    except ValueError:
        return False


def note_doubles() -> None:
    """Mark the active accounts whose unit another active one has, and no others."""
    from imports.models.account import Account  # which notes doubles when it is saved
    from imports.models.run import bump_revision

    twin = Account.objects.filter(unit=OuterRef("unit"), is_active=True)
    is_double = Q(Exists(twin.exclude(pk=OuterRef("pk"))), is_active=True)
    new = list(Account.objects.filter(is_double, is_doubled=False))
    over = list(Account.objects.filter(~is_double, is_doubled=True))
    if new or over:
        bump_revision(accounts=[*new, *over])
    Account.objects.filter(pk__in=[one.pk for one in new]).update(is_doubled=True)
    Account.objects.filter(pk__in=[one.pk for one in over]).update(is_doubled=False)
    for account in new:
        log.error(
            "Account %s: its business unit is entered in another account too; nothing "
            "is started in either until one is disabled",
            account.pk,
        )
