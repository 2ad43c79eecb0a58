"""Bring an account's definitions up to date with Marketing Cloud."""

from __future__ import annotations

import hashlib
import json
import logging
import random
from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from typing import NamedTuple

from django.db import DatabaseError, connection, transaction
from django.db.models import F, Min, Q

from imports.marketingcloud.errors import MarketingCloudError
from imports.marketingcloud.records import DefinitionList, DefinitionRecord
from imports.models import (
    Account,
    DefinitionVersion,
    ImportDefinition,
    User,
    bump_revision,
    database_now,
    key_digest,
    tidy_object_id,
)
from imports.usecases.accounts import ask_account, exclusively, learn_unit
from imports.usecases.audit import AuditAction, record_audit

log = logging.getLogger(__name__)

COLUMNS = (
    "object_id",
    "customer_key",
    "name",
    "description",
    "file_spec",
    "update_type",
    "destination",
)
SEEN_NOTED_EVERY = timedelta(hours=20)
LISTED = ("last_seen_at", "not_listed_since", "not_seen_since")
WRITTEN = (*COLUMNS, "key_digest", "facts", "digest", *LISTED)
# A definition is believed gone when two syncs missed it, so far apart; where a large
# share of the list is missing, or all of it, the list is more likely wrong.
MISSES_APART, MISSES_APART_IN_DOUBT = timedelta(minutes=5), timedelta(hours=1)
MANY_MISSING, LARGE_SHARE = 10, 1 / 4
# Of more missing definitions only so many are asked for by name, chosen by chance.
MOST_ASKED_AT_ONCE, MOST_ASKED_ONE_BY_ONE = 50, 10
BATCH = 500
DEFINITIONS = ImportDefinition._meta.db_table
VERSIONS = DefinitionVersion._meta.db_table
OF_THE_SAME = f"FROM {VERSIONS} WHERE definition_id = {DEFINITIONS}.id"
UNVERSIONED = f"NOT EXISTS (SELECT 1 {OF_THE_SAME})"
# The next version of a definition, copied where its facts just went: the ORM would
# turn the same facts into JSON once more.
COPY_TO_VERSIONS = f"""
    INSERT INTO {VERSIONS} (definition_id, number, digest, facts, seen_at)
    SELECT id, 1 + COALESCE((SELECT MAX(number) {OF_THE_SAME}), 0),
        digest, facts, last_seen_at
    FROM {DEFINITIONS} WHERE
"""  # noqa: S608 - all names are the models' own


@dataclass(frozen=True, kw_only=True, slots=True)
class SyncReport:
    """How many definitions were seen, and how they differ from the last time.

    `missing` are those missed for the first time, `gone` those believed gone since
    they were missed again; `is_doubted` says that the list itself may be wrong.
    """

    seen: int
    created: int
    changed: int
    missing: int
    gone: int
    is_doubted: bool
    refused_properties: tuple[str, ...]


def sync_definitions(*, account: Account, holder: str) -> SyncReport:
    """Fetch all definitions of `account` and write down what is new or different.

    What the list lacks is asked for by name. Missing there too, it is marked, and
    believed gone once a later sync misses it as well; nothing is deleted. Raises
    `AccountBusyError` while another process does the same, and
    `MarketingCloudError`.
    """
    reading = _Reading(account=account)
    with exclusively(account, "sync", holder):
        reading.note(0)
        with ask_account(account) as client:
            answer = client.list_definitions(on_page=reading.note)
        matches = _Matches(account)
        matches.sort(answer.definitions)
        # part of a list shows what is there, and says nothing of what is not
        missed = _missed(account, matches) if answer.is_whole else set()
        return _store(account, answer, matches, missed, reading)


@dataclass(kw_only=True, slots=True)
class _Reading:
    """How many pages of the list were read, for the pages of those who wait for it."""

    account: Account
    pages: int = 0

    def note(self, pages: int) -> None:
        """Count on. A database that is away for a moment must not end the reading,
        nor pass for a Marketing Cloud that does not answer.
        """
        self.pages = pages
        if not self.account.is_sync_awaited:
            return
        try:
            with transaction.atomic():
                bump_revision(accounts=[self.account])
                rows = Account.objects.filter(pk=self.account.pk)
                rows.update(sync_pages_read=pages)
        except DatabaseError:
            log.exception("Account %s: progress was not kept", self.account.pk)


