"""Perform is sent at most once per run, and what comes back decides the state."""

from __future__ import annotations

import time
from datetime import timedelta
from typing import Any

import pytest
from pytest_django import Settings

from imports.marketingcloud.errors import (
    AuthenticationError,
    MarketingCloudError,
    OutcomeUnknownError,
    RequestRefusedError,
    UnavailableError,
)
from imports.models import (
    Account,
    ImportDefinition,
    ImportRun,
    Lease,
    Reason,
    RunStatus,
    database_now,
)
from imports.models.account import BREAKER_OPENS_AT
from imports.usecases import send as module
from imports.usecases.resolve import reconcile_runs
from imports.usecases.send import send_start
from imports.usecases.start import start_import
from tests.factories import AccountFactory, ImportDefinitionFactory, ImportRunFactory
from tests.fakes import FakeDoor, FakeMarketingCloud

pytestmark = pytest.mark.django_db

REFUSALS: list[tuple[MarketingCloudError, str, str]] = [
    (AuthenticationError("Login failed."), "not_started", "credentials_refused"),
    (RequestRefusedError("No.", code="43060"), "not_started", "refused"),
    (UnavailableError("Nothing was sent."), "not_started", "unreachable"),
    (OutcomeUnknownError("The answer broke off."), "unknown", "no_answer"),
]


@pytest.fixture
def run(definition: ImportDefinition) -> ImportRun:
    return start_import(definition=definition, started_by=None, started_by_name="ops")


def send(run: ImportRun) -> ImportRun:
    """The run as the database has it after a worker sent it."""
    send_start(run=run, holder="worker")
    return ImportRun.objects.get(pk=run.pk)


def kinds(run: ImportRun) -> list[str]:
    return [event.kind for event in run.events.all()]


def test_an_accepted_start_runs_with_its_task(
    run: ImportRun, cloud: FakeMarketingCloud
) -> None:
    run = send(run)
    assert run.status == RunStatus.RUNNING
    assert cloud.performed == ["customers-daily"]
    assert list(cloud.tasks) == [run.task_id]
    assert run.request_id.endswith(str(run.task_id))
    assert run.claimed_by == "worker"
    assert run.queued_at <= run.claimed_at <= run.answered_at  # type: ignore[operator]  # all are set
    assert run.claim_expires_at is None
    assert run.next_check_at is not None
    assert kinds(run) == ["queued", "claimed", "accepted"]


def test_the_claim_is_committed_before_the_wire(
    run: ImportRun, cloud: FakeMarketingCloud, settings: Settings
) -> None:
    seen: list[ImportRun] = []
    cloud.before["start_definition"] = lambda: seen.append(
        ImportRun.objects.get(pk=run.pk)
    )
    send(run)
    (on_the_wire,) = seen
    assert on_the_wire.status == RunStatus.STARTING
    assert on_the_wire.sent_at == on_the_wire.claimed_at
    lease = timedelta(seconds=settings.MCDASH_START_LEASE_SECONDS)
    assert on_the_wire.claimed_at
    assert on_the_wire.claim_expires_at == on_the_wire.claimed_at + lease


def test_the_token_is_got_before_the_claim(
    run: ImportRun, cloud: FakeMarketingCloud
) -> None:
    seen: list[str] = []
    cloud.before["authenticate"] = lambda: seen.append(
        ImportRun.objects.get(pk=run.pk).status
    )
    send(run)
    assert seen == ["queued"]


def test_a_call_slot_is_held_while_sending_and_given_back(
    run: ImportRun, cloud: FakeMarketingCloud
) -> None:
    held: list[list[str]] = []

    def slots() -> list[str]:
        taken = Lease.objects.filter(expires_at__gt=database_now())
        return list(taken.values_list("name", flat=True))

    cloud.before["authenticate"] = lambda: held.append(slots())
    send(run)
    assert held == [[f"call:{run.account_id}:1"]]
    assert slots() == []


def test_a_definition_without_a_key_is_started_by_its_object_id(
    cloud: FakeMarketingCloud,
) -> None:
    facts = cloud.add_definition("")
    definition = ImportDefinitionFactory.create(
        customer_key="", object_id=facts["ObjectID"]
    )
    run = send(start_import(definition=definition, started_by=None))
    assert run.status == RunStatus.RUNNING
    assert cloud.performed == [facts["ObjectID"]]


