"""Bring an account's definitions up to date with Marketing Cloud."""

from __future__ import annotations

import hashlib
import json
import logging
import random
from collections import defaultdict
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from functools import partial
from typing import Any, NamedTuple

from django.db import DatabaseError, connection, transaction
from django.db.models import F, Min, Q

from imports import models
from imports.marketingcloud.errors import MarketingCloudError
from imports.marketingcloud.records import DefinitionList, DefinitionRecord
from imports.models import Account, User, bump_revision, key_digest, tidy_object_id
from imports.usecases.accounts import ask_account, exclusively, learn_unit
from imports.usecases.audit import AuditAction, record_audit

log = logging.getLogger(__name__)

COLUMNS = (
    *("object_id", "customer_key", "name", "description"),
    *("file_spec", "update_type", "destination"),
)
WRITTEN = (
    *(*COLUMNS, "key_digest", "facts", "digest"),
    *("last_seen_at", "not_listed_since", "not_seen_since"),
)
SEEN_NOTED_EVERY = timedelta(hours=20)
# A definition is believed gone when two syncs missed it, so far apart; where a large
# share of the list is missing, or all of it, the list is more likely wrong.
MISSES_APART, MISSES_APART_IN_DOUBT = timedelta(minutes=5), timedelta(hours=1)
MANY_MISSING, LARGE_SHARE = 10, 1 / 4
# Of more missing definitions only so many are asked for by name, chosen by chance.
MOST_ASKED_AT_ONCE, MOST_ASKED_ONE_BY_ONE = 50, 10
BATCH = 500
# The next version of each definition whose facts are no longer those of its last one.
# Copied where they just went: the ORM would turn the same facts into JSON once more.
ADD_VERSIONS = """
    INSERT INTO imports_definitionversion
        (definition_id, number, digest, facts, seen_at)
    SELECT definition.id, COALESCE(last.number, 0) + 1,
        definition.digest, definition.facts, definition.last_seen_at
    FROM imports_importdefinition definition
    LEFT JOIN imports_definitionversion last ON last.definition_id = definition.id
        AND last.number = (
            SELECT MAX(number) FROM imports_definitionversion
            WHERE definition_id = definition.id
        )
    WHERE definition.account_id = %s
        AND COALESCE(last.digest, '') <> definition.digest
"""


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
    `AccountBusyError` and `MarketingCloudError`.
    """
    with exclusively(account, "sync", holder):
        note_pages(account, 0)
        with ask_account(account) as client:
            answer = client.list_definitions(on_page=partial(note_pages, account))
        listing = Listing(account)
        listing.match(answer.definitions)
        # part of a list shows what is there, and says nothing of what is not
        missed = listing.missed() if answer.is_whole else set()
        return store_listing(account, answer, listing, missed)


def note_pages(account: Account, pages: int) -> None:
    """Note how many pages of the list were read, for those who wait for it."""
    account.sync_pages = pages
    if not account.is_sync_awaited:
        return
    try:
        with transaction.atomic():
            bump_revision(accounts=[account])
            Account.objects.filter(pk=account.pk).update(sync_pages_read=pages)
    # it must not end the reading, nor pass for a Marketing Cloud that doesn't answer
    except DatabaseError:
        log.exception("Account %s: progress was not kept", account.pk)


def store_listing(
    account: Account, answer: DefinitionList, listing: Listing, missed: set[int]
) -> SyncReport:
    now = models.database_now()
    # so many are missing that the list itself is likely wrong
    missing = len(listing.missing)
    is_large = missing > 0 and (
        not answer.definitions
        or missing >= max(MANY_MISSING, LARGE_SHARE * (missing + len(listing.seen)))
    )
    apart = MISSES_APART_IN_DOUBT if is_large else MISSES_APART
    with transaction.atomic():
        if listing.created or listing.changed:
            listing.write(now)
        newly, gone, back = listing.mark(missed, now, believed_from=now - apart)
        unlisted = len(listing.missing) - gone
        is_doubted = unlisted > 0 and (is_large or missed != listing.missing)
        is_news = listing.created or listing.changed or newly or gone or back
        is_other_doubt = is_doubted != (account.listing_doubted_since is not None)
        if is_news or is_other_doubt or account.is_sync_awaited:
            bump_revision(accounts=[account])
        learn_unit(account, answer.definitions)
        account.last_synced_at, account.unlisted_count = now, unlisted
        account.refused_properties = account.noted_refusals(answer.refused_properties)
        # look again soon after the first miss, then at the usual hour
        not_gone = account.definitions.filter(not_seen_since=None)
        first = not_gone.aggregate(first=Min("not_listed_since"))["first"]
        doubted_since = (account.listing_doubted_since or now) if is_doubted else None
        open_since = min(filter(None, (first, doubted_since)), default=None)
        again_at = open_since + MISSES_APART if open_since else None
        account.sync_again_at = again_at if again_at and again_at > now else None
        account.listing_doubted_since = doubted_since
        account.save(
            update_fields=[
                *("last_synced_at", "sync_pages", "refused_properties"),
                *("sync_again_at", "listing_doubted_since", "unlisted_count"),
            ]
        )
    return SyncReport(
        seen=len(answer.definitions),
        created=len(listing.created),
        changed=len(listing.changed),
        missing=newly,
        gone=gone,
        is_doubted=is_doubted,
        refused_properties=answer.refused_properties,
    )


class Stored(NamedTuple):
    """A stored definition, without the facts: most have not changed."""

    pk: int
    digest: str
    object_id: str | None


class Listing:
    """Which stored definition each record is: by ObjectID, else by key alone."""

    def __init__(self, account: Account) -> None:
        self.account = account
        self.by_object: dict[str, Stored] = {}
        self.by_key: dict[str, Stored] = {}
        self.of_key: defaultdict[str, list[Stored]] = defaultdict(list)
        self.created: dict[tuple[str | None, str], DefinitionRecord] = {}
        self.changed: dict[int, DefinitionRecord] = {}
        self.seen: set[int] = set()
        self.pks: set[int] = set()
        self.gone: set[int] = set()
        names = ("object_id", "key_digest", "pk", "digest", "not_seen_since")
        for object_id, key, pk, digest, since in account.definitions.values_list(
            *names
        ):
            stored = Stored(pk, digest, object_id)
            self.pks.add(pk)
            if since:
                self.gone.add(pk)
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

    def match(self, records: Iterable[DefinitionRecord]) -> set[int]:
        """Tell new records, changed ones and the ids of all stored ones seen; gives
        the ids of those that are among `records`.
        """
        listed: set[int] = set()
        for record in records:
            same = self.find(record)
            listed.update(stored.pk for stored in same)
            if not same:
                name = record.object_id and tidy_object_id(record.object_id)
                self.created[name, "" if name else record.customer_key] = record
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
        named = {new.customer_key for (name, _), new in self.created.items() if name}
        twice = [(name, key) for name, key in self.created if not name and key in named]
        for pair in twice:
            del self.created[pair]
        return listed

    def find(self, record: DefinitionRecord) -> Sequence[Stored]:
        """Usually one. A row that lacks the ObjectID is that of all known ones with
        its key: it may be any of them, and no other.
        """
        if record.object_id is None:
            digest = key_digest(record.customer_key)
            alone = self.by_key.get(digest)
            return [alone] if alone else self.of_key.get(digest, ())
        by_object, object_id = self.by_object, record.object_id
        known = by_object.get(object_id) or by_object.get(tidy_object_id(object_id))
        if not known and record.customer_key and self.by_key:
            # first seen by its key alone, now with an id: it is the same one
            known = self.by_key.pop(key_digest(record.customer_key), None)
            if known:
                by_object[object_id] = known
        return [known] if known else ()

    def missed(self) -> set[int]:
        """The definitions that the list lacks and that are not found by name either.

        One that is listed is asked for with them: if not even that is found, or no
        answer comes, nothing is proven. Those that are not asked for, for their number,
        are missed where none of the others was found.
        """
        account, missing = self.account, list(self.missing)
        if not missing:
            return set()
        most = MOST_ASKED_AT_ONCE if account.takes_in else MOST_ASKED_ONE_BY_ONE
        asked = set(random.sample(missing, min(len(missing), most)))
        control = set(list(self.seen)[:1])
        names = account.definitions.filter(pk__in=asked | control)
        pairs = list(names.values_list("object_id", "customer_key"))
        try:
            with ask_account(account) as client:
                answer = client.find_definitions(pairs)
        except MarketingCloudError as error:
            log.warning("Account %s: missing ones not asked for: %s", account.pk, error)
            return set()
        found = self.match(answer.definitions)
        # what cannot find one that is certainly there proves nothing of the others
        if not answer.is_whole or not control <= found:
            words = "Account %s: not even a listed definition was found"
            log.warning(words, account.pk)
            return set()
        return self.missing if asked.isdisjoint(found) else asked - found

    def write(self, now: datetime) -> None:
        """Insert new definitions, bring changed ones up to date, add their versions."""
        changed = models.ImportDefinition.objects.in_bulk(self.changed)
        for pk, definition in changed.items():
            vars(definition).update(fields_of(self.changed[pk]))
            definition.facts = dict(self.changed[pk].facts)
            definition.last_seen_at = now
            definition.not_listed_since = definition.not_seen_since = None
        models.ImportDefinition.objects.bulk_update(
            changed.values(), WRITTEN, batch_size=BATCH
        )
        at = connection.ops.adapt_datetimefield_value(now)
        seen = {"first_seen_at": at, "last_seen_at": at}
        same = {"account_id": self.account.pk, "strip": "[]", **seen}
        rows = [
            fields_of(record) | {"facts": json.dumps(dict(record.facts))} | same
            for record in self.created.values()
        ]
        with connection.cursor() as cursor:
            # not by `bulk_create`: preparing 2,500 rows value by value takes it longer
            # than fetching and reading them
            if rows:
                columns, marks = ", ".join(rows[0]), ", ".join(["%s"] * len(rows[0]))
                cursor.executemany(
                    "INSERT INTO imports_importdefinition "  # noqa: S608  our own names
                    f"({columns}) VALUES ({marks})",
                    [tuple(row.values()) for row in rows],
                )
            cursor.execute(ADD_VERSIONS, [self.account.pk])

    def mark(
        self, missed: set[int], now: datetime, *, believed_from: datetime
    ) -> tuple[int, int, int]:
        """Mark what was missed, believe what was missed before `believed_from` already,
        and take the marks from what came back; gives how many were each of these.
        """
        rows = self.account.definitions
        unlisted = rows.exclude(not_listed_since=None)
        since: dict[int, Any] = dict(unlisted.values_list("pk", "not_listed_since"))
        before = self.gone | since.keys()
        newly, back = missed - before, self.seen & before
        again = {pk for pk in missed & since.keys() if since[pk] <= believed_from}
        last = self.account.last_synced_at or now
        rows.filter(pk__in=newly).update(not_listed_since=now, last_seen_at=last)
        rows.filter(pk__in=again).update(not_seen_since=F("not_listed_since"))
        rows.filter(pk__in=back).update(
            not_listed_since=None, not_seen_since=None, last_seen_at=now
        )
        # each time it would be every row of the account, in which nothing else is new
        listed = rows.filter(not_seen_since=None, not_listed_since=None)
        listed.filter(last_seen_at__lt=now - SEEN_NOTED_EVERY).update(last_seen_at=now)
        return len(newly), len(again), len(back)


def digest_of(record: DefinitionRecord) -> str:
    """SHA-256 over the facts, in any order, and the destination, which also depends on
    its type.
    """
    names = sorted(record.facts)
    values = map(record.facts.__getitem__, names)
    # no text in XML holds a NUL
    text = "\0".join((record.destination, *names, *values))
    return hashlib.sha256(text.encode()).hexdigest()


def fields_of(record: DefinitionRecord) -> dict[str, Any]:
    """What is stored of `record`, but for the facts."""
    fields = {name: getattr(record, name) for name in COLUMNS}
    key = key_digest(record.customer_key)
    return fields | {"key_digest": key, "digest": digest_of(record)}


# A sync that somebody asked for, before its own hour

# Reading thousands of definitions costs the account some calls: not at every press.
SELDOM = timedelta(minutes=1)


def want_sync(
    *, accounts: Iterable[Account], by: User, ip: str | None = None
) -> list[Account]:
    """Note that `by` asked for `accounts` to be synced; returns those that will be:
    nobody asked for them within the last minute, and they can be contacted.
    """
    requested = []
    with transaction.atomic():
        accounts = list(accounts)
        bump_revision(accounts=accounts)
        for account in accounts:
            now = models.database_now()
            long_ago = Q(sync_wanted_at=None) | Q(sync_wanted_at__lte=now - SELDOM)
            rows = Account.objects.reachable().filter(long_ago, pk=account.pk)
            if rows.update(sync_wanted_at=now):
                action = AuditAction.SYNC_WANTED
                record_audit(actor=by, action=action, obj=account, ip=ip)
                requested.append(account)
    return requested
