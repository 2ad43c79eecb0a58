"""Factories for every model; each builds a row that satisfies all constraints.

Runs have a kind for every status: `ImportRunFactory.create(running=True)`, and
`outside=True` for a run that somebody else started.
"""

from __future__ import annotations

from datetime import timedelta
from typing import Any

import factory
from django.contrib.auth.models import Group
from django.utils import timezone
from factory.declarations import (
    LazyAttribute,
    LazyFunction,
    SelfAttribute,
    Sequence,
    SubFactory,
    Trait,
)
from factory.django import DjangoModelFactory

from imports.models import (
    AccessLevel,
    Account,
    AccountAccess,
    AccountToken,
    AuditEntry,
    AuthKind,
    DefinitionVersion,
    EventKind,
    Favourite,
    ImportDefinition,
    ImportRun,
    Lease,
    Origin,
    Reason,
    RunEvent,
    RunStatus,
    User,
    Worker,
    key_digest,
    new_holder,
    note_doubles,
    process_name,
)

DIGEST = "0" * 64


class UserFactory(DjangoModelFactory[User]):
    class Meta:
        model = User

    username = Sequence(lambda n: f"person{n}")
    email = LazyAttribute(lambda user: f"{user.username}@nordlicht.example")
    password = factory.django.Password("a long pass phrase")


class AccountFactory(DjangoModelFactory[Account]):
    """An OAuth account; `username_token=True` for an API user's."""

    class Meta:
        model = Account

    class Params:
        username_token = Trait(
            auth_kind=AuthKind.USERNAME_TOKEN,
            client_id="",
            username="nordlicht-api",
            secret="an api user's password",
        )

    name = Sequence(lambda n: f"Nordlicht {n}")
    auth_kind = AuthKind.OAUTH
    client_id = Sequence(lambda n: f"client-{n}")
    secret = "a client secret"
    subdomain = Sequence(lambda n: f"mc{n:04}tenant")
    mid = Sequence(lambda n: str(510001 + n))


def double(first: Account, **fields: Any) -> Account:
    """A second active account of the same business unit, as only a database of an
    older release has it; `first` knows of it then.
    """
    second = AccountFactory.create(is_active=False, **fields)
    Account.objects.filter(pk=second.pk).update(
        unit=first.unit, is_active=True, is_doubled=True
    )
    note_doubles()
    for account in (first, second):
        account.refresh_from_db()
    return second


class GroupFactory(DjangoModelFactory[Group]):
    class Meta:
        model = Group

    name = Sequence(lambda n: f"Group {n}")


class AccountAccessFactory(DjangoModelFactory[AccountAccess]):
    class Meta:
        model = AccountAccess

    account = SubFactory(AccountFactory)
    group = SubFactory(GroupFactory)
    level = AccessLevel.VIEW


def grant(user: User, account: Account, level: AccessLevel) -> Group:
    """A new group with `user` in it, which has `level` for `account`."""
    group = GroupFactory.create()
    AccountAccessFactory.create(group=group, account=account, level=level)
    user.groups.add(group)
    return group


class AccountTokenFactory(DjangoModelFactory[AccountToken]):
    class Meta:
        model = AccountToken

    account = SubFactory(AccountFactory)
    token = Sequence(lambda n: f"token-{n}")
    expires_at = LazyFunction(lambda: timezone.now() + timedelta(minutes=18))


class ImportDefinitionFactory(DjangoModelFactory[ImportDefinition]):
    """A definition with an ObjectID; `object_id=None` for one known by its key."""

    class Meta:
        model = ImportDefinition

    account = SubFactory(AccountFactory)
    object_id = Sequence(lambda n: f"00000000-0000-0000-0000-{n:012}")
    customer_key = Sequence(lambda n: f"customers-daily-{n}")
    key_digest = LazyAttribute(lambda definition: key_digest(definition.customer_key))
    name = Sequence(lambda n: f"Customers daily {n}")
    file_spec = "customers_%%Year%%%%Month%%%%Day%%.csv"
    update_type = "Overwrite"
    destination = "customers"
    facts = LazyAttribute(lambda definition: {"Name": definition.name})
    digest = DIGEST
    first_seen_at = LazyFunction(timezone.now)
    last_seen_at = SelfAttribute("first_seen_at")


class DefinitionVersionFactory(DjangoModelFactory[DefinitionVersion]):
    class Meta:
        model = DefinitionVersion

    definition = SubFactory(ImportDefinitionFactory)
    number = LazyAttribute(lambda version: version.definition.versions.count() + 1)
    digest = DIGEST
    facts = LazyAttribute(lambda version: dict(version.definition.facts))
    seen_at = LazyFunction(timezone.now)


class FavouriteFactory(DjangoModelFactory[Favourite]):
    class Meta:
        model = Favourite

    user = SubFactory(UserFactory)
    definition = SubFactory(ImportDefinitionFactory)


def _if_ours(value: Any) -> Any:
    """`value` (or what it gives for the run) for our own runs, else null."""

    def choose(run: Any) -> Any:
        if run.origin == Origin.OUTSIDE:
            return None
        return value(run) if callable(value) else value

    return LazyAttribute(choose)


