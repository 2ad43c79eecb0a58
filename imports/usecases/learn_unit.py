"""Learn from a listing which business unit an account is."""

from __future__ import annotations

import logging
from collections.abc import Sequence

from django.db import transaction

from imports.marketingcloud.records import DefinitionRecord
from imports.models import (
    Account,
    ImportRun,
    guard_of,
    note_doubles,
    publish,
    told_unit,
    unit_of,
)
from imports.models.account import TELL_UNIT

log = logging.getLogger(__name__)

CLIENT = "Client.ClientID1"
NO_CLIENT = ("", "0")


def learn_unit(account: Account, definitions: Sequence[DefinitionRecord]) -> None:
    """Keep on `account` which business unit its listed definitions belong to.

    Only an account without a MID has anything to learn. One that turns out to be the
    unit of another active account is marked, as is that one.
    """
    with transaction.atomic():
        account.refresh_from_db(fields=[*TELL_UNIT, "unit"])  # others saved meanwhile
        learned = None if account.mid else _told(account, definitions)
        account.learned_unit = learned or account.learned_unit
        unit = unit_of(account)
        if unit != account.unit:
            publish(accounts=[account])
            _become(account, unit)
        _keep_guards(account)
        note_doubles()
        account.refresh_from_db(fields=["is_doubled"])


def _told(account: Account, definitions: Sequence[DefinitionRecord]) -> str | None:
    clients = {definition.facts.get(CLIENT, "").strip() for definition in definitions}
    objects = [definition.object_id or "" for definition in definitions]
    return told_unit(account, clients.difference(NO_CLIENT), objects)


def _become(account: Account, unit: str | None) -> None:
    account.unit = unit
    # as doubled, which the constraint lets in; whether it is so is looked up next
    Account.objects.filter(pk=account.pk).update(
        learned_unit=account.learned_unit, unit=unit, is_doubled=True
    )
    log.info("Account %s is business unit %s", account.pk, unit)


def _keep_guards(account: Account) -> None:
    """What is under way is guarded by what is known of it now: its unit, its GUID."""
    for run in account.runs.ours().active().select_related("definition__account"):
        guard = guard_of(run.definition) if run.definition else run.guard
        same = ImportRun.objects.ours().active().filter(guard=guard)
        # of two that are the same, the first goes on holding it
        if guard != run.guard and not same.exists():
            ImportRun.objects.filter(pk=run.pk).update(guard=guard)
