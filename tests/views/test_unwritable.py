"""Sessions, banners and health while the database can be read but not written."""

from __future__ import annotations

import uuid
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
import time_machine
from django.conf import settings
from django.contrib.sessions.middleware import SessionMiddleware
from django.contrib.sessions.models import Session
from django.db import DatabaseError, OperationalError
from django.test import Client
from pytest_django import Settings

from imports import middleware as session_middleware
from imports.admin import accounts as accounts_admin
from imports.middleware import SEEN_AT
from imports.models import STORAGE, Account, AuditEntry, ImportRun, User
from imports.usecases import start as starting
from imports.usecases.accounts import save_account
from imports.usecases.start import start_import
from tests.factories import (
    DIGEST,
    AccountFactory,
    ImportDefinitionFactory,
    UserFactory,
)
from tests.unwritable import unwritable

from .reading import HTMX, client_of, content, part, poll, reader, words

pytestmark = pytest.mark.django_db
PASSWORD = "a long pass phrase"
START = datetime(2026, 3, 12, 9, 14, tzinfo=UTC)
IDLE, WHOLE = timedelta(hours=8), timedelta(days=7)
MINUTE, SECOND = timedelta(minutes=1), timedelta(seconds=1)
PAGE, POLL = "/accounts/", "/accounts/?since=1"
TOLD = "The database cannot be written since"


@pytest.fixture
def person() -> User:
    made: User = UserFactory.create(username="ana", password=PASSWORD)
    return made


@pytest.fixture(autouse=True)
def clock() -> Iterator[Any]:
    with time_machine.travel(START, tick=False) as traveller:
        yield traveller


def seen_at() -> int:
    (session,) = Session.objects.all()
    return int(session.get_decoded()[SEEN_AT])


def test_a_page_is_served_though_its_use_cannot_be_noted(
    person: User, clock: Any, caplog_imports: pytest.LogCaptureFixture
) -> None:
    client = client_of(person)
    noted = seen_at()
    with unwritable():
        for _ in range(5):
            clock.shift(2 * MINUTE)
            answer = client.get(PAGE)
            assert answer.status_code == 200
            assert settings.SESSION_COOKIE_NAME not in answer.cookies
    assert seen_at() == noted
    assert caplog_imports.text.count(TOLD) == 1
    assert "logged out" not in caplog_imports.text


def test_once_the_database_is_well_use_is_noted_again_and_the_log_says_so_once(
    person: User, clock: Any, caplog_imports: pytest.LogCaptureFixture
) -> None:
    client = client_of(person)
    with unwritable():
        clock.shift(2 * MINUTE)
        client.get(PAGE)
    for _ in range(3):
        clock.shift(2 * MINUTE)
        client.get(PAGE)
    assert datetime.fromtimestamp(seen_at(), UTC) == START + 8 * MINUTE
    assert STORAGE.unwritable_since is None
    assert caplog_imports.text.count("The database can be written again") == 1


