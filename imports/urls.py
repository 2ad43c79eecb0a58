"""The routes of the pages."""

from __future__ import annotations

from django.urls import path, register_converter
from django.urls.converters import IntConverter

from imports.views import accounts, dashboard, definitions, profile, runs, starts


class IdConverter(IntConverter):
    """A primary key: what no 64-bit integer can hold is no address (404)."""

    regex = "[0-9]{1,18}"


register_converter(IdConverter, "id")

app_name = "imports"
urlpatterns = [
    path("", dashboard.dashboard, name="dashboard"),
    path("definitions/", definitions.definition_list, name="definition_list"),
    path("definitions/<id:pk>/", definitions.definition, name="definition"),
    path(
        "definitions/<id:pk>/start/", starts.definition_start, name="definition_start"
    ),
    path("runs/", runs.run_list, name="run_list"),
    path("runs/<id:pk>/", runs.run, name="run"),
    path("runs/<id:pk>/withdraw/", runs.run_withdraw, name="run_withdraw"),
    path("runs/<id:pk>/check-again/", runs.run_check_again, name="run_check_again"),
    path("accounts/", accounts.account_list, name="account_list"),
    path("profile/", profile.profile, name="profile"),
]
