"""Guessing passwords is slowed down, without a stranger locking anybody out."""

from __future__ import annotations

import logging
import re
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
import time_machine
from axes.models import AccessAttempt, AccessLog
from django.contrib import admin as site
from django.test import Client, RequestFactory
from pytest_django import Settings

from imports.models import User
from imports.signin import throttled_address
from tests.factories import UserFactory

from .reading import content, words

pytestmark = pytest.mark.django_db
RIGHT, WRONG = "a long pass phrase", "not the pass phrase"
HERE, THERE = "203.0.113.9", "198.51.100.7"
LOGIN, ADMIN = "/login/", "/admin/login/"
LIMIT, WIDER = 5, 50


@pytest.fixture
def person() -> User:
    made: User = UserFactory.create(username="ana", password=RIGHT, is_staff=True)
    return made


def attempt(
    name: str = "ana",
    password: str = WRONG,
    *,
    address: str = HERE,
    page: str = LOGIN,
    **meta: Any,
) -> Any:
    return Client(REMOTE_ADDR=address).post(
        page, {"username": name, "password": password}, **meta
    )


def fail(times: int = LIMIT, **how: Any) -> Any:
    for _ in range(times):
        answer = attempt(**how)
    return answer


def is_let_in(**how: Any) -> bool:
    return bool(attempt(password=RIGHT, **how).status_code == 302)


@pytest.mark.usefixtures("person")
@pytest.mark.parametrize("page", [LOGIN, ADMIN])
def test_after_five_failures_even_the_right_password_is_refused(page: str) -> None:
    assert fail(LIMIT - 1, page=page).status_code == 200
    assert fail(1, page=page).status_code == 429
    assert not is_let_in(page=page)
    assert not is_let_in(page=LOGIN)
    assert attempt(password=RIGHT, page=page).status_code == 429


@pytest.mark.usefixtures("person")
def test_four_failures_lock_nobody_out() -> None:
    fail(LIMIT - 1)
    assert is_let_in()


@pytest.mark.usefixtures("person")
def test_a_stranger_locks_nobody_out_elsewhere() -> None:
    fail(LIMIT + 1, address=THERE)
    assert not is_let_in(address=THERE)
    assert is_let_in(address=HERE)


def test_another_name_may_sign_in_from_the_same_address(person: User) -> None:
    UserFactory.create(username="ben", password=RIGHT)
    fail()
    assert is_let_in(name="ben")


@pytest.mark.usefixtures("person")
def test_guessing_over_many_names_closes_the_address_for_all() -> None:
    for number in range(WIDER - 1):
        assert attempt(name=f"name{number}").status_code == 200
    assert attempt(name="the last").status_code == 429
    assert not is_let_in()
    assert is_let_in(address=THERE)


@pytest.mark.usefixtures("person")
def test_a_right_password_clears_its_own_name_only() -> None:
    UserFactory.create(username="mallory", password=RIGHT)
    fail(LIMIT - 1)
    assert is_let_in(name="mallory")
    assert fail(1).status_code == 429


@pytest.mark.usefixtures("person")
def test_a_right_password_forgets_the_failures_before_it() -> None:
    fail(LIMIT - 1)
    assert is_let_in()
    assert fail(LIMIT - 1).status_code == 200


@pytest.mark.usefixtures("person")
def test_a_closed_door_opens_after_the_cool_off_whoever_knocks_meanwhile() -> None:
    start = datetime(2026, 3, 12, 9, 0, tzinfo=UTC)
    with time_machine.travel(start, tick=False) as clock:
        fail()
        for _ in range(14):
            clock.shift(timedelta(minutes=1))
            assert attempt(password=RIGHT).status_code == 429
        clock.shift(timedelta(minutes=1, seconds=1))
        assert is_let_in()


@pytest.mark.usefixtures("person")
def test_the_page_says_when_to_try_again() -> None:
    start = datetime(2026, 3, 12, 9, 0, tzinfo=UTC)
    with time_machine.travel(start, tick=False) as clock:
        first = fail()
        clock.shift(timedelta(minutes=13, seconds=30))
        second = attempt()
    assert "Try again in 15 minutes." in words(first)
    assert first.headers["Retry-After"] == "900"
    assert "Try again in 2 minutes." in words(second)
    assert second.headers["Retry-After"] == "90"
    assert "no-store" in first.headers["Cache-Control"]