def _missed(account: Account, matches: _Matches) -> set[int]:
    """The definitions that the list lacks and that are not found by name either.

    One that is listed is asked for with them: if not even that is found, or no answer
    comes, nothing is proven. Those that are not asked for, for their number, are
    missed where none of the others was found.
    """
    missing = list(matches.missing)
    if not missing:
        return set()
    most = MOST_ASKED_AT_ONCE if account.takes_in else MOST_ASKED_ONE_BY_ONE
    asked = set(random.sample(missing, min(len(missing), most)))
    control = set(list(matches.seen)[:1])
    names = account.definitions.filter(pk__in=asked | control)
    pairs = list(names.values_list("object_id", "customer_key"))
    try:
        with ask_account(account) as client:
            answer = client.find_definitions(pairs)
    except MarketingCloudError as error:
        log.warning("Account %s: missing ones not asked for: %s", account.pk, error)
        return set()
    found = matches.sort(answer.definitions)
    # what cannot find one that is certainly there proves nothing of the others
    if not answer.is_whole or not control <= found:
        log.warning("Account %s: not even a listed definition was found", account.pk)
        return set()
    return matches.missing if asked.isdisjoint(found) else asked - found


def _store(
    account: Account,
    answer: DefinitionList,
    matches: _Matches,
    missed: set[int],
    reading: _Reading,
) -> SyncReport:
    now = database_now()
    # so many are missing that the list itself is likely wrong
    missing = len(matches.missing)
    is_large = missing > 0 and (
        not answer.definitions
        or missing >= max(MANY_MISSING, LARGE_SHARE * (missing + len(matches.seen)))
    )
    apart = MISSES_APART_IN_DOUBT if is_large else MISSES_APART
    with transaction.atomic():
        _create(account, matches.created, now)
        _change(matches.changed, now)
        marked = _mark(account, matches, missed, now, believed_from=now - apart)
        unlisted = len(matches.missing) - marked.gone
        is_doubted = unlisted > 0 and (is_large or missed != matches.missing)
        is_news = matches.created or matches.changed or any(marked)
        is_other_doubt = is_doubted != (account.listing_doubted_since is not None)
        if is_news or is_other_doubt or account.is_sync_awaited:
            bump_revision(accounts=[account])
        learn_unit(account, answer.definitions)
        account.last_synced_at, account.sync_pages = now, reading.pages
        account.refused_properties = account.noted_refusals(answer.refused_properties)
        _note_unlisted(account, unlisted, now, is_doubted=is_doubted)
        account.save(
            update_fields=[
                *("last_synced_at", "sync_pages", "refused_properties"),
                *("sync_again_at", "listing_doubted_since", "unlisted_count"),
            ]
        )
    return SyncReport(
        seen=len(answer.definitions),
        created=len(matches.created),
        changed=len(matches.changed),
        missing=marked.missing,
        gone=marked.gone,
        is_doubted=is_doubted,
        refused_properties=answer.refused_properties,
    )


class _Stored(NamedTuple):
    """A stored definition, without the facts: most have not changed."""

    pk: int
    digest: str
    object_id: str | None


