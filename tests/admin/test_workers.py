from __future__ import annotations

from datetime import timedelta

import pytest
from django.test import Client

from imports.admin import history
from imports.admin.history import load_sentences
from imports.models import database_now
from tests.factories import ImportRunFactory, WorkerFactory

LIST = "/admin/imports/worker/"


def test_workers_show_how_long_ago_they_beat(admin: Client) -> None:
    WorkerFactory.create(host="app7", seen_at=database_now() - timedelta(hours=2))
    page = admin.get(LIST).content.decode()
    assert "app7" in page
    assert "7,200 s ago" in page or "7,201 s ago" in page
    assert 'alt="False"' in page


def test_a_worker_that_was_just_heard_of_is_alive(admin: Client) -> None:
    WorkerFactory.create(seen_at=database_now())
    assert 'alt="True"' in admin.get(LIST).content.decode()


def test_a_heartbeat_is_never_in_the_future(admin: Client) -> None:
    WorkerFactory.create(seen_at=database_now() + timedelta(seconds=30))
    assert ">0 s ago<" in admin.get(LIST).content.decode()


def test_the_load_names_what_is_due_and_how_late_the_oldest_is(db: None) -> None:
    now = database_now()
    for seconds in (5, 40):
        at = now - timedelta(seconds=seconds)
        ImportRunFactory.create(occurred_at=at, queued_at=at)
    late = ImportRunFactory.create(running=True)
    late.next_check_at = now - timedelta(seconds=1500)
    late.save()
    later = ImportRunFactory.create(running=True)
    later.next_check_at = now + timedelta(seconds=5)
    later.save()
    assert load_sentences(now) == [
        "Starts queued: 2; the oldest has waited 40 s.",
        "Runs due for a look: 1; the oldest has waited 1,500 s.",
    ]


def test_the_load_stands_above_the_list(admin: Client) -> None:
    ImportRunFactory.create_batch(3)
    page = admin.get(LIST).content.decode()
    assert "Starts queued: 3;" in page
    assert "Runs due for a look: none." in page
    assert page.index("Starts queued") < page.index('id="changelist-form"')


def test_a_long_queue_is_called_long_and_not_counted_to_its_end(
    db: None, monkeypatch: pytest.MonkeyPatch
) -> None:
    ImportRunFactory.create_batch(3)
    monkeypatch.setattr(history, "WAITING_SHOWN", 2)
    assert load_sentences(database_now())[0].startswith("Starts queued: 2 or more;")
