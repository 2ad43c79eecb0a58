"""The routes of the pages."""

from __future__ import annotations

from django.urls import path, register_converter
from django.urls.converters import IntConverter

from imports.views import accounts, dashboard, definitions, people, runs, start, system


class IdConverter(IntConverter):
    """A primary key: what no 64-bit integer can hold is no address (404)."""

    regex = "[0-9]{1,18}"


register_converter(IdConverter, "id")

app_name = "imports"
urlpatterns = [
    path("", dashboard.dashboard, name="dashboard"),
    path("definitions/", definitions.definition_list, name="definition_list"),
    path("definitions/start/", start.start_several, name="definition_start_several"),
    path("definitions/sync/", definitions.sync, name="definition_sync"),
    path("definitions/<id:pk>/", definitions.definition, name="definition"),
    path("definitions/<id:pk>/strip/", definitions.strip, name="definition_strip"),
    path(
        "definitions/<id:pk>/favourite/",
        definitions.favourite,
        name="definition_favourite",
    ),
    path("definitions/<id:pk>/start/", start.start, name="definition_start"),
    path("runs/", runs.run_list, name="run_list"),
    path("runs/export.csv", runs.run_export, {"form": "csv"}, "run_export_csv"),
    path("runs/export.json", runs.run_export, {"form": "json"}, "run_export_json"),
    path("runs/<id:pk>/", runs.run, name="run"),
    path("runs/<id:pk>/cancel/", runs.act, {"name": "cancel"}, "run_cancel"),
    path("runs/<id:pk>/check-again/", runs.act, {"name": "check"}, "run_check_again"),
    path("runs/<id:pk>/choose/", runs.choose, name="run_choose"),
    path(
        "runs/<id:pk>/not-started/",
        runs.declare_not_started,
        name="run_declare_not_started",
    ),
    path("accounts/", accounts.account_list, name="account_list"),
    path("profile/", people.profile, name="profile"),
    path(
        "profile/sign-out-everywhere/",
        people.sign_out_everywhere,
        name="sign_out_everywhere",
    ),
    path("session/", people.session, name="session"),
    path("styleguide/", system.styleguide, name="styleguide"),
]