def test_nobody_waits_again_and_again_for_a_database_that_just_refused(
    person: User, clock: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    clients = [client_of(person) for _ in range(3)]
    clock.shift(2 * MINUTE)
    tries = []

    def locked(*_: object) -> None:
        tries.append(1)
        raise OperationalError

    monkeypatch.setattr(session_middleware, "brief_transaction", locked)
    for client in clients:
        assert client.get(PAGE).status_code == 200
    assert len(tries) == 1


def test_somebody_who_reads_is_not_signed_out_while_nobody_can_sign_in(
    person: User, clock: Any
) -> None:
    client = client_of(person)
    with unwritable():
        for _ in range(3):
            clock.shift(IDLE - MINUTE)
            assert client.get(PAGE).status_code == 200


def test_a_session_that_nobody_uses_ends_all_the_same(person: User, clock: Any) -> None:
    client = client_of(person)
    with unwritable():
        clock.shift(IDLE - MINUTE)
        assert client.get(POLL, headers=HTMX).status_code != 401
        clock.shift(MINUTE + SECOND)
        answer = client.get(PAGE)
        assert answer.status_code == 302
        assert answer.headers["Location"].startswith("/login/")
        assert client.cookies[settings.SESSION_COOKIE_NAME].value == ""
    assert Session.objects.exists()


def test_a_session_that_ended_stays_ended_though_its_row_could_not_be_deleted(
    person: User, clock: Any
) -> None:
    client = client_of(person)
    key = client.cookies[settings.SESSION_COOKIE_NAME].value
    with unwritable():
        clock.shift(IDLE + SECOND)
        client.get(PAGE)
    client.cookies[settings.SESSION_COOKIE_NAME] = key
    assert client.get(PAGE).status_code == 302
    assert not Session.objects.exists()


def test_a_session_ends_a_week_after_the_sign_in_however_it_is_used(
    person: User, clock: Any
) -> None:
    client = client_of(person)
    with unwritable():
        while clock.shift(IDLE - MINUTE) or datetime.now(UTC) - START < WHOLE:
            assert client.get(PAGE).status_code == 200
        assert client.get(PAGE).status_code == 302


def test_a_session_that_was_deleted_elsewhere_is_signed_out(
    person: User, clock: Any
) -> None:
    client = client_of(person)
    Session.objects.all().delete()
    with unwritable():
        clock.shift(2 * MINUTE)
        assert client.get(PAGE).status_code == 302


def test_how_many_uses_are_remembered_is_bounded(
    person: User, clock: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(session_middleware, "MOST_REMEMBERED", 2)
    monkeypatch.setattr(session_middleware, "_unsaved_use", {})
    clients = [client_of(person) for _ in range(4)]
    with unwritable():
        clock.shift(2 * MINUTE)
        for client in clients:
            client.get(PAGE)
    name = settings.SESSION_COOKIE_NAME
    last = [client.cookies[name].value for client in clients[2:]]
    assert list(session_middleware._unsaved_use) == last


def test_a_sign_in_that_cannot_be_kept_is_none(
    person: User, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The disk becomes full between the view and the end of the request."""
    real = SessionMiddleware.process_response

    def full(*args: Any) -> Any:
        with unwritable():
            return real(*args)

    client = Client()
    monkeypatch.setattr(SessionMiddleware, "process_response", full)
    answer = client.post("/login/", {"username": "ana", "password": PASSWORD})
    assert answer.status_code == 503
    assert "can’t save anything right now" in words(answer)
    assert not client.cookies.get(settings.SESSION_COOKIE_NAME)


def test_a_deed_that_was_done_is_told_of_though_its_toast_cannot_be_kept(
    person: User, monkeypatch: pytest.MonkeyPatch
) -> None:
    account = AccountFactory.create()
    client = reader(account)
    definition = ImportDefinitionFactory.create(account=account)
    real = SessionMiddleware.process_response

    def full(*args: Any) -> Any:
        with unwritable():
            return real(*args)

    monkeypatch.setattr(SessionMiddleware, "process_response", full)
    form = {"request_token": str(uuid.uuid4()), "digest": DIGEST}
    answer = client.post(f"/definitions/{definition.pk}/start/", form)
    run = ImportRun.objects.get()
    assert answer.status_code == 302
    assert answer.headers["Location"] == f"/runs/{run.pk}/"
    assert "Cookie" in answer.headers["Vary"]


def test_a_message_that_was_shown_but_not_forgotten_is_shown_again(
    clock: Any,
) -> None:
    account = AccountFactory.create()
    client = reader(account)
    for _ in range(2):  # the second press is told that the first one counts
        client.post("/definitions/sync/", {"account": account.pk})
    with unwritable():
        first, second = (client.get(PAGE) for _ in range(2))
    clock.shift(MINUTE)
    for page in (first, second, client.get(PAGE)):
        assert page.status_code == 200
        assert content(page).count('class="toast"') == 1
    assert 'class="toast"' not in content(client.get(PAGE))


def test_each_page_and_its_poll_say_since_when_nothing_can_be_saved(
    person: User, clock: Any, settings: Settings
) -> None:
    client = reader(AccountFactory.create())
    administrator = client_of(UserFactory.create(is_staff=True, is_superuser=True))
    shown = client.get("/")
    assert "save anything" not in words(shown)
    assert "save anything" not in words(administrator.get("/admin/"))
    with unwritable():
        STORAGE.ask()
        answer = poll(client, shown)
        told = "mcdash hasn’t been able to save anything since 09:14."
        assert told in words(answer)
        assert "The worker hasn’t responded" not in part(answer, "banner")
        for page in ("/", "/runs/", "/definitions/", "/profile/"):
            assert told in words(client.get(page))
        assert told in words(administrator.get("/admin/"))
        assert told in words(Client().get("/login/"))
        assert poll(client, answer).status_code == 204
        clock.shift(timedelta(days=1))
        assert "since 12 Mar, 09:14" in words(Client().get("/login/"))
    STORAGE.ask()
    assert "save anything" not in words(poll(client, answer))


def test_health_says_since_when_and_takes_no_page_away() -> None:
    client = Client()
    with unwritable():
        STORAGE.ask()
        answer = client.get("/healthz")
        worker = client.get("/healthz/worker")
        measures = client.get("/metrics", headers={"host": "127.0.0.1:8000"})
    assert answer.status_code == 200
    told = answer.json()
    assert told["status"] == "degraded"
    assert told["database"] == "cannot be written"
    assert told["since"] == "2026-03-12T09:14:00Z"
    assert worker.status_code == 503
    assert words(worker) == (
        "The database cannot be written since 2026-03-12T09:14:00Z: no worker can "
        "start or follow anything."
    )
    assert "\nmcdash_database_writable 0.0\n" in content(measures)
    STORAGE.note_success()


def test_what_was_queued_before_the_database_refused_is_told_of(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    account = AccountFactory.create()
    chosen = [ImportDefinitionFactory.create(account=account) for _ in range(3)]
    real = start_import

    def refuse_the_second(**asked: Any) -> Any:
        if asked["definition"] == chosen[1]:
            raise OperationalError
        return real(**asked)

    monkeypatch.setattr(starting, "start_import", refuse_the_second)
    outcomes = starting.start_imports(
        definitions=chosen,
        started_by=UserFactory.create(is_superuser=True),
        batch=uuid.uuid4(),
    )
    assert [outcome.run is not None for outcome in outcomes] == [True, False, False]
    assert [outcome.problem for outcome in outcomes[1:]] == [starting.PERHAPS_SAVED] * 2
    assert ImportRun.objects.count() == 1


def test_where_nothing_was_queued_yet_the_refusal_is_the_answer(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    def refuse(**_: Any) -> Any:
        raise OperationalError

    monkeypatch.setattr(starting, "start_import", refuse)
    with pytest.raises(DatabaseError):
        starting.start_imports(
            definitions=[ImportDefinitionFactory.create()],
            started_by=UserFactory.create(),
            batch=uuid.uuid4(),
        )


@pytest.mark.parametrize("path", ["/runs/", "/login/?next=/"])
def test_a_database_that_is_gone_answers_503_with_a_page(
    person: User, monkeypatch: pytest.MonkeyPatch, path: str
) -> None:
    client = client_of(person)
    client.raise_request_exception = False

    def gone(*_: object, **__: object) -> None:
        raise OperationalError("could not connect to 10.1.1.1 as mcdash")

    monkeypatch.setattr("imports.signin.SessionStore.load", gone)
    answer = client.get(path)
    assert answer.status_code == 503
    assert "This isn’t possible right now" in words(answer)
    assert "look in the History" in words(answer)
    assert "10.1.1.1" not in content(answer)


def test_another_error_stays_an_error_of_ours(
    person: User, monkeypatch: pytest.MonkeyPatch
) -> None:
    client = client_of(person)
    client.raise_request_exception = False

    def mistaken(*_: object) -> None:
        raise DatabaseError("no such column")

    monkeypatch.setattr("imports.views.people.render", mistaken)
    assert client.get("/profile/").status_code == 500
    assert not AuditEntry.objects.filter(action="signed_out").exists()


def test_starts_are_paused_in_all_chosen_accounts_or_in_none(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """The refusal says that nothing was changed, so that has to be true."""
    accounts = [AccountFactory.create() for _ in range(3)]
    client = client_of(UserFactory.create(is_staff=True, is_superuser=True))
    real, saved = save_account, []

    def full_at_the_third(**asked: Any) -> Any:
        saved.append(asked["account"])
        if len(saved) == 3:
            raise OperationalError
        return real(**asked)

    monkeypatch.setattr(accounts_admin, "save_account", full_at_the_third)
    form = {"action": "pause_starts", "_selected_action": [one.pk for one in accounts]}
    answer = client.post("/admin/imports/account/", form)
    assert answer.status_code == 503
    assert len(saved) == 3
    assert not Account.objects.filter(starts_paused=True).exists()
