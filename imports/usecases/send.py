"""Send a queued run's Perform, at most once.

Order: call slot, token, claim, send, record. The claim is committed before the
wire; from then on the run is never queued again, and a claim whose lease runs
out is `unknown`.
"""

from __future__ import annotations

import logging
import time
from collections.abc import Callable, Iterable
from datetime import datetime, timedelta
from typing import Any, NamedTuple

from django.conf import settings
from django.db import (
    DatabaseError,
    IntegrityError,
    OperationalError,
    close_old_connections,
    transaction,
)

from imports import gateway, logs, metrics
from imports.marketingcloud.client import MarketingCloudClient
from imports.marketingcloud.errors import (
    AuthenticationError,
    MarketingCloudError,
    OutcomeUnknownError,
    RequestRefusedError,
    UnavailableError,
)
from imports.marketingcloud.records import StartedImport
from imports.models import (
    ONE_ACTIVE,
    STORAGE,
    Account,
    ErrorKind,
    EventKind,
    ImportDefinition,
    ImportRun,
    InvalidTransitionError,
    Lease,
    Origin,
    RunStatus,
    StaleRunError,
    bump_revision,
    database_now,
    guard_of,
    release_connection,
    violated_constraint,
)
from imports.usecases.accounts import ask_account
from imports.usecases.adopt import adopt_runs
from imports.usecases.errors import AccountBusyError

log = logging.getLogger(__name__)

# More than this between claim and send: a frozen worker, which must send nothing.
SEND_WITHIN_SECONDS = 5
RECORD_FOR_SECONDS = 60
ADOPTION_POLL_SECONDS = 0.2

UNDER_WAY_ELSEWHERE = (
    "The same import is under way in another account of this business unit. Nothing "
    "was sent."
)
NOTHING_SENT = (ErrorKind.UNAVAILABLE, ErrorKind.STOPPED, ErrorKind.HELD_UP)


class HeldUpError(UnavailableError):
    """The worker stood still between its claim and the send."""


def never() -> bool:
    return False


def send_start(
    *, run: ImportRun, holder: str, is_stopping: Callable[[], bool] = never
) -> ImportRun:
    """Claim `run` and perform it; returns it in the state that the answer proves.

    A run that is no longer queued is left alone. While the worker is being stopped
    a queued one stays queued, and a claimed one is not sent. One stays queued as well
    where the database just refused a write: what Marketing Cloud answers could not be
    recorded.
    """
    if run.status != RunStatus.QUEUED:
        return run
    with logs.about(run=run.pk, account=run.account_id):
        _send(run, holder, is_stopping)
    metrics.count_start(run.status)
    return run


def _send(run: ImportRun, holder: str, is_stopping: Callable[[], bool]) -> None:
    try:
        if reason := _reason_not_to(run):
            _not_started(run, *reason)
            return
        _adopt_first(run, holder)
        with gateway.start_slot(run.account), ask_account(run.account) as client:
            client.authenticate()
            _claim_and_perform(run, client, holder, is_stopping)
    except StaleRunError as error:
        log.info("Run %s: %s", run.pk, error)
    except MarketingCloudError as error:
        _settle(run, error)


def _reason_not_to(run: ImportRun) -> tuple[ErrorKind, str] | None:
    run.account.refresh_from_db()
    waited = database_now() - (run.queued_at or run.occurred_at)
    if waited > timedelta(seconds=settings.MCDASH_START_EXPIRES_SECONDS):
        return ErrorKind.EXPIRED, "It waited too long in the queue; nothing was sent."
    if refusal := run.account.start_refusal:
        kind, sentence = refusal
        return kind, f"{sentence} Nothing was sent."
    return None


def _adopt_first(run: ImportRun, holder: str) -> None:
    """Before an account's first start: know its tasks, so that an unknown start is
    not mistaken for an older one. Where another process is at it, wait for that.
    """
    give_up = time.monotonic() + settings.MCDASH_CALL_DEADLINE_SECONDS
    while run.account.last_adopted_at is None and time.monotonic() < give_up:
        try:
            adopt_runs(account=run.account, holder=holder)
        except AccountBusyError:
            time.sleep(ADOPTION_POLL_SECONDS)
            run.account.refresh_from_db()
        except (RequestRefusedError, OutcomeUnknownError) as error:
            log.warning("Run %s starts without adoption: %s", run.pk, error.message)
            return


