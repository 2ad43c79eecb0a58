"""The database forbids the impossible, and says by which constraint."""

from __future__ import annotations

from itertools import combinations
from types import SimpleNamespace
from typing import Any
from uuid import uuid4

import pytest
from django.apps import apps
from django.db import IntegrityError, models, transaction

from imports.models import ACTIVE, ONE_ACTIVE, ImportRun, RunStatus, violated_constraint
from imports.models.database import columns_of
from tests.factories import (
    AccountAccessFactory,
    AccountFactory,
    DefinitionVersionFactory,
    FavouriteFactory,
    ImportDefinitionFactory,
    ImportRunFactory,
)

pytestmark = pytest.mark.django_db

WITH_TASK = ("running", "completed", "completed_with_errors", "failed", "lost")


def refused(factory: Any, **fields: Any) -> str | None:
    """The constraint that refuses such a row."""
    with pytest.raises(IntegrityError) as caught, transaction.atomic():
        factory.create(**fields)
    return violated_constraint(caught.value)


def test_a_task_is_one_run_of_its_account() -> None:
    run = ImportRunFactory.create(running=True, task_id="129159023")
    same = {"account": run.account, "definition": None, "task_id": "129159023"}
    assert refused(ImportRunFactory, outside=True, running=True, **same) == (
        "run_task_once"
    )


def test_two_accounts_may_have_the_same_task_id() -> None:
    first, second = ImportRunFactory.create_batch(2, running=True, task_id="7")
    assert first.account_id != second.account_id


def test_runs_without_a_task_are_many() -> None:
    account = AccountFactory.create()
    for _ in range(2):
        ImportRunFactory.create(definition=None, account=account, not_started=True)


# Written down apart from the product.
HOLD_THE_DEFINITION = {"queued", "starting", "running", "unknown"}


@pytest.mark.parametrize("status", sorted(HOLD_THE_DEFINITION))
def test_a_definition_has_one_active_run_of_ours(status: str) -> None:
    definition = ImportDefinitionFactory.create()
    ImportRunFactory.create(definition=definition, **{status: True})
    assert refused(ImportRunFactory, definition=definition) in ONE_ACTIVE


def test_the_active_statuses_are_those_of_the_constraint() -> None:
    assert HOLD_THE_DEFINITION == ACTIVE


@pytest.mark.parametrize(
    "status", sorted(set(RunStatus) - ACTIVE), ids=lambda status: str(status)
)
def test_an_ended_run_leaves_room_for_the_next(status: RunStatus) -> None:
    definition = ImportDefinitionFactory.create()
    ImportRunFactory.create(definition=definition, **{status.value: True})
    assert ImportRunFactory.create(definition=definition).pk


def test_outside_runs_are_active_beside_ours() -> None:
    definition = ImportDefinitionFactory.create()
    for _ in range(2):
        ImportRunFactory.create(definition=definition, outside=True, running=True)
    assert ImportRunFactory.create(definition=definition).pk


def test_a_request_makes_one_run() -> None:
    token = uuid4()
    ImportRunFactory.create(request_token=token)
    assert refused(ImportRunFactory, request_token=token) == "run_request_once"


def test_runs_without_a_request_are_many() -> None:
    assert len(ImportRunFactory.create_batch(2, request_token=None)) == 2


def test_a_status_outside_the_table_is_refused() -> None:
    assert refused(ImportRunFactory, status="paused") == "run_known_status"


@pytest.mark.parametrize("status", WITH_TASK)
def test_what_marketing_cloud_accepted_has_a_task_id(status: str) -> None:
    fields = {status: True, "task_id": None}
    assert refused(ImportRunFactory, **fields) == "run_task_where_accepted"


@pytest.mark.parametrize(
    "status", ["queued", "starting", "not_started", "unknown", "cancelled"]
)
def test_what_was_not_accepted_needs_no_task_id(status: str) -> None:
    assert ImportRunFactory.create(**{status: True}).task_id is None


def test_an_unknown_run_of_ours_was_sent() -> None:
    fields = {"unknown": True, "sent_at": None}
    assert refused(ImportRunFactory, **fields) == "run_sent_where_unknown"


def test_an_outside_run_may_be_unknown_without_a_send_of_ours() -> None:
    assert ImportRunFactory.create(outside=True, unknown=True).sent_at is None


def test_an_object_id_is_one_definition_of_its_account() -> None:
    one = ImportDefinitionFactory.create()
    same = {"account": one.account, "object_id": one.object_id}
    assert refused(ImportDefinitionFactory, **same) == "definition_object_once"


def test_a_key_without_object_id_is_one_definition_of_its_account() -> None:
    one = ImportDefinitionFactory.create(object_id=None)
    same = {
        "account": one.account,
        "object_id": None,
        "customer_key": one.customer_key,
    }
    assert refused(ImportDefinitionFactory, **same) == "definition_key_once"


def test_a_key_may_be_used_again_by_another_object() -> None:
    one = ImportDefinitionFactory.create()
    again = ImportDefinitionFactory.create(
        account=one.account, customer_key=one.customer_key
    )
    assert again.key_digest == one.key_digest


def test_a_customer_key_may_have_ten_thousand_characters() -> None:
    definition = ImportDefinitionFactory.create(customer_key="k" * 10_000)
    assert len(definition.key_digest) == 64


def test_a_group_has_one_level_in_an_account() -> None:
    access = AccountAccessFactory.create()
    same = {"account": access.account, "group": access.group}
    assert refused(AccountAccessFactory, **same) == "access_once"


def test_a_version_number_is_used_once() -> None:
    version = DefinitionVersionFactory.create()
    same = {"definition": version.definition, "number": version.number}
    assert refused(DefinitionVersionFactory, **same) == "version_number_once"


def test_a_favourite_is_kept_once() -> None:
    one = FavouriteFactory.create()
    same = {"user": one.user, "definition": one.definition}
    assert refused(FavouriteFactory, **same) == "favourite_once"


@pytest.mark.parametrize("model", list(apps.get_app_config("imports").get_models()))
def test_no_two_unique_constraints_of_a_model_share_their_columns(
    model: type[models.Model],
) -> None:
    unique = [
        columns_of(model, one)
        for one in model._meta.constraints
        if isinstance(one, models.UniqueConstraint)
    ]
    assert all(one != other for one, other in combinations(unique, 2))


def test_postgresql_names_the_constraint_itself() -> None:
    error = IntegrityError("duplicate key value violates unique constraint")
    error.__cause__ = PostgresError("run_one_active")
    assert violated_constraint(error) == "run_one_active"


class PostgresError(Exception):
    """As psycopg raises it."""

    def __init__(self, name: str | None) -> None:
        self.diag = SimpleNamespace(constraint_name=name)


def test_an_error_without_a_name_gives_none() -> None:
    error = IntegrityError("NOT NULL constraint failed: imports_importrun.origin")
    assert violated_constraint(error) is None
    error.__cause__ = PostgresError(None)
    assert violated_constraint(error) is None


def test_history_cannot_be_deleted_with_its_account() -> None:
    run = ImportRunFactory.create(completed=True)
    with pytest.raises(models.ProtectedError):
        run.account.delete()
    assert ImportRun.objects.filter(pk=run.pk).exists()
