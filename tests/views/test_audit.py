"""Who did what, and from where: what the audit keeps of people at the pages."""

from __future__ import annotations

import logging
from typing import Any
from uuid import uuid4

import pytest
from django.contrib.auth import authenticate
from django.test import Client, RequestFactory
from pytest_django import Settings

from imports import signin
from imports.models import (
    AccessLevel,
    Account,
    AuditEntry,
    EventKind,
    ImportDefinition,
    ImportRun,
    User,
)
from imports.signin import address_of
from imports.usecases import people as change_password_room
from tests.factories import (
    AccountFactory,
    ImportDefinitionFactory,
    ImportRunFactory,
    RunEventFactory,
    UserFactory,
    grant,
)

pytestmark = pytest.mark.django_db
PASSWORD = "a long pass phrase"
HOME = "203.0.113.7"


@pytest.fixture(autouse=True)
def no_guard(settings: Settings) -> None:
    """These tests fail to sign in more often than a person may."""
    settings.AXES_ENABLED = False


@pytest.fixture
def ana() -> User:
    made: User = UserFactory.create(
        username="ana", first_name="Ana", last_name="Ruiz", password=PASSWORD
    )
    return made


@pytest.fixture
def account(ana: User) -> Account:
    account = AccountFactory.create(name="Nordlicht DE")
    grant(ana, account, AccessLevel.START)
    return account


@pytest.fixture
def definition(account: Account) -> ImportDefinition:
    return ImportDefinitionFactory.create(account=account, name="Customers daily")


@pytest.fixture
def browser(ana: User) -> Client:
    """Ana's, whose sign-in is not what is looked at."""
    client = Client(REMOTE_ADDR=HOME)
    client.force_login(ana)
    AuditEntry.objects.all().delete()
    return client


def sign_in(name: str, password: str, page: str = "/login/", **more: Any) -> Client:
    client = Client(**{"REMOTE_ADDR": HOME, **more})
    client.post(page, {"username": name, "password": password})
    return client


def only() -> AuditEntry:
    return AuditEntry.objects.get()


def everything_kept() -> str:
    return str(list(AuditEntry.objects.values()))


# coming and going


@pytest.mark.parametrize("page", ["/login/", "/admin/login/?next=/admin/"])
def test_who_signed_in_is_kept_with_the_address(ana: User, page: str) -> None:
    User.objects.update(is_staff=True)
    sign_in("ana", PASSWORD, page)
    entry = only()
    assert (entry.action, entry.actor, entry.actor_name) == (
        "signed_in",
        ana,
        "Ana Ruiz",
    )
    assert (entry.object_label, entry.ip) == ("ana", HOME)
    assert PASSWORD not in everything_kept()


def test_who_signed_out_is_kept(ana: User, browser: Client) -> None:
    browser.post("/logout/")
    assert (only().action, only().actor, only().ip) == ("signed_out", ana, HOME)


def test_a_stranger_who_signs_out_leaves_nothing() -> None:
    Client().post("/logout/")
    assert not AuditEntry.objects.exists()


@pytest.mark.parametrize("name", ["ana", "nobody"])
@pytest.mark.usefixtures("ana")
def test_a_failed_sign_in_is_kept_with_the_name_as_typed(name: str) -> None:
    sign_in(name, "a wrong pass phrase")
    entry = only()
    assert (entry.action, entry.object_label, entry.ip) == (
        "sign_in_failed",
        name,
        HOME,
    )
    assert (entry.actor, entry.actor_name) == (None, "")
    assert "wrong pass phrase" not in everything_kept()


def test_of_the_name_no_more_is_kept_than_a_name_has() -> None:
    authenticate(RequestFactory().get("/"), username="x" * 10_000, password="y")
    assert only().object_label == "x" * 150


def test_what_cannot_be_seen_in_a_typed_name_is_written_out() -> None:
    name = "a\x1b[2Jc\n\u202ed"
    authenticate(RequestFactory().get("/"), username=name, password="y")
    assert only().object_label == r"a\x1b[2Jc\n\u202ed"
    signin.note_failure({"username": "b\x00\ud800"})
    assert AuditEntry.objects.filter(object_label=r"b\x00\ud800").exists()


