"""Bring an account's definitions up to date with Marketing Cloud."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterable
from dataclasses import dataclass
from datetime import datetime

from django.conf import settings
from django.db import transaction
from django.db.models import Max

from imports.marketingcloud.records import DefinitionList, DefinitionRecord
from imports.models import (
    Account,
    DefinitionVersion,
    ImportDefinition,
    Lease,
    database_now,
    key_digest,
    publish,
)

from .ask_account import ask_account
from .errors import AccountBusyError

COLUMNS = (
    "object_id",
    "customer_key",
    "name",
    "description",
    "file_spec",
    "update_type",
    "destination",
)
WRITTEN = (*COLUMNS, "key_digest", "facts", "digest", "last_seen_at", "not_seen_since")
BATCH = 500


@dataclass(frozen=True, kw_only=True, slots=True)
class SyncReport:
    """How many definitions were seen, and how they differ from the last time."""

    seen: int
    created: int
    changed: int
    missing: int
    refused_properties: tuple[str, ...]


def sync_definitions(*, account: Account, holder: str) -> SyncReport:
    """Fetch all definitions of `account` and write down what is new or different.

    What is missing gets `not_seen_since`; nothing is deleted. Raises
    `AccountBusyError` while another process does the same, and
    `MarketingCloudError`.
    """
    name = f"sync:{account.pk}"
    seconds = 2 * settings.MCDASH_CALL_DEADLINE_SECONDS + 30
    if not Lease.objects.acquire(name, holder=holder, seconds=seconds):
        raise AccountBusyError(f"“{account}” is being synced by another process.")
    try:
        with ask_account(account) as client:
            answer = client.list_definitions()
        return _store(account, answer)
    finally:
        Lease.objects.release(name, holder=holder)


def _store(account: Account, answer: DefinitionList) -> SyncReport:
    now = database_now()
    with transaction.atomic():
        matcher = _Matcher(account)
        created, changed, seen = matcher.sort(answer.definitions, now)
        _write(created, changed, now)
        missing, back = _mark_missing(account, matcher, seen, now)
        if created or changed or missing or back:
            publish(accounts=[account])
        _note_sync(account, answer, now)
    return SyncReport(
        seen=len(answer.definitions),
        created=len(created),
        changed=len(changed),
        missing=missing,
        refused_properties=answer.refused_properties,
    )


class _Matcher:
    """Finds the stored definition of a record: by ObjectID, else by key alone."""

    def __init__(self, account: Account) -> None:
        self.account = account
        self.by_object: dict[str, ImportDefinition] = {}
        self.by_key: dict[str, ImportDefinition] = {}
        for stored in account.definitions.all():
            if stored.object_id is None:
                self.by_key[stored.key_digest] = stored
            else:
                self.by_object[stored.object_id] = stored

    def find(self, record: DefinitionRecord) -> ImportDefinition | None:
        digest = key_digest(record.customer_key)
        if record.object_id is None:
            return self.by_key.get(digest)
        if found := self.by_object.get(record.object_id):
            return found
        # first seen by its key alone, now with an id: it is the same one
        found = self.by_key.pop(digest, None) if record.customer_key else None
        if found:
            self.by_object[record.object_id] = found
        return found

    def sort(
        self, records: Iterable[DefinitionRecord], now: datetime
    ) -> tuple[list[ImportDefinition], list[ImportDefinition], set[int]]:
        """New definitions, changed ones, and the ids of all stored ones seen."""
        created: dict[tuple[str | None, str], ImportDefinition] = {}
        changed: list[ImportDefinition] = []
        seen: set[int] = set()
        for record in records:
            stored = self.find(record)
            if stored is None:
                key = "" if record.object_id else record.customer_key
                created[record.object_id, key] = _filled(
                    ImportDefinition(account=self.account, first_seen_at=now),
                    record,
                    now,
                )
            elif stored.pk not in seen:
                seen.add(stored.pk)
                if stored.digest != digest_of(record):
                    changed.append(_filled(stored, record, now))
        return list(created.values()), changed, seen


def digest_of(record: DefinitionRecord) -> str:
    """SHA-256 over all that was retrieved, independent of its order."""
    known = [getattr(record, name) for name in COLUMNS]
    text = json.dumps([known, dict(record.facts)], sort_keys=True)
    return hashlib.sha256(text.encode()).hexdigest()


def _filled(
    definition: ImportDefinition, record: DefinitionRecord, now: datetime
) -> ImportDefinition:
    for name in COLUMNS:
        setattr(definition, name, getattr(record, name))
    definition.key_digest = key_digest(record.customer_key)
    definition.facts = dict(record.facts)
    definition.digest = digest_of(record)
    definition.last_seen_at, definition.not_seen_since = now, None
    return definition


def _write(
    created: list[ImportDefinition], changed: list[ImportDefinition], now: datetime
) -> None:
    ImportDefinition.objects.bulk_create(created, batch_size=BATCH)
    ImportDefinition.objects.bulk_update(changed, WRITTEN, batch_size=BATCH)
    numbers = dict(
        DefinitionVersion.objects.filter(definition__in=changed)
        .values_list("definition")
        .annotate(Max("number"))
    )
    DefinitionVersion.objects.bulk_create(
        [
            DefinitionVersion(
                definition=definition,
                number=numbers.get(definition.pk, 0) + 1,
                digest=definition.digest,
                facts=definition.facts,
                seen_at=now,
            )
            for definition in [*created, *changed]
        ],
        batch_size=BATCH,
    )


def _mark_missing(
    account: Account, matcher: _Matcher, seen: set[int], now: datetime
) -> tuple[int, int]:
    """Date what is missing, undate what came back; how many of each."""
    stored = [*matcher.by_object.values(), *matcher.by_key.values()]
    newly = [
        d.pk for d in stored if d.pk not in seen and d.not_seen_since is None and d.pk
    ]
    rows = account.definitions
    rows.filter(not_seen_since=None, last_seen_at__lt=now).exclude(pk__in=newly).update(
        last_seen_at=now
    )
    rows.filter(pk__in=newly).update(not_seen_since=now)
    back = [d.pk for d in stored if d.pk in seen and d.not_seen_since is not None]
    rows.filter(pk__in=back).update(not_seen_since=None, last_seen_at=now)
    return len(newly), len(back)


def _note_sync(account: Account, answer: DefinitionList, now: datetime) -> None:
    account.last_synced_at = now
    account.refused_properties = account.noted_refusals(answer.refused_properties)
    account.save(update_fields=["last_synced_at", "refused_properties"])
