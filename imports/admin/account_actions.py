"""What an administrator does to accounts in the list: one message per account."""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING

from django.contrib import admin, messages
from django.db import transaction
from django.db.models import QuerySet
from django.http import HttpRequest

from imports.admin.base import audit, person_behind
from imports.models import Account, new_holder
from imports.usecases.adopt_runs import adopt_runs
from imports.usecases.check_account import check_account
from imports.usecases.errors import MarketingCloudError, UseCaseError
from imports.usecases.record_audit import AuditAction
from imports.usecases.save_account import save_account
from imports.usecases.sync_definitions import sync_definitions
from imports.views.audit import address_of

if TYPE_CHECKING:
    Actions = admin.ModelAdmin[Account]
else:
    Actions = object

# These call Marketing Cloud while the browser waits.
ACCOUNTS_AT_ONCE = 10
PATIENCE_SECONDS = 60


@dataclass(frozen=True, kw_only=True, slots=True)
class Report:
    """What became of one account, in a sentence."""

    is_ok: bool
    message: str


class AccountActions(Actions):
    actions = (
        "test_connection",
        "sync_definitions_now",
        "adopt_runs_now",
        "pause_starts",
        "resume_starts",
    )

    @admin.action(description="Test connection", permissions=["change"])
    def test_connection(self, request: HttpRequest, rows: QuerySet[Account]) -> None:
        _ask_each(request, rows, None, _test(request))

    @admin.action(description="Sync definitions now", permissions=["change"])
    def sync_definitions_now(
        self, request: HttpRequest, rows: QuerySet[Account]
    ) -> None:
        _ask_each(request, rows, AuditAction.DEFINITIONS_SYNCED, _if_active(_sync))

    @admin.action(description="Adopt runs now", permissions=["change"])
    def adopt_runs_now(self, request: HttpRequest, rows: QuerySet[Account]) -> None:
        _ask_each(request, rows, AuditAction.RUNS_ADOPTED, _if_active(_adopt))

    @admin.action(description="Pause starts", permissions=["change"])
    def pause_starts(self, request: HttpRequest, rows: QuerySet[Account]) -> None:
        with transaction.atomic():  # all of them, or none is said to be
            for account in rows:
                _set_paused(request, account, is_paused=True)

    @admin.action(description="Resume starts", permissions=["change"])
    def resume_starts(self, request: HttpRequest, rows: QuerySet[Account]) -> None:
        with transaction.atomic():
            for account in rows:
                _set_paused(request, account, is_paused=False)


def _ask_each(
    request: HttpRequest,
    rows: QuerySet[Account],
    action: AuditAction | None,
    ask: Callable[[Account], Report],
) -> None:
    accounts = list(rows[: ACCOUNTS_AT_ONCE + 1])
    if len(accounts) > ACCOUNTS_AT_ONCE:
        messages.error(
            request,
            f"Nothing was done: choose at most {ACCOUNTS_AT_ONCE} accounts, since "
            "this page waits for Marketing Cloud.",
        )
        return
    give_up = time.monotonic() + PATIENCE_SECONDS
    for account in accounts:
        if time.monotonic() > give_up:
            messages.warning(
                request, f"{account}: not asked, the others took too long. Try again."
            )
            continue
        _ask_one(request, account, action, ask)


def _ask_one(
    request: HttpRequest,
    account: Account,
    action: AuditAction | None,
    ask: Callable[[Account], Report],
) -> None:
    """`action` is None where the use case itself leaves the audit's entry."""
    try:
        report = ask(account)
    except (MarketingCloudError, UseCaseError) as error:
        report = Report(is_ok=False, message=str(error))
    if action:
        details = {"is_ok": report.is_ok, "message": report.message}
        audit(request, action, account, details=details)
    _say(request, account, report)


def _say(request: HttpRequest, account: Account, report: Report) -> None:
    level = messages.SUCCESS if report.is_ok else messages.ERROR
    messages.add_message(request, level, f"{account}: {report.message}")


def _test(request: HttpRequest) -> Callable[[Account], Report]:
    def tested(account: Account) -> Report:
        by, ip = person_behind(request), address_of(request)
        steps = list(check_account(account=account, by=by, ip=ip))
        is_ok = all(step.is_ok for step in steps)
        told = steps if is_ok else steps[-1:]
        words = " ".join(f"{step.name}: {step.message}" for step in told)
        head = "connected." if is_ok else "the test failed."
        return Report(is_ok=is_ok, message=f"{head} {words}")

    return tested


def _if_active(ask: Callable[[Account], Report]) -> Callable[[Account], Report]:
    def asked(account: Account) -> Report:
        if account.is_active:
            return ask(account)
        return Report(is_ok=False, message="it is disabled; nothing was asked.")

    return asked


def _sync(account: Account) -> Report:
    report = sync_definitions(account=account, holder=new_holder())
    refused = ", ".join(report.refused_properties)
    return Report(
        is_ok=True,
        message=f"{report.seen} definitions read, {report.created} new, "
        f"{report.changed} changed, {report.missing} not listed for the first time, "
        f"{report.gone} believed gone."
        + (f" Not readable here: {refused}." if refused else ""),
    )


def _adopt(account: Account) -> Report:
    report = adopt_runs(account=account, holder=new_holder())
    waiting = (
        f" {report.waiting} wait until a start of ours is settled."
        if report.waiting
        else ""
    )
    return Report(
        is_ok=True,
        message=f"{report.rows} results read, {report.adopted} runs taken into the "
        f"history.{waiting}",
    )


def _set_paused(request: HttpRequest, account: Account, *, is_paused: bool) -> None:
    state = "paused" if is_paused else "allowed"
    if account.starts_paused == is_paused:
        messages.info(request, f"{account}: starts were {state} already.")
        return
    account.starts_paused = is_paused
    save_account(
        account=account,
        fields=["starts_paused"],
        action=AuditAction.STARTS_PAUSED if is_paused else AuditAction.STARTS_RESUMED,
        by=person_behind(request),
        ip=address_of(request),
    )
    _say(request, account, Report(is_ok=True, message=f"starts are {state} now."))
