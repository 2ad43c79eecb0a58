"""Runs, their history, the one method that moves them, and the counter of changes."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from datetime import datetime, timedelta
from functools import cache
from math import inf
from typing import Any, ClassVar

from django.db import connection, models
from django.db.models import F, Index, Q, UniqueConstraint, Value, lookups
from django.db.models.expressions import RawSQL
from django.db.models.functions import Coalesce, Lower, Now
from django.utils import timezone

from imports.models import worker
from imports.models.account import NOT_ANSWERING_FROM, Account, OfAccountQuerySet
from imports.models.database import database_now
from imports.models.definition import DefinitionVersion, ImportDefinition, guard_of
from imports.models.status import (
    ACTIVE,
    COUNTS,
    ENDED,
    FINISHED,
    TRANSITIONS,
    WITH_TASK,
    Counts,
    Origin,
    RunStatus,
    are_counts_open,
    label_of,
    message_of,
)
from imports.models.user import User
from imports.reasons import reasons
from imports.text import first_with_ink, has_ink


class InvalidTransitionError(Exception):
    """A run cannot go from its status to the wanted one."""


class StaleRunError(Exception):
    """Somebody else moved the run first; read it again."""


class EventKind(models.TextChoices):
    QUEUED = "queued", "Queued"
    CANCELLED = "cancelled", "Cancelled"
    CLAIMED = "claimed", "Start sent"
    ACCEPTED = "accepted", "Accepted"
    CONTRADICTED = "contradicted", "Accepted with a contradiction"
    NOT_STARTED = "not_started", "Not started"
    UNANSWERED = "unanswered", "No readable answer"
    LOOKED = "looked", "Looked for"
    FOUND = "found", "Found"
    PHASE = "phase", "Phase"
    ENDED = "ended", "Ended"
    LOST = "lost", "Lost"
    CHECKED_AGAIN = "checked_again", "Checked again"
    ADOPTED = "adopted", "Adopted"
    MERGED = "merged", "Merged"
    CHOSEN = "chosen", "Chosen"


class RunEvent(models.Model):
    """One thing that happened to a run; all of them are its timeline."""

    run = models.ForeignKey("ImportRun", models.PROTECT, related_name="events")
    at = models.DateTimeField()
    kind = models.CharField(max_length=20, choices=EventKind)
    from_status = models.CharField(max_length=21, blank=True)
    to_status = models.CharField(max_length=21, blank=True)
    actor = models.ForeignKey(User, models.SET_NULL, null=True, blank=True)
    actor_name = models.TextField(blank=True)
    details = models.JSONField(default=dict, blank=True)

    class Meta:
        ordering = ("at", "id")

    def __str__(self) -> str:
        return f"{self.get_kind_display()}, run {self.run_id}"


# How long after its start (s) a run is looked at how often (s).
CHECK_INTERVALS = ((300, 1.5), (1800, 15), (7200, 60), (inf, 300))
RECORDED = ("customer_key", "status", "phase", "task_id", *COUNTS, "origin")
# Constraints of one active run: of a definition's row, and of it in all accounts.
ONE_ACTIVE = frozenset({"run_one_active", "run_one_active_in_unit"})
LOST_AFTER = timedelta(hours=24)
# Runs whose counts are open, as `are_counts_open` has it, and those whose errors are
# known: of the former nobody knows them, even where they say 0.
WITH_ERRORS = Q(status=RunStatus.COMPLETED_WITH_ERRORS)
COUNTS_OPEN = WITH_ERRORS & (Q(errors=None) | Q(errors=0))
ERRORS_KNOWN = Q(errors__gt=0) | (Q(errors=0) & ~WITH_ERRORS)
HAS_TASK = Q(task_id__isnull=False)
OURS_ACTIVE = Q(status__in=sorted(ACTIVE)) & ~Q(origin=Origin.OUTSIDE)
# No look is planned so far ahead; one that is was planned by a clock that was wrong.
TOO_FAR_AHEAD = timedelta(minutes=15)
# When a run ended, by Marketing Cloud's word or else by ours.
ENDED_AT = Coalesce("finished_at", "settled_at")


def is_due(now: datetime) -> Q:
    """A look is due; or planned too far ahead, by a clock that was set right since."""
    return Q(next_check_at__lte=now) | Q(next_check_at__gt=now + TOO_FAR_AHEAD)


class RunQuerySet(OfAccountQuerySet["ImportRun"]):
    def active(self) -> RunQuerySet:
        return self.filter(status__in=ACTIVE)

    def ours(self) -> RunQuerySet:
        return self.exclude(origin=Origin.OUTSIDE)

    def followed(self) -> RunQuerySet:
        """Runs with a task that Marketing Cloud has not finished yet."""
        return self.filter(status=RunStatus.RUNNING)

    def due(self, now: datetime) -> RunQuerySet:
        return self.followed().filter(is_due(now))

    def overdue(self) -> RunQuerySet:
        """Active runs that a worker should have seen to long ago, and could have."""
        late = Now() - worker.overdue_after()
        looked_for = (RunStatus.RUNNING, RunStatus.UNKNOWN)
        looks = Q(status__in=looked_for, next_check_at__lt=late)
        claims = Q(status=RunStatus.STARTING, claim_expires_at__lt=late)
        starts = Q(
            status=RunStatus.QUEUED, queued_at__lt=Now() - worker.start_overdue_after()
        )
        # who has not responded lately could not be asked until a moment ago
        heard = Q(account__last_contact_at=None) | Q(account__last_contact_at__lt=late)
        return self.filter(looks & heard | claims | starts).filter(
            account__is_active=True,
            account__credentials_refused_at=None,
            account__failures_in_row__lt=NOT_ANSWERING_FROM,
        )

    def ended_since(self, moment: datetime) -> RunQuerySet:
        recent = self.filter(lookups.GreaterThanOrEqual(ENDED_AT, moment))
        # said so that no index of statuses is taken: most runs have ended
        return recent.exclude(status__in=ACTIVE)

    def started_by_person(self, name: str) -> RunQuerySet:
        """Runs started under that name, whatever the case of its letters."""
        return self.filter(lookups.Exact(Lower("started_by_name"), Lower(Value(name))))

    def note_counts(
        self, counted: Mapping[ImportRun, Mapping[str, int | None]], *, at: datetime
    ) -> int:
        """Write new counts of running runs, which were looked at now; how many of
        them were still running.
        """
        changed = (*COUNTS, "last_checked_at", "next_check_at", "looks")
        sets = ", ".join(f"{name} = %s" for name in changed)
        table = self.model._meta.db_table
        update = f"UPDATE {table} SET {sets} WHERE id = %s AND status = %s"  # noqa: S608 - our own names
        as_stored = connection.ops.adapt_datetimefield_value
        rows = []
        for run, counts in counted.items():
            look = (as_stored(at), as_stored(run.next_look(at)), run.looks + 1)
            of_run = (run.pk, RunStatus.RUNNING.value)
            rows.append((*(counts[name] for name in COUNTS), *look, *of_run))
        with connection.cursor() as cursor:
            # at once: a thousand statements take longer than asking for the counts
            cursor.executemany(update, rows)
            return int(cursor.rowcount)

    def latest_first(self) -> RunQuerySet:
        return self.order_by("-occurred_at", "-id")


class ImportRun(models.Model):
    """One go of a definition. Vendor texts are verbatim; a count that Marketing
    Cloud did not give is null, never 0, and so is a date that cannot be true.
    """

    account = models.ForeignKey(Account, models.PROTECT, related_name="runs")
    definition = models.ForeignKey(
        ImportDefinition, models.PROTECT, null=True, blank=True, related_name="runs"
    )
    definition_version = models.ForeignKey(
        DefinitionVersion, models.PROTECT, null=True, blank=True, related_name="runs"
    )
    customer_key = models.TextField(blank=True)
    origin = models.CharField(max_length=9, choices=Origin)
    status = models.CharField(max_length=21, choices=RunStatus)
    phase = models.TextField(blank=True)
    task_id = models.TextField(null=True, blank=True)
    request_id = models.TextField(blank=True)
    import_type = models.TextField(blank=True)
    destination_id = models.TextField(blank=True)

    started_by = models.ForeignKey(
        User, models.SET_NULL, null=True, blank=True, related_name="runs"
    )
    started_by_name = models.TextField(blank=True)
    request_token = models.UUIDField(null=True, blank=True)
    batch = models.UUIDField(null=True, blank=True)
    again_of = models.ForeignKey(
        "self", models.PROTECT, null=True, blank=True, related_name="again"
    )

    queued_at = models.DateTimeField(null=True, blank=True)
    claimed_at = models.DateTimeField(null=True, blank=True)
    sent_at = models.DateTimeField(null=True, blank=True)
    answered_at = models.DateTimeField(null=True, blank=True)
    settled_at = models.DateTimeField(null=True, blank=True)
    last_checked_at = models.DateTimeField(null=True, blank=True)
    next_check_at = models.DateTimeField(null=True, blank=True)
    claimed_by = models.CharField(max_length=100, blank=True)
    claim_expires_at = models.DateTimeField(null=True, blank=True)

    started_at = models.DateTimeField(null=True, blank=True)
    finished_at = models.DateTimeField(null=True, blank=True)
    start_text = models.TextField(blank=True)
    end_text = models.TextField(blank=True)
    # orders the history, and is never in the future
    occurred_at = models.DateTimeField()
    # by our clock, of a run that was not queued here
    first_seen_at = models.DateTimeField(null=True, blank=True)

    total_rows = models.BigIntegerField(null=True, blank=True)
    successful = models.BigIntegerField(null=True, blank=True)
    duplicated = models.BigIntegerField(null=True, blank=True)
    errors = models.BigIntegerField(null=True, blank=True)

    reason = models.CharField(max_length=30, choices=reasons, blank=True)
    error_code = models.TextField(blank=True)
    # Marketing Cloud's own words, without our secrets, at most 500 characters of them
    vendor_message = models.TextField(blank=True)
    # what the error said that ended the try: shown, and never looked into
    message = models.TextField(blank=True)
    looks = models.PositiveIntegerField(default=0)
    # how long nobody looked: no part of the age after which a run is lost
    unwatched_seconds = models.PositiveIntegerField(default=0, db_default=0)
    revision = models.BigIntegerField(default=0)
    # the definition's name over all accounts, so that two do not run it at once
    guard = models.TextField(null=True, editable=False)

    objects = RunQuerySet.as_manager()

    class Meta:
        constraints = (
            UniqueConstraint(
                fields=("account", "task_id"), condition=HAS_TASK, name="run_task_once"
            ),
            UniqueConstraint(
                fields=("definition",), condition=OURS_ACTIVE, name="run_one_active"
            ),
            UniqueConstraint(
                fields=("guard",), condition=OURS_ACTIVE, name="run_one_active_in_unit"
            ),
            UniqueConstraint(fields=("request_token",), name="run_request_once"),
            models.CheckConstraint(
                condition=Q(status__in=sorted(RunStatus)), name="run_known_status"
            ),
            models.CheckConstraint(
                condition=~Q(status__in=sorted(WITH_TASK)) | HAS_TASK,
                name="run_task_where_accepted",
            ),
            models.CheckConstraint(
                condition=~Q(status=RunStatus.UNKNOWN)
                | Q(origin=Origin.OUTSIDE)
                | Q(sent_at__isnull=False),
                name="run_sent_where_unknown",
            ),
        )
        # With the account first, since readers see some accounts only: SQLite has no
        # statistics until somebody makes them, and then the longest match wins.
        indexes = (
            Index(fields=("account", "occurred_at", "id"), name="run_by_account"),
            Index(fields=("definition", "occurred_at", "id"), name="run_by_definition"),
            # the active run of a definition that was run ten thousand times
            Index(fields=("definition", "status"), name="run_of_definition"),
            Index(fields=("status", "occurred_at", "id"), name="run_by_status"),
            Index(
                fields=("status", "account", "occurred_at", "id"), name="run_by_state"
            ),
            Index(F("account"), ENDED_AT, name="run_by_end"),
            Index(
                fields=("account", "origin", "occurred_at", "id"), name="run_by_origin"
            ),
            Index(
                *(F("account"), Lower("started_by_name")),
                *(F("occurred_at"), F("id")),
                name="run_by_person",
            ),
            Index(fields=("account", "revision"), name="run_by_revision"),
            Index(
                fields=("next_check_at",),
                condition=Q(status__in=sorted(ACTIVE)),
                name="run_due",
            ),
        )

    def __str__(self) -> str:
        return f"Run {self.pk}"

    def save(self, **kwargs: Any) -> None:
        if self._state.adding and self.definition and self.origin != Origin.OUTSIDE:
            self.guard = guard_of(self.definition)
        super().save(**kwargs)

    @property
    def shown_name(self) -> str:
        """The definition's name; of a run without one what is known of it."""
        if self.definition:
            return self.definition.shown_name
        task = f"Task {self.task_id}" if has_ink(self.task_id or "") else None
        return first_with_ink(self.customer_key, task, otherwise=f"Run {self.pk}")

    @property
    def is_active(self) -> bool:
        return self.status in ACTIVE

    @property
    def has_ended(self) -> bool:
        return self.status in ENDED

    @property
    def counts(self) -> Counts:
        return Counts.of(self)

    @property
    def unaccounted_rows(self) -> int | None:
        """Rows of a finished run that no count accounts for; None if not known."""
        return self.counts.unaccounted if self.status in FINISHED else None

    @property
    def are_counts_open(self) -> bool:
        return are_counts_open(self.status, self.errors)

    def get_status_display(self) -> str:  # type: ignore[no-redef]  # Django lets us
        """Django's, but it speaks of errors only where some were reported."""
        return label_of(self.status, self.errors)

    @property
    def began_at(self) -> datetime:
        """When this run began, by the best clock that we have for it."""
        return self.started_at or self.sent_at or self.occurred_at

    @property
    def known_since(self) -> datetime:
        """Since when we know of it by our own clock, from which its age counts."""
        return self.first_seen_at or self.queued_at or self.occurred_at

    def elapsed(self, now: datetime) -> timedelta:
        """How long the run took, or has taken so far."""
        end = (self.finished_at or self.settled_at) if self.has_ended else None
        return max((end or now) - self.began_at, timedelta(0))

    def why_not_followed(self, workers: worker.WorkerState) -> worker.Unfollowed | None:
        """Why nobody looks at this run; None while somebody does, or it has ended."""
        if not self.is_active:
            return None
        now = timezone.now()
        if self.status == RunStatus.QUEUED:
            return workers.why_late(
                self.queued_at, now, after=worker.start_overdue_after()
            )
        if self.status == RunStatus.STARTING:
            # whoever holds the claim records the answer, whatever becomes of the rest
            is_held = self.claim_expires_at and self.claim_expires_at > now
            return None if is_held else workers.why_late(self.claim_expires_at, now)
        checked = self.last_checked_at
        # with no worker, a command that waits for it may do so
        is_fresh = checked is not None and checked > now - worker.WORKER_SILENT_AFTER
        why = self.account.why_not_followed
        if why and (why.why.needs_person or is_fresh or not workers.is_silent):
            return why
        return None if is_fresh else workers.why_late(self.next_check_at, now)

    def is_too_old(self, now: datetime) -> bool:
        """Whether it has been followed in vain for so long that it is lost."""
        unwatched = timedelta(seconds=self.unwatched_seconds)
        # one that is checked again counts from then
        return now - (self.settled_at or self.known_since) - unwatched >= LOST_AFTER

    def next_look(self, now: datetime) -> datetime:
        """When to look again: often while young, more slowly with age."""
        age = (now - self.known_since).total_seconds()
        interval = next(every for younger, every in CHECK_INTERVALS if age < younger)
        return now + timedelta(seconds=interval)

    def as_bar(self) -> dict[str, Any]:
        is_open = self.are_counts_open
        return {
            "run": self.pk,
            "status": self.status,
            "rows": self.total_rows,
            "errors": self.errors,
            "at": self.occurred_at.isoformat(),
            **({"unaccounted": self.unaccounted_rows} if is_open else {}),
        }

    def as_record(self) -> dict[str, Any]:
        """This run as commands and exports give it; the names are an interface."""
        times = ("queued_at", "started_at", "finished_at")
        moments = ((name, getattr(self, name)) for name in times)
        return {
            "id": self.pk,
            "account": self.account.name,
            **{name: getattr(self, name) for name in RECORDED},
            "started_by": self.started_by_name,
            **{name: at and at.isoformat() for name, at in moments},
            "message": message_of(self.reason, self.message),
            "reason": self.reason,
            "vendor_message": self.vendor_message,
            "unaccounted_rows": self.unaccounted_rows,
        }

    def move_to(
        self,
        status: RunStatus,
        *,
        kind: str,
        actor: User | None = None,
        actor_name: str = "",
        details: dict[str, Any] | None = None,
        **changes: Any,
    ) -> None:
        """Move the run to `status`, set `changes`, and leave a RunEvent. The caller
        opens the transaction.

        Raises `InvalidTransitionError` for a way that is not in the table, and
        `StaleRunError` where somebody else moved the run first.
        """
        old = RunStatus(self.status)
        if status not in TRANSITIONS[old]:
            raise InvalidTransitionError(f"{old} → {status}")
        self.change(status=status, **changes)
        self.record(
            kind,
            from_status=old,
            to_status=status,
            actor=actor,
            actor_name=actor_name,
            details=details,
        )

    def change(self, **changes: Any) -> None:
        """Set `changes` while the run is still in the status that we know."""
        still = ImportRun.objects.filter(pk=self.pk, status=self.status)
        if not still.update(**changes):
            raise StaleRunError(f"Run {self.pk} is no longer {self.status}.")
        for name, value in changes.items():
            setattr(self, name, value)

    def record(
        self,
        kind: str,
        *,
        from_status: str = "",
        to_status: str = "",
        actor: User | None = None,
        actor_name: str = "",
        details: dict[str, Any] | None = None,
    ) -> RunEvent:
        return RunEvent.objects.create(
            run=self,
            at=database_now(),
            kind=kind,
            from_status=from_status,
            to_status=to_status,
            actor=actor,
            actor_name=actor_name or (actor.shown_name if actor else ""),
            details=details or {},
        )


