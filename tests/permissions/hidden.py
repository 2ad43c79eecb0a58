"""An account that a reader may not see, with a word in every text of it."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

from django.utils import timezone

from imports.models import (
    AccessLevel,
    Account,
    EventKind,
    ImportDefinition,
    ImportRun,
    Origin,
    RunStatus,
    User,
)
from tests.factories import (
    AccountFactory,
    AuditEntryFactory,
    DefinitionVersionFactory,
    FavouriteFactory,
    ImportDefinitionFactory,
    ImportRunFactory,
    RunEventFactory,
    UserFactory,
    grant,
)

WORD = "Zyzzyva"
# What a page depends on: a reader of other accounts must not get this number.
REVISION = 987_654_321


def hide() -> dict[str, list[Any]]:
    """Fill the account; its rows by kind."""
    person = UserFactory.create(username=f"{WORD}-p", first_name=WORD, last_name=WORD)
    account = _account()
    grant(person, account, AccessLevel.START).name = WORD
    definitions = [_definition(account, number) for number in range(3)]
    FavouriteFactory.create(user=person, definition=definitions[0])
    runs = [_run(status, person, account) for status in RunStatus]
    runs += [_run(RunStatus.FAILED, person, account, origin=Origin.OUTSIDE)]
    for one in ImportDefinition.objects.filter(account=account):
        one.refresh_recent_runs()
    AuditEntryFactory.create(account=account, actor=person, object_label=WORD)
    Account.objects.update_or_create(pk=account.pk, defaults={"revision": REVISION})
    ImportRun.objects.filter(account=account).update(revision=REVISION)
    return {
        "account": [account],
        "definition": definitions,
        "run": runs,
        "person": [person],
    }


def _account() -> Account:
    now = timezone.now()
    made: Account = AccountFactory.create(
        name=f"{WORD} account",
        label=WORD,
        mid="987654",
        failures_in_row=9,
        not_answering_since=now,
        credentials_refused_at=now,
        last_contact_at=now,
        last_synced_at=now - timedelta(days=400),
        history_since=now - timedelta(days=400),
    )
    return made


def _definition(account: Account, number: int) -> ImportDefinition:
    made: ImportDefinition = ImportDefinitionFactory.create(
        account=account,
        name=f"{WORD} definition {number}",
        customer_key=f"{WORD}-key-{number}",
        description=WORD,
        file_spec=f"{WORD}.csv",
        update_type=f"{WORD}Type",
        destination=WORD,
        facts={"Name": WORD, "Description": WORD},
    )
    DefinitionVersionFactory.create(definition=made, facts={"Name": WORD})
    return made


def _run(status: RunStatus, person: User, account: Account, **facts: Any) -> ImportRun:
    definition = _definition(account, 100 + account.definitions.count())
    made: ImportRun = ImportRunFactory.create(
        **{str(status): True},
        definition=definition,
        started_by=person,
        started_by_name=f"{WORD} Person",
        request_id=f"{WORD}-request",
        **facts,
    )
    words = {"phase": WORD, "message": WORD, "import_type": WORD}
    ImportRun.objects.filter(pk=made.pk).update(
        **words, destination_id=WORD, start_text=WORD, end_text=WORD, error_code=WORD
    )
    RunEventFactory.create(
        run=made,
        kind=EventKind.LOOKED,
        actor_name=WORD,
        details={"message": WORD, "candidates": [{"task_id": WORD, "phase": WORD}]},
    )
    made.refresh_from_db()
    return made
