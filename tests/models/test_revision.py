"""One counter tells what changed since."""

from __future__ import annotations

import threading

import pytest
from django.db import connections, transaction

from imports.models import Account, ImportRun, Revision, bump_revision
from tests.factories import AccountFactory, ImportRunFactory

pytestmark = pytest.mark.django_db


def test_changed_runs_and_their_accounts_carry_the_next_number() -> None:
    run, other = ImportRunFactory.create(), ImportRunFactory.create()
    first = bump_revision(runs=[other])
    second = bump_revision(runs=[run])
    assert second == first + 1
    for row, number in ((run, second), (other, first)):
        row.refresh_from_db()
        row.account.refresh_from_db()
        assert (row.revision, row.account.revision) == (number, number)


def test_an_account_can_change_without_a_run() -> None:
    account, other = AccountFactory.create(), AccountFactory.create()
    number = bump_revision(accounts=[account])
    assert Account.objects.get(revision=number) == account
    other.refresh_from_db()
    assert other.revision == 0


def test_many_changes_of_one_transaction_share_a_number() -> None:
    runs = ImportRunFactory.create_batch(3)
    number = bump_revision(runs=runs)
    assert ImportRun.objects.filter(revision=number).count() == 3


def test_a_number_rolled_back_is_not_seen() -> None:
    run = ImportRunFactory.create()
    before = bump_revision(runs=[run])
    with transaction.atomic():
        bump_revision(runs=[run])
        transaction.set_rollback(True)
    run.refresh_from_db()
    assert run.revision == before
    assert bump_revision(runs=[run]) == before + 1


@pytest.mark.django_db(transaction=True)
def test_numbers_grow_without_doubles_over_threads() -> None:
    taken: list[int] = []

    def take() -> None:
        for _ in range(10):
            with transaction.atomic():
                taken.append(Revision.objects.take())
        connections.close_all()

    threads = [threading.Thread(target=take) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert sorted(taken) == list(range(taken[0], taken[0] + 40))
    assert Revision.objects.count() == 1
