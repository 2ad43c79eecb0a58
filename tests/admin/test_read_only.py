from __future__ import annotations

from typing import Any

import pytest
from django.contrib import admin as site
from django.contrib.auth.models import Permission
from django.db.models import Model
from django.test import Client

from imports.models import (
    AccountToken,
    AuditEntry,
    DefinitionVersion,
    Favourite,
    ImportDefinition,
    ImportRun,
    Lease,
    Revision,
    RunEvent,
    Worker,
)
from tests.admin.conftest import Staff
from tests.factories import (
    AuditEntryFactory,
    DefinitionVersionFactory,
    ImportDefinitionFactory,
    ImportRunFactory,
    RunEventFactory,
    WorkerFactory,
)

FACTORIES: dict[type[Model], Any] = {
    ImportDefinition: ImportDefinitionFactory,
    DefinitionVersion: DefinitionVersionFactory,
    ImportRun: ImportRunFactory,
    AuditEntry: AuditEntryFactory,
    Worker: WorkerFactory,
}
EVERY = pytest.mark.parametrize("model", FACTORIES, ids=lambda m: m.__name__)


def url_of(model: type[Model], tail: str = "") -> str:
    return f"/admin/imports/{model._meta.model_name}/{tail}"


def snapshot(model: type[Model]) -> list[dict[str, Any]]:
    return list(model._default_manager.order_by("pk").values())


@EVERY
def test_a_superuser_can_look_but_not_post(admin: Client, model: type[Model]) -> None:
    row = FACTORIES[model].create()
    before = snapshot(model)
    refused = [
        url_of(model),
        url_of(model, "add/"),
        url_of(model, f"{row.pk}/change/"),
        url_of(model, f"{row.pk}/delete/"),
    ]
    for url in refused:
        data = {"post": "yes", "name": "x", "status": "completed", "action_name": "x"}
        assert admin.post(url, data).status_code == 403, url
    assert admin.get(url_of(model, "add/")).status_code == 403
    assert admin.get(url_of(model, f"{row.pk}/delete/")).status_code == 403
    assert admin.get(url_of(model, f"{row.pk}/change/")).status_code == 200
    assert snapshot(model) == before


@EVERY
@pytest.mark.parametrize("action", ["delete_selected", "anything"])
def test_no_action_reaches_read_only_rows(
    admin: Client, model: type[Model], action: str
) -> None:
    row = FACTORIES[model].create()
    data = {"action": action, "_selected_action": [row.pk], "post": "yes", "index": 0}
    assert admin.post(url_of(model), data).status_code == 403
    assert model._default_manager.filter(pk=row.pk).exists()


@EVERY
def test_permissions_of_django_open_no_door_to_read_only_rows(
    staff: Staff, model: type[Model]
) -> None:
    row = FACTORIES[model].create()
    name = model._meta.model_name
    deeds = ("add", "change", "delete", "view")
    client = staff(*(f"{deed}_{name}" for deed in deeds))
    assert client.get(url_of(model)).status_code == 200
    assert client.post(url_of(model, "add/"), {}).status_code == 403
    for tail in ("change/", "delete/"):
        url = url_of(model, f"{row.pk}/{tail}")
        assert client.post(url, {"post": "yes"}).status_code == 403


def test_events_of_a_run_are_shown_and_cannot_be_changed(admin: Client) -> None:
    event = RunEventFactory.create(details={"phase": "Processing"})
    url = url_of(ImportRun, f"{event.run_id}/change/")
    page = admin.get(url).content.decode()
    assert "Processing" in page
    before = snapshot(RunEvent)
    data = {
        "events-TOTAL_FORMS": "2",
        "events-INITIAL_FORMS": "1",
        "events-0-id": str(event.pk),
        "events-0-DELETE": "on",
        "events-1-kind": "ended",
    }
    assert admin.post(url, data).status_code == 403
    assert snapshot(RunEvent) == before


@pytest.mark.parametrize(
    "model", [AccountToken, Lease, Revision, Favourite, RunEvent], ids=str
)
def test_what_is_nobodys_business_has_no_page(model: type[Model]) -> None:
    assert not site.site.is_registered(model)


def test_staff_without_permission_see_no_history(staff: Staff) -> None:
    assert Permission.objects.filter(codename="view_importrun").exists()
    assert staff().get(url_of(ImportRun)).status_code == 403


def test_who_is_not_staff_is_sent_to_the_sign_in(client: Client, db: None) -> None:
    response = client.get(url_of(ImportRun))
    assert response.status_code == 302
    assert response["Location"].startswith("/admin/login/")