def test_the_wider_limit_opens_as_its_failures_are_forgotten() -> None:
    start = datetime(2026, 3, 12, 9, 0, tzinfo=UTC)
    with time_machine.travel(start, tick=False) as clock:
        for number in range(10):
            attempt(name=f"early{number}")
        clock.shift(timedelta(minutes=10))
        for number in range(WIDER - 10):
            answer = attempt(name=f"late{number}")
        assert answer.status_code == 429
        assert answer.headers["Retry-After"] == "300"
        clock.shift(timedelta(seconds=301))
        assert attempt(name="another").status_code == 200


@pytest.mark.usefixtures("person")
def test_a_name_that_does_not_exist_is_answered_alike() -> None:
    start = datetime(2026, 3, 12, 9, 0, tzinfo=UTC)
    with time_machine.travel(start, tick=False):
        known = [attempt(name="ana") for _ in range(LIMIT + 1)]
        unknown = [attempt(name="eva", address=THERE) for _ in range(LIMIT + 1)]
    for one, other in zip(known, unknown, strict=True):
        assert one.status_code == other.status_code
        assert normalised(one) == normalised(other).replace("eva", "ana")
        assert set(one.headers) == set(other.headers)


def normalised(answer: Any) -> str:
    return re.sub(
        r'(csrfmiddlewaretoken" value="|X-CSRFToken": ")\w+', "", content(answer)
    )


@pytest.mark.usefixtures("person")
def test_nobody_gets_another_try_by_claiming_another_address() -> None:
    for number in range(LIMIT):
        answer = attempt(
            HTTP_X_FORWARDED_FOR=f"192.0.2.{number}", HTTP_USER_AGENT=f"agent {number}"
        )
    assert answer.status_code == 429


@pytest.mark.usefixtures("person")
def test_behind_a_trusted_proxy_the_client_is_counted_and_not_the_proxy(
    settings: Settings,
) -> None:
    settings.MCDASH_TRUSTED_PROXIES = ["10.0.0.1"]
    guesser: dict[str, Any] = {
        "address": "10.0.0.1",
        "HTTP_X_FORWARDED_FOR": f"192.0.2.1, {THERE}",
    }
    assert fail(**guesser).status_code == 429
    assert not is_let_in(**guesser)
    assert is_let_in(address="10.0.0.1", HTTP_X_FORWARDED_FOR=HERE)


@pytest.mark.parametrize(
    ("address", "counted"),
    [
        ("203.0.113.9", "203.0.113.9"),
        ("::ffff:203.0.113.9", "203.0.113.9"),
        ("2001:db8:1:2:3:4:5:6", "2001:db8:1:2::"),
        ("2001:db8:1:2:ffff::1", "2001:db8:1:2::"),
        ("::1", "::"),
        ("", None),
        ("unix:", None),
    ],
)
def test_whoever_has_a_network_has_one_address(
    address: str, counted: str | None
) -> None:
    request = RequestFactory().get("/", REMOTE_ADDR=address)
    assert throttled_address(request) == counted


@pytest.mark.usefixtures("person")
def test_without_an_address_the_limits_hold_too() -> None:
    assert fail(address="").status_code == 429
    assert not is_let_in(address="")


def test_nothing_that_was_typed_is_kept_but_the_name(
    person: User, caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(logging.getLogger("axes"), "propagate", True)
    monkeypatch.setattr(logging.getLogger("axes"), "level", logging.DEBUG)
    with caplog.at_level(logging.DEBUG):
        for _ in range(LIMIT):
            Client(REMOTE_ADDR=HERE).post(
                f"{LOGIN}?next=/t0ken-in-the-address/",
                {"username": "ana", "password": "s3cret-typed", "pin": "p1n-typed"},
            )
        attempt(name="s3cret-typed as a name")
    kept = list(AccessAttempt.objects.filter(username="ana").values())
    assert kept[0]["failures_since_start"] == LIMIT
    for word in ("s3cret", "p1n", "t0ken"):
        assert word not in str(kept)
    # a password typed into the field of the name is in no log
    assert "Repeated login failure" in caplog.text
    assert HERE in caplog.text
    assert "s3cret-typed" not in caplog.text
    assert "p1n" not in caplog.text


def test_signing_in_keeps_no_second_log(person: User) -> None:
    assert is_let_in()
    assert not AccessLog.objects.exists()
    assert not AccessAttempt.objects.exists()


def test_the_counts_have_no_page_in_the_administration() -> None:
    labels = {model._meta.app_label for model in site.site._registry}
    assert "axes" not in labels


def test_polite_mistakes_are_no_guesses(person: User) -> None:
    for fields in ({"username": "ana"}, {"password": WRONG}, {"username": "x" * 200}):
        for _ in range(LIMIT + 1):
            answer = Client(REMOTE_ADDR=HERE).post(LOGIN, fields)
            assert answer.status_code == 200
    assert is_let_in()
