"""A number that identifies is never cut into thousands: it is looked for as it is."""

from __future__ import annotations

import io
import re
from collections.abc import Iterator
from typing import Any

import pytest
from django.contrib import admin
from django.core.management import call_command
from django.test import Client
from django.urls import reverse

from imports.models import AccessLevel, AuditEntry, ImportRun, RunEvent
from tests.factories import (
    AccountFactory,
    AuditEntryFactory,
    DefinitionVersionFactory,
    FavouriteFactory,
    ImportDefinitionFactory,
    ImportRunFactory,
    RunEventFactory,
    UserFactory,
    WorkerFactory,
    grant,
)
from tests.views.reading import HTMX, client_of, content

pytestmark = pytest.mark.django_db

TASK, OTHER_TASK, MID = "1290001001", "1290002002", "510001"
ACCOUNT, DEFINITION, RUN, AGAIN, UNKNOWN = 1101001, 1202002, 1303003, 1404004, 1505005
VERSION = 1606006
IDS = (TASK, OTHER_TASK, MID, *map(str, (ACCOUNT, DEFINITION, RUN, AGAIN, UNKNOWN)))
# Thousands set apart by whatever sets them apart.
APART = re.compile(
    "|".join(
        r"[,.'’\s\u00a0\u2009\u202f]".join(re.findall(r"\d{1,3}(?=(?:\d{3})*$)", text))
        for text in (*IDS, str(VERSION))
    )
)


@pytest.fixture
def client() -> Client:
    """A superuser's, in a world whose ids are all large."""
    WorkerFactory.create()
    person = UserFactory.create(is_staff=True, is_superuser=True)
    account = AccountFactory.create(pk=ACCOUNT, mid=MID)
    grant(person, account, AccessLevel.START)
    definition = ImportDefinitionFactory.create(pk=DEFINITION, account=account)
    version = DefinitionVersionFactory.create(definition=definition, number=VERSION)
    run = ImportRunFactory.create(
        pk=RUN,
        completed_with_errors=True,
        definition=definition,
        definition_version=version,
        task_id=TASK,
    )
    ImportRunFactory.create(pk=AGAIN, failed=True, definition=definition, again_of=run)
    nameless = {"definition": None, "customer_key": "", "task_id": OTHER_TASK}
    ImportRunFactory.create(account=account, failed=True, outside=True, **nameless)
    unknown = ImportRunFactory.create(pk=UNKNOWN, unknown=True, definition=definition)
    found = [{"task_id": task, "phase": "New"} for task in (TASK, OTHER_TASK)]
    RunEventFactory.create(run=unknown, kind="looked", details={"candidates": found})
    AuditEntryFactory.create(account=account, object_id=str(RUN), object_label=str(run))
    FavouriteFactory.create(user=person, definition=definition)
    definition.refresh_recent_runs()
    return client_of(person)


def addresses() -> Iterator[str]:
    for name in ("dashboard", "definition_list", "run_list", "account_list", "profile"):
        yield reverse(f"imports:{name}")
    for name in ("definition", "definition_start", "definition_strip"):
        yield reverse(f"imports:{name}", args=[DEFINITION])
    for pk in (RUN, AGAIN, UNKNOWN):
        yield reverse("imports:run", args=[pk])
    for name in ("run_choose", "run_declare_not_started"):
        yield reverse(f"imports:{name}", args=[UNKNOWN])
    several = reverse("imports:definition_start_several")
    yield f"{several}?definition={DEFINITION}"
    yield f"{reverse('imports:run_list')}?definition={DEFINITION}"
    yield f"{reverse('imports:definition_start', args=[DEFINITION])}?again_of={RUN}"


def admin_addresses() -> Iterator[str]:
    for model in admin.site._registry:
        base = f"admin:{model._meta.app_label}_{model._meta.model_name}"
        yield reverse(f"{base}_changelist")
        for one in model._default_manager.all()[:5]:
            yield reverse(f"{base}_change", args=[one.pk])


def apart(text: str) -> list[str]:
    return APART.findall(text)


def test_ids_are_whole_on_every_page(client: Client) -> None:
    shown = ""
    for address in addresses():
        for headers in ({}, HTMX):
            answer: Any = client.get(address, headers=headers)
            assert answer.status_code == 200, address
            assert not apart(content(answer)), address
            shown += content(answer)
    assert f"Run {RUN}</li>" in shown
    assert all(text in shown for text in IDS)


def test_ids_are_whole_throughout_the_administration(client: Client) -> None:
    for address in admin_addresses():
        answer = client.get(address)
        assert answer.status_code == 200, address
        assert not apart(content(answer)), address


@pytest.mark.parametrize("form", ["csv", "json"])
def test_ids_are_whole_in_exports(client: Client, form: str) -> None:
    answer: Any = client.get(reverse(f"imports:run_export_{form}"))
    text = b"".join(answer.streaming_content).decode()
    assert str(RUN) in text
    assert not apart(text)


def test_ids_are_whole_in_what_commands_print(client: Client) -> None:
    for arguments in ((), ("--json",)):
        out = io.StringIO()
        call_command("list_runs", *arguments, stdout=out)
        text = out.getvalue()
        assert str(RUN) in text
        assert not apart(text)


def test_ids_are_whole_in_what_is_said_after_a_deed(client: Client) -> None:
    run = ImportRun.objects.get(pk=UNKNOWN)
    address = reverse("imports:run_choose", args=[run.pk])
    answer = client.post(address, {"task": OTHER_TASK + "9"}, headers=HTMX)
    assert answer.status_code == 409
    assert not apart(content(answer))
    ImportRun.objects.filter(task_id=OTHER_TASK).delete()
    answer = client.post(address, {"task": OTHER_TASK}, headers=HTMX)
    assert OTHER_TASK in content(answer)
    assert not apart(content(answer))
    labels = AuditEntry.objects.values_list("object_label", flat=True)
    assert not apart(" ".join(labels))
    assert not apart(str(list(RunEvent.objects.values_list("details", flat=True))))
