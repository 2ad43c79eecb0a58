"""Recording a start: once per click, once per definition."""

from __future__ import annotations

import threading
from uuid import uuid4

import pytest
from django.db import connection, connections

from imports.models import AccessLevel, ImportDefinition, ImportRun, Origin, RunStatus
from imports.usecases.errors import AlreadyRunningError, NotStartableError
from imports.usecases.start import start_import
from tests.factories import (
    DefinitionVersionFactory,
    ImportDefinitionFactory,
    ImportRunFactory,
    UserFactory,
    grant,
)
from tests.fakes import FakeMarketingCloud

pytestmark = pytest.mark.django_db


def test_a_start_is_recorded_as_queued_and_nothing_is_sent(
    cloud: FakeMarketingCloud, definition: ImportDefinition
) -> None:
    DefinitionVersionFactory.create(definition=definition)
    latest = DefinitionVersionFactory.create(definition=definition)
    person = UserFactory.create(first_name="Ada", last_name="Berg")
    grant(person, definition.account, AccessLevel.START)
    run = start_import(definition=definition, started_by=person)
    run.refresh_from_db()
    assert (run.status, run.origin) == (RunStatus.QUEUED, Origin.DASHBOARD)
    assert (run.account, run.customer_key) == (definition.account, "customers-daily")
    assert run.definition_version == latest
    assert (run.started_by, run.started_by_name) == (person, "Ada Berg")
    assert run.queued_at == run.occurred_at
    assert not cloud.calls


