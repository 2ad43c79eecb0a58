"""Definitions for tests, and what the list of them shows."""

from __future__ import annotations

from typing import Any

from django.test import Client

from imports.models import Account, ImportDefinition
from tests.factories import ImportDefinitionFactory, ImportRunFactory


def define(account: Account, name: str, **facts: Any) -> ImportDefinition:
    made: ImportDefinition = ImportDefinitionFactory.create(
        account=account, name=name, **facts
    )
    return made


def with_last(definition: ImportDefinition, **trait: Any) -> ImportDefinition:
    ImportRunFactory.create(definition=definition, **trait)
    definition.refresh_recent_runs()
    return definition


def names(response: Any) -> list[str]:
    return [row["definition"].name for row in response.context["rows"]]


def ask(client: Client, **query: Any) -> Any:
    return client.get("/definitions/", query)
