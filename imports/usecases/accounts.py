"""Work on an account: contact it and note how that went, test its connection step by
step, save what an administrator entered, learn from its answers.
"""

from __future__ import annotations

import logging
import secrets
from collections.abc import Collection, Iterator, Mapping, Sequence
from contextlib import contextmanager
from copy import copy
from dataclasses import dataclass
from datetime import timedelta
from functools import partial
from typing import Any
from urllib.parse import urlsplit

from django.db import IntegrityError, transaction
from django.db.models import F
from django.db.models.functions import Coalesce, Now

from imports import gateway, logs, models
from imports.marketingcloud import errors
from imports.marketingcloud.client import MarketingCloudClient
from imports.marketingcloud.dates import read_time
from imports.marketingcloud.records import DefinitionRecord, ImportResults
from imports.models import Account, ImportRun, Lease, User, bump_revision, database_now
from imports.models.account import TELL_UNIT
from imports.usecases.audit import AuditAction, record_audit
from imports.usecases.errors import AccountBusyError, NameTakenError, UnitTakenError

log = logging.getLogger(__name__)

# The vendor wants GetSystemStatus no more often than every 60 seconds.
STATUS_ONCE_IN_SECONDS = 60
NO_SUCH_TASK = "0"
# A token and a refusal belong to these; with new ones the account is tried anew.
SIGN_IN = frozenset(
    {"auth_kind", "client_id", "username", "secret", "subdomain", "auth_url", "mid"}
)
# No zone is further from UTC: a larger difference is not one of clocks.
FURTHEST = timedelta(hours=15)
# How many of the latest runs are compared; with so many a larger offset is believed.
LATEST, ENOUGH = 5, 3


@contextmanager
def exclusively(account: Account, work: str, holder: str) -> Iterator[None]:
    """Do `work` for `account`. Raises `AccountBusyError` where another process does."""
    name = f"{work}:{account.pk}"
    with models.held(name, holder=holder, seconds=models.lease_seconds()) as lease:
        if lease is None:
            raise AccountBusyError(
                f"Another process is already doing this for “{account}”."
            )
        yield


@contextmanager
def ask_account(
    account: Account, *, although_refused: bool = False
) -> Iterator[MarketingCloudClient]:
    """A client for `account`; how the asking ends is noted on the account.

    Every `MarketingCloudError` goes on to the caller. An account whose credentials
    were refused raises `AuthenticationError` without being asked; only with
    `although_refused` it is, and then an answer clears the refusal.
    """
    rows = Account.objects.filter(pk=account.pk)
    if not although_refused and rows.exclude(credentials_refused_at=None).exists():
        raise errors.AuthenticationError(
            "Marketing Cloud refused this account's credentials. It isn't contacted "
            "again until they are changed or the connection is tested."
        )
    try:
        with logs.about(account=account.pk):
            yield gateway.connect(account)
    except errors.MarketingCloudError as error:
        pk = account.pk
        if isinstance(error, gateway.LostSecretError):
            note_unreadable(account, error)
        elif isinstance(error, errors.AuthenticationError):
            log.warning("Account %s: credentials refused: %s", pk, error.message)
            refused_at = Coalesce("credentials_refused_at", database_now())
            _note(account, credentials_refused_at=refused_at)
        elif isinstance(error, errors.RequestRefusedError):
            _note_contact(account, clears_refusal=although_refused)
        elif not isinstance(error, gateway.NotAskedError):
            log.warning("Account %s does not answer: %s", pk, error.message)
            since = Coalesce("not_answering_since", database_now())
            failures = F("failures_in_row") + 1
            _note(account, failures_in_row=failures, not_answering_since=since)
        raise
    else:
        _note_contact(account, clears_refusal=although_refused)


def note_unreadable(account: Account, error: gateway.LostSecretError) -> None:
    """Note it for the pages; the log says it once, not with every try."""
    if not Account.objects.filter(pk=account.pk, secret_unreadable_since=None).exists():
        return
    with transaction.atomic():
        bump_revision(accounts=[account])
        is_news = account.note_secret_unreadable()
    if is_news:
        log.error("Account %s: %s", account.pk, error.message)


# The revision first, then the account's row: whoever changes runs locks the counter
# first and accounts after it, so the other order could deadlock with them.
def _note(account: Account, **changes: Any) -> None:
    with transaction.atomic():
        bump_revision(accounts=[account])
        Account.objects.filter(pk=account.pk).update(**changes)


def _note_contact(account: Account, *, clears_refusal: bool) -> None:
    # whoever answered did so by the secret, or by a token that was fetched with it
    well: dict[str, Any] = {
        "failures_in_row": 0,
        "not_answering_since": None,
        "secret_unreadable_since": None,
    }
    # a call that was running with an older token proves nothing about a refusal
    if clears_refusal:
        well["credentials_refused_at"] = None
    rows = Account.objects.filter(pk=account.pk, **well)
    if not rows.update(last_contact_at=Now()):
        _note(account, last_contact_at=database_now(), **well)


