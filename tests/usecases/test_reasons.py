"""Why a start failed is a type from where it is known to the run: real answers of
Marketing Cloud, the real gateway, and what is kept of them. No sentence is looked into.
"""

from __future__ import annotations

from typing import Any

import pytest
from cryptography.fernet import Fernet
from pytest_django import Settings

from imports import gateway
from imports.marketingcloud.errors import (
    AuthenticationError,
    MarketingCloudError,
    OutcomeUnknownError,
    QuestionRefusedError,
    RequestRefusedError,
    TokenExpiredError,
    UnavailableError,
)
from imports.marketingcloud.http import Answer
from imports.marketingcloud.parse import read_message
from imports.marketingcloud.perform import read_started
from imports.marketingcloud.sockets import check_peer
from imports.models import (
    Account,
    AuthKind,
    ImportRun,
    Reason,
    RunStatus,
    database_now,
)
from imports.usecases.resolve import reconcile_runs
from imports.usecases.send import send_start
from imports.usecases.settle import fields_of_error
from imports.usecases.start import start_import
from tests.factories import AccountFactory, ImportDefinitionFactory, LeaseFactory
from tests.fakes import FakeDoor, FakeMarketingCloud
from tests.marketingcloud.wording import envelope, fault, performed, refused

KINDS = (
    *(AuthenticationError, OutcomeUnknownError, RequestRefusedError),
    *(TokenExpiredError, UnavailableError),
)


def raised(body: str, status: int = 200) -> MarketingCloudError:
    """What the answer to a Perform proves."""
    answer = Answer(status=status, content_type="text/xml", body=body.encode())
    try:
        message = read_message(answer, "PerformResponseMsg")
        read_started(message, customer_key="customers-daily")
    except MarketingCloudError as error:
        return error
    raise AssertionError("It proves a start.")


@pytest.mark.parametrize("kind", KINDS)
def test_every_kind_of_error_has_a_reason_and_may_be_told_a_better_one(
    kind: type[MarketingCloudError],
) -> None:
    assert kind("It went wrong.").reason != Reason.NONE
    better = kind("It went wrong.", reason=Reason.TIMEOUT)
    assert fields_of_error(better)["reason"] == Reason.TIMEOUT


@pytest.mark.parametrize(
    ("words", "code", "reason"),
    [
        ("ImportDefinition not found: x.", "43010", Reason.NOT_FOUND),
        ("ImportDefinition not found", None, Reason.NOT_FOUND),
        ("CustomerKey not specified.", "43000", Reason.NOT_FOUND),
        ("API Permission Failed. You need scope x.", None, Reason.PERMISSION_MISSING),
        ("No access to account 510001.", "4", Reason.PERMISSION_MISSING),
        ("Something.", "11", Reason.PERMISSION_MISSING),
        ("Member in maintenance", "9", Reason.MAINTENANCE),
        ("The request was throttled.", None, Reason.THROTTLED),
        ("Something.", "50200", Reason.THROTTLED),
        ("The import is already running.", None, Reason.ALREADY_RUNNING),
        ("database problems. It was not processed.", None, Reason.NOT_PROCESSED),
        ("Cannot perform start on objects of type X.", "5", Reason.WRONG_KIND),
        ('validation error: "Outlet SFTP" is not active.', "43060", Reason.NOT_VALID),
        ("The file location was not found.", "43060", Reason.NOT_VALID),
        ("I would rather not.", "999", Reason.REFUSED),
    ],
)
def test_a_refusals_code_and_words_tell_why(
    words: str, code: str | None, reason: Reason
) -> None:
    error = raised(performed(refused(words, code)))
    assert fields_of_error(error) == {
        "reason": reason,
        "message": "Marketing Cloud refused to start the import: "
        + f"“{words}”.".replace(".”.", ".”"),
        "vendor_message": words,
        "error_code": code or "",
        "request_id": error.request_id,
    }


@pytest.mark.parametrize(
    ("body", "status", "reason", "words"),
    [
        (fault("soap:Client", "Login Failed"), 500, "credentials_refused", "Login Fa"),
        (fault("soap:Client", "Not found"), 500, "not_found", "Not found"),
        (fault("soap:Server", "Out", detail_code="9"), 500, "maintenance", "Out"),
        (fault("soap:Server", "Oops"), 500, "outage", "Oops"),
        ("<html>", 503, "outage", ""),
        ("<html>", 200, "no_answer", ""),
        ("", 429, "throttled", ""),
        ("", 403, "refused", ""),
        (performed("", overall="API Permission Failed"), 200, "permission_missing", ""),
        (performed("", overall="Who knows"), 200, "no_answer", "Who knows"),
        (envelope("<soap:Fault/>"), 500, "outage", "no fault"),
    ],
)
def test_what_else_an_answer_proves_has_a_reason(
    body: str, status: int, reason: str, words: str
) -> None:
    error = raised(body, status)
    assert error.reason == reason
    assert error.vendor_message.startswith(words)


