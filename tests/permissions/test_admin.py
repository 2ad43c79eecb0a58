"""Every address of the administration × every kind of person, by rule."""

from __future__ import annotations

import re
from typing import Any

import pytest
from django.apps import apps
from django.contrib import admin
from django.contrib.contenttypes.models import ContentType
from django.db import transaction

from imports.admin.base import ReadOnlyAdmin
from imports.models import Account, User
from tests.factories import (
    AuditEntryFactory,
    DefinitionVersionFactory,
    GroupFactory,
)

from .routes import admin_routes
from .world import ROLES, World, make_world, stored

pytestmark = [pytest.mark.django_db, pytest.mark.slow]
OF_MODEL = re.compile(r"admin/(?P<app>auth|imports)/(?P<model>\w+)/(?P<rest>.*)")
# One's own password: a page of mcdash, for whoever is signed in.
OWN_PASSWORD = "admin/password_change/"
# What is neither of a model nor a page for staff alike: what staff and superuser get.
OTHERS: dict[str, tuple[int, int]] = {
    "admin/": (200, 200),
    "admin/login/": (302, 302),
    "admin/logout/": (405, 405),
    "admin/password_change/done/": (200, 200),
    "admin/autocomplete/": (403, 403),
    "admin/jsi18n/": (200, 200),
    "admin/r/<path:content_type_id>/<path:object_id>/": (404, 404),
    "admin/<app>/": (404, 200),
    "admin/(?P<url>.*)$": (404, 404),
}
ROUTES = sorted(admin_routes() - {OWN_PASSWORD})
# For everybody; a session is no right.
SESSIONS = ("admin/login/", "admin/logout/")


@pytest.fixture
def world(db: None) -> World:
    made = make_world()
    GroupFactory.create()
    DefinitionVersionFactory.create(definition=made.objects["definition"])
    AuditEntryFactory.create(account=made.account, actor=made.people["starter"])
    return made


def row_of(model: Any) -> Any:
    if model is User:
        return User.objects.filter(is_superuser=False, is_staff=False).latest("pk")
    return model._default_manager.order_by("pk").last()


def url_of(route: str) -> str:
    if found := OF_MODEL.fullmatch(route):
        model = apps.get_model(found["app"], found["model"])
        pk = str(row_of(model).pk)
        return "/" + route.replace("<path:object_id>", pk).replace("<id>", pk)
    account = ContentType.objects.get_for_model(Account).pk
    named = {
        "admin/r/<path:content_type_id>/<path:object_id>/": f"admin/r/{account}/1/",
        "admin/<app>/": "admin/imports/",
        "admin/(?P<url>.*)$": "admin/nowhere/",
    }
    return f"/{named.get(route, route)}"


def expected(route: str) -> dict[str, int]:
    """What GET answers by role: strangers are sent to the sign-in, staff without a
    permission are refused, superusers may all but change what is to look at only.
    """
    by_role = dict.fromkeys(ROLES, 302)
    if route == "admin/login/":
        by_role = dict.fromkeys(ROLES, 200)
    by_role["staff"], by_role["superuser"] = OTHERS.get(route) or _of_model(route)
    return by_role


def _of_model(route: str) -> tuple[int, int]:
    found = OF_MODEL.fullmatch(route)
    assert found, f"{route} needs a line in OTHERS"
    if found["rest"] == "<path:object_id>/":
        return 302, 302  # to its page, which asks for itself
    site = admin.site._registry[apps.get_model(found["app"], found["model"])]
    is_closed = found["rest"] in ("add/", "<path:object_id>/delete/")
    return 403, 403 if is_closed and isinstance(site, ReadOnlyAdmin) else 200


@pytest.mark.parametrize("route", ROUTES)
def test_a_page_opens_for_staff_with_the_right_to_it(world: World, route: str) -> None:
    url = url_of(route)
    found = {role: world.client(role).get(url).status_code for role in ROLES}
    assert found == expected(route)


@pytest.mark.parametrize("route", [one for one in ROUTES if one not in SESSIONS])
def test_nobody_but_a_superuser_changes_anything(world: World, route: str) -> None:
    url = url_of(route)
    pk = url.split("/")[-3]
    words = "a-new-pass-phrase-1"
    deeds: list[dict[str, Any]] = [
        {"post": "yes", "name": "x", "username": "x", "is_superuser": "on"},
        {"password1": words, "password2": words, "usable_password": "true"},
        *(
            {"action": action, "_selected_action": [pk, "1", "2"], "post": "yes"}
            for action in ("delete_selected", "pause_starts", "sign_out_everywhere")
        ),
    ]
    for role in (one for one in ROLES if one != "superuser"):
        # each deed by a client of its own: one may sign it out
        clients = [world.client(role) for _ in deeds]
        before = stored()
        for client, fields in zip(clients, deeds, strict=True):
            with transaction.atomic():
                status = client.post(url, fields).status_code
                assert stored() == before, (role, fields)
                transaction.set_rollback(True)
            # pages that only show something answer a POST like a GET
            allowed = {302, 403, 404, 405} | {expected(route)[role]}
            assert status in allowed, role


def test_every_model_of_the_administration_is_covered() -> None:
    covered = {
        apps.get_model(found["app"], found["model"])
        for route in ROUTES
        if (found := OF_MODEL.fullmatch(route))
    }
    assert covered == set(admin.site._registry)