@pytest.mark.parametrize(("error", "status", "kind"), REFUSALS)
def test_what_an_error_on_the_wire_proves_decides_the_state(
    run: ImportRun,
    cloud: FakeMarketingCloud,
    error: MarketingCloudError,
    status: str,
    kind: str,
) -> None:
    cloud.fail("start_definition", error)
    run = send(run)
    assert (run.status, run.reason) == (status, kind)
    assert (run.message, run.error_code) == (error.message, error.code or "")
    assert run.answered_at is not None
    end = "unanswered" if status == "unknown" else "not_started"
    assert kinds(run) == ["queued", "claimed", end]


@pytest.mark.parametrize("error", [one[0] for one in REFUSALS])
def test_without_a_token_nothing_is_sent_whatever_the_reason(
    run: ImportRun, cloud: FakeMarketingCloud, error: MarketingCloudError
) -> None:
    cloud.fail("authenticate", error)
    run = send(run)
    assert run.status == RunStatus.NOT_STARTED
    assert (run.claimed_at, run.sent_at) == (None, None)
    assert cloud.calls["start_definition"] == 0
    assert kinds(run) == ["queued", "not_started"]


def test_a_start_performed_without_an_answer_is_unknown_and_never_sent_again(
    run: ImportRun, cloud: FakeMarketingCloud
) -> None:
    cloud.fail_after("start_definition", OutcomeUnknownError("Cut off."))
    assert send(run).status == RunStatus.UNKNOWN
    for _ in range(3):
        run.refresh_from_db()
        assert send(run).status == RunStatus.UNKNOWN
    assert cloud.performed == ["customers-daily"]


def test_an_unforeseen_end_on_the_wire_is_unknown(
    run: ImportRun, cloud: FakeMarketingCloud, caplog: pytest.LogCaptureFixture
) -> None:
    cloud.fail_after("start_definition", KeyError("surprise"))
    run = send(run)
    assert (run.status, run.reason) == (RunStatus.UNKNOWN, Reason.NO_ANSWER)
    assert "may be running" in run.message


def test_an_unknown_key_is_refused_in_marketing_clouds_words(
    cloud: FakeMarketingCloud,
) -> None:
    definition = ImportDefinitionFactory.create(customer_key="no-such-key")
    run = send(start_import(definition=definition, started_by=None))
    assert (run.status, run.error_code) == (RunStatus.NOT_STARTED, "43010")
    assert "not found: no-such-key" in run.message
    assert run.request_id
    assert cloud.performed == []


def test_refused_credentials_are_noted_on_the_account(
    run: ImportRun, cloud: FakeMarketingCloud
) -> None:
    cloud.knows_credentials = False
    assert send(run).reason == Reason.CREDENTIALS_REFUSED
    run.account.refresh_from_db()
    assert run.account.credentials_refused_at is not None


def test_an_address_that_is_not_allowed_sends_nothing(
    run: ImportRun, door: FakeDoor
) -> None:
    door.refuses[run.account_id] = UnavailableError("The host is not allowed.")
    run = send(run)
    assert (run.status, run.message) == ("not_started", "The host is not allowed.")
    assert not door.usual.calls


@pytest.mark.parametrize(
    ("state", "kind", "words"),
    [
        ({"starts_paused": True}, Reason.PAUSED, "Starts are paused"),
        (
            {"failures_in_row": BREAKER_OPENS_AT},
            Reason.NOT_ANSWERING,
            "does not answer",
        ),
        (
            {"credentials_refused_at": "2026-03-18T12:00:00Z"},
            Reason.CREDENTIALS_REFUSED,
            "refused the account’s credentials",
        ),
    ],
)
def test_an_account_that_may_not_start_sends_nothing(
    run: ImportRun,
    cloud: FakeMarketingCloud,
    state: dict[str, Any],
    kind: Reason,
    words: str,
) -> None:
    Account.objects.filter(pk=run.account_id).update(**state)
    run = send(run)
    assert (run.status, run.reason) == (RunStatus.NOT_STARTED, kind)
    assert words in run.as_record()["message"]
    assert run.sent_at is None
    assert not cloud.calls


# --- which definition is started ---------------------------------------------------


def test_a_definition_is_called_by_its_key(
    run: ImportRun, cloud: FakeMarketingCloud
) -> None:
    cloud.definitions[0]["ObjectID"] = "another by now"
    assert send(run).status == RunStatus.RUNNING


