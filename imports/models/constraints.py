"""The name of the constraint that a failed write violated."""

from __future__ import annotations

import re

from django.apps import apps
from django.db import IntegrityError, models


def violated_constraint(error: IntegrityError) -> str | None:
    """The violated constraint's name, or None where the database does not say.

    PostgreSQL names the constraint; SQLite names a unique constraint's columns,
    so no two unique constraints share their columns on a model.
    """
    diagnosis = getattr(error.__cause__, "diag", None)
    if diagnosis is not None:
        return str(diagnosis.constraint_name) if diagnosis.constraint_name else None
    text = str(error)
    if match := re.search(r"CHECK constraint failed: (\w+)", text):
        return match.group(1)
    if match := re.search(r"UNIQUE constraint failed: (.+)", text):
        return _unique_constraints().get(frozenset(match.group(1).split(", ")))
    return None


def _unique_constraints() -> dict[frozenset[str], str]:
    return {
        columns_of(model, constraint): constraint.name
        for model in apps.get_app_config("imports").get_models()
        for constraint in model._meta.constraints
        if isinstance(constraint, models.UniqueConstraint)
    }


def columns_of(
    model: type[models.Model], constraint: models.UniqueConstraint
) -> frozenset[str]:
    """The constraint's columns as SQLite names them: `table.column`."""
    meta = model._meta
    return frozenset(
        f"{meta.db_table}.{meta.get_field(name).column}"  # type: ignore[union-attr]
        for name in constraint.fields
    )
