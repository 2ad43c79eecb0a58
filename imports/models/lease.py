"""Leases and the heartbeat: how processes on many machines stay out of each
other's way.
"""

from __future__ import annotations

import os
import secrets
import socket
from datetime import datetime, timedelta
from functools import lru_cache
from typing import ClassVar

from django.db import IntegrityError, models, transaction
from django.db.models.functions import Now

from imports.models.clock import database_now
from imports.models.following import WORKER_SILENT_AFTER


class LeaseManager(models.Manager["Lease"]):
    def acquire(self, name: str, *, holder: str, seconds: float) -> bool:
        """Take or prolong the lease `name`; False while somebody else holds it."""
        mine_or_over = models.Q(holder=holder) | models.Q(expires_at__lte=Now())
        taken = self.filter(mine_or_over, name=name).update(
            holder=holder, expires_at=Now() + timedelta(seconds=seconds)
        )
        return bool(taken) or self._create(name, holder, seconds)

    def _create(self, name: str, holder: str, seconds: float) -> bool:
        if self.filter(name=name).exists():
            return False
        until = database_now() + timedelta(seconds=seconds)
        try:
            with transaction.atomic():
                self.create(name=name, holder=holder, expires_at=until)
        except IntegrityError:
            return False
        return True

    def release(self, name: str, *, holder: str) -> None:
        """Give the lease back, if it is still ours."""
        self.filter(name=name, holder=holder).update(expires_at=Now())

    def release_all_of(self, process: str) -> int:
        """Give back every lease that a process held which is known to be gone."""
        held = self.filter(holder__startswith=f"{process}:", expires_at__gt=Now())
        return held.update(expires_at=Now())


class Lease(models.Model):
    """The right of one holder to do `name` (`tick`, `refresh:7`, `token:7`,
    `call:7:1`) until `expires_at` on the database's clock.
    """

    name = models.CharField(max_length=100, primary_key=True)
    holder = models.CharField(max_length=100)
    expires_at = models.DateTimeField()

    objects: ClassVar[LeaseManager] = LeaseManager()

    def __str__(self) -> str:
        return f"{self.name} held by {self.holder}"


class WorkerManager(models.Manager["Worker"]):
    def beat(self, holder: str, *, host: str, version: str) -> None:
        """Say that the worker `holder` is alive."""
        now = database_now()
        known = {"host": host, "version": version, "seen_at": now}
        self.update_or_create(
            holder=holder, defaults=known, create_defaults=known | {"started_at": now}
        )

    def fell_silent(self, *, after_seconds: float, within_seconds: float) -> list[str]:
        """Workers last heard of longer ago than `after_seconds`, but not too long."""
        now = database_now()
        return list(
            self.filter(
                seen_at__lt=now - timedelta(seconds=after_seconds),
                seen_at__gt=now - timedelta(seconds=within_seconds),
            ).values_list("holder", flat=True)
        )

    def heard_of(self, seconds: float) -> models.QuerySet[Worker]:
        """Workers that were heard of in the last `seconds`."""
        return self.filter(seen_at__gte=Now() - timedelta(seconds=seconds))

    def at_work_for(self, seconds: float) -> models.QuerySet[Worker]:
        """Workers that are alive and have been for `seconds`."""
        since = Now() - timedelta(seconds=seconds)
        alive = self.heard_of(WORKER_SILENT_AFTER.total_seconds())
        return alive.filter(started_at__lte=since)

    def last_heard_at(self) -> datetime | None:
        """When any worker was last heard of."""
        last: datetime | None = self.aggregate(at=models.Max("seen_at"))["at"]
        return last

    def heard_within(self, seconds: float) -> bool:
        """Whether any worker was heard of in the last `seconds`."""
        return self.heard_of(seconds).exists()


class Worker(models.Model):
    """A worker process and when it was last heard of."""

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


@lru_cache(maxsize=2)
def _process_name(pid: int) -> str:
    return f"{socket.gethostname()[:40]}:{pid}:{secrets.token_hex(4)}"


def process_name() -> str:
    """This process's name, unlike that of any other process now or later."""
    return _process_name(os.getpid())


def new_holder() -> str:
    """A name for whoever holds a lease in this process; never the same twice."""
    return f"{process_name()}:{secrets.token_hex(4)}"
