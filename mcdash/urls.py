"""The site's routes."""

from __future__ import annotations

from django.contrib import admin
from django.contrib.auth import views as auth_views
from django.urls import include, path

from imports.forms import SignInForm
from imports.views import health
from imports.views.passwords import PasswordChange

handler403 = "imports.views.problems.forbidden"
handler404 = "imports.views.problems.not_found"
handler500 = "imports.views.problems.server_error"

urlpatterns = [
    path(
        "login/",
        auth_views.LoginView.as_view(
            authentication_form=SignInForm, redirect_authenticated_user=True
        ),
        name="login",
    ),
    path("logout/", auth_views.LogoutView.as_view(), name="logout"),
    path(
        "password_change/",
        PasswordChange.as_view(),
        name="password_change",
    ),
    path(
        "password_change/done/",
        auth_views.PasswordChangeDoneView.as_view(),
        name="password_change_done",
    ),
    # admin's own page would leave no trace in the audit
    path("admin/password_change/", PasswordChange.as_view()),
    path("admin/", admin.site.urls),
    path("healthz", health.healthz, name="healthz"),
    path("healthz/worker", health.worker, name="healthz_worker"),
    path("metrics", health.metrics, name="metrics"),
    path("", include("imports.urls")),
]
