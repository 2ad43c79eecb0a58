"""What pages share: who can see them, and what they ask in dialogs. How they keep
themselves up to date is in `live.py`.
"""

from __future__ import annotations

import datetime as dt
from collections.abc import Callable, Iterable
from functools import wraps
from typing import Any

from django.contrib.auth.views import redirect_to_login
from django.core.exceptions import PermissionDenied
from django.db.models import Exists, OuterRef
from django.http import HttpRequest, HttpResponse
from django.shortcuts import get_object_or_404, render
from django.urls import reverse
from django.utils.http import url_has_allowed_host_and_scheme
from django_htmx.http import reswap, retarget, trigger_client_event
from django_htmx.middleware import HtmxDetails

from imports import models
from imports.models import Account, Favourite, ImportDefinition, ImportRun, User

MOST_NAMED = 3


class SignedInRequest(HttpRequest):
    user: User
    htmx: HtmxDetails


View = Callable[..., HttpResponse]


def signed_in(view: View) -> View:
    """Send strangers to the sign-in page; answer their polls with a bare 401, since a
    sign-in form must never land inside a part of a page.
    """

    @wraps(view)
    def guarded(request: HttpRequest, **kwargs: Any) -> HttpResponse:
        if isinstance(request.user, User):
            return view(request, **kwargs)
        if request.headers.get("HX-Request"):
            return HttpResponse("Your session has ended.", status=401)
        return redirect_to_login(request.get_full_path())

    return guarded


def as_id(text: str) -> int | None:
    """The primary key that `text` names. No database takes a number that is longer."""
    is_id = text.isascii() and text.isdecimal() and len(text) < 19
    return int(text) if is_id else None


def visible_definition(user: User, pk: int) -> ImportDefinition:
    """The definition, or 404: what one can't see does not exist."""
    definitions = ImportDefinition.objects.still_visible_to(user).with_destination()
    starred = Favourite.objects.filter(user=user, definition=OuterRef("pk"))
    definitions = definitions.select_related("account", "last_run").annotate(
        is_favourite=Exists(starred)
    )
    return get_object_or_404(definitions, pk=pk)


def visible_run(user: User, pk: int) -> ImportRun:
    """The run, or 404."""
    runs = ImportRun.objects.still_visible_to(user)
    runs = runs.select_related("account", "definition")
    return get_object_or_404(runs, pk=pk)


def can_start(user: User, subject: ImportDefinition | ImportRun) -> bool:
    accounts = Account.objects.startable_by(user)
    return accounts.filter(pk=subject.account_id).exists()


def require_start(user: User, subject: ImportDefinition | ImportRun) -> None:
    """Raise `PermissionDenied` with a sentence where `user` can only look."""
    if not can_start(user, subject):
        raise PermissionDenied(
            f"You have view-only access to “{subject.account}”. Ask an administrator "
            "for the right to start imports in it."
        )


def favourites_of(user: User) -> tuple[int, ...]:
    """The ids of the definitions that `user` starred."""
    favourites = Favourite.objects.filter(user=user).order_by("definition")
    return tuple(favourites.values_list("definition", flat=True))


def active_runs(
    definitions: Iterable[ImportDefinition], runs: models.RunQuerySet
) -> dict[int | None, ImportRun]:
    """The latest active run of each definition among `runs`, their accounts known."""
    by_pk = {definition.pk: definition for definition in definitions}
    active = runs.active().filter(definition__in=by_pk).order_by("occurred_at")
    latest = {run.definition_id: run for run in active}
    for run in latest.values():
        run.account = by_pk[run.definition_id or 0].account  # at hand already
    return latest


def last_contact_of(accounts: Iterable[Account]) -> dt.datetime | None:
    """When Marketing Cloud last responded for any of them."""
    contacts = (account.last_contact_at for account in accounts)
    return max(filter(None, contacts), default=None)


def dialog(
    request: SignedInRequest,
    folder: str,
    name: str,
    context: dict[str, Any],
    status: int = 200,
) -> HttpResponse:
    """A question: a page of its own without a script, else the page's own dialog."""
    template = f"_{name}_dialog" if request.htmx else name
    path = f"imports/{folder}/{template}.html"
    response = render(request, path, context, status=status)
    if request.htmx:  # wherever the form that was sent stands
        reswap(retarget(response, "#dialog-slot"), "innerHTML")
    return response


def close_dialog(response: HttpResponse) -> HttpResponse:
    """It was done: the dialog closes, and the page behind it looks what changed."""
    trigger_client_event(response, "mcdash:close-dialog", {})
    return trigger_client_event(response, "mcdash:changed", {})


def next_url(request: SignedInRequest) -> str:
    """The page that a form without a script was sent from, if it is one of ours."""
    url = request.POST.get("next", "")
    # anything else would be taken for the name of a route
    if url.startswith("/") and url_has_allowed_host_and_scheme(
        url, allowed_hosts={request.get_host()}, require_https=request.is_secure()
    ):
        return url
    return reverse("imports:definition_list")


def no_account(user: User) -> dict[str, str]:
    """What an empty page says to who sees no account, with its button, if it has one.
    Of accounts that are not theirs it only tells that there are some.
    """
    # by full names alone, since a bare login name is half of a sign-in
    people = User.objects.filter(is_active=True, is_superuser=True).order_by("pk")
    names = filter(None, (person.get_full_name() for person in people[:MOST_NAMED]))
    named = " or ".join(names)
    ask = f"Ask an administrator ({named})" if named else "Ask an administrator"
    fact, button = "No account is connected yet", {}
    if Account.objects.exists():
        fact = "You don’t have access to any account yet"
        reason = "mcdash has accounts, but none of your groups has access to one. "
        if button := _way_to_access(user):
            reason += (
                "Give a group access to an account, and put yourself into that group."
            )
        else:
            reason += f"{ask} for access. Imports will then appear here automatically."
    elif user.is_staff and user.has_perm("imports.add_account"):
        reason = (
            "Add a Marketing Cloud account and give a group access to it. "
            "Its definitions then appear here."
        )
        link = reverse("admin:imports_account_add")
        button = {"link": link, "link_text": "Add an account", "icon": "plus"}
    else:
        reason = (
            f"{ask} to connect a Marketing Cloud account. Imports then appear here by "
            "themselves."
        )
    return {"fact": fact, "reason": reason} | button


def _way_to_access(user: User) -> dict[str, str]:
    """The way in the administration to give themselves access, if `user` has one."""
    link, link_text = "", "Give a group access"
    if not user.is_staff:
        return {}
    if user.has_perms(("imports.change_account", "imports.add_accountaccess")):
        link = reverse("admin:imports_account_changelist")
        pks = list(Account.objects.order_by("pk").values_list("pk", flat=True)[:2])
        if len(pks) == 1:
            page = reverse("admin:imports_account_change", args=pks)
            link = f"{page}#accesses-group"
    elif user.has_perms(("auth.change_group", "imports.add_accountaccess")):
        link = reverse("admin:auth_group_changelist")
    elif user.has_perm("imports.change_user"):
        link = reverse("admin:imports_user_change", args=[user.pk])
        link_text = "Choose your groups"
    return {"link": link, "link_text": link_text, "icon": "key"} if link else {}
