"""Leases and the heartbeat: how processes on many machines share the work."""

from __future__ import annotations

import os
import secrets
import socket
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import datetime, timedelta
from functools import cache, partial
from typing import ClassVar, NamedTuple

from django.conf import settings
from django.db import IntegrityError, models, transaction
from django.db.models.functions import Concat, Now

from imports.models.database import database_now


class LeaseManager(models.Manager["Lease"]):
    def acquire(self, name: str, *, holder: str, seconds: float) -> bool:
        """Take the lease, or prolong it; False while somebody else holds it."""
        mine_or_over = models.Q(holder=holder) | models.Q(expires_at__lte=Now())
        lasts = timedelta(seconds=seconds)
        free = self.filter(mine_or_over, name=name)
        if free.update(holder=holder, expires_at=Now() + lasts):
            return True
        # looked for first: an INSERT that fails would lock and log for nothing
        if self.filter(name=name).exists():
            return False
        until = database_now() + lasts
        try:
            with transaction.atomic():
                self.create(name=name, holder=holder, expires_at=until)
        except IntegrityError:
            return False
        return True

    def release(self, name: str, *, holder: str) -> None:
        self.filter(name=name, holder=holder).update(expires_at=Now())

    def held(self, names: Iterable[str]) -> set[str]:
        """Those of `names` that somebody holds: looking locks nothing, trying does."""
        held = self.filter(name__in=names, expires_at__gt=Now())
        return set(held.values_list("name", flat=True))

    def release_all_of(self, process: str) -> int:
        """Give back every lease that a process held which is known to be gone."""
        held = self.filter(holder__startswith=f"{process}:", expires_at__gt=Now())
        return held.update(expires_at=Now())


class Lease(models.Model):
    """The right of one holder to do `name` (`refresh:7`, `send:7:1`, `token:7`,
    `call:7:1`) until `expires_at` on the database's clock.
    """

    name = models.CharField(max_length=100, primary_key=True)
    holder = models.CharField(max_length=100)
    expires_at = models.DateTimeField()

    objects: ClassVar[LeaseManager] = LeaseManager()

    def __str__(self) -> str:
        return f"{self.name} held by {self.holder}"


@contextmanager
def held(*names: str, holder: str, seconds: float) -> Iterator[str | None]:
    """Hold the first of the leases `names` that is free, and give it back afterwards.

    Gives its name, None where somebody else has each of them. A process that dies in
    the block keeps the lease until `seconds` are over.
    """
    acquire = partial(Lease.objects.acquire, holder=holder, seconds=seconds)
    lease = next(filter(acquire, names), None)
    try:
        yield lease
    finally:
        if lease is not None:
            Lease.objects.release(lease, holder=holder)


def lease_seconds() -> float:
    """How long the lease of one call lasts: a slow call must not outlive its own."""
    return 2 * float(settings.MCDASH_CALL_DEADLINE_SECONDS) + 30


class WorkerManager(models.Manager["Worker"]):
    def heartbeat(self, holder: str, *, host: str, version: str) -> None:
        values = {"host": host, "version": version, "seen_at": Now()}
        # one statement: it comes once a second from every worker
        if not self.filter(holder=holder).update(**values):
            self.create(holder=holder, started_at=Now(), **values)

    def silent_with_leases(
        self, *, after_seconds: float, within_seconds: float
    ) -> list[str]:
        """Workers that are silent for so long, but not too long, and hold a lease."""
        own = Concat(models.OuterRef("holder"), models.Value(":"))
        held = Lease.objects.filter(expires_at__gt=Now(), holder__startswith=own)
        now = database_now()
        silent = self.filter(
            models.Exists(held),
            seen_at__lt=now - timedelta(seconds=after_seconds),
            seen_at__gt=now - timedelta(seconds=within_seconds),
        )
        return list(silent.values_list("holder", flat=True))

    def alive(self) -> models.QuerySet[Worker]:
        return self.filter(seen_at__gte=Now() - WORKER_SILENT_AFTER)


class Worker(models.Model):
    holder = models.CharField(max_length=100, unique=True)
    host = models.CharField(max_length=255)
    version = models.CharField(max_length=50)
    seen_at = models.DateTimeField()
    # empty: it began with a release that did not say so
    started_at = models.DateTimeField(null=True, blank=True)

    objects: ClassVar[WorkerManager] = WorkerManager()

    class Meta:
        ordering = ("-seen_at",)

    def __str__(self) -> str:
        return self.holder


@cache
def process_name() -> str:
    """This process's name, unlike that of any other process now or later."""
    return f"{socket.gethostname()[:40]}:{os.getpid()}:{secrets.token_hex(4)}"


# A fork must not keep its parent's.
os.register_at_fork(after_in_child=process_name.cache_clear)


def new_holder() -> str:
    """A name for whoever holds a lease in this process; never the same twice."""
    return f"{process_name()}:{secrets.token_hex(4)}"


# A worker says once a second that it lives; after this silence it is taken to be gone.
WORKER_SILENT_AFTER = timedelta(seconds=60)


class NotFollowed(models.TextChoices):
    """Why nobody looks. Paused starts are no reason: what runs is followed as usual."""

    DISABLED = "account_disabled", "Account disabled"
    SECRET_UNREADABLE = "secret_unreadable", "Stored secret cannot be read"
    CREDENTIALS_REFUSED = "credentials_refused", "Credentials refused"
    NO_WORKER = "no_worker", "No worker"
    NOT_ANSWERING = "not_answering", "Account does not answer"
    OVERDUE = "overdue", "Worker does not get to it"

    @property
    def needs_person(self) -> bool:
        """Whether it lasts until somebody does something about the account."""
        return self in (self.DISABLED, self.SECRET_UNREADABLE, self.CREDENTIALS_REFUSED)

    @property
    def lies_with_workers(self) -> bool:
        """Whether it is the same for every account."""
        return self in (self.NO_WORKER, self.OVERDUE)


class Unfollowed(NamedTuple):
    """Nobody looks, because of `why`, since that moment as far as it is known."""

    why: NotFollowed
    since: datetime | None = None


@dataclass(frozen=True, kw_only=True, slots=True)
class WorkerState:
    """What is known of the workers as a whole."""

    # none has responded for a minute; the last one at `heard_at`
    is_silent: bool = False
    heard_at: datetime | None = None
    # one responds, and yet something has been due for longer than any call may take: a
    # heartbeat proves that a worker's loop turns, not that it gets anything done
    is_stuck: bool = False

    def why_late(
        self, due_at: datetime | None, now: datetime, *, after: timedelta | None = None
    ) -> Unfollowed | None:
        """Why what was due at `due_at` is not done, if that lies with the workers."""
        if self.is_silent:
            return Unfollowed(why=NotFollowed.NO_WORKER, since=self.heard_at)
        if self.is_stuck and due_at and due_at + (after or overdue_after()) < now:
            return Unfollowed(why=NotFollowed.OVERDUE, since=due_at)
        return None


def overdue_after() -> timedelta:
    """How long a look may be due while all is well: till the lease of one has ended."""
    return timedelta(seconds=2 * settings.MCDASH_CALL_DEADLINE_SECONDS + 90)


def start_overdue_after() -> timedelta:
    """As `overdue_after` for a queued start: by then a worker gives it up."""
    return timedelta(seconds=settings.MCDASH_START_EXPIRES_SECONDS + 60)