def _claim_and_perform(
    run: ImportRun,
    client: MarketingCloudClient,
    holder: str,
    is_stopping: Callable[[], bool],
) -> ImportRun:
    if is_stopping() or STORAGE.unwritable_since:
        return run
    # again: it may have waited for its place, and somebody may have pulled the brake
    if reason := _reason_not_to(run):
        return _not_started(run, *reason)
    names = _names_of(run)
    try:
        claimed = _claim(run, holder)
    except IntegrityError as error:
        if violated_constraint(error) not in ONE_ACTIVE:
            raise
        return _not_started(run, ErrorKind.DOUBLED, UNDER_WAY_ELSEWHERE)
    if is_stopping():
        return _not_started(
            run,
            ErrorKind.STOPPED,
            "The worker was stopped before it was sent; nothing was sent.",
        )
    started = _perform(run, client, names, send_before=claimed + SEND_WITHIN_SECONDS)
    _persist(run, lambda: record_start(run=run, started=started))
    return run


class _Names(NamedTuple):
    """What Perform calls the definition: by customer key, or by ObjectID without."""

    customer_key: str
    object_id: str | None


def _names_of(run: ImportRun) -> _Names:
    """By key, as all of the vendor's samples do, unless that may be another's: where
    definitions share it, or Marketing Cloud no longer lists this one, which may have
    been deleted and made anew. By ObjectID the chosen one is started, or none.
    """
    definition = run.definition
    if definition is None:
        return _Names(run.customer_key, None)
    definition.refresh_from_db(fields=["object_id", "customer_key"])
    if not definition.object_id or _is_certain(run):
        return _Names(run.customer_key, definition.object_id)
    return _Names("", definition.object_id)


def _is_certain(run: ImportRun) -> bool:
    """Whether the run's key is the definition's alone, however the case of letters is
    compared (databases differ in that beyond ASCII), and listed.
    """
    names = ("customer_key", "pk", "not_listed_since", "not_seen_since")
    known = run.account.definitions.values_list(*names).iterator()
    key = run.customer_key.casefold()
    same = [marks for other, *marks in known if other.casefold() == key]
    return same == [[run.definition_id, None, None]]


def _perform(
    run: ImportRun,
    client: MarketingCloudClient,
    names: _Names,
    *,
    send_before: float,
) -> StartedImport:
    release_connection()
    if time.monotonic() >= send_before:
        raise HeldUpError(
            f"The worker was held up for more than {SEND_WITHIN_SECONDS} seconds after "
            "its claim; nothing was sent."
        )
    try:
        return client.start_definition(
            customer_key=names.customer_key,
            object_id=names.object_id,
            send_before=send_before,
        )
    except MarketingCloudError:
        raise
    except Exception as error:
        log.exception("Run %s: an unforeseen end of Perform", run.pk)
        raise OutcomeUnknownError(
            "Something unforeseen happened while the start was sent. The import may "
            "be running."
        ) from error


def _claim(run: ImportRun, holder: str) -> float:
    """Commit that this worker, and no other, sends the run's Perform.

    `sent_at` is set here: from this commit on it may have been sent. Gives the
    moment by `time.monotonic()`, taken with the database's, once that is ours.
    """
    lease = timedelta(seconds=settings.MCDASH_START_LEASE_SECONDS)
    with transaction.atomic():
        now, claimed = database_now(), time.monotonic()
        run.move_to(
            RunStatus.STARTING,
            kind=EventKind.CLAIMED,
            claimed_at=now,
            sent_at=now,
            claimed_by=holder,
            claim_expires_at=now + lease,
            **_known_now(run),
        )
        bump_revision(runs=[run])
    return claimed


def _known_now(run: ImportRun) -> dict[str, Any]:
    """What is sent is found again by the key that its definition has by now, and is
    guarded by what is known now: when it was queued neither may have been so.
    """
    definition = run.definition
    if definition is None:
        return {}
    definition.account = run.account
    return {
        "customer_key": definition.customer_key,
        "guard": guard_of(definition),
    }


def _settle(run: ImportRun, error: MarketingCloudError) -> None:
    """What the error proves decides the state."""
    if run.status == RunStatus.STARTING and isinstance(error, OutcomeUnknownError):
        _persist(run, lambda: _unknown(run, error))
        return
    _persist(
        run,
        lambda: _not_started(
            run,
            _kind_of(error),
            error.message,
            error_code=error.code or "",
            request_id=error.request_id or "",
        ),
    )


def _kind_of(error: MarketingCloudError) -> ErrorKind:
    """By what was proven; the wall may have finer kinds of each error."""
    if isinstance(error, AuthenticationError):
        return ErrorKind.CREDENTIALS_REFUSED
    if isinstance(error, RequestRefusedError):
        return ErrorKind.REFUSED
    is_late = isinstance(error, HeldUpError)
    return ErrorKind.HELD_UP if is_late else ErrorKind.UNAVAILABLE


