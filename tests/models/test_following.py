"""Why nobody looks at a run, and since when: by status, account and worker."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

import pytest
from django.utils import timezone

from imports.models import (
    Account,
    ImportRun,
    NotFollowed,
    Unfollowed,
    WorkerState,
    workers_now,
)
from imports.models.worker import overdue_after
from tests.factories import (
    AccountFactory,
    ImportDefinitionFactory,
    ImportRunFactory,
    WorkerFactory,
)

pytestmark = pytest.mark.django_db
NOW = timezone.now()
SINCE = NOW - timedelta(minutes=20)
ALIVE = WorkerState()
SILENT = WorkerState(is_silent=True, heard_at=SINCE)
STUCK = WorkerState(is_stuck=True)
NO_WORKER = Unfollowed(why=NotFollowed.NO_WORKER, since=SINCE)
TROUBLES: dict[NotFollowed, dict[str, Any]] = {
    NotFollowed.DISABLED: {"is_active": False, "disabled_at": SINCE},
    NotFollowed.CREDENTIALS_REFUSED: {"credentials_refused_at": SINCE},
    NotFollowed.NOT_ANSWERING: {"failures_in_row": 2, "not_answering_since": SINCE},
}


def a_run(
    status: str, account: dict[str, Any] | None = None, **facts: Any
) -> ImportRun:
    """A run that is looked at as it should be, in an account of these facts."""
    made = AccountFactory.create()
    Account.objects.filter(pk=made.pk).update(**account or {})
    made.refresh_from_db()
    definition = ImportDefinitionFactory.create(account=made)
    run: ImportRun = ImportRunFactory.create(
        definition=definition, **{status: True}, **facts
    )
    return run


@pytest.mark.parametrize("status", ["running", "unknown"])
@pytest.mark.parametrize("why", TROUBLES)
def test_an_account_that_nobody_asks_leaves_its_runs_unfollowed(
    status: str, why: NotFollowed
) -> None:
    run = a_run(status, TROUBLES[why], last_checked_at=timezone.now())
    assert run.why_not_followed(ALIVE) == Unfollowed(why=why, since=SINCE)


def test_a_secret_that_cannot_be_read_is_a_reason_wherever_it_was_noticed() -> None:
    run = a_run("running", {"secret_unreadable_since": SINCE})
    account = Account.objects.get(pk=run.account_id)
    expected = Unfollowed(why=NotFollowed.SECRET_UNREADABLE, since=SINCE)
    assert account.why_not_followed == expected


def test_paused_starts_are_no_reason() -> None:
    assert a_run("running", {"starts_paused": True}).why_not_followed(ALIVE) is None


def test_one_failed_call_is_no_reason_yet() -> None:
    once = {"failures_in_row": 1, "not_answering_since": SINCE}
    assert a_run("running", once).why_not_followed(ALIVE) is None


@pytest.mark.parametrize("why", TROUBLES)
def test_a_start_on_the_wire_is_recorded_whatever_becomes_of_the_account(
    why: NotFollowed,
) -> None:
    run = a_run("starting", TROUBLES[why])
    assert run.why_not_followed(ALIVE) is None
    assert run.why_not_followed(SILENT) is None


@pytest.mark.parametrize("status", ["queued", "running", "unknown"])
def test_without_a_worker_nobody_looks(status: str) -> None:
    assert a_run(status).why_not_followed(SILENT) == NO_WORKER


def test_without_a_worker_a_claim_that_is_over_stays_so() -> None:
    run = a_run("starting", claim_expires_at=SINCE)
    assert run.why_not_followed(SILENT) == NO_WORKER


def test_a_command_that_waits_for_it_looks_without_a_worker() -> None:
    run = a_run("running", last_checked_at=timezone.now())
    assert run.why_not_followed(SILENT) is None


def test_without_a_worker_not_even_an_account_that_does_not_answer_is_asked() -> None:
    run = a_run("running", TROUBLES[NotFollowed.NOT_ANSWERING])
    assert run.why_not_followed(SILENT) == NO_WORKER


@pytest.mark.parametrize("why", [NotFollowed.DISABLED, NotFollowed.CREDENTIALS_REFUSED])
def test_what_needs_a_person_is_told_before_a_worker_that_is_missing(
    why: NotFollowed,
) -> None:
    found = a_run("running", TROUBLES[why]).why_not_followed(SILENT)
    assert found is not None
    assert found.why == why


@pytest.mark.parametrize("status", ["completed", "failed", "lost", "not_started"])
def test_what_has_ended_is_not_looked_at_and_misses_nothing(status: str) -> None:
    run = a_run(status, TROUBLES[NotFollowed.DISABLED])
    assert run.why_not_followed(SILENT) is None


def worker(*, seen: float = 0, began: float | None = 3600) -> None:
    def ago(seconds: float) -> Any:
        return timezone.now() - timedelta(seconds=seconds)

    WorkerFactory.create(
        seen_at=ago(seen), started_at=None if began is None else ago(began)
    )


LATE = overdue_after() + timedelta(seconds=30)


@pytest.mark.parametrize("status", ["running", "unknown"])
def test_a_heartbeat_proves_nothing_while_what_is_due_is_not_done(status: str) -> None:
    worker()
    run = a_run(status, next_check_at=NOW - LATE)
    assert workers_now() == STUCK
    expected = Unfollowed(why=NotFollowed.OVERDUE, since=NOW - LATE)
    assert run.why_not_followed(STUCK) == expected
    other = a_run("running", next_check_at=timezone.now())
    assert other.why_not_followed(STUCK) is None


@pytest.mark.parametrize(
    ("status", "facts"),
    [
        ("queued", {"queued_at": NOW - timedelta(hours=1)}),
        ("starting", {"claim_expires_at": NOW - timedelta(hours=1)}),
    ],
)
def test_so_it_is_for_starts_that_nobody_takes_or_settles(
    status: str, facts: dict[str, Any]
) -> None:
    worker()
    run = a_run(status, **facts)
    assert workers_now() == STUCK
    found = run.why_not_followed(STUCK)
    assert found is not None
    assert found.why == NotFollowed.OVERDUE


@pytest.mark.parametrize("why", TROUBLES)
def test_what_lies_with_an_account_is_not_laid_upon_the_worker(
    why: NotFollowed,
) -> None:
    worker()
    a_run("running", TROUBLES[why], next_check_at=NOW - LATE)
    assert workers_now() == ALIVE


def test_a_worker_that_has_just_begun_or_an_account_just_heard_of_has_time() -> None:
    worker(began=5)
    a_run("running", next_check_at=NOW - LATE)
    assert workers_now() == ALIVE
    ImportRun.objects.all().delete()
    worker()
    a_run("running", {"last_contact_at": NOW}, next_check_at=NOW - LATE)
    assert workers_now() == ALIVE


def test_workers_are_silent_after_a_minute_and_say_since_when() -> None:
    assert workers_now() == WorkerState(is_silent=True, heard_at=None)
    worker(seen=61)
    state = workers_now()
    assert state.is_silent
    assert state.heard_at is not None
    worker(seen=59, began=None)
    assert workers_now() == ALIVE


def test_an_account_notes_when_it_was_disabled_however_it_is_saved() -> None:
    account = AccountFactory.create()
    assert account.disabled_at is None
    account.is_active = False
    account.save(update_fields=["is_active"])
    first = Account.objects.get(pk=account.pk).disabled_at
    assert first is not None
    account.label = "still disabled"
    account.save()
    assert Account.objects.get(pk=account.pk).disabled_at == first
    account.is_active = True
    account.save()
    assert Account.objects.get(pk=account.pk).disabled_at is None
    assert AccountFactory.create(is_active=False).disabled_at is not None


def test_what_was_disabled_before_mcdash_took_note_has_no_moment_and_gets_none() -> (
    None
):
    account = AccountFactory.create()
    Account.objects.update(is_active=False)
    account.refresh_from_db()
    account.label = "x"
    account.save()
    assert account.disabled_at is None
    assert account.why_not_followed == Unfollowed(why=NotFollowed.DISABLED)