ALIVE, STUCK = "alive", "stuck"


def workers_now() -> worker.WorkerState:
    """How the workers do as a whole."""
    word = worker.Worker.objects.aggregate(word=models.Max(workers_word()))["word"]
    return workers_of(word)


def workers_word() -> RawSQL:
    """The same as part of a query: ALIVE, STUCK, or null where none responds.

    Every poll asks it, and to build it takes Django longer than the rest of the poll
    takes altogether. Nothing in it depends on who asks or when, so that is done once.
    """
    deadlines = (worker.overdue_after(), worker.start_overdue_after())
    sql, params = _workers_sql(*deadlines)
    return RawSQL(sql, params, output_field=models.CharField())  # noqa: S611 - Django's


@cache
def _workers_sql(*_deadlines: timedelta) -> tuple[str, tuple[Any, ...]]:
    """The SQL of `workers_word`, by the settings that it depends on."""
    alive = worker.Worker.objects.alive()
    # one that has just begun is about to do what is overdue
    at_work = alive.filter(started_at__lte=Now() - worker.overdue_after())
    is_stuck = models.Exists(at_work) & models.Exists(ImportRun.objects.overdue())
    word = models.Case(
        models.When(~models.Exists(alive), then=Value(None)),
        models.When(is_stuck, then=Value(STUCK)),
        default=Value(ALIVE),
        output_field=models.CharField(),
    )
    query = worker.Worker.objects.all().query
    compiler = query.get_compiler(connection.alias)
    sql, params = compiler.compile(word.resolve_expression(query))
    return sql, tuple(params)


def workers_of(word: str | None) -> worker.WorkerState:
    if word is None:
        heard_at = worker.Worker.objects.aggregate(at=models.Max("seen_at"))["at"]
        return worker.WorkerState(is_silent=True, heard_at=heard_at)
    return worker.WorkerState(is_stuck=word == STUCK)


class RevisionManager(models.Manager["Revision"]):
    def take(self) -> int:
        """The next number; the caller's transaction holds the counter until it ends."""
        if not self.filter(pk=1).update(number=F("number") + 1):
            self.get_or_create(pk=1)
            self.filter(pk=1).update(number=F("number") + 1)
        return self.values_list("number", flat=True).get(pk=1)


class Revision(models.Model):
    """What changed since? Timestamps miss changes when clocks differ or commits
    overtake each other, so there is one counter row.

    Each transaction that changes runs takes the next number as its last statements and
    writes it to those runs and their accounts, so the counter's row is locked for a
    moment only. Such a transaction must not touch an account's row earlier, or two of
    them could wait for each other.
    """

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
