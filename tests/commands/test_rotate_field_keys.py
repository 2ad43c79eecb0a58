"""`rotate_field_keys`: every secret under the newest key, and nothing lost over it."""

from __future__ import annotations

import getpass
import threading
from collections.abc import Callable
from typing import Any

import pytest
from cryptography.fernet import Fernet
from django.apps import apps
from django.db import connection, connections, models
from pytest_django import Settings

from imports.fields import EncryptedField, Secret
from imports.models import Account, AccountToken, AuditEntry
from imports.usecases import upkeep as room
from tests.commands.running import Ran, run
from tests.factories import AccountFactory, AccountTokenFactory

pytestmark = pytest.mark.django_db

OLD, NEW = Fernet.generate_key().decode(), Fernet.generate_key().decode()
LOST = Fernet.generate_key().decode()


def sealed(key: str, plain: str) -> Secret:
    return Secret(Fernet(key).encrypt(plain.encode()).decode())


@pytest.fixture(autouse=True)
def two_keys(settings: Settings) -> None:
    settings.MCDASH_FIELD_KEYS = [NEW, OLD]


@pytest.fixture
def account() -> Account:
    """An account with a token, both under the old key."""
    account = AccountFactory.create(name="DE", secret=sealed(OLD, "a client secret"))
    AccountTokenFactory.create(account=account, token=sealed(OLD, "a token"))
    return account


def opens(key: str, secret: Secret) -> str:
    return Fernet(key).decrypt(secret.ciphertext.encode()).decode()


def raw() -> str:
    """Everything that is stored of secrets, as the database has it."""
    with connection.cursor() as cursor:
        cursor.execute("SELECT secret FROM imports_account ORDER BY id")
        found = cursor.fetchall()
        cursor.execute("SELECT token FROM imports_accounttoken ORDER BY id")
        return str([found, cursor.fetchall()])


def lines(ran: Ran) -> list[str]:
    return ran.out.splitlines()


def test_every_secret_comes_under_the_newest_key(account: Account) -> None:
    AccountFactory.create()
    ran = run("rotate_field_keys")
    assert (ran.code, ran.err) == (0, "")
    assert lines(ran) == [
        "Put under the newest key: 2.",
        "Key 1: 3 stored secrets.",
        "Key 2: opens no stored secret.",
        "All keys but the first can be removed from MCDASH_FIELD_KEYS.",
    ]
    account.refresh_from_db()
    assert opens(NEW, account.secret) == "a client secret"
    assert opens(NEW, AccountToken.objects.get().token) == "a token"


def test_a_second_time_there_is_nothing_to_do(account: Account) -> None:
    run("rotate_field_keys")
    before = raw()
    assert lines(run("rotate_field_keys"))[0] == "Put under the newest key: 0."
    assert raw() == before


def test_check_only_tells_and_fails_while_an_old_key_is_needed(
    account: Account,
) -> None:
    before = raw()
    ran = run("rotate_field_keys", "--check")
    assert ran.code == 1
    assert lines(ran) == ["Key 1: opens no stored secret.", "Key 2: 2 stored secrets."]
    assert raw() == before
    assert not AuditEntry.objects.exists()
    run("rotate_field_keys")
    assert run("rotate_field_keys", "--check").code == 0


def test_what_no_key_opens_is_named_and_the_rest_is_done(account: Account) -> None:
    lost = AccountFactory.create(name="SE \x1b[2J", secret=sealed(LOST, "gone"))
    AccountTokenFactory.create(account=lost, token=sealed(LOST, "gone too"))
    ran = run("rotate_field_keys")
    assert ran.code == 1
    assert lines(ran)[:2] == [
        "Put under the newest key: 2.",
        "Key 1: 2 stored secrets.",
    ]
    assert [line.partition(":")[0] for line in ran.err.splitlines()] == [
        r"account “SE \x1b[2J”",
        r"account token “Token of SE \x1b[2J”",
    ]
    assert "Put the key back, or enter the secret again." in ran.err
    for secret in (lost.secret, lost.token.token, account.secret):
        assert secret.ciphertext not in ran.out + ran.err
    lost.refresh_from_db()
    assert opens(LOST, lost.secret) == "gone"