class _Matches:
    """Which stored definition each record is: by ObjectID, else by key alone."""

    def __init__(self, account: Account) -> None:
        self.by_object: dict[str, _Stored] = {}
        self.by_key: dict[str, _Stored] = {}
        self.of_key: defaultdict[str, list[_Stored]] = defaultdict(list)
        self.created: dict[tuple[str | None, str], DefinitionRecord] = {}
        self.changed: dict[int, DefinitionRecord] = {}
        self.seen: set[int] = set()
        rows = account.definitions
        gone = rows.exclude(not_seen_since=None).values_list("pk", flat=True)
        self.gone, self.pks = set(gone), set[int]()
        names = ("object_id", "key_digest", "pk", "digest")
        for object_id, key, pk, digest in rows.values_list(*names):
            stored = _Stored(pk, digest, object_id)
            self.pks.add(pk)
            if object_id is None:
                self.by_key[key] = stored
                continue
            self.by_object[object_id] = stored
            self.by_object.setdefault(tidy_object_id(object_id), stored)
            if pk not in self.gone:
                self.of_key[key].append(stored)

    @property
    def missing(self) -> set[int]:
        """Those not seen, but for the ones that are believed gone."""
        return self.pks - self.seen - self.gone

    def sort(self, records: Iterable[DefinitionRecord]) -> set[int]:
        """Tell new records, changed ones and the ids of all stored ones seen; gives
        the ids of those that are among `records`.
        """
        listed: set[int] = set()
        for record in records:
            same = self._find(record)
            listed.update(stored.pk for stored in same)
            if not same:
                name = record.object_id and tidy_object_id(record.object_id)
                key = "" if name else record.customer_key
                self.created[name, key] = record
            elif len(same) == 1 and same[0].pk not in self.seen:
                stored = same[0]
                self.seen.add(stored.pk)
                if record.object_id is None and stored.object_id:
                    facts = {**record.facts, "ObjectID": stored.object_id}
                    record = replace(record, object_id=stored.object_id, facts=facts)
                if stored.digest != digest_of(record):
                    self.changed[stored.pk] = record
        self.seen |= listed
        # a new one that is listed with its ObjectID, and without it too, is one
        named = {
            record.customer_key for (id_, _), record in self.created.items() if id_
        }
        self.created = {
            (id_, key): record
            for (id_, key), record in self.created.items()
            if id_ or key not in named
        }
        return listed

    def _find(self, record: DefinitionRecord) -> Sequence[_Stored]:
        """Usually one. A row that lacks the ObjectID is that of all known ones with
        its key: it may be any of them, and no other.
        """
        if record.object_id is None:
            digest = key_digest(record.customer_key)
            alone = self.by_key.get(digest)
            return [alone] if alone else self.of_key.get(digest, ())
        by_object, object_id = self.by_object, record.object_id
        known = by_object.get(object_id) or by_object.get(tidy_object_id(object_id))
        if known:
            return [known]
        if not record.customer_key or not self.by_key:
            return ()
        # first seen by its key alone, now with an id: it is the same one
        known = self.by_key.pop(key_digest(record.customer_key), None)
        if known:
            self.by_object[object_id] = known
        return [known] if known else ()


def digest_of(record: DefinitionRecord) -> str:
    """SHA-256 over all that was retrieved, independent of its order.

    That is the facts, and the destination, which also depends on its type.
    """
    names = sorted(record.facts)
    values = map(record.facts.__getitem__, names)
    # no text in XML holds a NUL
    text = "\0".join((record.destination, *names, *values))
    return hashlib.sha256(text.encode()).hexdigest()


def _create(
    account: Account,
    records: Mapping[tuple[str | None, str], DefinitionRecord],
    now: datetime,
) -> None:
    """Insert new definitions and their first versions.

    Not by `bulk_create`: preparing 2,500 rows value by value takes it longer than
    fetching and reading them.
    """
    if not records:
        return
    at = connection.ops.adapt_datetimefield_value(now)
    same = {
        "account_id": account.pk,
        "first_seen_at": at,
        "last_seen_at": at,
        "strip": "[]",
    }
    columns = (*COLUMNS, "key_digest", "digest", "facts", *same)
    marks = ", ".join(["%s"] * len(columns))
    rows = [
        (
            *(getattr(record, name) for name in COLUMNS),
            key_digest(record.customer_key),
            digest_of(record),
            json.dumps(dict(record.facts)),
            *same.values(),
        )
        for record in records.values()
    ]
    with connection.cursor() as cursor:
        cursor.executemany(
            f"INSERT INTO {DEFINITIONS} ({', '.join(columns)}) VALUES ({marks})",  # noqa: S608
            rows,
        )
        cursor.execute(
            f"{COPY_TO_VERSIONS} account_id = %s AND {UNVERSIONED}", [account.pk]
        )


