"""Import definitions, their versions, and people's favourites."""

from __future__ import annotations

import hashlib
from datetime import datetime
from typing import Any

from django.apps import apps
from django.db import models, transaction
from django.db.models.functions import Left, Lower

from imports.models.account import (
    Account,
    OfAccountQuerySet,
    is_guid,
    tidy_object_id,
)
from imports.models.status import COUNTS, ENDED
from imports.models.user import User
from imports.text import first_with_ink

STRIP_LENGTH = 20
# More runs of a definition than these are seldom active at once.
USUALLY_ACTIVE = 2
BAR_FIELDS = ("definition", "status", *COUNTS, "occurred_at")


def key_digest(customer_key: str) -> str:
    """What of a customer key can be indexed: it may have 10,000 characters."""
    return hashlib.sha256(customer_key.encode()).hexdigest()


def guard_of(definition: ImportDefinition) -> str:
    """What one active run at most may have: the definition, over all accounts."""
    object_id = definition.object_id or ""
    if is_guid(object_id):
        return f"object:{tidy_object_id(object_id)}"
    # another id, or a key, is unique in its business unit
    account = definition.account
    unit = account.unit or f"account:{account.pk}"
    return f"{unit}:{object_id or definition.key_digest}"


# The order of names. An index of PostgreSQL holds no name of any length.
BY_NAME = Left(Lower("name"), 100)


class DefinitionQuerySet(OfAccountQuerySet["ImportDefinition"]):
    def with_destination(self) -> DefinitionQuerySet:
        """Each with its destination as its latest result has it, by its key."""
        runs = apps.get_model("imports", "ImportRun").objects.latest_first()
        latest = runs.filter(definition=models.OuterRef("pk")).exclude(import_type="")
        return self.annotate(
            result_destination=models.Subquery(latest.values("destination_id")[:1]),
            result_type=models.Subquery(latest.values("import_type")[:1]),
        )

    def with_key(self, account: Account, customer_key: str) -> DefinitionQuerySet:
        """The account's definitions of that customer key, those still listed first."""
        found = self.filter(account=account, key_digest=key_digest(customer_key))
        return found.order_by(
            models.F("not_seen_since").asc(nulls_first=True),
            models.F("not_listed_since").asc(nulls_first=True),
            "-last_seen_at",
            "-id",
        )


