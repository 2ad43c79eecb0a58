"""Send a queued run's Perform, at most once.

Order: call slot, token, claim, send, record. The claim is committed before anything
is sent; from then on the run is never queued again, and a claim whose lease runs out
is `unknown`.
"""

from __future__ import annotations

import logging
import time
from collections.abc import Callable, Iterable
from datetime import timedelta
from itertools import count
from typing import Any

from django import db
from django.conf import settings
from django.db import transaction

from imports import gateway, logs, metrics, models
from imports.marketingcloud import errors
from imports.marketingcloud.client import MarketingCloudClient
from imports.marketingcloud.records import StartedImport
from imports.models import EventKind, ImportRun, Lease, Reason, RunStatus, bump_revision
from imports.usecases.accounts import ask_account
from imports.usecases.adopt import adopt_first
from imports.usecases.follow import RESULT_FIELDS
from imports.usecases.settle import fields_of_error, move_run

log = logging.getLogger(__name__)

# As many senders as an account may have calls at a time.
SENDERS = 2
# More than this between claim and send: a frozen worker, which must send nothing.
SEND_WITHIN_SECONDS = 5
RECORD_FOR_SECONDS = 60


def send_queued(
    *,
    account: models.Account,
    holder: str,
    is_stopping: Callable[[], bool] = lambda: False,
    senders: Iterable[int] = range(1, SENDERS + 1),
) -> list[ImportRun]:
    """Send the queued starts of `account`, oldest first, until `is_stopping()`; returns
    those sent.

    At most two senders work for an account, over all processes, so that one slow
    account cannot occupy a worker. `senders` are the numbers this call can act as.
    """
    names = [f"send:{account.pk}:{number}" for number in senders]
    seconds = settings.MCDASH_START_LEASE_SECONDS
    queued = account.runs.filter(status=RunStatus.QUEUED).order_by("queued_at", "pk")
    sent: dict[int, ImportRun] = {}
    with models.held(*names, holder=holder, seconds=seconds) as name:
        # extended before each start: a start takes no longer than the lease
        while (
            name is not None
            and not is_stopping()
            and Lease.objects.acquire(name, holder=holder, seconds=seconds)
        ):
            left = queued.exclude(pk__in=list(sent))
            run = left.select_related("account", "definition").first()
            if run is None:
                break
            sent[run.pk] = send_start(run=run, holder=holder, is_stopping=is_stopping)
    return list(sent.values())


def send_start(
    *, run: ImportRun, holder: str, is_stopping: Callable[[], bool] = lambda: False
) -> ImportRun:
    """Claim `run` and perform it; returns it in the state that the answer proves.

    A run that is no longer queued is left alone. One stays queued while the worker is
    being stopped, or where the database just refused a write: what Marketing Cloud
    answers could not be recorded.
    """
    if run.status != RunStatus.QUEUED:
        return run
    with logs.about(run=run.pk, account=run.account_id):
        try:
            _send(run, holder, is_stopping)
        except models.StaleRunError as error:
            log.info("Run %s: %s", run.pk, error)
        except errors.MarketingCloudError as error:
            # what came of Perform is recorded already
            if run.status == RunStatus.QUEUED:
                _record_failure(run, error)
    metrics.count_start(run.status)
    return run


def _send(run: ImportRun, holder: str, is_stopping: Callable[[], bool]) -> None:
    if reason := _why_not(run):
        _end(run, reason)
        return
    adopt_first(run=run, holder=holder)
    with (
        gateway.call_slot(run.account, gateway.START_SLOTS),
        ask_account(run.account) as client,
    ):
        # before the claim: a failure here still proves that nothing was sent
        client.authenticate()
        if is_stopping() or models.STORAGE.unwritable_since:
            return
        # again: waiting for the slot takes time, and starts may have been paused since
        if reason := _why_not(run):
            _end(run, reason)
            return
        names = _names_of(run)
        try:
            claimed = claim(run, holder)
        except db.IntegrityError as error:
            if models.violated_constraint(error) not in models.ONE_ACTIVE:
                raise
            _end(run, Reason.RUNNING_ELSEWHERE)
            return
        # claimed, but nothing has left this machine: the last moment to hold it back
        if is_stopping():
            _end(run, Reason.STOPPED, sent_at=None)
            return
        try:
            started = _perform(run, client, names, claimed + SEND_WITHIN_SECONDS)
        except errors.MarketingCloudError as error:
            # here, since a database that refuses to note the account's health or to
            # free its slot would put its own error in place of the answer
            _record_failure(run, error)
            raise
        _persist(run, lambda: record_start(run=run, started=started))


def _why_not(run: ImportRun) -> Reason | None:
    """Why the run must not be sent, by what the account says this moment."""
    run.account.refresh_from_db()
    waited = models.database_now() - (run.queued_at or run.occurred_at)
    if waited > timedelta(seconds=settings.MCDASH_START_EXPIRES_SECONDS):
        return Reason.EXPIRED
    refusal = run.account.start_refusal
    return refusal[0] if refusal else None


