"""A deed and its audit entry are kept together or not at all."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest

from imports.models import (
    AccessLevel,
    Account,
    AuditEntry,
    EventKind,
    ImportRun,
    RunEvent,
    User,
)
from imports.models.run import RevisionManager
from imports.text import visible
from imports.usecases import accounts, follow, resolve
from imports.usecases import start as start_usecases
from imports.usecases.accounts import check_account
from imports.usecases.audit import AuditAction, record_audit
from imports.usecases.errors import NameTakenError
from tests.factories import (
    AccountFactory,
    ImportDefinitionFactory,
    ImportRunFactory,
    RunEventFactory,
    UserFactory,
    grant,
)
from tests.fakes import FakeMarketingCloud

pytestmark = pytest.mark.django_db


def start(person: User) -> None:
    definition = ImportDefinitionFactory.create()
    grant(person, definition.account, AccessLevel.START)
    start_usecases.start_import(definition=definition, started_by=person)


def cancel(person: User) -> None:
    start_usecases.cancel_run(run=ImportRunFactory.create(queued=True), by=person)


def look_again(person: User) -> None:
    follow.check_again(run=ImportRunFactory.create(lost=True), by=person)


def choose(person: User) -> None:
    run = ImportRunFactory.create(unknown=True)
    found = [{"task_id": "501"}, {"task_id": "502"}]
    RunEventFactory.create(
        run=run, kind=EventKind.LOOKED, details={"candidates": found}
    )
    resolve.choose_task(run=run, task_id="501", by=person)


def pause(person: User) -> None:
    account = AccountFactory.create()
    account.starts_paused = True
    accounts.save_account(
        account=account,
        fields=["starts_paused"],
        action=AuditAction.STARTS_PAUSED,
        by=person,
    )


EVERY = pytest.mark.parametrize("deed", [start, cancel, look_again, choose, pause])


@EVERY
def test_a_deed_leaves_one_entry_with_who_did_it(deed: Callable[[User], None]) -> None:
    person = UserFactory.create(first_name="Ana", last_name="Ruiz")
    deed(person)
    entry = AuditEntry.objects.get()
    assert (entry.actor, entry.actor_name) == (person, "Ana Ruiz")
    assert entry.account is not None


@EVERY
@pytest.mark.parametrize(
    ("owner", "step"), [(RevisionManager, "take"), (AuditEntry, "save")]
)
def test_where_one_step_fails_neither_deed_nor_entry_is_left(
    deed: Callable[[User], None],
    owner: type,
    step: str,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    def fail(*_: Any, **__: Any) -> None:
        raise OSError("the disk is full")

    person = UserFactory.create()
    monkeypatch.setattr(owner, step, fail)
    with pytest.raises(OSError, match="disk"):
        deed(person)
    assert not AuditEntry.objects.exists()
    assert not RunEvent.objects.filter(actor=person).exists()
    assert not Account.objects.filter(starts_paused=True).exists()
    assert not ImportRun.objects.filter(status__in=("cancelled", "running")).exists()


def test_who_and_what_stay_readable_after_a_user_is_gone() -> None:
    person = UserFactory.create(first_name="Ana", last_name="Ruiz")
    cancel(person)
    person.delete()
    entry = AuditEntry.objects.get()
    assert (entry.actor, entry.actor_name) == (None, "Ana Ruiz")


def test_a_command_is_kept_under_the_systems_login() -> None:
    definition = ImportDefinitionFactory.create()
    start_usecases.start_import(
        definition=definition, started_by=None, started_by_name="ops", login="ops"
    )
    entry = AuditEntry.objects.get()
    assert (entry.actor, entry.actor_name, entry.ip) == (None, "ops", None)
    assert entry.details["login"] == "ops"


def test_a_tested_connection_is_kept_with_how_it_ended(
    cloud: FakeMarketingCloud,
) -> None:
    account = AccountFactory.create()
    cloud.knows_credentials = False
    list(check_account(account=account, by="ops"))
    entry = AuditEntry.objects.get()
    assert (entry.action, entry.actor_name) == ("connection_tested", "ops")
    assert entry.details == {
        "is_ok": False,
        "message": "Credentials: Marketing Cloud refused the credentials.",
    }


def test_an_interrupted_test_is_no_success(cloud: FakeMarketingCloud) -> None:
    steps = check_account(account=AccountFactory.create(), by="ops")
    assert next(steps).is_ok
    cloud.before["authenticate"] = _interrupt
    with pytest.raises(KeyboardInterrupt):
        next(steps)
    assert AuditEntry.objects.get().details["is_ok"] is False


def _interrupt() -> None:
    raise KeyboardInterrupt


def test_a_name_that_was_taken_meanwhile_is_a_sentence_and_saves_nothing() -> None:
    AccountFactory.create(name="DE")
    with pytest.raises(NameTakenError, match="“DE” already exists"):
        accounts.save_account(
            account=AccountFactory.build(name="DE"),
            fields=(),
            action=AuditAction.ACCOUNT_ADDED,
            by="ops",
        )
    assert Account.objects.count() == 1
    assert not AuditEntry.objects.exists()


@pytest.mark.parametrize(
    ("text", "seen"),
    [
        ("Müller & 北京 😀", "Müller & 北京 😀"),
        ("a\nb\tc\x1b[0m", r"a\nb\tc\x1b[0m"),
        ("\u202eabc\u2066\u200b", r"\u202eabc\u2066\u200b"),
        ("\x00\ud800", r"\x00\ud800"),
    ],
)
def test_what_cannot_be_seen_is_written_out(text: str, seen: str) -> None:
    entry = record_audit(actor=text, action=AuditAction.SIGNED_OUT, label=text)
    entry.refresh_from_db()
    assert visible(text) == entry.actor_name == entry.object_label == seen
