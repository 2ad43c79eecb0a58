"""Take into the history what was started elsewhere."""

from __future__ import annotations

import logging
from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import datetime

from django.conf import settings
from django.db import IntegrityError, transaction
from django.db.models import F

from imports.marketingcloud.client import MarketingCloudClient
from imports.marketingcloud.errors import RequestRefusedError
from imports.marketingcloud.records import ImportResult, ImportResults
from imports.models import (
    FINISHED,
    Account,
    EventKind,
    ImportDefinition,
    ImportRun,
    Lease,
    Origin,
    RunEvent,
    RunStatus,
    bump_revision,
    database_now,
    violated_constraint,
)
from imports.usecases.accounts import ask_account, learn_answers
from imports.usecases.errors import AccountBusyError
from imports.usecases.follow import fields_of, status_of
from imports.usecases.resolve import find_candidates, folded, settle_with, unsettled

log = logging.getLogger(__name__)

BATCH = 500
TRIES = 3


@dataclass(frozen=True, kw_only=True, slots=True)
class AdoptReport:
    """How many rows were read, how many runs were new, how many had to wait."""

    rows: int
    adopted: int
    waiting: int


def adopt_runs(*, account: Account, holder: str) -> AdoptReport:
    """Enter the tasks of `account` that we did not start.

    Raises `AccountBusyError` while another process does the same, and
    `MarketingCloudError`.
    """
    name = f"adopt:{account.pk}"
    seconds = 2 * settings.MCDASH_CALL_DEADLINE_SECONDS + 30
    if not Lease.objects.acquire(name, holder=holder, seconds=seconds):
        raise AccountBusyError(f"“{account}” is being adopted by another process.")
    try:
        return _adopt(account)
    finally:
        Lease.objects.release(name, holder=holder)


def _adopt(account: Account) -> AdoptReport:
    definitions = _by_key(account)
    open_runs = [run for run in unsettled(account) if run.customer_key in definitions]
    with ask_account(account) as client:
        answer = _ask(client, list(definitions))
    learn_answers(account, answer)
    rows = {row.task_id: row for row in answer.results}
    settle_with(open_runs, answer)
    for attempt in range(TRIES):
        try:
            adopted, waiting = _enter(account, definitions, rows)
            break
        except IntegrityError as error:
            # a start got its task id in the meantime: look once more
            if violated_constraint(error) != "run_task_once" or attempt == TRIES - 1:
                raise
    return AdoptReport(rows=len(rows), adopted=len(adopted), waiting=waiting)


def _ask(client: MarketingCloudClient, keys: list[str]) -> ImportResults:
    """Everything in one question, since a result may have no customer key; where
    the account does not take it, by the keys of the definitions.
    """
    try:
        return client.all_results()
    except RequestRefusedError as error:
        log.info("Results are asked for by key: %s", error.message)
        return client.results_of_definitions(keys)


def _by_key(account: Account) -> dict[str, ImportDefinition | None]:
    """The account's definitions by customer key; of a re-used key the one that is
    listed, None where several are: a result names no more than the key.
    """
    light = account.definitions.defer("facts", "strip", "description")
    gone_first = F("not_seen_since").asc(nulls_last=True)
    unlisted_first = F("not_listed_since").asc(nulls_last=True)
    ordered = list(
        light.exclude(customer_key="").order_by(
            gone_first, unlisted_first, "last_seen_at", "pk"
        )
    )
    listed = Counter(one.customer_key for one in ordered if not one.unlisted_since)
    return {
        one.customer_key: None if listed[one.customer_key] > 1 else one
        for one in ordered
    }


def _enter(
    account: Account,
    definitions: dict[str, ImportDefinition | None],
    rows: dict[str, ImportResult],
) -> tuple[list[ImportRun], int]:
    now = database_now()
    with transaction.atomic():
        # in this order: a run that leaves `starting` in between has its task then
        busy = _waiting_keys(account, rows.values())
        known = _known(account, list(rows))
        new = [row for row in rows.values() if row.task_id not in known]
        free = [row for row in new if folded(row) not in busy]
        runs = [
            _outside_run(account, _definition_of(row, definitions), row, now)
            for row in free
        ]
        _save(runs)
        if runs:
            bump_revision(runs=runs)
        _note_adoption(account, runs, now)
    return runs, len(new) - len(free)


def _known(account: Account, task_ids: Sequence[str]) -> set[str | None]:
    """Those of the tasks that the history has: asked for by id, since it may have
    many more than Marketing Cloud remembers.
    """
    found: set[str | None] = set()
    for start in range(0, len(task_ids), BATCH):
        runs = account.runs.filter(task_id__in=task_ids[start : start + BATCH])
        found.update(runs.values_list("task_id", flat=True))
    return found


def _waiting_keys(account: Account, rows: Iterable[ImportResult]) -> set[str]:
    """Keys whose new tasks may be an own start's: they are not adopted yet."""
    starting = account.runs.ours().filter(status=RunStatus.STARTING)
    waiting = list(starting)
    for run in unsettled(account):
        is_open = run.status == RunStatus.UNKNOWN
        # one without a key was given up by a person: no look settles it ever
        may_take = bool(run.customer_key) and len(find_candidates(run, rows)) == 1
        if is_open or may_take:
            waiting.append(run)
    return {folded(run) for run in waiting}


def _definition_of(
    row: ImportResult, definitions: dict[str, ImportDefinition | None]
) -> ImportDefinition | None:
    """By its very key, else by the only one that differs in case only."""
    if row.customer_key in definitions:
        return definitions[row.customer_key]
    alike = [d for key, d in definitions.items() if key.casefold() == folded(row)]
    return alike[0] if len(alike) == 1 else None


def _outside_run(
    account: Account,
    definition: ImportDefinition | None,
    row: ImportResult,
    now: datetime,
) -> ImportRun:
    fields = fields_of(row, offset_minutes=account.clock_offset_minutes, seen_at=now)
    status = status_of(row)
    occurred_at = fields["started_at"] or fields["finished_at"] or now
    return ImportRun(
        account=account,
        definition=definition,
        customer_key=row.customer_key,
        origin=Origin.OUTSIDE,
        status=status,
        task_id=row.task_id,
        occurred_at=min(occurred_at, now),
        first_seen_at=now,
        last_checked_at=now,
        settled_at=(fields["finished_at"] or now) if status in FINISHED else None,
        next_check_at=None if status in FINISHED else now,
        **fields,
    )


def _save(runs: list[ImportRun]) -> None:
    ImportRun.objects.bulk_create(runs, batch_size=BATCH)
    RunEvent.objects.bulk_create(
        [
            RunEvent(
                run=run,
                at=run.last_checked_at or run.occurred_at,
                kind=EventKind.ADOPTED,
                to_status=run.status,
                details={"phase": run.phase},
            )
            for run in runs
        ],
        batch_size=BATCH,
    )
    _refresh_recent_runs(run.definition for run in runs)


def _refresh_recent_runs(definitions: Iterable[ImportDefinition | None]) -> None:
    # in the order of refreshing, so that the two never wait for each other
    for definition in sorted({d for d in definitions if d}, key=lambda d: d.pk):
        definition.refresh_recent_runs()


def _note_adoption(account: Account, runs: list[ImportRun], now: datetime) -> None:
    account.last_adopted_at = now
    times = [run.occurred_at for run in runs]
    if account.history_since:
        times.append(account.history_since)
    account.history_since = min(times, default=None)
    account.save(update_fields=["last_adopted_at", "history_since"])
