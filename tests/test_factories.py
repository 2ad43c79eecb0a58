"""The factories build rows that the database accepts."""

from __future__ import annotations

from typing import Any

import pytest
from django.apps import apps
from factory.base import FactoryMetaClass

from imports.models import ErrorKind, Origin, Revision, RunStatus
from tests import factories
from tests.factories import AccountFactory, ImportRunFactory

pytestmark = pytest.mark.django_db

FACTORIES: list[Any] = [
    one for one in vars(factories).values() if isinstance(one, FactoryMetaClass)
]
OURS = [one for one in FACTORIES if one.__module__ == factories.__name__]


def test_every_model_has_a_factory() -> None:
    models = set(apps.get_app_config("imports").get_models()) - {Revision}
    assert models <= {one._meta.model for one in OURS}


@pytest.mark.parametrize("one", OURS, ids=lambda one: one.__name__)
def test_a_factory_builds_rows_that_satisfy_every_constraint(one: Any) -> None:
    for row in one.create_batch(2):
        row.refresh_from_db()
        row.validate_constraints()


@pytest.mark.parametrize("status", RunStatus)
def test_a_run_can_be_made_in_every_status(status: RunStatus) -> None:
    run = ImportRunFactory.create(**{status.value: True})
    assert run.status == status
    run.full_clean(exclude=["definition_version", "again_of"])


@pytest.mark.parametrize("status", sorted(set(RunStatus) - {RunStatus.QUEUED}))
def test_an_outside_run_has_no_times_of_ours(status: RunStatus) -> None:
    run = ImportRunFactory.create(outside=True, **{status.value: True})
    assert run.origin == Origin.OUTSIDE
    assert (run.queued_at, run.claimed_at, run.sent_at) == (None, None, None)


def test_a_run_without_a_definition_has_an_account() -> None:
    account = AccountFactory.create()
    run = ImportRunFactory.create(definition=None, account=account, running=True)
    assert run.account == account
    assert ImportRunFactory.create(definition=None, running=True).account != account


def test_ended_runs_carry_what_their_status_means() -> None:
    failed = ImportRunFactory.create(failed=True)
    assert (failed.phase, failed.total_rows) == ("Error", None)
    assert ImportRunFactory.create(completed_with_errors=True).errors == 7
    assert ImportRunFactory.create(unknown=True).error_kind == ErrorKind.NO_ANSWER
