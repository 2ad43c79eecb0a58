"""Who looks at runs: why nobody does, and since when. Words are made by the pages."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import timedelta
from typing import TYPE_CHECKING

from django.conf import settings
from django.db import models

if TYPE_CHECKING:
    from datetime import datetime

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
        return self in (
            NotFollowed.DISABLED,
            NotFollowed.SECRET_UNREADABLE,
            NotFollowed.CREDENTIALS_REFUSED,
        )

    @property
    def lies_with_workers(self) -> bool:
        """Whether it is the same for every account."""
        return self in (NotFollowed.NO_WORKER, NotFollowed.OVERDUE)


@dataclass(frozen=True, kw_only=True, slots=True)
class Unfollowed:
    """Nobody looks, because of `why`, since that moment as far as it is known."""

    why: NotFollowed
    since: datetime | None = None


@dataclass(frozen=True, kw_only=True, slots=True)
class WorkerState:
    """What is known of the workers as a whole.

    `is_silent`: none was heard of for a minute; the last one at `heard_at`. A heartbeat
    proves that a worker's loop turns, not that it gets anything done: `is_stuck` says
    that one lives, and yet something has been due for longer than any call may take.
    """

    is_silent: bool = False
    heard_at: datetime | None = None
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
    """How long a look may be due while all is well: one that is under way ends by its
    lease (see `refresh_runs`), and the next one comes soon after.
    """
    return timedelta(seconds=2 * settings.MCDASH_CALL_DEADLINE_SECONDS + 90)


def start_overdue_after() -> timedelta:
    """As `overdue_after` for a queued start: by then a worker gives it up."""
    return timedelta(seconds=settings.MCDASH_START_EXPIRES_SECONDS + 60)
