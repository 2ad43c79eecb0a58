"""What changed since? One counter instead of timestamps.

Timestamps miss changes when clocks differ or commits overtake each other. Each
transaction that changes runs takes the next number as its last statements and
writes it to those runs and their accounts, so the counter's row is locked for
a moment only. Such a transaction must not touch an account's row earlier, or
two of them could wait for each other.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import ClassVar

from django.db import models

from imports.models.account import Account
from imports.models.run import ImportRun


class RevisionManager(models.Manager["Revision"]):
    def take(self) -> int:
        """The next number; the caller's transaction holds the counter until it ends."""
        if not self.filter(pk=1).update(number=models.F("number") + 1):
            self.get_or_create(pk=1)
            self.filter(pk=1).update(number=models.F("number") + 1)
        return self.values_list("number", flat=True).get(pk=1)


class Revision(models.Model):
    """The one counter row."""

    number = models.BigIntegerField(default=0)

    objects: ClassVar[RevisionManager] = RevisionManager()

    def __str__(self) -> str:
        return str(self.number)


def bump_revision(
    *, runs: Iterable[ImportRun] = (), accounts: Iterable[Account] = ()
) -> int:
    """Stamp changed runs and accounts with the next number, last in a transaction."""
    runs = list(runs)
    number = Revision.objects.take()
    ImportRun.objects.filter(pk__in=[run.pk for run in runs]).update(revision=number)
    touched = {account.pk for account in accounts} | {run.account_id for run in runs}
    Account.objects.filter(pk__in=touched).update(revision=number)
    return number