def test_every_start_wakes_the_workers_when_it_is_committed(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """However it was asked for: the use case does it, in the same transaction."""
    woken: list[bool] = []
    monkeypatch.setattr(
        "imports.usecases.start.wake_workers",
        lambda: woken.append(connection.in_atomic_block),
    )
    token = uuid4()
    definition = ImportDefinitionFactory.create()
    for _ in range(2):
        start_import(definition=definition, started_by=None, request_token=token)
    with pytest.raises(AlreadyRunningError):
        start_import(definition=definition, started_by=None)
    assert woken == [True]


def test_a_start_leaves_an_event_and_shows_on_its_pages() -> None:
    definition = ImportDefinitionFactory.create()
    run = start_import(
        definition=definition,
        started_by=None,
        started_by_name="ops",
        origin=Origin.COMMAND,
    )
    (event,) = run.events.all()
    assert (event.kind, event.to_status, event.actor_name) == (
        "queued",
        "queued",
        "ops",
    )
    definition.refresh_from_db()
    definition.account.refresh_from_db()
    assert definition.last_run == run
    assert definition.account.revision == run.revision > 0


def test_a_repeated_request_gives_the_first_ones_run() -> None:
    definition, token = ImportDefinitionFactory.create(), uuid4()
    runs = [
        start_import(definition=definition, started_by=None, request_token=token)
        for _ in range(2)
    ]
    assert runs[0] == runs[1]
    assert ImportRun.objects.count() == 1


def test_a_repeated_request_gives_its_run_even_after_the_end() -> None:
    definition, token = ImportDefinitionFactory.create(), uuid4()
    ended = ImportRunFactory.create(
        definition=definition, completed=True, request_token=token
    )
    again = start_import(definition=definition, started_by=None, request_token=token)
    assert again == ended


def test_a_repeated_request_gives_its_run_though_no_start_is_taken_by_now() -> None:
    definition, token = ImportDefinitionFactory.create(), uuid4()
    run = start_import(definition=definition, started_by=None, request_token=token)
    definition.account.is_active = False
    definition.account.save()
    again = start_import(definition=definition, started_by=None, request_token=token)
    assert again == run


def test_the_second_person_is_told_whose_run_is_under_way() -> None:
    definition = ImportDefinitionFactory.create(name="Customers daily")
    ada = UserFactory.create(first_name="Ada", last_name="Berg", is_superuser=True)
    first = start_import(definition=definition, started_by=ada, request_token=uuid4())
    with pytest.raises(AlreadyRunningError) as caught:
        start_import(
            definition=definition,
            started_by=UserFactory.create(is_superuser=True),
            request_token=uuid4(),
        )
    assert caught.value.run == first
    assert "“Customers daily” is already running" in str(caught.value)
    assert "started by Ada Berg and is queued" in str(caught.value)
    assert ImportRun.objects.count() == 1


@pytest.mark.parametrize("status", ["starting", "running", "unknown"])
def test_no_second_start_while_the_first_is_not_settled(status: str) -> None:
    definition = ImportDefinitionFactory.create()
    ImportRunFactory.create(definition=definition, **{status: True})
    with pytest.raises(AlreadyRunningError):
        start_import(definition=definition, started_by=None)


def test_a_definition_may_start_beside_a_run_from_outside() -> None:
    definition = ImportDefinitionFactory.create()
    ImportRunFactory.create(definition=definition, running=True, outside=True)
    run = start_import(definition=definition, started_by=None)
    assert run.status == RunStatus.QUEUED


def test_starting_again_remembers_the_first_run_and_its_batch() -> None:
    definition, batch = ImportDefinitionFactory.create(), uuid4()
    failed = ImportRunFactory.create(definition=definition, failed=True)
    run = start_import(
        definition=definition, started_by=None, again_of=failed, batch=batch
    )
    run.refresh_from_db()
    assert (run.again_of, run.batch) == (failed, batch)


def test_nothing_starts_in_an_account_switched_off() -> None:
    definition = ImportDefinitionFactory.create(account__is_active=False)
    with pytest.raises(NotStartableError, match="disabled"):
        start_import(definition=definition, started_by=None)
    assert not ImportRun.objects.exists()


@pytest.mark.parametrize("level", [None, AccessLevel.VIEW])
def test_nothing_starts_for_somebody_who_has_no_right_to_it(
    level: AccessLevel | None,
) -> None:
    """Whoever calls it: pages ask before, but a right may be taken away meanwhile."""
    definition, person = ImportDefinitionFactory.create(), UserFactory.create()
    if level:
        grant(person, definition.account, level)
    with pytest.raises(NotStartableError, match="can’t start imports in"):
        start_import(definition=definition, started_by=person)
    assert not ImportRun.objects.exists()
    grant(person, definition.account, AccessLevel.START)
    assert start_import(definition=definition, started_by=person).started_by == person


def test_a_token_used_for_another_definition_starts_nothing() -> None:
    token = uuid4()
    first = ImportRunFactory.create(request_token=token)
    other = ImportDefinitionFactory.create()
    with pytest.raises(NotStartableError, match="another definition"):
        start_import(definition=other, started_by=None, request_token=token)
    assert list(ImportRun.objects.all()) == [first]


@pytest.mark.django_db(transaction=True)
def test_of_many_clicks_at_once_one_run_comes() -> None:
    definition = ImportDefinitionFactory.create()
    ready, ends = threading.Barrier(6), list[str]()

    def click() -> None:
        ready.wait()
        try:
            run = start_import(definition=definition, started_by=None)
            ends.append(str(run.pk))
        except AlreadyRunningError as error:
            ends.append(f"told of {error.run.pk}")
        finally:
            connections.close_all()

    threads = [threading.Thread(target=click) for _ in range(6)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    run = ImportRun.objects.get()
    assert sorted(ends) == [str(run.pk)] + [f"told of {run.pk}"] * 5


@pytest.mark.django_db(transaction=True)
def test_a_double_click_gives_both_the_same_run() -> None:
    definition, token = ImportDefinitionFactory.create(), uuid4()
    ready, ends = threading.Barrier(4), list[int]()

    def click() -> None:
        ready.wait()
        run = start_import(definition=definition, started_by=None, request_token=token)
        ends.append(run.pk)
        connections.close_all()

    threads = [threading.Thread(target=click) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert ends == [ImportRun.objects.get().pk] * 4
