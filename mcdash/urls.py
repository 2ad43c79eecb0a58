"""The site's routes."""

from __future__ import annotations

from django.contrib import admin
from django.contrib.auth.views import LoginView, LogoutView, PasswordChangeDoneView
from django.urls import include, path

from imports.forms import SignInForm
from imports.views import system
from imports.views.people import PasswordChange

handler403 = "imports.views.system.forbidden"
handler404 = "imports.views.system.not_found"
handler500 = "imports.views.system.server_error"

sign_in = LoginView.as_view(
    authentication_form=SignInForm, redirect_authenticated_user=True
)
password_changed = PasswordChangeDoneView.as_view()
urlpatterns = [
    path("login/", sign_in, name="login"),
    path("logout/", LogoutView.as_view(), name="logout"),
    path("password_change/", PasswordChange.as_view(), name="password_change"),
    path("password_change/done/", password_changed, name="password_change_done"),
    # admin's own page would leave no trace in the audit
    path("admin/password_change/", PasswordChange.as_view()),
    path("admin/", admin.site.urls),
    path("healthz", system.healthz, name="healthz"),
    path("healthz/worker", system.worker, name="healthz_worker"),
    path("metrics", system.metrics, name="metrics"),
    path("", include("imports.urls")),
]