@pytest.mark.parametrize("mark", ["not_listed_since", "not_seen_since"])
def test_what_is_not_listed_is_called_by_its_object_id(
    run: ImportRun, cloud: FakeMarketingCloud, mark: str
) -> None:
    """Deleted and made anew with its key, it is another definition."""
    ImportDefinition.objects.update(**{mark: database_now()})
    cloud.definitions[0]["ObjectID"] = "made anew"
    sent = send(run)
    assert (sent.status, sent.reason) == (RunStatus.NOT_STARTED, Reason.NOT_FOUND)
    assert cloud.performed == []


@pytest.mark.parametrize("mark", [None, "not_listed_since", "not_seen_since"])
@pytest.mark.parametrize("key", ["customers-daily", "Customers-Daily"])
def test_of_two_with_one_key_the_chosen_one_is_started(
    definition: ImportDefinition, cloud: FakeMarketingCloud, key: str, mark: str | None
) -> None:
    facts = cloud.add_definition(key)
    other = ImportDefinitionFactory.create(
        account=definition.account, customer_key=key, object_id=facts["ObjectID"]
    )
    if mark:
        ImportDefinition.objects.filter(pk=other.pk).update(**{mark: database_now()})
    for one in (definition, other):
        run = start_import(definition=one, started_by=None, started_by_name="ops")
        assert send(run).status == RunStatus.RUNNING
    assert cloud.performed_ids == [definition.object_id, other.object_id]


def test_a_definition_whose_key_changed_meanwhile_is_called_by_its_object_id(
    run: ImportRun, definition: ImportDefinition, cloud: FakeMarketingCloud
) -> None:
    definition.customer_key = cloud.definitions[0]["CustomerKey"] = "customers-new"
    definition.save()
    cloud.add_definition("customers-daily")
    assert send(run).status == RunStatus.RUNNING
    assert cloud.performed_ids == [definition.object_id]


@pytest.mark.parametrize("is_answered", [True, False])
def test_a_start_whose_key_changed_is_found_by_the_key_of_its_results(
    run: ImportRun,
    definition: ImportDefinition,
    cloud: FakeMarketingCloud,
    is_answered: bool,
) -> None:
    definition.customer_key = cloud.definitions[0]["CustomerKey"] = "customers-new"
    definition.save()
    if not is_answered:
        cloud.fail_after("start_definition", OutcomeUnknownError("Cut off."))
    assert send(run).customer_key == "customers-new"
    cloud.advance()
    reconcile_runs(account=run.account, holder="worker")
    run.refresh_from_db()
    assert (run.status, run.task_id) == (RunStatus.RUNNING, *cloud.tasks)


def test_keys_that_differ_in_the_case_of_letters_beyond_ascii_are_one(
    definition: ImportDefinition, cloud: FakeMarketingCloud
) -> None:
    ImportDefinition.objects.update(customer_key="Äpfel")
    other = cloud.add_definition("äpfel")
    ImportDefinitionFactory.create(
        account=definition.account,
        customer_key="äpfel",
        object_id=other["ObjectID"],
    )
    run = start_import(definition=definition, started_by=None)
    send(run)
    assert cloud.performed_ids == [definition.object_id]


def test_the_key_of_another_account_does_not_matter(
    run: ImportRun, cloud: FakeMarketingCloud
) -> None:
    ImportDefinitionFactory.create(customer_key="customers-daily")
    cloud.definitions[0]["ObjectID"] = "another by now"
    assert send(run).status == RunStatus.RUNNING


def test_a_start_that_waited_too_long_is_not_sent(
    run: ImportRun, cloud: FakeMarketingCloud, settings: Settings
) -> None:
    waited = timedelta(seconds=settings.MCDASH_START_EXPIRES_SECONDS + 1)
    run.queued_at = database_now() - waited
    run.save()
    run = send(run)
    assert (run.status, run.reason) == (RunStatus.NOT_STARTED, Reason.EXPIRED)
    assert not cloud.calls


def test_a_worker_frozen_between_claim_and_send_sends_nothing(
    run: ImportRun, cloud: FakeMarketingCloud
) -> None:
    cloud.clock = lambda: time.monotonic() + module.SEND_WITHIN_SECONDS + 0.1
    run = send(run)
    assert (run.status, run.sent_at) == (RunStatus.NOT_STARTED, None)
    assert "Nothing was sent" in run.message
    assert cloud.performed == []


def test_a_worker_that_is_slow_but_in_time_sends(
    run: ImportRun, cloud: FakeMarketingCloud
) -> None:
    cloud.clock = lambda: time.monotonic() + module.SEND_WITHIN_SECONDS - 2
    assert send(run).status == RunStatus.RUNNING


