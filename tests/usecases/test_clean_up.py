"""What nobody needs any more is removed, once an hour."""

from __future__ import annotations

from datetime import timedelta

import pytest
from django.contrib.sessions.models import Session

from imports.models import Lease, Worker, database_now
from imports.usecases import upkeep
from imports.usecases.upkeep import clean_up
from tests.factories import WorkerFactory

pytestmark = pytest.mark.django_db


def add_session(key: str, **left: float) -> None:
    until = database_now() + timedelta(**left)
    Session.objects.create(session_key=key, session_data="", expire_date=until)


def test_expired_sessions_are_removed_and_others_stay(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(upkeep, "CLEAN_UP_BATCH", 2)
    for number in range(5):
        add_session(f"old{number}", seconds=-1)
    add_session("in use", minutes=1)
    assert clean_up() == 5
    assert Session.objects.get().session_key == "in use"


def test_workers_that_have_not_responded_for_a_week_are_removed() -> None:
    now = database_now()
    WorkerFactory.create(holder="a:1:a", seen_at=now - timedelta(days=7, seconds=5))
    WorkerFactory.create(holder="a:2:b", seen_at=now - timedelta(days=6, hours=23))
    assert clean_up() == 1
    assert Worker.objects.get().holder == "a:2:b"


def test_it_is_done_once_an_hour_whoever_comes() -> None:
    add_session("old", seconds=-1)
    assert clean_up() == 1
    add_session("older", seconds=-1)
    assert clean_up() == 0
    lease = Lease.objects.get(name="clean_up")
    assert lease.expires_at > database_now() + timedelta(minutes=59)
    # not "now": SQLite's clock has milliseconds, and within the same one it is not over
    Lease.objects.update(expires_at=database_now() - timedelta(seconds=1))
    assert clean_up() == 1