def test_without_a_request_or_a_name_a_failure_is_kept_all_the_same() -> None:
    authenticate(username="ana", password="y")
    authenticate(RequestFactory().get("/"), unknown="x")
    labels = AuditEntry.objects.values_list("object_label", "ip").order_by("id")
    assert list(labels) == [("ana", None), ("", "127.0.0.1")]


def test_one_address_fills_the_audit_with_failures_up_to_a_limit(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(signin, "FAILURES_KEPT_AN_HOUR", 3)
    for number in range(6):
        sign_in(f"name{number}", "x")
    sign_in("other", "x", REMOTE_ADDR="198.51.100.1")
    kept = AuditEntry.objects.order_by("id")
    assert [entry.object_label for entry in kept] == [
        "name0",
        "name1",
        "name2",
        "other",
    ]
    assert "not kept" in kept[2].details["further"]


def test_an_attempt_that_the_guard_turned_away_is_told_apart(
    ana: User, settings: Settings
) -> None:
    settings.AXES_ENABLED = True
    for _ in range(settings.AXES_FAILURE_LIMIT + 1):
        sign_in("ana", "x")
    assert AuditEntry.objects.order_by("id").last().details == {"locked_out": True}  # type: ignore[union-attr]  # there is one
    assert AuditEntry.objects.order_by("id")[0].details == {}


def test_nobody_signs_in_where_that_cannot_be_kept(
    ana: User, monkeypatch: pytest.MonkeyPatch
) -> None:
    def fail(**_: Any) -> None:
        raise OSError("the disk is full")

    monkeypatch.setattr(signin, "record_audit", fail)
    client = Client(raise_request_exception=False)
    logging.getLogger("django.request").disabled = True
    answer = client.post("/login/", {"username": "ana", "password": PASSWORD})
    logging.getLogger("django.request").disabled = False
    assert answer.status_code == 500
    assert client.get("/accounts/").status_code == 302


# the password


@pytest.mark.parametrize("page", ["/password_change/", "/admin/password_change/"])
def test_a_changed_password_is_kept_as_a_deed_and_never_in_words(
    ana: User, browser: Client, page: str
) -> None:
    User.objects.update(is_staff=True)
    new = "another long pass phrase"
    form = {"old_password": PASSWORD, "new_password1": new, "new_password2": new}
    answer = browser.post(page, form, follow=True)
    assert "Your password was changed" in answer.content.decode()
    ana.refresh_from_db()
    assert ana.check_password(new)
    assert (only().action, only().actor, only().ip) == ("password_changed", ana, HOME)
    assert new not in everything_kept()
    assert PASSWORD not in everything_kept()


def test_a_refused_password_leaves_no_entry(browser: Client) -> None:
    browser.post("/password_change/", {"old_password": "wrong"})
    assert not AuditEntry.objects.exists()


def test_a_password_stays_where_its_change_cannot_be_kept(
    ana: User, monkeypatch: pytest.MonkeyPatch
) -> None:
    def fail(**_: Any) -> None:
        raise OSError("the disk is full")

    monkeypatch.setattr(change_password_room, "record_audit", fail)
    with pytest.raises(OSError, match="disk"):
        change_password_room.change_password(person=ana, password="new", ip=None)
    ana.refresh_from_db()
    assert ana.check_password(PASSWORD)


# runs


def test_a_start_is_kept_once_however_often_it_is_pressed(
    browser: Client, ana: User, definition: ImportDefinition
) -> None:
    form = {"request_token": str(uuid4()), "digest": definition.digest}
    for _ in range(2):
        browser.post(f"/definitions/{definition.pk}/start/", form)
    entry, run = only(), ImportRun.objects.get()
    assert (entry.action, entry.actor, entry.ip) == ("run_started", ana, HOME)
    assert (entry.object_type, entry.object_id) == ("importrun", str(run.pk))
    assert entry.object_label == f"Run {run.pk}: Customers daily"
    assert entry.account == definition.account
    assert entry.details == {"origin": "dashboard"}


def test_starting_several_leaves_an_entry_each_with_their_batch(
    browser: Client, definition: ImportDefinition
) -> None:
    other = ImportDefinitionFactory.create(account=definition.account)
    batch = str(uuid4())
    chosen = [f"{one.pk}:{one.digest}" for one in (definition, other)]
    browser.post("/definitions/start/", {"batch": batch, "chosen": chosen})
    kept = AuditEntry.objects.order_by("id")
    assert [entry.action for entry in kept] == ["run_started"] * 2
    assert {entry.details["batch"] for entry in kept} == {batch}
    assert {entry.ip for entry in kept} == {HOME}


def test_what_is_done_about_a_run_is_kept(
    browser: Client, ana: User, definition: ImportDefinition
) -> None:
    def a_run(**how: Any) -> ImportRun:
        one = ImportDefinitionFactory.create(account=definition.account)
        return ImportRunFactory.create(definition=one, **how)

    queued, lost, unknown, other = (
        a_run(queued=True),
        a_run(lost=True),
        a_run(unknown=True),
        a_run(unknown=True),
    )
    for run in (unknown, other):
        found = [{"task_id": f"{run.pk}0{n}"} for n in (1, 2)]
        RunEventFactory.create(
            run=run, kind=EventKind.LOOKED, details={"candidates": found}
        )
    browser.post(f"/runs/{queued.pk}/cancel/")
    browser.post(f"/runs/{lost.pk}/check-again/")
    browser.post(f"/runs/{unknown.pk}/choose/", {"task": f"{unknown.pk}01"})
    browser.post(f"/runs/{other.pk}/choose/", {"task": "none"})
    kept = AuditEntry.objects.order_by("id")
    assert [(entry.action, entry.object_id) for entry in kept] == [
        ("run_cancelled", str(queued.pk)),
        ("run_checked_again", str(lost.pk)),
        ("task_chosen", str(unknown.pk)),
        ("task_chosen", str(other.pk)),
    ]
    assert kept[2].details == {"task_id": f"{unknown.pk}01"}
    assert kept[3].details == {"none_of": [f"{other.pk}01", f"{other.pk}02"]}
    assert {(entry.actor, entry.ip) for entry in kept} == {(ana, HOME)}


def test_a_deed_that_was_refused_leaves_no_entry(
    browser: Client, definition: ImportDefinition
) -> None:
    run = ImportRunFactory.create(definition=definition, running=True)
    for deed in ("cancel", "check-again", "choose"):
        browser.post(f"/runs/{run.pk}/{deed}/", {"task": "1"})
    form = {"request_token": str(uuid4()), "digest": definition.digest}
    browser.post(f"/definitions/{definition.pk}/start/", form)
    assert not AuditEntry.objects.exists()


# from where


@pytest.mark.parametrize(
    ("remote", "kept"),
    [
        ("203.0.113.7", "203.0.113.7"),
        ("2001:db8::9", "2001:db8::9"),
        ("::ffff:203.0.113.7", "203.0.113.7"),
        ("fe80::1%eth0", "fe80::1"),
        ("", None),
        ("unix:", None),
    ],
)
def test_the_address_is_one_that_every_database_takes(
    remote: str, kept: str | None
) -> None:
    assert address_of(RequestFactory().get("/", REMOTE_ADDR=remote)) == kept


def test_behind_a_trusted_proxy_the_address_is_the_clients(
    ana: User, settings: Settings
) -> None:
    settings.MCDASH_TRUSTED_PROXIES = ["10.0.0.0/8"]
    forwarded = {"HTTP_X_FORWARDED_FOR": "198.51.100.1, 203.0.113.9"}
    sign_in("ana", PASSWORD, REMOTE_ADDR="10.1.2.3", **forwarded)
    assert only().ip == "203.0.113.9"


def test_what_a_stranger_claims_of_the_address_is_not_believed(ana: User) -> None:
    sign_in("ana", PASSWORD, HTTP_X_FORWARDED_FOR="198.51.100.1")
    assert only().ip == HOME
