"""`/password_change/`: one's own password, with the old one."""

from __future__ import annotations

from typing import Any

from django.contrib.auth import update_session_auth_hash
from django.contrib.auth.views import PasswordChangeView
from django.http import HttpResponse, HttpResponseRedirect

from imports.usecases.change_password import change_password
from imports.views.audit import address_of


class PasswordChange(PasswordChangeView):
    """Django's page; the deed is a use case. Other sessions of the person end."""

    def form_valid(self, form: Any) -> HttpResponse:
        change_password(
            person=form.user,
            password=form.cleaned_data["new_password1"],
            ip=address_of(self.request),
        )
        update_session_auth_hash(self.request, form.user)
        return HttpResponseRedirect(self.get_success_url())