def probe_account(*, account: Account) -> bool:
    """Ask an account that stopped answering for its system status; False where that was
    done within a minute. An answer closes the breaker. Raises `MarketingCloudError`.
    """
    if not may_ask_status(account):
        return False
    with ask_account(account) as client:
        client.check_connection()
    return True


def may_ask_status(account: Account) -> bool:
    """Whether the account's system status may be asked for now; then it must be."""
    # nobody's: it is never given back
    name, nobody = f"probe:{account.pk}", secrets.token_hex(8)
    return Lease.objects.acquire(name, holder=nobody, seconds=STATUS_ONCE_IN_SECONDS)


@dataclass(frozen=True, kw_only=True, slots=True)
class CheckStep:
    name: str
    is_ok: bool = True
    message: str


def check_account(
    *, account: Account, by: User | str | None = None, ip: str | None = None
) -> Iterator[CheckStep]:
    """Yield one step after the other; stops at the first that fails.

    That the credentials work clears "credentials refused", and properties that were
    refused once are asked for again. The audit keeps how it ended, also where the
    caller breaks off.
    """
    end = CheckStep(name="Interrupted", is_ok=False, message="the test didn't finish.")
    try:
        for step in _steps(account):
            yield step
        end = step
    finally:
        details = {"is_ok": end.is_ok, "message": f"{end.name}: {end.message}"}
        action = AuditAction.CONNECTION_TESTED
        record_audit(actor=by, action=action, obj=account, ip=ip, details=details)


def _steps(account: Account) -> Iterator[CheckStep]:
    # a copy: the caller's account keeps what was known of refused properties
    account = copy(account)
    account.refused_properties = []
    asking = partial(ask_account, account, although_refused=True)
    name, host = "Addresses", account.service_address
    try:
        # one client for all steps: it knows what its token's answer named
        client = gateway.connect(account)
        yield CheckStep(name=name, message=f"{host} is allowed.")
        name = "Credentials"
        with asking():
            # only a new token proves a client's secret; a user's name goes with a call
            gateway.forget_token(account)
            client.authenticate()
            if not account.is_oauth:
                client.results_of_tasks([NO_SUCH_TASK])
        yield CheckStep(name=name, message="Marketing Cloud accepted them.")
        name = "SOAP service"
        message = "Its system status was checked less than a minute ago."
        with asking():
            if may_ask_status(account):
                report = client.check_connection()
                message = f"It responds; its system status is {report.system_status}."
                named = urlsplit(report.soap_instance_url or "").hostname
                if named not in (None, urlsplit(host).hostname):
                    message += (
                        f" The token names another host, {named}; the account's own "
                        "host is used."
                    )
        yield CheckStep(name=name, message=message)
        name = "Definitions"
        with asking():
            listed = client.list_definitions()
            learn_unit(account, listed.definitions)
        refused = ", ".join(listed.refused_properties)
        tail = f" Not readable here: {refused}." if refused else ""
        message = f"{len(listed.definitions)} can be read.{tail}"
        yield CheckStep(name=name, message=message)
        name = "Results"
        with asking():
            answer = client.results_of_tasks([NO_SUCH_TASK])
            for properties in (listed.refused_properties, answer.refused_properties):
                account.refused_properties = account.noted_refusals(properties)
            account.save(update_fields=["refused_properties"])
        yield CheckStep(name=name, message="ImportResultsSummary can be read.")
    except errors.MarketingCloudError as error:
        if isinstance(error, gateway.LostSecretError):
            note_unreadable(account, error)
            name = "Stored secret"
        yield CheckStep(name=name, is_ok=False, message=error.message)
        return
    if account.is_doubled:
        words = Account.objects.twins_of(account)[0].taken_words
        yield CheckStep(name="Business unit", is_ok=False, message=words)


