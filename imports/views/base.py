"""What all pages share: who can see them, and how they keep themselves up to date.

A poll carries `since`, the version of what the browser shows. Nothing changed: 204,
else those of the page's parts that changed, swapped out of band.
"""

from __future__ import annotations

import datetime as dt
import re
from collections.abc import Callable, Iterable
from functools import wraps
from typing import Any

from django.contrib.auth.views import redirect_to_login
from django.core.exceptions import PermissionDenied
from django.db.models import Max
from django.http import HttpRequest, HttpResponse
from django.shortcuts import get_object_or_404, render
from django.urls import reverse
from django.utils import timezone
from django.utils.http import url_has_allowed_host_and_scheme
from django_htmx.http import reswap, retarget, trigger_client_event
from django_htmx.middleware import HtmxDetails

from imports import models
from imports.lists.attention import Attention, attention_counts
from imports.lists.filters import with_favourites
from imports.models import STORAGE, Account, ImportDefinition, ImportRun, User
from imports.ui.partials import Parts
from imports.wording.formats import problem_text, spoken

# Seconds between polls: while something on the page moves, and otherwise.
FAST_SECONDS = 3
QUIET_SECONDS = 20
# "Last checked" on a page is redrawn at most this often.
STEP_SECONDS = 20
MOST_SENTENCES = 5
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
    definitions = with_favourites(definitions, user)
    definitions = definitions.select_related("account", "last_run")
    return get_object_or_404(definitions.annotate(workers=models.workers_word()), pk=pk)


def visible_run(user: User, pk: int) -> ImportRun:
    """The run, or 404."""
    runs = ImportRun.objects.still_visible_to(user)
    runs = runs.select_related("account", "definition")
    return get_object_or_404(runs.annotate(workers=models.workers_word()), pk=pk)


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


class PageVersion:
    """What a page depends on, noted before it is read: the greatest revision that the
    reader can see (`number`), when Marketing Cloud last responded (`step`, so that
    "last checked" stays true), the reader's day, how the workers do, and whether
    anything can be saved. `is_of_all`: of all accounts, not of a single one.
    """

    def __init__(
        self, number: int, workers: models.WorkerState, step: int, *, is_of_all: bool
    ) -> None:
        self.number, self.workers, self.is_of_all = number, workers, is_of_all
        silent = "s" if workers.is_silent else ""
        stuck = "o" if workers.is_stuck else ""
        unsaved = "w" if STORAGE.unwritable_since else ""
        day = timezone.localdate()
        self.text = f"{number}-{step}-{day:%j}{silent}{stuck}{unsaved}"


def page_version(user: User) -> PageVersion:
    """The page's version for `user`, in one query."""
    accounts = Account.objects.still_visible_to(user).aggregate(
        number=Max("revision"),
        contact=Max("last_contact_at"),
        workers=Max(models.workers_word()),
    )
    if accounts["number"] is None:
        # whoever sees no account is told whether there are any
        step, workers = int(Account.objects.exists()), models.workers_now()
    else:
        step = step_of(accounts["contact"])
        workers = models.workers_of(accounts["workers"])
    return PageVersion(accounts["number"] or 0, workers, step, is_of_all=True)


def version_of(subject: ImportDefinition | ImportRun, step: int = 0) -> PageVersion:
    """The version of the page of one thing, which follows that account alone."""
    workers = models.workers_of(subject.workers)  # type: ignore[union-attr]  # annotated
    return PageVersion(subject.account.revision, workers, step, is_of_all=False)


def step_of(moment: dt.datetime | None) -> int:
    return int(moment.timestamp()) // STEP_SECONDS if moment else 0


def is_unchanged(request: SignedInRequest, version: PageVersion) -> bool:
    return request.GET.get("since") == version.text


def live(
    request: SignedInRequest,
    version: PageVersion,
    *,
    title: str,
    is_moving: bool,
    is_over: bool = False,
    attention: Attention | None = None,
    **own: Any,
) -> dict[str, Any]:
    """What the element `#live` (`_live.html`) tells the script that polls: where and
    how often to ask, and the tab's title and icon (`state`), of all runs unless the
    page has its `own`; and what stands on every page: how much needs attention, and
    how the workers do.

    Call it after the page's parts were read. What changed while they were read may
    be on the page by half, so then it asks again soon.
    """
    attention = attention or attention_counts(request.user)
    failed = attention.failed_count
    if version.is_of_all and page_version(request.user).number != version.number:
        is_moving = True
    if "state" not in own:
        title = f"({failed} failed) {title}" if failed else title
        own["state"] = "failed" if failed else "attention"
        if not attention.count:
            active = ImportRun.objects.visible_to(request.user).active()
            own["state"] = "running" if active.exists() else "quiet"
    query = request.GET.copy()
    query["since"] = version.text
    query.pop("seen", None)
    return {
        "url": f"{request.path}?{query.urlencode()}",
        "seconds": 0 if is_over else FAST_SECONDS if is_moving else QUIET_SECONDS,
        "title": title,
        "workers": version.workers,
        "attention_count": attention.count,
        **own,
    }


def any_moves(runs: Iterable[ImportRun], workers: models.WorkerState) -> bool:
    """Whether one of `runs`, their accounts known, is active and followed."""
    return any(run.is_active and not run.why_not_followed(workers) for run in runs)


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


def answer(
    request: SignedInRequest, page: str, context: dict[str, Any]
) -> HttpResponse:
    """The whole page of the folder `page`, or for a poll what changed of its parts
    since the page last heard, with what happened in sentences.
    """
    # an address with `since` that somebody opens by hand is a page like any other
    if "since" not in request.GET or not request.htmx:
        context = context | {"parts": Parts()}
        return render(request, f"imports/{page}/page.html", context)
    response = news(request, f"imports/{page}/_parts.html", context)
    if since := re.match(r"\d{1,18}", request.GET["since"]):
        ended = (
            ImportRun.objects.visible_to(request.user)
            .filter(revision__gt=int(since.group()), status__in=models.ENDED)
            .select_related("definition")
            .order_by("-revision")[:MOST_SENTENCES]
        )
        sentences = []
        for run in ended:
            problem = f", {problem_text(run.counts)}" if run.are_counts_open else ""
            status = f"{run.get_status_display()}{problem}"
            sentences.append(f"{spoken(run.shown_name)}: {status}.")
        if sentences:
            trigger_client_event(response, "mcdash:announce", {"sentences": sentences})
    return response


def news(
    request: SignedInRequest, parts: str, context: dict[str, Any], status: int = 200
) -> HttpResponse:
    """Those of the page's parts that differ from what the poll says it shows."""
    parts_seen = Parts.seen_by(request.GET.get("seen", ""))
    context = context | {"parts": parts_seen, "oob": True}
    return render(request, parts, context, status=status)


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
