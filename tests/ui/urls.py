"""The routes that the frame and the tags name, for tests without views."""

from __future__ import annotations

from django.http import HttpRequest, HttpResponse
from django.urls import include, path


def page(request: HttpRequest, **kwargs: int) -> HttpResponse:
    return HttpResponse()


pages = [
    path("", page, name="dashboard"),
    path("definitions/", page, name="definition_list"),
    path("definitions/<int:pk>/", page, name="definition"),
    path("definitions/<int:pk>/start/", page, name="start"),
    path("runs/", page, name="run_list"),
    path("runs/<int:pk>/", page, name="run"),
    path("accounts/", page, name="account_list"),
    path("profile/", page, name="profile"),
]
urlpatterns = [
    path("", include((pages, "imports"))),
    path("login/", page, name="login"),
    path("logout/", page, name="logout"),
    path("password_change/", page, name="password_change"),
    path("admin/", include(([path("", page, name="index")], "admin"))),
]