def _unknown(run: ImportRun, error: MarketingCloudError) -> None:
    now = database_now()
    with transaction.atomic():
        run.move_to(
            RunStatus.UNKNOWN,
            kind=EventKind.UNANSWERED,
            details={"message": error.message, "code": error.code},
            error_kind=ErrorKind.NO_ANSWER,
            error_code=error.code or "",
            request_id=error.request_id or "",
            message=error.message,
            answered_at=now,
            next_check_at=now,
        )
        bump_revision(runs=[run])


def _not_started(
    run: ImportRun, kind: ErrorKind, message: str, **changes: Any
) -> ImportRun:
    now: datetime = database_now()
    with transaction.atomic():
        run.move_to(
            RunStatus.NOT_STARTED,
            kind=EventKind.NOT_STARTED,
            details={"why": kind, "message": message},
            error_kind=kind,
            message=message,
            sent_at=None if kind in NOTHING_SENT else run.sent_at,
            answered_at=now,
            settled_at=now,
            **changes,
        )
        if run.definition:
            run.definition.refresh_recent_runs()
        bump_revision(runs=[run])
    return run


def _persist(run: ImportRun, write: Callable[[], object]) -> None:
    """Write an answer down even where the database takes no writes for a while.

    What still fails is raised; the run's lease then ends it as `unknown`.
    """
    known, again = RunStatus(run.status), False
    give_up = time.monotonic() + RECORD_FOR_SECONDS
    while True:
        try:
            _write(run, write, known, again=again)
        except DatabaseError as error:
            is_refused = STORAGE.note_refusal(error, has_waited=True)
            is_hopeless = not (is_refused or isinstance(error, OperationalError))
            if is_hopeless or time.monotonic() > give_up:
                raise
            if not again:
                log.warning(
                    "Run %s: the answer cannot be written down yet; it is tried for "
                    "%s seconds: %s",
                    *(run.pk, RECORD_FOR_SECONDS, error),
                )
            time.sleep(1)
            close_old_connections()
            again = True
        except (StaleRunError, InvalidTransitionError) as error:
            log.warning("An answer came too late: %s", error)
            return
        else:
            return


def _write(
    run: ImportRun, write: Callable[[], object], known: RunStatus, *, again: bool
) -> None:
    if not again:
        try:
            write()
        except StaleRunError:
            log.info("Run %s was moved while its answer was under way", run.pk)
        else:
            return
    # a failed try may have left on `run` what the database rolled back
    run.refresh_from_db()
    if run.status not in _still_ours(known):
        raise StaleRunError(f"Run {run.pk} is {run.status} by now.")
    write()


def _still_ours(known: RunStatus) -> set[RunStatus]:
    """Where a run may be for our answer to count: a claim's lease may have ended.

    One that was queued for us and is claimed by now is another worker's.
    """
    return {known, RunStatus.UNKNOWN} if known == RunStatus.STARTING else {known}


# Send an account's queued starts.


log = logging.getLogger(__name__)

# As many senders as an account may have calls at a time.
SENDERS = 2


def send_queued(
    *,
    account: Account,
    holder: str,
    is_stopping: Callable[[], bool] = never,
    senders: Iterable[int] = range(1, SENDERS + 1),
) -> list[ImportRun]:
    """Send the queued starts of `account`, oldest first; returns those sent.

    Once `is_stopping()` no further one is taken: they stay queued for another
    worker.

    At most two senders work for an account, over all processes; a third one
    leaves its starts to them, so that one slow account cannot occupy a worker.
    `senders` are those of the two that this call may be.
    """
    names = [f"send:{account.pk}:{number}" for number in senders]
    name = next((name for name in names if _hold(name, holder)), None)
    if name is None:
        return []
    try:
        return _send_all(account, name, holder, is_stopping)
    finally:
        Lease.objects.release(name, holder=holder)


def _hold(name: str, holder: str) -> bool:
    seconds = settings.MCDASH_START_LEASE_SECONDS
    return Lease.objects.acquire(name, holder=holder, seconds=seconds)


def _send_all(
    account: Account, name: str, holder: str, is_stopping: Callable[[], bool]
) -> list[ImportRun]:
    sent: dict[int, ImportRun] = {}
    while not is_stopping() and _hold(name, holder):
        run = _next_queued(account, list(sent))
        if run is None:
            break
        sent[run.pk] = send_start(run=run, holder=holder, is_stopping=is_stopping)
    return list(sent.values())


def _next_queued(account: Account, tried: list[int]) -> ImportRun | None:
    return (
        account.runs.filter(status=RunStatus.QUEUED)
        .exclude(pk__in=tried)
        .select_related("account", "definition")
        .order_by("queued_at", "pk")
        .first()
    )


# Marketing Cloud accepted a start: write its task into the run.