def _names_of(run: ImportRun) -> dict[str, Any]:
    """What Perform calls the definition, as options of `start_definition`.

    By key, as all of the vendor's samples do, unless that may be another's: where
    definitions share it, or Marketing Cloud no longer lists this one, which may have
    been deleted and made anew. By ObjectID the chosen one is started, or none.
    """
    customer_key, definition = run.customer_key, run.definition
    if definition:
        # a sync may have given it another key or its ObjectID since it was queued
        definition.refresh_from_db(fields=["object_id", "customer_key"])
    if not definition or not definition.object_id:
        return {"customer_key": customer_key, "object_id": None}
    # compared here, since databases differ in the case of letters beyond ASCII
    names = ("customer_key", "pk", "not_listed_since", "not_seen_since")
    known = run.account.definitions.values_list(*names).iterator()
    key = customer_key.casefold()
    same = [marks for other, *marks in known if other.casefold() == key]
    is_certain = same == [[definition.pk, None, None]]
    return {
        "customer_key": customer_key if is_certain else "",
        "object_id": definition.object_id,
    }


def claim(run: ImportRun, holder: str) -> float:
    """Commit that this worker, and no other, sends the run's Perform: from here on it
    may have been sent. Gives the moment of `sent_at` by `time.monotonic()`.
    """
    lease = timedelta(seconds=settings.MCDASH_START_LEASE_SECONDS)
    known_now: dict[str, Any] = {}
    if definition := run.definition:
        # What is sent is found again by the key that its definition has by now, and
        # guarded by what is known now: neither may have been so when it was queued.
        definition.account = run.account
        guard = models.guard_of(definition)
        known_now = {"customer_key": definition.customer_key, "guard": guard}
    with transaction.atomic():
        now, claimed = models.database_now(), time.monotonic()
        run.move_to(
            RunStatus.STARTING,
            kind=EventKind.CLAIMED,
            claimed_at=now,
            sent_at=now,
            claimed_by=holder,
            claim_expires_at=now + lease,
            **known_now,
        )
        bump_revision(runs=[run])
    return claimed


def _perform(
    run: ImportRun,
    client: MarketingCloudClient,
    names: dict[str, Any],
    send_before: float,
) -> StartedImport:
    # a call may take minutes, and PostgreSQL has few connections to give
    models.release_connection()
    # A worker that stood still (a suspended machine, a full disk) may wake up after
    # its lease: by then the run is looked for, and somebody may have started it again.
    if time.monotonic() >= send_before:
        raise errors.UnavailableError(
            f"The worker was held up for more than {SEND_WITHIN_SECONDS} seconds after "
            "its claim; nothing was sent.",
            reason=Reason.HELD_UP,
        )
    try:
        return client.start_definition(**names, send_before=send_before)
    except errors.MarketingCloudError:
        raise
    except Exception as error:
        # whatever it was, the bytes may be out: nothing but "unknown" is safe
        log.exception("Run %s: an unforeseen end of Perform", run.pk)
        raise errors.OutcomeUnknownError(
            "Something unforeseen happened while the start was sent. The import may "
            "be running."
        ) from error


def _record_failure(run: ImportRun, error: errors.MarketingCloudError) -> None:
    """What the error proves decides the status: once, by where the run is now, however
    often the writing has to be tried.
    """
    fields, status = fields_of_error(error), RunStatus.NOT_STARTED
    if isinstance(error, errors.OutcomeUnknownError):
        if run.status == RunStatus.STARTING:
            status = RunStatus.UNKNOWN
        else:  # before the claim: nothing was sent
            fields["reason"] = Reason.UNREACHABLE
    elif not isinstance(error, errors.AuthenticationError | errors.RequestRefusedError):
        fields["sent_at"] = None  # only an answer proves that it was sent
    _persist(run, lambda: _end(run, status=status, **fields))


def _end(
    run: ImportRun,
    reason: Reason,
    *,
    status: RunStatus = RunStatus.NOT_STARTED,
    **changes: Any,
) -> None:
    """Write down how the try to start `run` ended, unless it got a task."""
    now = models.database_now()
    with transaction.atomic():
        move_run(run, status, at=now, reason=reason, answered_at=now, **changes)