def test_a_refused_question_keeps_the_words_in_full_and_a_line_of_them() -> None:
    error = QuestionRefusedError("It was refused.", quoted="no\n" * 1000)
    assert len(error.words) == 3000
    assert error.vendor_message.startswith("no no no")
    assert len(error.vendor_message) == 500


def test_an_address_inside_is_refused_by_its_number() -> None:
    with pytest.raises(UnavailableError) as caught:
        check_peer("192.168.1.1", allow_loopback=True)
    assert caught.value.reason == Reason.ADDRESS_REFUSED


@pytest.fixture
def account() -> Account:
    return AccountFactory.create(last_adopted_at=database_now())


def sent(account: Account) -> ImportRun:
    """A start through the real gateway, as far as it goes."""
    definition = ImportDefinitionFactory.create(account=account)
    run = start_import(definition=definition, started_by=None)
    run = send_start(run=run, holder="worker")
    return ImportRun.objects.get(pk=run.pk)


@pytest.mark.django_db
def test_a_secret_that_no_key_opens(account: Account, settings: Settings) -> None:
    settings.MCDASH_FIELD_KEYS = [Fernet.generate_key().decode()]
    run = sent(account)
    assert (run.status, run.reason) == ("not_started", Reason.SECRET_UNREADABLE)


@pytest.mark.django_db
def test_an_address_that_is_not_allowed(account: Account) -> None:
    Account.objects.update(soap_url="https://mc.somewhere.invalid/Service.asmx")
    run = sent(account)
    assert (run.status, run.reason) == ("not_started", Reason.ADDRESS_REFUSED)
    assert run.vendor_message == ""


@pytest.mark.django_db
def test_a_mid_that_is_no_number_is_found_before_the_request() -> None:
    account = AccountFactory.create(
        auth_kind=AuthKind.USERNAME_TOKEN,
        client_id="",
        username="nordlicht-api",
        mid="",
        last_adopted_at=database_now(),
    )
    Account.objects.update(mid="DE")
    assert sent(account).reason == Reason.WRONG_MID


@pytest.mark.django_db
def test_an_account_whose_slots_are_taken(account: Account, settings: Settings) -> None:
    settings.MCDASH_CALL_DEADLINE_SECONDS = 0.1
    for number in gateway.START_SLOTS:
        LeaseFactory.create(name=f"call:{account.pk}:{number}")
    run = sent(account)
    assert (run.status, run.reason) == ("not_started", Reason.ACCOUNT_BUSY)


@pytest.mark.django_db
@pytest.mark.parametrize("lease", ["token", "token-pause"])
def test_a_token_that_another_process_asks_for_or_was_just_refused(
    account: Account, settings: Settings, lease: str
) -> None:
    settings.MCDASH_CALL_DEADLINE_SECONDS = 0.1
    LeaseFactory.create(name=f"{lease}:{account.pk}")
    run = sent(account)
    assert (run.status, run.reason) == ("not_started", Reason.NO_TOKEN)


@pytest.mark.django_db
@pytest.mark.parametrize(
    ("facts", "reason"),
    [
        ({"is_active": False}, Reason.DISABLED),
        ({"is_doubled": True}, Reason.DOUBLED),
        ({"starts_paused": True}, Reason.PAUSED),
    ],
)
def test_what_came_over_the_account_while_it_was_queued(
    account: Account, facts: dict[str, Any], reason: Reason, door: FakeDoor
) -> None:
    definition = ImportDefinitionFactory.create(account=account)
    run = start_import(definition=definition, started_by=None)
    Account.objects.update(**facts)
    run = send_start(run=run, holder="worker")
    assert (run.status, run.reason, run.message) == ("not_started", reason, "")
    assert run.as_record()["reason"] == reason
    assert not door.usual.calls


@pytest.mark.django_db
def test_reason_words_and_message_are_kept_each_for_itself(
    account: Account, cloud: FakeMarketingCloud
) -> None:
    error = OutcomeUnknownError(
        "It broke.", reason=Reason.OUTAGE, vendor_message="Oops"
    )
    cloud.fail("start_definition", error)
    run = sent(account)
    kept = (run.status, run.reason, run.vendor_message, run.message)
    assert kept == (RunStatus.UNKNOWN, Reason.OUTAGE, "Oops", "It broke.")
    (event,) = run.events.filter(kind="unanswered")
    assert event.details == {"why": "outage", "message": "It broke."}
    # once it is found, nothing is left of why it was not known
    task = cloud.add_task(run.customer_key)
    reconcile_runs(account=account, holder="worker")
    run = ImportRun.objects.get(pk=run.pk)
    assert run.task_id == task.task_id
    assert (run.reason, run.vendor_message, run.message) == ("", "", "")
