"""Queries that are built once and asked many times."""

from __future__ import annotations

import threading
from datetime import timedelta

import pytest
from django.contrib.sessions.models import Session
from django.db import connection, models
from django.db.models import F, Value
from django.utils import timezone

from imports.models import Account, User
from imports.models.database import BuiltQuery, Given
from imports.signin import PasswordBackend, SessionStore
from tests.factories import AccountFactory, UserFactory

pytestmark = pytest.mark.django_db


def accounts_from(first: int | Given) -> models.QuerySet[Account, tuple[object, ...]]:
    """With columns that SQLite keeps otherwise than Python: moments and truths."""
    columns = ("pk", "name", "is_active", "last_contact_at", F("revision") + Value(1))
    accounts = Account.objects.filter(pk__gte=first, pk__lt=10**6)
    return accounts.order_by("pk").values_list(*columns)


def built() -> BuiltQuery:
    return BuiltQuery(accounts_from(Given("first", models.BigAutoField())))


def test_a_built_query_gives_what_django_gives_for_each_value() -> None:
    AccountFactory.create(last_contact_at=timezone.now())
    last = AccountFactory.create(is_active=False)
    query = built()
    for first in (0, last.pk, last.pk + 1):
        assert query.rows(first=first) == list(accounts_from(first))


@pytest.mark.skipif(
    "connection.vendor == 'sqlite'", reason="a test's SQLite is its thread's own"
)
def test_a_built_query_is_asked_by_other_threads() -> None:
    query, seen = built(), []

    def ask() -> None:
        seen.append(query.rows(first=0))
        connection.close()

    thread = threading.Thread(target=ask)
    thread.start()
    thread.join()
    assert seen == [[]]  # what this test writes is not committed


def test_a_session_that_is_over_or_unknown_is_empty_and_has_no_key() -> None:
    session = SessionStore()
    session["fact"] = 1
    session.save()
    key = session.session_key
    assert SessionStore(key).load() == {"fact": 1}
    Session.objects.update(expire_date=timezone.now() - timedelta(seconds=1))
    for lost in (SessionStore(key), SessionStore("x" * 32)):
        assert lost.load() == {}
        assert lost.session_key is None


def test_who_is_signed_in_is_loaded_as_django_does() -> None:
    person, gone = UserFactory.create(), UserFactory.create(is_active=False)
    backend = PasswordBackend()
    loaded = backend.get_user(person.pk)
    assert loaded is not None
    facts = [vars(User.objects.get(pk=person.pk)), vars(loaded)]
    stored, given = ({n: v for n, v in each.items() if n != "_state"} for each in facts)
    assert given == stored
    assert not loaded._state.adding
    assert backend.get_user(gone.pk) is None
    assert backend.get_user(gone.pk + 1) is None