def _persist(run: ImportRun, write: Callable[[], object]) -> None:
    """Write down what Marketing Cloud answered, with `write`, even where the database
    takes no writes for a while: what was sent cannot be asked again.

    What still fails after a minute is raised; the run's lease then ends it as
    `unknown`, and its task is found by looking. `write` may be called several times
    and checks by itself, in its UPDATE, that the run is still where `run` says.
    """
    known = RunStatus(run.status)
    # Our answer counts while the run is where we left it, or `unknown` since its
    # claim's lease ended while we waited for the answer. But one that we knew as
    # queued and that is claimed by now is another worker's, who may have sent it.
    ours = {known, RunStatus.UNKNOWN} if known == RunStatus.STARTING else {known}
    give_up = time.monotonic() + RECORD_FOR_SECONDS
    has_warned = False
    for tries in count():
        try:
            if tries:
                # a try that failed has set fields of `run` that were rolled back
                run.refresh_from_db()
                if run.status not in ours:
                    raise models.StaleRunError(f"Run {run.pk} is {run.status} by now.")
            write()
            return
        except (models.StaleRunError, models.InvalidTransitionError) as error:
            # moved by somebody else: once more, by what it is now, and then never
            if tries or isinstance(error, models.InvalidTransitionError):
                log.warning("An answer came too late: %s", error)
                return
            log.info("Run %s was moved while its answer was awaited", run.pk)
        except db.DatabaseError as error:
            is_refused = models.STORAGE.note_refusal(error, has_waited=True)
            is_hopeless = not (is_refused or isinstance(error, db.OperationalError))
            if is_hopeless or time.monotonic() > give_up:
                raise
            if not has_warned:
                log.warning(
                    "Run %s: the answer cannot be written down yet; it is tried for "
                    "%s seconds: %s",
                    *(run.pk, RECORD_FOR_SECONDS, error),
                )
            has_warned = True
            time.sleep(1)
            # the connection itself may be what broke
            db.close_old_connections()


def record_start(*, run: ImportRun, started: StartedImport) -> None:
    """Move `run` to running with the task id of `started`.

    An answer that comes after the lease still counts, even where no trace was found
    meanwhile. Raises `StaleRunError` where the run was settled otherwise.
    """
    try:
        _take_task(run, started)
    except models.StaleRunError:
        run.refresh_from_db()
        is_given_up = (
            run.status == RunStatus.NOT_STARTED and run.reason in models.GIVEN_UP
        )
        if run.status != RunStatus.UNKNOWN and not is_given_up:
            # a run that was found by looking, and an answer that names another task
            if run.task_id not in (None, started.task_id):
                words = f"A late answer names task {started.task_id}."
                run.record(EventKind.CONTRADICTED, details={"words": words})
            raise
        _take_task(run, started)


def _take_task(run: ImportRun, started: StartedImport) -> None:
    """Give the run its task. One that was adopted meanwhile is merged into the run: a
    task is one run for ever.
    """
    try:
        _accept(run, started)
        return
    except db.IntegrityError as error:
        if models.violated_constraint(error) != "run_task_once":
            raise
    # the task is in the history already: an adopted one is ours, in truth
    other = ImportRun.objects.get(account=run.account_id, task_id=started.task_id)
    if other.origin == models.Origin.OUTSIDE:
        _accept(run, started, adopted=other)
        return
    # another run of ours was taken for this task: this one is still looked for
    message = (
        f"Marketing Cloud's answer names task {started.task_id}, which run "
        f"{other.pk} was matched with. The task that is left over is this run's."
    )
    with transaction.atomic():
        run.record(EventKind.CONTRADICTED, details={"words": message})
        if run.status == RunStatus.STARTING:
            _end(run, Reason.NO_ANSWER, status=RunStatus.UNKNOWN, message=message)
        else:
            bump_revision(runs=[run])


def _accept(
    run: ImportRun, started: StartedImport, *, adopted: ImportRun | None = None
) -> None:
    """Write the answer into `run`, and fold `adopted` into it, events and all."""
    known: dict[str, Any] = {}
    now = models.database_now()
    try:
        with transaction.atomic():
            if adopted:
                # locked: a look at it must not end it between reading and folding in
                adopted = ImportRun.objects.select_for_update().get(pk=adopted.pk)
                known = {name: getattr(adopted, name) for name in RESULT_FIELDS}
                merged = {"adopted_run": adopted.pk}
                adopted.events.update(run=run)
                adopted.again.update(again_of=run)
                shown = models.ImportDefinition.objects.filter(last_run=adopted)
                shown.update(last_run=run)
                adopted.delete()
            move_run(
                run,
                RunStatus.RUNNING,
                kind=EventKind.ACCEPTED,
                at=now,
                details={"task_id": started.task_id, "words": started.status_message},
                is_one_of_many=True,
                task_id=started.task_id,
                request_id=started.request_id or "",
                error_code=started.error_code or "",
                answered_at=now,
                claim_expires_at=None,
                **known,
            )
            if started.contradiction:
                words = {"words": started.contradiction}
                run.record(EventKind.CONTRADICTED, details=words)
            if adopted:
                run.record(EventKind.MERGED, details=merged)
                for definition in {run.definition, adopted.definition}:
                    if definition:
                        definition.refresh_recent_runs()
            bump_revision(runs=[run])
    except db.IntegrityError as error:
        # Of two constraints that are violated at once, engines name one or the other:
        # where it is that of the task, that of the active run may come with the merge.
        run.refresh_from_db()
        if models.violated_constraint(error) not in models.ONE_ACTIVE:
            raise
        # given up and started again meanwhile: the task is taken when it turns up
        raise models.StaleRunError(f"Run {run.pk} was started again.") from error
