"""A person's own settings: profile, password, sessions."""

from __future__ import annotations

from typing import Any

from django.contrib import messages
from django.contrib.auth import logout, update_session_auth_hash
from django.contrib.auth.views import PasswordChangeView
from django.http import HttpResponse, HttpResponseRedirect
from django.shortcuts import redirect, render
from django.views.decorators.http import (
    require_http_methods,
    require_POST,
    require_safe,
)

from imports.forms import ProfileForm
from imports.models import User
from imports.signin import address_of
from imports.usecases.people import change_password, end_sessions
from imports.views.base import SignedInRequest, signed_in


@signed_in
@require_http_methods(["GET", "HEAD", "POST"])
def profile(request: SignedInRequest) -> HttpResponse:
    # a copy: a refused form must not change how this very page looks
    person = User.objects.get(pk=request.user.pk)
    form = ProfileForm(request.POST or None, instance=person)
    if request.method == "POST" and form.is_valid():
        form.save()
        messages.success(request, "Your profile was saved.")
        return redirect("imports:profile")
    status = 400 if form.errors else 200
    return render(request, "imports/people/profile.html", {"form": form}, status=status)


@signed_in
@require_POST
def sign_out_everywhere(request: SignedInRequest) -> HttpResponse:
    """Every session of this person ends, this one among them."""
    end_sessions(person=request.user, by=request.user, ip=address_of(request))
    logout(request)
    messages.success(request, "You are signed out everywhere.")
    return redirect("login")


class PasswordChange(PasswordChangeView):
    """Django's page, with the change as a use case. The person's other sessions end."""

    def form_valid(self, form: Any) -> HttpResponse:
        change_password(
            person=form.user,
            password=form.cleaned_data["new_password1"],
            ip=address_of(self.request),
        )
        # or this very session would end with the others
        update_session_auth_hash(self.request, form.user)
        return HttpResponseRedirect(self.get_success_url())


@signed_in
@require_safe
def session(request: SignedInRequest) -> HttpResponse:
    """Only whether somebody is signed in. PageSessionMiddleware adds the rest: pages
    ask this when they come back into view, since somebody else may have signed in.
    """
    del request
    return HttpResponse(status=204)
