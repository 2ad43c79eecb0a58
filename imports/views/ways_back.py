"""The page to come back to after a form that works without a script."""

from __future__ import annotations

from django.urls import reverse
from django.utils.http import url_has_allowed_host_and_scheme

from imports.views.access import SignedInRequest


def way_back(request: SignedInRequest) -> str:
    """The page the form was sent from, if it is one of ours."""
    wanted = request.POST.get("next", "")
    # anything else would be taken for the name of a route
    if wanted.startswith("/") and url_has_allowed_host_and_scheme(
        wanted, allowed_hosts={request.get_host()}, require_https=request.is_secure()
    ):
        return wanted
    return reverse("imports:definition_list")