def save_account(
    *,
    account: Account,
    fields: Collection[str],
    action: AuditAction | None = None,
    by: User | str | None = None,
    ip: str | None = None,
) -> None:
    """Save a new account, or only `fields` of a known one, and tell the pages.

    No other field is written, because workers note the account's health all the time.
    A changed sign-in drops the stored token and "credentials refused". Without `action`
    the caller writes the audit. Raises `NameTakenError` and `UnitTakenError`.
    """
    saved = set(fields)
    try:
        with transaction.atomic():
            if account._state.adding:
                account.save()
                bump_revision(accounts=[account])
            elif saved:
                if "is_active" in saved and account.is_active:
                    # what was due while nobody looked is due now, not overdue
                    due = account.runs.active().filter(next_check_at__lt=Now())
                    due.update(next_check_at=Now())
                # first the counter, then the row: as `bump_revision` asks for
                bump_revision(accounts=[account])
                if saved & SIGN_IN:
                    gateway.forget_token(account)
                    account.credentials_refused_at = None
                    saved.add("credentials_refused_at")
                if "secret" in saved:
                    account.secret_unreadable_since = None
                    saved.add("secret_unreadable_since")
                account.save(update_fields=sorted(saved))
            if action:
                record_audit(actor=by, action=action, obj=account, ip=ip)
    except IntegrityError as error:
        if Account.objects.filter(name=account.name).exclude(pk=account.pk).exists():
            raise NameTakenError(
                f"An account named “{account.name}” already exists. Nothing was saved."
            ) from error
        twin = Account.objects.twins_of(account).first()
        if twin and models.violated_constraint(error) == "account_unit_once":
            raise UnitTakenError(f"{twin.taken_words} Nothing was saved.") from error
        raise


def learn_answers(account: Account, answer: ImportResults) -> None:
    """Keep on `account` which questions it takes: IN, and properties it refuses."""
    refused = account.noted_refusals(answer.refused_properties)
    takes_in = account.takes_in if answer.takes_in is None else answer.takes_in
    if (takes_in, refused) == (account.takes_in, account.refused_properties):
        return
    account.takes_in, account.refused_properties = takes_in, refused
    account.save(update_fields=["takes_in", "refused_properties"])


def learn_clock(account: Account, runs: Mapping[ImportRun, str]) -> None:
    """Set the clock offset of `account` by what `runs` show, each with its StartDate.

    A text without a zone, read as UTC, lies as far from our send as their clock from
    UTC, plus the time the task waited there. So the least distance of the latest
    runs counts; a larger one than we know needs three runs, since one may have
    waited. Only tasks that Perform's answer named teach anything. Opens a
    transaction of its own: never call it inside one that bumps the revision later.
    """
    texts = {run.pk: text for run, text in runs.items()}
    own = account.runs.ours().filter(
        events__kind=models.EventKind.ACCEPTED, sent_at__isnull=False
    )
    latest = own.order_by("-occurred_at", "-pk")[:LATEST]
    offsets = []
    for pk, sent_at, stored in latest.values_list("pk", "sent_at", "start_text"):
        text = texts.get(pk) or stored
        as_utc = read_time(text, offset_minutes=0)
        # a text that names its zone teaches nothing of the account's
        has_zone = as_utc == read_time(text, offset_minutes=60)
        if sent_at and as_utc and not has_zone and abs(as_utc - sent_at) <= FURTHEST:
            offsets.append(as_utc - sent_at)
    if not offsets:
        return
    # zones differ by quarters of an hour
    offset = 15 * round(min(offsets) / timedelta(minutes=15))
    known = account.clock_offset_minutes
    if offset == known or (offset > known and len(offsets) < ENOUGH):
        return
    account.clock_offset_minutes = offset
    _note(account, clock_offset_minutes=offset)


def learn_unit(account: Account, definitions: Sequence[DefinitionRecord]) -> None:
    """Keep on `account` which business unit its listed definitions belong to.

    Only an account without a MID has anything to learn. One that turns out to be the
    unit of another active account is marked, as is that one.
    """
    with transaction.atomic():
        account.refresh_from_db(fields=[*TELL_UNIT, "unit"])  # others saved meanwhile
        learned = None
        if not account.mid:
            facts = (definition.facts for definition in definitions)
            clients = {known.get("Client.ClientID1", "").strip() for known in facts}
            objects = [definition.object_id or "" for definition in definitions]
            learned = models.told_unit(account, clients - {"", "0"}, objects)
        account.learned_unit = learned or account.learned_unit
        unit = models.unit_of(account)
        if unit != account.unit:
            bump_revision(accounts=[account])
            account.unit = unit
            # as doubled, which the constraint lets in; whether it is so comes next
            Account.objects.filter(pk=account.pk).update(
                learned_unit=account.learned_unit, unit=unit, is_doubled=True
            )
            log.info("Account %s is business unit %s", account.pk, unit)
        # what is running is guarded by what is known of it now: its unit, its GUID
        for run in account.runs.ours().active().select_related("definition__account"):
            guard = models.guard_of(run.definition) if run.definition else run.guard
            same = ImportRun.objects.ours().active().filter(guard=guard)
            # of two that are the same, the first keeps holding it
            if guard != run.guard and not same.exists():
                ImportRun.objects.filter(pk=run.pk).update(guard=guard)
        models.note_doubles()
        account.refresh_from_db(fields=["is_doubled"])
