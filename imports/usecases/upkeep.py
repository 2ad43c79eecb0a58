"""Upkeep of the database: repair strips, move secrets to the newest key, remove rows
that are no longer needed.
"""

from __future__ import annotations

import logging
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass, field
from datetime import timedelta
from secrets import token_hex

from django.apps import apps
from django.contrib.sessions.models import Session
from django.db import transaction
from django.db.models import Model

from imports import models
from imports.fields import EncryptedField, Secret
from imports.models import Account, ImportDefinition, Lease, Worker
from imports.usecases.audit import AuditAction, record_audit

log = logging.getLogger(__name__)

# A batch is a query of its own: no cursor stays open beside the writing.
BATCH = 100

# Strips: what each definition keeps of its last runs


@dataclass(frozen=True, kw_only=True, slots=True)
class WrongStrip:
    definition: int
    name: str
    what: str


@dataclass(frozen=True, kw_only=True, slots=True)
class StripReport:
    checked: int
    wrong: tuple[WrongStrip, ...]


def rebuild_strips(*, account: Account, check: bool = False) -> StripReport:
    """Bring `last_run` and `strip` of every definition of `account` up to date with
    its runs; with `check` only tell which differ.

    A worker may go on meanwhile: each row that seems wrong is looked at once more
    while it is held, and only that one.
    """
    checked, wrong, last = 0, [], 0
    columns = ("object_id", "customer_key", "name", "last_run_id", "strip")
    rows = account.definitions.order_by("pk").only(*columns)
    while batch := list(rows.filter(pk__gt=last)[:BATCH]):
        last = batch[-1].pk
        checked += len(batch)
        for definition in batch:
            if definition.recent_runs() == (definition.last_run_id, definition.strip):
                continue
            with transaction.atomic():
                held = ImportDefinition.objects.select_for_update().get(
                    pk=definition.pk
                )
                run, strip = held.recent_runs()
                what = []
                if held.last_run_id != run:
                    what.append(f"last run {held.last_run_id or '–'}, not {run or '–'}")
                if len(held.strip) != len(strip):
                    what.append(f"{len(held.strip)} ends, not {len(strip)}")
                elif held.strip != strip:
                    what.append("other ends")
                if what and not check:
                    held.refresh_recent_runs()
                    models.bump_revision(accounts=[account])
            if what:
                name, text = definition.shown_name, "; ".join(what)
                wrong.append(WrongStrip(definition=held.pk, name=name, what=text))
    return StripReport(checked=checked, wrong=tuple(wrong))


# Secrets: which field keys they need, and moving them under the newest

NEWEST = 1


@dataclass(kw_only=True, slots=True)
class KeyUse:
    # how many stored secrets each key opens; 1 is the newest
    positions: Counter[int] = field(default_factory=Counter)
    # what holds a secret that none opens
    unreadable: list[str] = field(default_factory=list)
    rotated: int = 0

    @property
    def needs_old_keys(self) -> bool:
        return any(position != NEWEST for position in self.positions)


def rotate_field_keys(*, by: str) -> KeyUse:
    """Encrypt anew, under the newest key, whatever an older one opens.

    Safe while pages and worker run: a secret that was replaced meanwhile is left as it
    is, and which keys are in use is read afterwards.
    """
    rotated = 0
    try:
        for model, name, secrets in _stored_secrets():
            # encrypted before the transaction, which holds its rows only briefly
            new = {
                pk: secret.rotated()
                for pk, secret in secrets.items()
                if (secret.key_position() or NEWEST) > NEWEST
            }
            with transaction.atomic():
                replaced = 0
                for pk, secret in new.items():
                    row = model._base_manager.filter(pk=pk, **{name: secrets[pk]})
                    replaced += row.update(**{name: secret})
            rotated += replaced
    finally:
        details = {"rotated": rotated}
        record_audit(actor=by, action=AuditAction.KEYS_ROTATED, details=details)
    use = field_key_use()
    use.rotated = rotated
    return use


def field_key_use() -> KeyUse:
    """Which keys are needed now. Changes nothing."""
    use = KeyUse()
    for model, _, secrets in _stored_secrets():
        for pk, secret in secrets.items():
            if position := secret.key_position():
                use.positions[position] += 1
            else:
                row = model._base_manager.filter(pk=pk).first()
                use.unreadable.append(f"{model._meta.verbose_name} “{row}”")
    return use


def encrypted_fields() -> list[tuple[type[Model], str]]:
    """Every encrypted column, found by its kind so that a new one is not forgotten."""
    return [
        (model, column.attname)
        for model in apps.get_models()
        for column in model._meta.local_concrete_fields
        if isinstance(column, EncryptedField)
    ]


def _stored_secrets() -> Iterator[tuple[type[Model], str, dict[int, Secret]]]:
    """Every stored secret by its row's id, batch by batch, with model and column."""
    for model, name in encrypted_fields():
        rows = model._base_manager.exclude(**{name: ""}).exclude(**{name: None})
        rows, last = rows.order_by("pk"), 0
        while batch := dict(rows.filter(pk__gt=last).values_list("pk", name)[:BATCH]):
            yield model, name, batch
            last = max(batch)


# Rows that nobody needs any more

HOUR_SECONDS = 3600
GONE_AFTER = timedelta(days=7)
# Others can write between two batches, however many sessions have expired.
CLEAN_UP_BATCH = 1000


def clean_up() -> int:
    """Remove expired sessions and workers that are long gone, once an hour at most over
    all processes; returns how many rows.
    """
    # never given back: whoever comes within the hour finds it taken
    nobody = token_hex(8)
    if not Lease.objects.acquire("clean_up", holder=nobody, seconds=HOUR_SECONDS):
        return 0
    now, sessions = models.database_now(), 0
    expired = Session.objects.filter(expire_date__lt=now)
    while keys := list(expired.values_list("pk", flat=True)[:CLEAN_UP_BATCH]):
        # again by its date: a session may have been used since
        sessions += expired.filter(pk__in=keys).delete()[0]
    workers, _ = Worker.objects.filter(seen_at__lt=now - GONE_AFTER).delete()
    if sessions or workers:
        log.info("Removed %s expired sessions, %s workers", sessions, workers)
    return sessions + workers
