"""A person settles what several candidates leave open; the choice may come too late."""

from __future__ import annotations

import pytest

from imports.marketingcloud.errors import UnavailableError
from imports.models import (
    Account,
    EventKind,
    ImportDefinition,
    ImportRun,
    Origin,
    RunStatus,
    User,
    database_now,
)
from imports.usecases.errors import UseCaseError
from imports.usecases.resolve import choose_task, reconcile_runs
from tests.factories import ImportRunFactory, UserFactory
from tests.fakes import FakeMarketingCloud

pytestmark = pytest.mark.django_db

KEY = "customers-daily"


@pytest.fixture
def account(definition: ImportDefinition) -> Account:
    return definition.account


@pytest.fixture
def person(db: None) -> User:
    return UserFactory.create(username="ada")


@pytest.fixture
def run(definition: ImportDefinition, cloud: FakeMarketingCloud) -> ImportRun:
    """Unknown, and two tasks that it may be were looked at."""
    now = database_now()
    run = ImportRunFactory.create(definition=definition, unknown=True, sent_at=now)
    for _ in range(2):
        cloud.add_task(KEY, step=1)
    reconcile_runs(account=definition.account, holder="worker")
    return ImportRun.objects.get(pk=run.pk)


def again(run: ImportRun) -> ImportRun:
    return ImportRun.objects.get(pk=run.pk)


def test_the_choice_stays_open_while_the_account_does_not_answer(
    run: ImportRun, cloud: FakeMarketingCloud, person: User
) -> None:
    cloud.fail("results_of_definitions", UnavailableError("No."))
    with pytest.raises(UnavailableError):
        reconcile_runs(account=run.account, holder="worker")
    first = next(iter(cloud.tasks))
    choose_task(run=again(run), task_id=first, by=person)
    assert (again(run).status, again(run).task_id) == (RunStatus.RUNNING, first)


def test_of_two_people_the_first_chooses(
    run: ImportRun, cloud: FakeMarketingCloud, person: User
) -> None:
    one, two = cloud.tasks
    theirs = again(run)
    choose_task(run=run, task_id=one, by=person)
    with pytest.raises(UseCaseError, match="settled"):
        choose_task(run=theirs, task_id=two, by=UserFactory.create())
    assert again(run).task_id == one


def test_a_task_that_became_anothers_cannot_be_chosen(
    run: ImportRun, cloud: FakeMarketingCloud, person: User
) -> None:
    taken = next(iter(cloud.tasks))
    ImportRunFactory.create(account=run.account, running=True, task_id=taken)
    with pytest.raises(UseCaseError, match="another run"):
        choose_task(run=run, task_id=taken, by=person)
    assert again(run).status == RunStatus.UNKNOWN


def test_none_of_these_is_no_longer_possible_once_one_became_anothers(
    run: ImportRun, cloud: FakeMarketingCloud, person: User
) -> None:
    taken = next(iter(cloud.tasks))
    ImportRunFactory.create(account=run.account, running=True, task_id=taken)
    with pytest.raises(UseCaseError, match="another run"):
        choose_task(run=run, task_id=None, by=person)
    assert not ImportRun.objects.filter(origin=Origin.OUTSIDE).exists()


def test_after_none_of_these_the_next_task_is_the_runs(
    run: ImportRun, cloud: FakeMarketingCloud, person: User
) -> None:
    others = set(cloud.tasks)
    choose_task(run=run, task_id=None, by=person)
    outside = ImportRun.objects.filter(origin=Origin.OUTSIDE)
    assert {one.task_id for one in outside} == others
    assert again(run).events.filter(kind=EventKind.CHOSEN).count() == 1
    late = cloud.add_task(KEY, step=1)
    reconcile_runs(account=run.account, holder="worker")
    assert again(run).task_id == late.task_id


def test_what_was_never_offered_cannot_be_chosen(
    run: ImportRun, cloud: FakeMarketingCloud, person: User
) -> None:
    late = cloud.add_task(KEY)
    with pytest.raises(UseCaseError, match="isn't one of the tasks"):
        choose_task(run=run, task_id=late.task_id, by=person)