def _after(seconds: float) -> Any:
    return LazyAttribute(lambda run: run.occurred_at + timedelta(seconds=seconds))


def _ours_after(seconds: float) -> Any:
    return _if_ours(lambda run: run.occurred_at + timedelta(seconds=seconds))


_CLAIMED: dict[str, Any] = {
    "claimed_at": _ours_after(1),
    "sent_at": _ours_after(1),
    "claimed_by": LazyFunction(new_holder),
}
_ACCEPTED: dict[str, Any] = _CLAIMED | {
    "answered_at": _ours_after(2),
    "task_id": Sequence(lambda n: str(129159023 + n)),
    "import_type": "Data Extensions",
    "destination_id": "customers",
}
_ENDED: dict[str, Any] = _ACCEPTED | {
    "phase": "Completed",
    "started_at": _after(3),
    "finished_at": _after(63),
    "settled_at": _after(65),
    "last_checked_at": _after(65),
    "total_rows": 1000,
    "successful": 990,
    "duplicated": 10,
    "errors": 0,
}


# What a run of each kind has: `ImportRunFactory.create(running=True)`. Not traits of
# factory_boy, which try each of them for each field: a third of the tests' time.
_KINDS: dict[str, dict[str, Any]] = {
    "outside": {"origin": Origin.OUTSIDE, "queued_at": None},
    "queued": {"status": RunStatus.QUEUED},
    "starting": {
        "status": RunStatus.STARTING,
        "claim_expires_at": _after(241),
        **_CLAIMED,
    },
    "running": {
        "status": RunStatus.RUNNING,
        "phase": "Processing",
        "next_check_at": _after(3),
        **_ACCEPTED,
    },
    "completed": {"status": RunStatus.COMPLETED, **_ENDED},
    "completed_with_errors": {
        "status": RunStatus.COMPLETED_WITH_ERRORS,
        **_ENDED,
        "successful": 983,
        "errors": 7,
    },
    "failed": {
        "status": RunStatus.FAILED,
        **_ENDED,
        "phase": "Error",
        **dict.fromkeys(("total_rows", "successful", "duplicated", "errors")),
    },
    "not_started": {
        "status": RunStatus.NOT_STARTED,
        "settled_at": _after(2),
        "reason": Reason.REFUSED,
        "message": "ImportDefinition validation error.",
        **_CLAIMED,
    },
    "unknown": {
        "status": RunStatus.UNKNOWN,
        "answered_at": _ours_after(120),
        "next_check_at": _after(120),
        "reason": Reason.NO_ANSWER,
        "message": "No answer came.",
        **_CLAIMED,
    },
    "lost": {
        "status": RunStatus.LOST,
        "settled_at": _after(86400),
        "reason": Reason.TOO_OLD,
        **_ACCEPTED,
    },
    "cancelled": {"status": RunStatus.CANCELLED, "settled_at": _after(1)},
}


class ImportRunFactory(DjangoModelFactory[ImportRun]):
    """A run, queued unless a kind says otherwise.

    Without a definition (`definition=None`) give the account or get a new one.
    """

    class Meta:
        model = ImportRun

    @classmethod
    def _generate(cls, strategy: Any, params: dict[str, Any]) -> Any:
        kinds = [kind for kind in _KINDS if params.pop(kind, False)]
        fields = {name: value for k in kinds for name, value in _KINDS[k].items()}
        return super()._generate(strategy, fields | params)  # type: ignore[no-untyped-call]  # factory_boy has no types

    definition = SubFactory(ImportDefinitionFactory)
    account = LazyAttribute(
        lambda run: (
            run.definition.account if run.definition else AccountFactory.create()
        )
    )
    customer_key = LazyAttribute(
        lambda run: run.definition.customer_key if run.definition else ""
    )
    origin = Origin.DASHBOARD
    status = RunStatus.QUEUED
    occurred_at = LazyFunction(timezone.now)
    queued_at = SelfAttribute("occurred_at")


class RunEventFactory(DjangoModelFactory[RunEvent]):
    class Meta:
        model = RunEvent

    run = SubFactory(ImportRunFactory)
    at = LazyFunction(timezone.now)
    kind = EventKind.QUEUED
    to_status = SelfAttribute("run.status")


class AuditEntryFactory(DjangoModelFactory[AuditEntry]):
    class Meta:
        model = AuditEntry

    actor = SubFactory(UserFactory)
    actor_name = LazyAttribute(lambda entry: entry.actor.shown_name)
    action = "account.check"
    object_type = "account"
    object_id = LazyAttribute(lambda entry: str(entry.account.pk))
    object_label = LazyAttribute(lambda entry: entry.account.name)
    account = SubFactory(AccountFactory)


class LeaseFactory(DjangoModelFactory[Lease]):
    class Meta:
        model = Lease

    name = Sequence(lambda n: f"refresh:{n}")
    holder = LazyFunction(new_holder)
    expires_at = LazyFunction(lambda: timezone.now() + timedelta(minutes=5))


class WorkerFactory(DjangoModelFactory[Worker]):
    class Meta:
        model = Worker

    holder = Sequence(lambda n: f"{process_name()}-{n}")
    host = "app1"
    version = "0.1.0"
    seen_at = LazyFunction(timezone.now)