class ImportDefinition(models.Model):
    """What can be run: an ImportDefinition of an account, as last seen there."""

    account = models.ForeignKey(Account, models.PROTECT, related_name="definitions")
    object_id = models.TextField(null=True, blank=True)
    customer_key = models.TextField(blank=True)
    key_digest = models.CharField(max_length=64, db_index=True, editable=False)
    name = models.TextField(blank=True)
    description = models.TextField(blank=True)
    file_spec = models.TextField("file pattern", blank=True)
    update_type = models.TextField(blank=True)
    destination = models.TextField(blank=True)
    # everything that was retrieved, by the vendor's (dotted) names
    facts = models.JSONField(default=dict, blank=True)
    digest = models.CharField(max_length=64, editable=False)
    first_seen_at = models.DateTimeField()
    # to within a day while Marketing Cloud lists it; the account's `last_synced_at` is
    # exact
    last_seen_at = models.DateTimeField()
    # when a sync missed it first, asked for by name too; only a second miss, later,
    # makes that `not_seen_since`: it is believed gone
    not_listed_since = models.DateTimeField(null=True, blank=True)
    not_seen_since = models.DateTimeField(null=True, blank=True)
    last_run = models.ForeignKey(
        "ImportRun", models.PROTECT, null=True, blank=True, related_name="+"
    )
    # its last 20 ends, oldest first, ready to draw
    strip = models.JSONField(default=list, blank=True)

    objects = DefinitionQuerySet.as_manager()

    class Meta:
        # what lists filter and count by, beside the row: SQLite reads through facts and
        # strip to get at it there
        indexes = (
            models.Index(
                fields=("account", "not_seen_since", "last_run"), name="definition_seen"
            ),
            models.Index(BY_NAME, name="definition_by_name"),
            # few at any time; each sync looks for them
            models.Index(
                fields=("account", "not_listed_since"),
                condition=models.Q(not_listed_since__isnull=False),
                name="definition_unlisted",
            ),
        )
        constraints = (
            models.UniqueConstraint(
                fields=("account", "object_id"),
                condition=models.Q(object_id__isnull=False),
                name="definition_object_once",
            ),
            models.UniqueConstraint(
                fields=("account", "key_digest"),
                condition=models.Q(object_id__isnull=True),
                name="definition_key_once",
            ),
        )

    def __str__(self) -> str:
        return self.shown_name

    def save(self, **kwargs: Any) -> None:
        self.key_digest = key_digest(self.customer_key)
        super().save(**kwargs)

    @property
    def shown_name(self) -> str:
        names = (self.name, self.customer_key, self.object_id)
        return first_with_ink(*names, otherwise="(no name)")

    @property
    def unlisted_since(self) -> datetime | None:
        """Since when Marketing Cloud does not list it; None while it does."""
        return self.not_seen_since or self.not_listed_since

    @property
    def why_not_startable(self) -> str:
        """Why it cannot be started now, in a sentence; empty if it can."""
        # that Marketing Cloud does not list it is no reason: the list may be wrong, and
        # if it is not, Marketing Cloud refuses the start
        return self.account.why_not_startable

    @property
    def replaces_rows(self) -> bool:
        return self.update_type.casefold() == "overwrite"

    @property
    def bars(self) -> list[dict[str, Any]]:
        """The strip as it is shown: the last ends, then the run that is active."""
        active = [self.last_run] if self.last_run and self.last_run.is_active else []
        return [*self.strip, *(run.as_bar() for run in active)][-STRIP_LENGTH:]

    def refresh_recent_runs(self) -> bool:
        """Set `last_run` and `strip` from the history; whether they differed."""
        with transaction.atomic(savepoint=False):
            # held to the end, so that two runs that end at once both get into the strip
            row = ImportDefinition.objects.filter(pk=self.pk)
            stored = row.select_for_update().values_list("last_run_id", "strip").get()
            self.last_run_id, self.strip = recent = self.recent_runs()
            if recent != stored:
                row.update(last_run=recent[0], strip=recent[1])
        return recent != stored

    def recent_runs(self) -> tuple[int | None, list[dict[str, Any]]]:
        """`last_run` and `strip` as the history has them now."""
        latest = self.runs.latest_first().only(*BAR_FIELDS)
        runs = list(latest[: STRIP_LENGTH + USUALLY_ACTIVE])
        ends = [run for run in runs if run.status in ENDED][:STRIP_LENGTH]
        if len(ends) < STRIP_LENGTH and len(runs) == STRIP_LENGTH + USUALLY_ACTIVE:
            ends = list(latest.filter(status__in=ENDED)[:STRIP_LENGTH])
        return runs[0].pk if runs else None, [run.as_bar() for run in reversed(ends)]


class DefinitionVersion(models.Model):
    """The facts of a definition from `seen_at` until the next version."""

    definition = models.ForeignKey(
        ImportDefinition, models.PROTECT, related_name="versions"
    )
    number = models.PositiveIntegerField()
    digest = models.CharField(max_length=64)
    facts = models.JSONField(default=dict)
    seen_at = models.DateTimeField()

    class Meta:
        ordering = ("-number",)
        constraints = (
            models.UniqueConstraint(
                fields=("definition", "number"), name="version_number_once"
            ),
        )

    def __str__(self) -> str:
        return f"Version {self.number} of {self.definition}"


class Favourite(models.Model):
    user = models.ForeignKey(User, models.CASCADE, related_name="favourites")
    definition = models.ForeignKey(
        ImportDefinition, models.PROTECT, related_name="favourites"
    )

    class Meta:
        constraints = (
            models.UniqueConstraint(
                fields=("user", "definition"), name="favourite_once"
            ),
        )

    def __str__(self) -> str:
        return f"{self.user}: {self.definition}"
