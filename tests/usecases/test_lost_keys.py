"""A field key that is not there: said in words, nothing sent, nobody hammered."""

from __future__ import annotations

import socket
from collections.abc import Callable

import pytest
from cryptography.fernet import Fernet
from django.test import Client
from pytest_django import Settings

from imports.gateway import LostSecretError
from imports.models import (
    AccessLevel,
    Account,
    AccountToken,
    ImportDefinition,
    RunStatus,
    new_holder,
)
from imports.usecases.accounts import (
    ask_account,
    check_account,
    probe_account,
    save_account,
)
from imports.usecases.follow import refresh_runs
from imports.usecases.send import send_queued
from imports.usecases.start import start_import
from imports.usecases.sync import sync_definitions
from tests.factories import (
    AccountFactory,
    AccountTokenFactory,
    ImportDefinitionFactory,
    ImportRunFactory,
    UserFactory,
    grant,
)
from tests.fakes import FakeDoor
from tests.views.reading import reader, words

pytestmark = pytest.mark.django_db
SENTENCE = "A stored secret cannot be read: its key is not in MCDASH_FIELD_KEYS."
LoseKey = Callable[[], None]


@pytest.fixture
def account() -> Account:
    account = AccountFactory.create(name="Nordlicht DE")
    AccountTokenFactory.create(account=account)
    return account


@pytest.fixture
def definition(account: Account) -> ImportDefinition:
    return ImportDefinitionFactory.create(account=account)


@pytest.fixture
def lose_key(settings: Settings, monkeypatch: pytest.MonkeyPatch) -> LoseKey:
    """From then on another key is there, and no socket can be opened."""

    def lose() -> None:
        settings.MCDASH_FIELD_KEYS = [Fernet.generate_key().decode()]
        monkeypatch.setattr(socket, "socket", _refuse)
        monkeypatch.setattr(socket, "getaddrinfo", _refuse)

    return lose


def _refuse(*_: object, **__: object) -> None:
    raise AssertionError("something was about to be sent")


def fresh(account: Account) -> Account:
    return Account.objects.get(pk=account.pk)


def has_mark(account: Account) -> bool:
    return fresh(account).secret_unreadable_since is not None


def test_a_queued_start_ends_as_not_started_with_the_sentence(
    definition: ImportDefinition, lose_key: LoseKey
) -> None:
    run = start_import(definition=definition, started_by=None)
    lose_key()
    send_queued(account=definition.account, holder=new_holder())
    run.refresh_from_db()
    assert run.status == RunStatus.NOT_STARTED
    assert run.message.startswith(SENTENCE)
    assert run.message.endswith("Nothing was sent.")
    assert run.sent_at is None
    assert has_mark(definition.account)


@pytest.mark.parametrize(
    "ask",
    [
        lambda account: sync_definitions(account=account, holder=new_holder()),
        lambda account: refresh_runs(account=account, holder=new_holder()),
        lambda account: probe_account(account=account),
    ],
)
def test_it_is_no_failure_of_marketing_cloud(
    account: Account, ask: Callable[[Account], object], lose_key: LoseKey
) -> None:
    ImportRunFactory.create(definition__account=account, running=True)
    lose_key()
    before = fresh(account)
    with pytest.raises(LostSecretError, match="MCDASH_FIELD_KEYS"):
        ask(account)
    after = fresh(account)
    assert has_mark(account)
    assert (after.failures_in_row, after.not_answering_since) == (0, None)
    assert after.credentials_refused_at is None
    assert after.revision > before.revision


def test_the_log_says_it_once(
    account: Account, lose_key: LoseKey, caplog_imports: pytest.LogCaptureFixture
) -> None:
    lose_key()
    for _ in range(3):
        with pytest.raises(LostSecretError), ask_account(account):
            pass
    said = [r.getMessage() for r in caplog_imports.records if r.levelname == "ERROR"]
    assert len(said) == 1
    assert SENTENCE in said[0]
    assert account.secret.ciphertext not in caplog_imports.text


def test_check_account_says_it_at_its_own_step(
    account: Account, lose_key: LoseKey
) -> None:
    lose_key()
    (step,) = check_account(account=account)
    assert (step.name, step.is_ok) == ("Stored secret", False)
    assert step.message.startswith(SENTENCE)
    assert has_mark(account)


def test_with_the_key_back_the_next_answer_clears_the_mark(
    account: Account, door: FakeDoor
) -> None:
    account.note_secret_unreadable()
    before = fresh(account).revision
    with ask_account(account):
        pass
    assert not has_mark(account)
    assert fresh(account).revision > before


def test_a_secret_that_is_entered_again_clears_the_mark(account: Account) -> None:
    other = AccountFactory.create()
    for one in (account, other):
        one.note_secret_unreadable()
    account.secret = "entered again"
    save_account(account=account, fields=["secret"])
    assert not has_mark(account)
    assert has_mark(other)
    assert not AccountToken.objects.exists()


# what people see


def pages(account: Account) -> dict[str, str]:
    """What the dashboard, the accounts and the administration say, by address."""
    staff = UserFactory.create(is_staff=True, is_superuser=True)
    grant(staff, account, AccessLevel.VIEW)
    browser = Client()
    browser.force_login(staff)
    listed = "/admin/imports/account/"
    urls = ("/", "/accounts/", listed, f"{listed}{account.pk}/change/")
    return {url: words(browser.get(url)).casefold() for url in urls}


def test_pages_say_what_another_process_could_not_read(account: Account) -> None:
    account.note_secret_unreadable()
    for url, text in pages(account).items():
        assert "stored secret can’t be read" in text, url


def test_pages_open_and_say_it_when_they_have_not_the_key_themselves(
    account: Account, settings: Settings
) -> None:
    settings.MCDASH_FIELD_KEYS = [Fernet.generate_key().decode()]
    for url, text in pages(account).items():
        assert "stored secret can’t be read" in text, url


def test_pages_say_nothing_of_it_when_all_is_well(account: Account) -> None:
    for url, text in pages(account).items():
        assert "can’t be read" not in text, url


def test_only_who_may_see_the_account_learns_of_it(account: Account) -> None:
    account.note_secret_unreadable()
    stranger = reader(AccountFactory.create())
    for url in ("/", "/accounts/"):
        assert "cannot be read" not in words(stranger.get(url))
