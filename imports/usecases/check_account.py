"""Try an account step by step: addresses, credentials, service, permissions."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from copy import copy
from dataclasses import dataclass
from functools import partial
from urllib.parse import urlsplit

from imports import connection
from imports.marketingcloud.client import MarketingCloudClient
from imports.marketingcloud.errors import MarketingCloudError
from imports.marketingcloud.records import ConnectionReport
from imports.models import Account, User
from imports.usecases.ask_account import ask_account, note_unreadable
from imports.usecases.learn_unit import learn_unit
from imports.usecases.probe_account import may_ask_status
from imports.usecases.record_audit import AuditAction, record_audit

NO_SUCH_TASK = "0"


@dataclass(frozen=True, kw_only=True, slots=True)
class CheckStep:
    """One step of the check, in a sentence."""

    name: str
    is_ok: bool
    message: str


def check_account(
    *, account: Account, by: User | str | None = None, ip: str | None = None
) -> Iterator[CheckStep]:
    """Yield one step after the other; stops at the first that fails.

    Only reads are sent. That the credentials work clears "credentials refused", and
    properties that were refused once are asked for again. How it ended, also by an
    interruption, is kept as a deed of `by`.
    """
    end = CheckStep(name="Interrupted", is_ok=False, message="it was not finished.")
    last = end
    try:
        for last in _steps(account):
            yield last
        end = last
    finally:
        record_audit(
            actor=by,
            action=AuditAction.CONNECTION_TESTED,
            obj=account,
            account=account,
            ip=ip,
            details={"is_ok": end.is_ok, "message": f"{end.name}: {end.message}"},
        )


def _steps(account: Account) -> Iterator[CheckStep]:
    account = copy(account)
    account.refused_properties = []
    steps: tuple[tuple[str, Callable[[MarketingCloudClient], str]], ...] = (
        ("Credentials", lambda client: _sign_in(account, client)),
        ("SOAP service", lambda client: _ask_status(account, client)),
        ("Definitions", lambda client: _list_definitions(account, client)),
        ("Results", lambda client: _read_results(account, client)),
    )
    try:
        client = connection.connect(account)
    except connection.LostSecretError as error:
        note_unreadable(account, error)
        yield CheckStep(name="Stored secret", is_ok=False, message=error.message)
        return
    except MarketingCloudError as error:
        yield CheckStep(name="Addresses", is_ok=False, message=error.message)
        return
    yield CheckStep(
        name="Addresses", is_ok=True, message=f"{account.service_address} is allowed."
    )
    for name, step in steps:
        result = _try(account, name, partial(step, client))
        yield result
        if not result.is_ok:
            return
    if account.is_doubled:
        words = Account.objects.twins_of(account)[0].taken_words
        yield CheckStep(name="Business unit", is_ok=False, message=words)


def _try(account: Account, name: str, step: Callable[[], str]) -> CheckStep:
    # one client for all steps: it knows what its token's answer named
    try:
        with ask_account(account, although_refused=True):
            message = step()
    except MarketingCloudError as error:
        return CheckStep(name=name, is_ok=False, message=error.message)
    return CheckStep(name=name, is_ok=True, message=message)


def _sign_in(account: Account, client: MarketingCloudClient) -> str:
    """Only a new token proves a client's secret; a user's name goes with a call."""
    connection.forget_token(account)
    client.authenticate()
    if not account.is_oauth:
        client.results_of_tasks([NO_SUCH_TASK])
    return "Marketing Cloud knows them."


def _ask_status(account: Account, client: MarketingCloudClient) -> str:
    if not may_ask_status(account):
        return "Its system status was asked for less than a minute ago."
    report = client.check_connection()
    status = f"It answers; its system status is {report.system_status}."
    return status + _other_host(account, report)


def _other_host(account: Account, report: ConnectionReport) -> str:
    named = urlsplit(report.soap_instance_url or "").hostname
    ours = urlsplit(account.service_address).hostname
    if named is None or named == ours:
        return ""
    return f" The token names another host, {named}; the account's own one is used."


def _list_definitions(account: Account, client: MarketingCloudClient) -> str:
    answer = client.list_definitions()
    learn_unit(account, answer.definitions)
    account.refused_properties = account.noted_refusals(answer.refused_properties)
    refused = ", ".join(answer.refused_properties)
    tail = f" Not readable here: {refused}." if refused else ""
    return f"{len(answer.definitions)} can be read.{tail}"


def _read_results(account: Account, client: MarketingCloudClient) -> str:
    answer = client.results_of_tasks([NO_SUCH_TASK])
    account.refused_properties = account.noted_refusals(answer.refused_properties)
    account.save(update_fields=["refused_properties"])
    return "ImportResultsSummary can be read."
