"""Two workers, one Perform: on a real file database, with real threads."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterable
from concurrent.futures import ThreadPoolExecutor

import pytest
from django.db import connections

from imports.models import ImportDefinition, ImportRun, Lease, RunStatus, database_now
from imports.usecases.send import SENDERS, send_queued, send_start
from imports.usecases.start import start_import
from tests.factories import AccountFactory, ImportDefinitionFactory, LeaseFactory
from tests.fakes import FakeMarketingCloud

pytestmark = pytest.mark.django_db(transaction=True)


def at_once(works: Iterable[Callable[[], object]]) -> None:
    """Each of `works` in a thread of its own; an error in one is raised here."""

    def run(work: Callable[[], object]) -> None:
        try:
            work()
        finally:
            connections.close_all()

    with ThreadPoolExecutor(max_workers=8) as pool:
        for done in [pool.submit(run, work) for work in works]:
            done.result()


def test_one_of_two_workers_wins_the_claim_and_performs(
    cloud: FakeMarketingCloud, definition: ImportDefinition
) -> None:
    run = start_import(definition=definition, started_by=None)
    meeting = threading.Barrier(2, timeout=30)
    cloud.before["authenticate"] = meeting.wait

    def work(holder: str) -> Callable[[], object]:
        mine = ImportRun.objects.get(pk=run.pk)
        return lambda: send_start(run=mine, holder=holder)

    at_once([work("one"), work("two")])
    run.refresh_from_db()
    assert cloud.performed == ["customers-daily"]
    assert run.status == RunStatus.RUNNING
    assert [event.kind for event in run.events.all()] == [
        "queued",
        "claimed",
        "accepted",
    ]


def test_many_workers_perform_each_of_many_starts_once(
    cloud: FakeMarketingCloud,
) -> None:
    account = AccountFactory.create()
    keys = [f"import-{number}" for number in range(8)]
    for key in keys:
        facts = cloud.add_definition(key)
        definition = ImportDefinitionFactory.create(
            account=account, customer_key=key, object_id=facts["ObjectID"]
        )
        start_import(definition=definition, started_by=None)

    def work(holder: str) -> Callable[[], object]:
        return lambda: send_queued(account=account, holder=holder)

    at_once(work(f"worker-{number}") for number in range(4))
    assert sorted(cloud.performed) == keys
    assert set(account.runs.values_list("status", flat=True)) == {"running"}


def test_starts_are_sent_oldest_first(cloud: FakeMarketingCloud) -> None:
    account = AccountFactory.create()
    for key in ("first", "second", "third"):
        cloud.add_definition(key)
        definition = ImportDefinitionFactory.create(account=account, customer_key=key)
        start_import(definition=definition, started_by=None)
    runs = send_queued(account=account, holder="worker")
    assert cloud.performed == ["first", "second", "third"]
    assert [run.status for run in runs] == ["running"] * 3


def test_no_more_than_two_send_for_an_account(
    cloud: FakeMarketingCloud, definition: ImportDefinition
) -> None:
    start_import(definition=definition, started_by=None)
    for number in range(1, SENDERS + 1):
        LeaseFactory.create(name=f"send:{definition.account_id}:{number}")
    assert send_queued(account=definition.account, holder="third") == []
    assert not cloud.calls


def test_a_sender_gives_its_place_back_whatever_happens(
    cloud: FakeMarketingCloud,
    definition: ImportDefinition,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    start_import(definition=definition, started_by=None)

    def fails(**_: object) -> None:
        raise ZeroDivisionError

    monkeypatch.setattr("imports.usecases.send.send_start", fails)
    with pytest.raises(ZeroDivisionError):
        send_queued(account=definition.account, holder="worker")
    assert not Lease.objects.filter(expires_at__gt=database_now()).exists()


def test_other_accounts_starts_are_not_touched(
    cloud: FakeMarketingCloud, definition: ImportDefinition
) -> None:
    run = start_import(definition=definition, started_by=None)
    assert send_queued(account=AccountFactory.create(), holder="worker") == []
    run.refresh_from_db()
    assert run.status == RunStatus.QUEUED


def test_a_sender_that_is_stopping_takes_no_further_start(
    cloud: FakeMarketingCloud, definition: ImportDefinition
) -> None:
    run = start_import(definition=definition, started_by=None)
    sent = send_queued(
        account=definition.account, holder="worker", is_stopping=lambda: True
    )
    run.refresh_from_db()
    assert (sent, run.status) == ([], RunStatus.QUEUED)
    assert not cloud.calls
