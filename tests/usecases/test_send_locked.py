"""An answer is written down even where the database is locked for a while."""

from __future__ import annotations

import time
from datetime import timedelta
from typing import Any

import pytest
from django.db import InternalError, OperationalError
from psycopg.errors import ReadOnlySqlTransaction

from imports.marketingcloud.errors import (
    AuthenticationError,
    MarketingCloudError,
    OutcomeUnknownError,
    RequestRefusedError,
)
from imports.models import (
    STORAGE,
    ImportDefinition,
    ImportRun,
    RunStatus,
    bump_revision,
    database_now,
)
from imports.models.storage import Storage
from imports.usecases import send as module
from imports.usecases import settle as settling
from imports.usecases.adopt import adopt_runs
from imports.usecases.send import send_start
from imports.usecases.settle import settle_overdue
from imports.usecases.start import start_import
from tests.fakes import FakeMarketingCloud

pytestmark = pytest.mark.django_db(transaction=True)


@pytest.fixture
def run(definition: ImportDefinition) -> ImportRun:
    return start_import(definition=definition, started_by=None)


def send(run: ImportRun) -> ImportRun:
    send_start(run=run, holder="worker")
    return ImportRun.objects.get(pk=run.pk)


def kinds(run: ImportRun) -> list[str]:
    return [event.kind for event in run.events.all()]


class Waits:
    """Stands in for the module's time: no test waits for a locked database."""

    monotonic = staticmethod(time.monotonic)

    def __init__(self) -> None:
        self.waited = 0.0

    def sleep(self, seconds: float) -> None:
        self.waited += seconds


@pytest.fixture
def waits(monkeypatch: pytest.MonkeyPatch) -> Waits:
    waits = Waits()
    monkeypatch.setattr(module, "time", waits)
    return waits


def test_an_answer_is_written_down_once_the_database_is_free_again(
    run: ImportRun,
    cloud: FakeMarketingCloud,
    monkeypatch: pytest.MonkeyPatch,
    waits: Waits,
) -> None:
    real, failures = bump_revision, [OperationalError("locked")] * 3

    def locked(**changed: Any) -> int:
        (changing,) = changed["runs"]
        if failures and changing.status == RunStatus.RUNNING:
            raise failures.pop()
        return real(**changed)

    monkeypatch.setattr(module, "bump_revision", locked)
    run = send(run)
    assert (run.status, run.task_id) == (RunStatus.RUNNING, next(iter(cloud.tasks)))
    assert kinds(run) == ["queued", "claimed", "accepted"]
    assert waits.waited == 3


def test_an_answer_is_kept_also_where_the_server_became_a_standby(
    run: ImportRun,
    cloud: FakeMarketingCloud,
    monkeypatch: pytest.MonkeyPatch,
    waits: Waits,
    caplog_imports: pytest.LogCaptureFixture,
) -> None:
    """PostgreSQL says so by another kind of error than for a lock."""
    real, failures = bump_revision, [1, 2]

    def read_only(**changed: Any) -> int:
        (changing,) = changed["runs"]
        if changing.status == RunStatus.RUNNING and failures and failures.pop():
            raise InternalError("read-only") from ReadOnlySqlTransaction()
        return real(**changed)

    monkeypatch.setattr(module, "bump_revision", read_only)
    run = send(run)
    assert (run.status, waits.waited) == (RunStatus.RUNNING, 2)
    assert len(cloud.performed) == 1
    assert caplog_imports.text.count("the answer cannot be written down yet") == 1


def test_nothing_is_sent_while_the_database_just_refused_to_save(
    run: ImportRun, cloud: FakeMarketingCloud
) -> None:
    """A claim may find its room on a full disk where the answer would not."""
    STORAGE.note_refusal(OperationalError("disk full"))
    run = send(run)
    assert (run.status, cloud.performed) == (RunStatus.QUEUED, [])
    vars(STORAGE).update(vars(Storage()))
    run = send(run)
    assert (run.status, len(cloud.performed)) == (RunStatus.RUNNING, 1)


@pytest.mark.parametrize(
    ("error", "status"),
    [
        (RequestRefusedError("No."), RunStatus.NOT_STARTED),
        (OutcomeUnknownError("Cut off."), RunStatus.UNKNOWN),
    ],
)
def test_a_failure_is_written_down_once_the_database_is_free_again(
    run: ImportRun,
    cloud: FakeMarketingCloud,
    monkeypatch: pytest.MonkeyPatch,
    waits: Waits,
    error: MarketingCloudError,
    status: RunStatus,
) -> None:
    real, failures = bump_revision, [OperationalError("locked")] * 2

    def locked(**changed: Any) -> int:
        (changing,) = changed["runs"]
        if failures and changing.status == status:
            raise failures.pop()
        return real(**changed)

    monkeypatch.setattr(settling, "bump_revision", locked)
    cloud.fail("start_definition", error)
    run = send(run)
    assert (run.status, waits.waited) == (status, 2)


@pytest.mark.parametrize(
    ("error", "status"),
    [
        (RequestRefusedError("No."), RunStatus.NOT_STARTED),
        (AuthenticationError("No."), RunStatus.NOT_STARTED),
        (OutcomeUnknownError("Cut off."), RunStatus.UNKNOWN),
    ],
)
def test_a_failure_is_kept_where_the_accounts_health_cannot_be_noted(
    run: ImportRun,
    cloud: FakeMarketingCloud,
    monkeypatch: pytest.MonkeyPatch,
    error: MarketingCloudError,
    status: RunStatus,
) -> None:
    """What Perform proved outlives a database that is locked a moment later."""
    cloud.fail("start_definition", error)
    # the account's tasks are known already, so that only the start contacts it
    adopt_runs(account=run.account, holder="worker")
    for name in ("_note", "_note_contact"):
        monkeypatch.setattr(f"imports.usecases.accounts.{name}", raise_locked)
    with pytest.raises(OperationalError):
        send_start(run=run, holder="worker")
    run = ImportRun.objects.get(pk=run.pk)
    assert (run.status, run.message) == (status, error.message)


def test_a_database_that_stays_locked_leaves_the_claim_to_its_lease(
    run: ImportRun,
    cloud: FakeMarketingCloud,
    monkeypatch: pytest.MonkeyPatch,
    waits: Waits,
) -> None:
    monkeypatch.setattr(module, "RECORD_FOR_SECONDS", -1)
    monkeypatch.setattr(module, "record_start", raise_locked)
    with pytest.raises(OperationalError):
        send_start(run=run, holder="worker")
    run.refresh_from_db()
    assert run.status == RunStatus.STARTING
    let_the_lease_end(run)
    run.refresh_from_db()
    assert run.status == RunStatus.UNKNOWN


def let_the_lease_end(run: ImportRun) -> None:
    over = database_now() - timedelta(seconds=1)
    ImportRun.objects.filter(pk=run.pk).update(claim_expires_at=over)
    settle_overdue()


def raise_locked(*_args: Any, **_options: Any) -> None:
    raise OperationalError("database is locked")
