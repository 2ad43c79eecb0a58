"""Who may see a page, and what a page says to those who may not."""

from __future__ import annotations

from collections.abc import Callable
from functools import update_wrapper
from typing import Concatenate, ParamSpec, cast

from django.contrib.auth.views import redirect_to_login
from django.core.exceptions import PermissionDenied
from django.http import HttpRequest, HttpResponse
from django.shortcuts import get_object_or_404
from django.views.decorators.cache import never_cache
from django_htmx.middleware import HtmxDetails

from imports.models import Account, ImportDefinition, ImportRun, User

P = ParamSpec("P")


class SignedInRequest(HttpRequest):
    """A request of a person who is signed in."""

    user: User
    htmx: HtmxDetails


View = Callable[Concatenate[SignedInRequest, P], HttpResponse]


def signed_in(view: View[P]) -> Callable[Concatenate[HttpRequest, P], HttpResponse]:
    """Send strangers to the sign-in page; answer their polls with a bare 401.

    A sign-in form must never land inside a part of a page.
    """

    @never_cache
    def guarded(
        request: HttpRequest, /, *args: P.args, **kwargs: P.kwargs
    ) -> HttpResponse:
        if isinstance(request.user, User):
            return view(cast("SignedInRequest", request), *args, **kwargs)
        if request.headers.get("HX-Request"):
            return HttpResponse("Your session has ended.", status=401)
        return redirect_to_login(request.get_full_path())

    update_wrapper(guarded, view)
    return guarded


def visible_definition(user: User, pk: int) -> ImportDefinition:
    """The definition, or 404: what one may not see does not exist."""
    definitions = ImportDefinition.objects.still_visible_to(user)
    return get_object_or_404(definitions.select_related("account", "last_run"), pk=pk)


def visible_run(user: User, pk: int) -> ImportRun:
    """The run, or 404: what one may not see does not exist."""
    runs = ImportRun.objects.still_visible_to(user)
    return get_object_or_404(runs.select_related("account", "definition"), pk=pk)


def may_start(user: User, subject: ImportDefinition | ImportRun) -> bool:
    """Whether `user` may start things in the account of a definition or run."""
    accounts = Account.objects.startable_by(user)
    return accounts.filter(pk=subject.account_id).exists()


def require_start(user: User, subject: ImportDefinition | ImportRun) -> None:
    """Raise `PermissionDenied` with a sentence where `user` may only look."""
    if not may_start(user, subject):
        raise PermissionDenied(
            f"You may see “{subject.account}” but not start anything in it. Ask an "
            "administrator for the right to start."
        )