# What an adopted row already knows and the run takes over.
TAKEN_OVER = (
    "phase",
    "import_type",
    "destination_id",
    "start_text",
    "end_text",
    "started_at",
    "finished_at",
    "total_rows",
    "successful",
    "duplicated",
    "errors",
)


def record_start(*, run: ImportRun, started: StartedImport) -> None:
    """Move `run` to running with the task id of `started`.

    A task that was adopted in the meantime is merged into `run`: a task is one
    run for ever. An answer that comes after the lease still counts, even where no
    trace was found meanwhile. Raises `StaleRunError` where the run was settled
    otherwise.
    """
    try:
        _record(run, started)
    except StaleRunError:
        run.refresh_from_db()
        if not _is_open(run):
            _note_contradiction(run, started)
            raise
        _record(run, started)


def _is_open(run: ImportRun) -> bool:
    is_given_up = run.status == RunStatus.NOT_STARTED
    return run.status == RunStatus.UNKNOWN or (
        is_given_up and run.error_kind == ErrorKind.NO_TRACE
    )


def _record(run: ImportRun, started: StartedImport) -> None:
    try:
        if not _take(run, started):
            _share(run, started)
    except IntegrityError as error:
        run.refresh_from_db()
        if violated_constraint(error) not in ONE_ACTIVE:
            raise
        # given up and started again meanwhile: the task is taken when it turns up
        raise StaleRunError(f"Run {run.pk} was started again.") from error


def _take(run: ImportRun, started: StartedImport) -> bool:
    """Whether the run has its task now; False where the history has that already.
    Of two constraints that are violated at once, engines name one or the other.
    """
    try:
        with transaction.atomic():
            _accept(run, started)
            bump_revision(runs=[run])
    except IntegrityError as error:
        if violated_constraint(error) != "run_task_once":
            raise
        run.refresh_from_db()
        return False
    return True


def _accept(run: ImportRun, started: StartedImport) -> None:
    now = database_now()
    run.move_to(
        RunStatus.RUNNING,
        kind=EventKind.ACCEPTED,
        details={"task_id": started.task_id, "words": started.status_message},
        task_id=started.task_id,
        request_id=started.request_id or "",
        error_code=started.error_code or "",
        error_kind=ErrorKind.NONE,
        message="",
        answered_at=now,
        settled_at=None,
        next_check_at=now,
        claim_expires_at=None,
    )
    if started.contradiction:
        run.record(EventKind.CONTRADICTED, details={"words": started.contradiction})


def _note_contradiction(run: ImportRun, started: StartedImport) -> None:
    """A run that was found by looking, and an answer that names another task."""
    if run.task_id not in (None, started.task_id):
        words = f"A late answer names task {started.task_id}."
        run.record(EventKind.CONTRADICTED, details={"words": words})


def _share(run: ImportRun, started: StartedImport) -> None:
    """The task is in the history already: an adopted one is ours, in truth."""
    other = ImportRun.objects.get(account=run.account_id, task_id=started.task_id)
    if other.origin == Origin.OUTSIDE:
        _merge(run, other, started)
    else:
        _leave_open(run, other, started)


def _merge(run: ImportRun, adopted: ImportRun, started: StartedImport) -> None:
    """Fold `adopted` into `run`, events and all."""
    with transaction.atomic():
        adopted = ImportRun.objects.select_for_update().get(pk=adopted.pk)
        known = {name: getattr(adopted, name) for name in TAKEN_OVER}
        adopted.events.update(run=run)
        adopted.again.update(again_of=run)
        ImportDefinition.objects.filter(last_run=adopted).update(last_run=run)
        adopted.delete()
        _accept(run, started)
        run.change(**known)
        run.record(EventKind.MERGED, details={"adopted_run": adopted.pk})
        for definition in {run.definition, adopted.definition}:
            if definition:
                definition.refresh_recent_runs()
        bump_revision(runs=[run])


def _leave_open(run: ImportRun, other: ImportRun, started: StartedImport) -> None:
    """Another run of ours was taken for this task: `run` is looked for on."""
    message = (
        f"Marketing Cloud's answer names task {started.task_id}, for which run "
        f"{other.pk} was taken. A task that is left over is this run's."
    )
    with transaction.atomic():
        run.record(EventKind.CONTRADICTED, details={"words": message})
        if run.status == RunStatus.STARTING:
            now = database_now()
            run.move_to(
                RunStatus.UNKNOWN,
                kind=EventKind.UNANSWERED,
                details={"message": message},
                error_kind=ErrorKind.NO_ANSWER,
                message=message,
                answered_at=now,
                next_check_at=now,
            )
        bump_revision(runs=[run])