def _change(records: Mapping[int, DefinitionRecord], now: datetime) -> None:
    """Bring changed definitions up to date, each with a next version."""
    changed = list(ImportDefinition.objects.in_bulk(records).values())
    for definition in changed:
        record = records[definition.pk]
        for name in COLUMNS:
            setattr(definition, name, getattr(record, name))
        definition.key_digest = key_digest(record.customer_key)
        definition.facts = dict(record.facts)
        definition.digest = digest_of(record)
        definition.last_seen_at = now
        definition.not_listed_since = definition.not_seen_since = None
    ImportDefinition.objects.bulk_update(changed, WRITTEN, batch_size=BATCH)
    keys = list(records)
    for start in range(0, len(keys), BATCH):
        chunk = keys[start : start + BATCH]
        marks = ", ".join(["%s"] * len(chunk))
        with connection.cursor() as cursor:
            cursor.execute(f"{COPY_TO_VERSIONS} id IN ({marks})", chunk)


class _Marked(NamedTuple):
    """How many were missed for the first time, are believed gone, and came back."""

    missing: int
    gone: int
    back: int


def _mark(
    account: Account,
    matches: _Matches,
    missed: set[int],
    now: datetime,
    *,
    believed_from: datetime,
) -> _Marked:
    """Mark what was missed, believe what was missed before `believed_from` already,
    and take the marks from what came back.
    """
    rows = account.definitions
    unlisted = dict(
        rows.filter(not_listed_since__isnull=False).values_list(
            "pk", "not_listed_since"
        )
    )
    before = matches.gone | unlisted.keys()
    newly = missed - before
    again = {
        pk
        for pk, since in unlisted.items()
        if pk in missed and since and since <= believed_from
    }
    back = matches.seen & before
    last = account.last_synced_at or now
    rows.filter(pk__in=newly).update(not_listed_since=now, last_seen_at=last)
    rows.filter(pk__in=again).update(not_seen_since=F("not_listed_since"))
    rows.filter(pk__in=back).update(
        not_listed_since=None, not_seen_since=None, last_seen_at=now
    )
    # each time it would be every row of the account, of which nothing else has changed
    listed = rows.filter(not_seen_since=None, not_listed_since=None)
    listed.filter(last_seen_at__lt=now - SEEN_NOTED_EVERY).update(last_seen_at=now)
    return _Marked(len(newly), len(again), len(back))


def _note_unlisted(
    account: Account, unlisted: int, now: datetime, *, is_doubted: bool
) -> None:
    """Set on the account, for its pages, how many are not listed; and when to look
    again: soon after the first miss, then at the usual hour.
    """
    waiting = account.definitions.filter(not_seen_since=None)
    missed = waiting.filter(not_listed_since__isnull=False)
    first = missed.aggregate(first=Min("not_listed_since"))["first"]
    doubted_since = (account.listing_doubted_since or now) if is_doubted else None
    open_since = min(filter(None, (first, doubted_since)), default=None)
    again_at = open_since + MISSES_APART if open_since else None
    account.sync_again_at = again_at if again_at and again_at > now else None
    account.listing_doubted_since = doubted_since
    account.unlisted_count = unlisted


# A sync that somebody asked for, before its own hour

# Reading thousands of definitions costs the account some calls: not at every press.
SELDOM = timedelta(minutes=1)


def want_sync(
    *, accounts: Iterable[Account], by: User, ip: str | None = None
) -> list[Account]:
    """Note that `by` asked for `accounts` to be synced; returns those that will be:
    nobody asked for them within the last minute, and they can be contacted.

    Nothing is sent: the worker looks every second.
    """
    requested = []
    with transaction.atomic():
        accounts = list(accounts)
        bump_revision(accounts=accounts)
        for account in accounts:
            now = database_now()
            long_ago = Q(sync_wanted_at=None) | Q(sync_wanted_at__lte=now - SELDOM)
            rows = Account.objects.reachable().filter(long_ago, pk=account.pk)
            if rows.update(sync_wanted_at=now):
                action = AuditAction.SYNC_WANTED
                record_audit(
                    actor=by, action=action, obj=account, account=account, ip=ip
                )
                requested.append(account)
    return requested
