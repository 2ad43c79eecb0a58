"""Secrets are encrypted at rest and show themselves to nobody."""

from __future__ import annotations

import json
import logging
from pprint import pformat
from traceback import format_exception
from typing import Any

import pytest
from cryptography.fernet import Fernet
from django.core import serializers
from django.db import connection
from pytest_django import Settings

from imports.fields import LostKeyError, Secret
from imports.gateway import DatabaseTokenStore, LostSecretError, _credentials, connect
from imports.marketingcloud.errors import AuthenticationError
from imports.models import Account
from tests.factories import AccountFactory, AccountTokenFactory

pytestmark = pytest.mark.django_db

PLAIN = "kR7-the-client-secret"


def new_key() -> str:
    return Fernet.generate_key().decode()


def stored_text(account: Account) -> str:
    with connection.cursor() as cursor:
        cursor.execute("SELECT secret FROM imports_account WHERE id = %s", [account.pk])
        return str(cursor.fetchone()[0])


def test_what_is_stored_is_a_fernet_token(settings: Settings) -> None:
    account = AccountFactory.create(secret=PLAIN)
    text = stored_text(account)
    assert PLAIN not in text
    newest = Fernet(settings.MCDASH_FIELD_KEYS[0])
    assert newest.decrypt(text.encode()).decode() == PLAIN


def test_a_secret_read_back_reveals_itself_only_when_asked() -> None:
    account = AccountFactory.create(secret=PLAIN)
    assert isinstance(account.secret, Secret)
    account.refresh_from_db()
    assert account.secret.reveal() == PLAIN


@pytest.mark.parametrize(
    "shown",
    [repr, str, "{}".format, "{0!r} {0!s} {0:}".format],
)
def test_no_way_of_printing_a_secret_shows_it(shown: Any) -> None:
    secret = Secret.hide(PLAIN)
    assert PLAIN not in shown(secret)
    assert secret.ciphertext not in shown(secret)


def test_no_dump_of_an_account_holds_its_secret(
    caplog: pytest.LogCaptureFixture,
) -> None:
    account = AccountFactory.create(secret=PLAIN)
    logging.getLogger("tests").warning("%s %r", vars(account), account)
    dump = serializers.serialize("json", [account])
    for text in (caplog.text, dump):
        assert PLAIN not in text
        assert stored_text(account) not in text
    assert json.loads(dump)[0]["fields"]["secret"] == "Secret(…)"


def test_saving_an_account_again_keeps_its_secret() -> None:
    account = AccountFactory.create(secret=PLAIN)
    before = stored_text(account)
    account = Account.objects.get(pk=account.pk)
    account.label = "Germany"
    account.save()
    assert stored_text(account) == before


def test_an_older_key_still_opens_and_rotation_takes_the_newest(
    settings: Settings,
) -> None:
    old, new = new_key(), new_key()
    settings.MCDASH_FIELD_KEYS = [old]
    account = AccountFactory.create(secret=PLAIN)
    settings.MCDASH_FIELD_KEYS = [new, old]
    account.refresh_from_db()
    assert account.secret.reveal() == PLAIN
    account.secret = account.secret.rotated()
    account.save()
    settings.MCDASH_FIELD_KEYS = [new]
    account.refresh_from_db()
    assert account.secret.reveal() == PLAIN


def test_a_lost_key_lists_accounts_and_says_what_to_do_when_used(
    settings: Settings,
) -> None:
    AccountFactory.create(secret=PLAIN, name="DE")
    settings.MCDASH_FIELD_KEYS = [new_key()]
    account = Account.objects.get(name="DE")
    with pytest.raises(LostKeyError, match="MCDASH_FIELD_KEYS") as caught:
        account.secret.reveal()
    assert PLAIN not in str(caught.value)


def test_a_broken_stored_text_is_a_lost_key_too() -> None:
    with pytest.raises(LostKeyError):
        Secret("not a token").reveal()


def test_tokens_are_encrypted_as_secrets_are() -> None:
    token = AccountTokenFactory.create(token="eyJ-access")
    with connection.cursor() as cursor:
        cursor.execute("SELECT token FROM imports_accounttoken")
        assert "eyJ-access" not in cursor.fetchone()[0]
    token.refresh_from_db()
    assert token.token.reveal() == "eyJ-access"


def test_an_empty_secret_is_no_secret() -> None:
    assert Secret.hide("x")
    assert not Secret("")


def test_which_key_opens_a_secret_is_known(settings: Settings) -> None:
    old, new, other = new_key(), new_key(), new_key()
    settings.MCDASH_FIELD_KEYS = [old]
    secret = Secret.hide(PLAIN)
    settings.MCDASH_FIELD_KEYS = [new, old]
    assert secret.key_position() == 2
    assert secret.rotated().key_position() == 1
    settings.MCDASH_FIELD_KEYS = [other]
    assert secret.key_position() is None


@pytest.mark.parametrize("kind", [{}, {"username_token": True}])
def test_nothing_that_stands_for_an_account_shows_its_secret(
    kind: dict[str, bool],
) -> None:
    account = AccountFactory.create(secret=PLAIN, **kind)
    token = AccountTokenFactory.create(account=account, token=f"{PLAIN}-token")
    client = connect(account)
    store = DatabaseTokenStore(account)
    shown: list[object] = [
        *(account, vars(account), token, vars(token), client, store, store.current()),
        _credentials(account),
        *vars(client).values(),
        AuthenticationError("Refused."),
    ]
    for thing in shown:
        for text in (repr(thing), str(thing), f"{thing}", pformat(thing)):
            assert PLAIN not in text
            assert account.secret.ciphertext not in text


def test_an_error_says_nothing_of_the_secret_that_it_is_about(
    settings: Settings,
) -> None:
    account = AccountFactory.create(secret=PLAIN)
    ciphertext = account.secret.ciphertext
    settings.MCDASH_FIELD_KEYS = [new_key()]
    with pytest.raises(LostSecretError) as caught:
        connect(account)
    told = "".join(format_exception(caught.value))
    assert "MCDASH_FIELD_KEYS" in told
    assert PLAIN not in told
    assert ciphertext not in told
