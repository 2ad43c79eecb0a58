"""Migrations add: a worker of the release before must not notice them."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest
from django.apps import apps
from django.db import connection, models
from django.db.migrations import Migration, operations
from django.db.migrations.loader import MigrationLoader
from django.db.migrations.operations.base import Operation
from django.db.models.fields import NOT_PROVIDED

FIRST = "0001_initial"
ADDITIVE = (
    operations.AddField,
    operations.AddIndex,
    operations.AlterModelManagers,
    operations.AlterModelOptions,
    operations.CreateModel,
    operations.RunPython,
)


def later() -> Iterator[Migration]:
    loader = MigrationLoader(None)
    ours = apps.get_app_config("imports").label
    for (app, name), migration in loader.disk_migrations.items():
        if app == ours and name != FIRST:
            yield migration


def keeps_old_workers_going(operation: Operation) -> bool:
    """Whether who does not know of `operation` can read and insert as before."""
    if isinstance(operation, operations.AddField):
        return fills_itself(operation.field)
    return isinstance(operation, ADDITIVE)


def is_about_new_columns(operation: Operation, migration: Migration) -> bool:
    """A constraint of columns that nobody filled before, and old workers leave null."""
    new = {
        (added.model_name, added.name)
        for added in migration.operations
        if isinstance(added, operations.AddField) and added.field.null
    }
    if not isinstance(operation, operations.AddConstraint):
        return False
    constraint = operation.constraint
    return isinstance(constraint, models.UniqueConstraint) and all(
        (operation.model_name, name) in new for name in constraint.fields
    )


def changes_words_only(operation: Operation, migration: Migration) -> bool:
    """Another list of choices, say: the database's column stays as it is."""
    if not isinstance(operation, operations.AlterField):
        return False
    before = MigrationLoader(None).project_state(migration.dependencies)
    model = before.apps.get_model("imports", operation.model_name)
    old = model._meta.get_field(operation.name)
    new = operation.field.clone()
    new.set_attributes_from_name(operation.name)
    editor: Any = connection.schema_editor()  # its own word for what it leaves alone
    return not editor._field_should_be_altered(old, new)


def fills_itself(field: models.Field[object, object]) -> bool:
    """An insert that does not name the column succeeds."""
    return field.null or field.many_to_many or field.db_default is not NOT_PROVIDED


def test_every_migration_after_the_first_only_adds() -> None:
    wrong = [
        f"{migration.name}: {operation.describe()}"
        for migration in later()
        for operation in migration.operations
        if not keeps_old_workers_going(operation)
        and not is_about_new_columns(operation, migration)
        and not changes_words_only(operation, migration)
    ]
    assert not wrong, "\n".join(wrong)


@pytest.mark.parametrize(
    ("operation", "is_fine"),
    [
        (operations.AddField("run", "a", models.TextField(null=True)), True),
        (operations.AddField("run", "a", models.TextField(db_default="")), True),
        (operations.AddField("run", "a", models.TextField(default="")), False),
        (operations.RemoveField("run", "a"), False),
        (operations.RenameField("run", "a", "b"), False),
        (operations.AlterField("run", "a", models.IntegerField()), False),
        (operations.DeleteModel("run"), False),
        (operations.CreateModel("new", fields=[]), True),
    ],
)
def test_what_counts_as_adding(operation: Operation, *, is_fine: bool) -> None:
    assert keeps_old_workers_going(operation) is is_fine