@pytest.mark.parametrize("status", sorted(set(RunStatus) - {RunStatus.QUEUED}), ids=str)
def test_a_run_that_is_not_queued_is_left_alone(
    cloud: FakeMarketingCloud, status: RunStatus
) -> None:
    run = ImportRunFactory.create(**{status.value: True})
    assert send(run).status == status
    assert not cloud.calls


def test_a_run_cancelled_in_the_meantime_is_not_sent(
    run: ImportRun, cloud: FakeMarketingCloud
) -> None:
    ImportRun.objects.filter(pk=run.pk).update(status=RunStatus.CANCELLED)
    assert send(run).status == RunStatus.CANCELLED
    assert cloud.performed == []


def test_who_loses_the_claim_does_not_touch_the_winners_run(
    run: ImportRun, cloud: FakeMarketingCloud
) -> None:
    def the_other_claims() -> None:
        ImportRun.objects.filter(pk=run.pk).update(
            status=RunStatus.STARTING, claimed_by="the other"
        )

    cloud.before["authenticate"] = the_other_claims
    cloud.fail("authenticate", UnavailableError("The token did not come."))
    run = send(run)
    assert (run.status, run.claimed_by) == (RunStatus.STARTING, "the other")
    assert run.message == ""


def test_an_answer_that_contradicts_itself_is_a_start_and_keeps_the_words(
    run: ImportRun, cloud: FakeMarketingCloud, monkeypatch: pytest.MonkeyPatch
) -> None:
    from dataclasses import replace

    real = cloud.start_definition

    def strange(**asked: Any) -> Any:
        return replace(real(**asked), contradiction="StatusCode “Error”")

    monkeypatch.setattr(cloud, "start_definition", strange)
    run = send(run)
    assert run.status == RunStatus.RUNNING
    event = run.events.get(kind="contradicted")
    assert event.details == {"words": "StatusCode “Error”"}


def test_what_a_failed_start_did_to_the_account_does_not_stop_others(
    run: ImportRun, cloud: FakeMarketingCloud
) -> None:
    cloud.fail("start_definition", UnavailableError("Refused connection."))
    send(run)
    other = ImportDefinitionFactory.create(
        account=AccountFactory.create(), customer_key="customers-daily"
    )
    assert send(start_import(definition=other, started_by=None)).status == "running"


def test_a_run_that_ends_unstarted_is_drawn_on_its_definition(
    run: ImportRun, cloud: FakeMarketingCloud
) -> None:
    cloud.fail("start_definition", RequestRefusedError("No."))
    run = send(run)
    assert run.definition
    assert [bar["status"] for bar in run.definition.strip] == ["not_started"]
    assert run.revision == run.account.revision


def test_a_worker_that_is_stopped_after_its_claim_sends_nothing(
    run: ImportRun, cloud: FakeMarketingCloud
) -> None:
    asked_to_stop = iter([False, True])  # the worker is told so in between
    send_start(run=run, holder="worker", is_stopping=lambda: next(asked_to_stop))
    run.refresh_from_db()
    assert (run.status, run.reason) == (RunStatus.NOT_STARTED, Reason.STOPPED)
    assert run.sent_at is None
    assert cloud.performed == []


def test_before_an_accounts_first_start_its_tasks_are_known(
    run: ImportRun, cloud: FakeMarketingCloud
) -> None:
    older = cloud.add_task("customers-daily")
    run = send(run)
    adopted = ImportRun.objects.get(task_id=older.task_id)
    assert adopted.origin == "outside"
    assert run.status == RunStatus.RUNNING
    again = start_import(
        definition=ImportDefinitionFactory.create(account=run.account), started_by=None
    )
    send(again)
    assert cloud.calls["all_results"] == 1


@pytest.mark.parametrize(
    ("error", "status"),
    [
        (RequestRefusedError("API Permission Failed."), RunStatus.RUNNING),
        (OutcomeUnknownError("Cut off."), RunStatus.RUNNING),
        (UnavailableError("Nothing was sent."), RunStatus.NOT_STARTED),
        (AuthenticationError("Login failed."), RunStatus.NOT_STARTED),
    ],
)
def test_where_tasks_cannot_be_read_a_start_is_sent_if_it_can_be(
    run: ImportRun,
    cloud: FakeMarketingCloud,
    error: MarketingCloudError,
    status: RunStatus,
) -> None:
    cloud.fail("all_results", error)
    assert send(run).status == status
    assert len(cloud.performed) == (status == RunStatus.RUNNING)
