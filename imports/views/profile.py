"""`/profile/`: time zone, theme, keys."""

from __future__ import annotations

from django.contrib import messages
from django.contrib.auth import logout
from django.http import HttpResponse
from django.shortcuts import redirect, render
from django.views.decorators.http import require_http_methods, require_POST

from imports.forms import ProfileForm
from imports.models import User
from imports.usecases.end_sessions import end_sessions
from imports.views.access import SignedInRequest, signed_in
from imports.views.audit import address_of


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
    return render(request, "imports/profile.html", {"form": form}, status=status)


@signed_in
@require_POST
def sign_out_everywhere(request: SignedInRequest) -> HttpResponse:
    """Every session of this person ends, this one among them."""
    end_sessions(person=request.user, by=request.user, ip=address_of(request))
    logout(request)
    messages.success(request, "You are signed out everywhere.")
    return redirect("login")