def test_json_is_one_document(account: Account) -> None:
    AccountFactory.create(name="SE", secret=sealed(LOST, "gone"))
    assert run("rotate_field_keys", "--json").document == {
        "rotated": 2,
        "keys": [{"key": 1, "secrets": 2}, {"key": 2, "secrets": 0}],
        "unreadable": ["account “SE”"],
    }


def test_who_rotated_is_in_the_audit(account: Account) -> None:
    run("rotate_field_keys")
    entry = AuditEntry.objects.get()
    assert (entry.action, entry.actor_name) == ("keys_rotated", getpass.getuser())
    assert entry.details == {"rotated": 2}


def test_many_rows_are_done_in_batches(
    monkeypatch: pytest.MonkeyPatch, django_assert_max_num_queries: Callable[..., Any]
) -> None:
    monkeypatch.setattr(room, "BATCH", 3)
    for number in range(7):
        AccountFactory.create(secret=sealed(OLD, f"secret {number}"))
    assert run("rotate_field_keys").code == 0
    revealed = [
        opens(NEW, account.secret) for account in Account.objects.order_by("pk")
    ]
    assert revealed == [f"secret {number}" for number in range(7)]


def test_every_encrypted_column_is_found() -> None:
    found = {(model, name) for model, name in room.encrypted_fields()}
    assert found >= {(Account, "secret"), (AccountToken, "token")}
    assert len(found) == sum(
        isinstance(column, EncryptedField)
        for model in apps.get_models()
        for column in model._meta.get_fields()
    )


def test_a_column_that_is_new_is_rotated_too(
    monkeypatch: pytest.MonkeyPatch, account: Account
) -> None:
    """The registry is asked each time, and by the kind of field alone."""
    asked: list[type[models.Model]] = []
    models_of = apps.get_models

    def listen() -> list[type[models.Model]]:
        asked.extend(models_of())
        return [AccountToken]

    monkeypatch.setattr(apps, "get_models", listen)
    assert room.encrypted_fields() == [(AccountToken, "token")]
    assert asked


def test_a_token_that_is_renewed_while_it_is_rotated_is_kept(
    account: Account, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A worker stores a new one after the old one was read here."""
    rotated = Secret.rotated

    def meanwhile(self: Secret) -> Secret:
        AccountToken.objects.update(token=Secret.hide("a newer token"))
        return rotated(self)

    monkeypatch.setattr(Secret, "rotated", meanwhile)
    assert run("rotate_field_keys").code == 0
    assert AccountToken.objects.get().token.reveal() == "a newer token"


def test_what_a_process_stores_under_the_old_key_meanwhile_is_told(
    account: Account, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A worker that was not restarted yet knows the old key as the newest."""
    rotated = Secret.rotated

    def meanwhile(self: Secret) -> Secret:
        AccountToken.objects.update(token=sealed(OLD, "of an older worker"))
        return rotated(self)

    monkeypatch.setattr(Secret, "rotated", meanwhile)
    ran = run("rotate_field_keys")
    assert ran.code == 1
    assert "Key 2: 1 stored secret." in lines(ran)
    assert "can be removed" not in ran.out


@pytest.mark.django_db(transaction=True)
def test_tokens_renewed_all_the_time_are_never_overwritten(account: Account) -> None:
    """Real threads on a real file: a renewal that the rotation undoes is lost."""
    stop, problems = threading.Event(), []

    def renew() -> None:
        try:
            number = 0
            while not stop.is_set():
                number += 1
                # as an older worker would: always something to rotate
                token = sealed(OLD, f"token {number}")
                AccountToken.objects.update(token=token)
                if AccountToken.objects.get().token.reveal() != f"token {number}":
                    problems.append(number)
            written.append(number)
        finally:
            connections.close_all()

    written: list[int] = []
    worker = threading.Thread(target=renew)
    worker.start()
    rotated = sum(room.rotate_field_keys(by="ops").rotated for _ in range(25))
    stop.set()
    worker.join()
    assert problems == []
    assert written[0] > 25
    assert rotated >= 1
    assert AccountToken.objects.get().token.reveal() == f"token {written[0]}"
    account.refresh_from_db()
    assert opens(NEW, account.secret) == "a client secret"
