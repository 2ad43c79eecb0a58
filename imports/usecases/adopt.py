"""Adopt runs: enter into the history what was started outside mcdash."""

from __future__ import annotations

import logging
import time
from collections import Counter
from dataclasses import dataclass
from datetime import datetime
from operator import attrgetter

from django.conf import settings
from django.db import IntegrityError, transaction
from django.db.models import F

from imports import models
from imports.marketingcloud.errors import OutcomeUnknownError, RequestRefusedError
from imports.marketingcloud.records import ImportResult
from imports.models import FINISHED, Account, ImportDefinition, ImportRun, RunStatus
from imports.usecases.accounts import ask_account, exclusively, learn_answers
from imports.usecases.errors import AccountBusyError
from imports.usecases.follow import fields_of, status_of
from imports.usecases.resolve import find_candidates, folded, settle_with, unsettled

log = logging.getLogger(__name__)

BATCH = 500
POLL_SECONDS = 0.2


@dataclass(frozen=True, kw_only=True, slots=True)
class AdoptReport:
    """How many rows were read, how many runs were new, how many had to wait."""

    rows: int
    adopted: int
    waiting: int


def adopt_runs(*, account: Account, holder: str) -> AdoptReport:
    """Enter the tasks of `account` that we did not start. Raises `AccountBusyError` and
    `MarketingCloudError`.
    """
    with exclusively(account, "adopt", holder):
        # A result names no more than the key: of a re-used one it is taken for the
        # definition that is listed, for none where several are.
        ordered = (
            account.definitions.defer("facts", "strip", "description")
            .exclude(customer_key="")
            .order_by(
                F("not_seen_since").asc(nulls_last=True),
                F("not_listed_since").asc(nulls_last=True),
                *("last_seen_at", "pk"),
            )
        )
        listed = Counter(d.customer_key for d in ordered if not d.unlisted_since)
        definitions = {
            d.customer_key: None if listed[d.customer_key] > 1 else d for d in ordered
        }
        open_runs = [r for r in unsettled(account) if r.customer_key in definitions]
        with ask_account(account) as client:
            # everything in one question, since a result may have no customer key
            try:
                answer = client.all_results()
            except RequestRefusedError as error:
                log.info("Results are asked for by key: %s", error.message)
                answer = client.results_of_definitions(list(definitions))
        learn_answers(account, answer)
        rows = {row.task_id: row for row in answer.results}
        settle_with(open_runs, answer)
        for is_last_try in (False, False, True):
            try:
                adopted, waiting = enter_tasks(account, definitions, rows)
                break
            except IntegrityError as error:
                # a start got its task id in the meantime: look once more
                if is_last_try or models.violated_constraint(error) != "run_task_once":
                    raise
    return AdoptReport(rows=len(rows), adopted=adopted, waiting=waiting)


def adopt_first(*, run: ImportRun, holder: str) -> None:
    """Before its account's first start: know the tasks, so that an unknown start is not
    mistaken for an older one. Where another process is at it, wait for that.
    """
    give_up = time.monotonic() + settings.MCDASH_CALL_DEADLINE_SECONDS
    while run.account.last_adopted_at is None and time.monotonic() < give_up:
        try:
            adopt_runs(account=run.account, holder=holder)
        except AccountBusyError:
            time.sleep(POLL_SECONDS)
            run.account.refresh_from_db()
        except (RequestRefusedError, OutcomeUnknownError) as error:
            log.warning("Run %s starts without adoption: %s", run.pk, error.message)
            return


def enter_tasks(
    account: Account,
    definitions: dict[str, ImportDefinition | None],
    rows: dict[str, ImportResult],
) -> tuple[int, int]:
    """How many of the rows became runs, and how many have to wait."""
    now = models.database_now()
    with transaction.atomic():
        # Keys whose new tasks may be an own start's: they are not adopted yet. Asked in
        # this order: a run that leaves `starting` in between has its task then.
        starting = account.runs.ours().filter(status=RunStatus.STARTING)
        busy = {
            folded(run)
            for run in (*starting, *unsettled(account))
            if run.status in (RunStatus.STARTING, RunStatus.UNKNOWN)
            or (run.customer_key and len(find_candidates(run, rows.values())) == 1)
        }
        known: set[str | None] = set()
        task_ids = list(rows)
        # asked for by id: the history has many more than Marketing Cloud remembers
        for start in range(0, len(task_ids), BATCH):
            runs = account.runs.filter(task_id__in=task_ids[start : start + BATCH])
            known.update(runs.values_list("task_id", flat=True))
        new = [row for row in rows.values() if row.task_id not in known]
        adopted = [
            _outside_run(account, definitions, row, now)
            for row in new
            if folded(row) not in busy
        ]
        if adopted:
            ImportRun.objects.bulk_create(adopted, batch_size=BATCH)
            events = [
                models.RunEvent(
                    run=run,
                    at=now,
                    kind=models.EventKind.ADOPTED,
                    to_status=run.status,
                    details={"phase": run.phase},
                )
                for run in adopted
            ]
            models.RunEvent.objects.bulk_create(events, batch_size=BATCH)
            # in the order of refreshing, so that the two never wait for each other
            changed = {run.definition for run in adopted if run.definition}
            for definition in sorted(changed, key=attrgetter("pk")):
                definition.refresh_recent_runs()
            models.bump_revision(runs=adopted)
        account.last_adopted_at = now
        times = [account.history_since, *(run.occurred_at for run in adopted)]
        account.history_since = min(filter(None, times), default=None)
        account.save(update_fields=["last_adopted_at", "history_since"])
    return len(adopted), len(new) - len(adopted)


def _outside_run(
    account: Account,
    definitions: dict[str, ImportDefinition | None],
    row: ImportResult,
    now: datetime,
) -> ImportRun:
    definition = definitions.get(row.customer_key)
    if row.customer_key not in definitions:
        # the only one whose key differs in upper and lower case alone
        alike = [d for key, d in definitions.items() if key.casefold() == folded(row)]
        definition = alike[0] if len(alike) == 1 else None
    fields = fields_of(row, offset_minutes=account.clock_offset_minutes, seen_at=now)
    status = status_of(row)
    # a task that shows no time of its own is placed where it was first seen
    occurred_at = fields["started_at"] or fields["finished_at"] or now
    return ImportRun(
        account=account,
        definition=definition,
        customer_key=row.customer_key,
        origin=models.Origin.OUTSIDE,
        status=status,
        task_id=row.task_id,
        occurred_at=min(occurred_at, now),
        first_seen_at=now,
        last_checked_at=now,
        settled_at=(fields["finished_at"] or now) if status in FINISHED else None,
        next_check_at=None if status in FINISHED else now,
        **fields,
    )
