"""What a page needs to keep itself fresh with one small request.

A poll carries `since`. Nothing changed → 204 and no body; else the page's parts,
swapped out of band.
"""

from __future__ import annotations

import datetime as dt
import re
from collections.abc import Callable, Iterable
from dataclasses import dataclass, field
from functools import update_wrapper
from typing import Any, Concatenate, ParamSpec, cast

from django.contrib.auth.views import redirect_to_login
from django.core.exceptions import PermissionDenied
from django.db.models import (
    Count,
    Max,
    Q,
)
from django.http import HttpRequest, HttpResponse
from django.shortcuts import get_object_or_404, render
from django.urls import reverse
from django.utils import timezone
from django.utils.http import url_has_allowed_host_and_scheme
from django.views.decorators.cache import never_cache
from django_htmx.http import reswap, retarget, trigger_client_event
from django_htmx.middleware import HtmxDetails

from imports.lists.attention import accounts_in_trouble, runs_in_need
from imports.models import (
    ENDED,
    STORAGE,
    Account,
    ImportDefinition,
    ImportRun,
    RunStatus,
    User,
    WorkerState,
    workers_now,
    workers_of,
    workers_word,
)
from imports.models.worker import is_key_lost
from imports.ui.partials import Parts
from imports.wording.formats import problem_text, spoken

# Who may see a page, and what a page says to those who may not.


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
    definitions = definitions.with_destination().select_related("account", "last_run")
    return get_object_or_404(definitions, pk=pk)


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


FAST_SECONDS = 3
QUIET_SECONDS = 20
STEP_SECONDS = 20
MOST_SENTENCES = 5
STATE_OF_RUN = {
    RunStatus.FAILED: "failed",
    RunStatus.NOT_STARTED: "failed",
    RunStatus.UNKNOWN: "attention",
    RunStatus.LOST: "attention",
    RunStatus.COMPLETED_WITH_ERRORS: "attention",
    RunStatus.QUEUED: "running",
    RunStatus.STARTING: "running",
    RunStatus.RUNNING: "running",
}


@dataclass(frozen=True, kw_only=True, slots=True)
class PageVersion:
    """What a page depends on: the greatest revision that the reader may see,
    whether workers live and get on, whether anything can be saved, when Marketing Cloud
    was last heard of (in steps of 20 seconds, so that "last checked" stays true), and
    the reader's day. `is_of_all`: of all accounts that the reader may see, not of a
    single one.
    """

    number: int
    workers: WorkerState
    is_writable: bool = field(default_factory=lambda: STORAGE.unwritable_since is None)
    heard_step: int = 0
    day: dt.date = field(default_factory=timezone.localdate)
    is_of_all: bool = False

    def __str__(self) -> str:
        silent = "s" if self.workers.is_silent else ""
        stuck = "o" if self.workers.is_stuck else ""
        unsaved = "" if self.is_writable else "w"
        return f"{self.number}-{self.heard_step}-{self.day:%j}{silent}{stuck}{unsaved}"


def _step(moment: dt.datetime | None) -> int:
    return int(moment.timestamp()) // STEP_SECONDS if moment else 0


def page_version(user: User) -> PageVersion:
    """The page's version for `user`, in one query."""
    found = Account.objects.still_visible_to(user).aggregate(
        number=Max("revision"),
        contact=Max("last_contact_at"),
        workers=Max(workers_word()),
    )
    sees_none = found["number"] is None
    # whoever sees no account is told whether there are any
    there_are = sees_none and Account.objects.exists()
    return PageVersion(
        number=found["number"] or 0,
        workers=workers_now() if sees_none else workers_of(found["workers"]),
        heard_step=int(there_are) if sees_none else _step(found["contact"]),
        is_of_all=True,
    )


def run_and_version(user: User, pk: int) -> tuple[ImportRun, PageVersion]:
    """The run, or 404, and its page's version in the same query: a run's page
    follows that run's account alone.
    """
    runs = ImportRun.objects.still_visible_to(user).annotate(
        workers=workers_word(), has_lost_key=is_key_lost("account_id")
    )
    run = get_object_or_404(runs.select_related("account", "definition"), pk=pk)
    run.account.has_lost_key = run.has_lost_key  # type: ignore[attr-defined]
    return run, PageVersion(
        number=run.account.revision,
        workers=workers_of(run.workers),  # type: ignore[attr-defined]
        heard_step=_step(run.last_checked_at),
    )


@dataclass(frozen=True, kw_only=True, slots=True)
class Live:
    """What `#live` says: where and how often to ask, the tab's title and icon; and
    what every page shows of the whole: how much needs the reader, how workers do.
    `has_notice`: the page itself says what is wrong with them.
    """

    url: str
    seconds: int
    title: str
    state: str
    workers: WorkerState
    attention_count: int
    has_notice: bool = False


def is_unchanged(request: SignedInRequest, version: PageVersion) -> bool:
    return request.GET.get("since") == str(version)


def nothing_changed() -> HttpResponse:
    return HttpResponse(status=204)


def live(
    request: SignedInRequest,
    version: PageVersion,
    *,
    title: str,
    is_moving: bool,
    is_over: bool = False,
) -> Live:
    """How a page over many runs goes on: fast while something on it can change,
    0 when all is final.

    Call it after the page's parts were read. What changed while they were read may
    be on the page by half, so then it asks again soon.
    """
    failed, needy, is_running = _state(request.user)
    has_moved = (
        version.is_of_all and page_version(request.user).number != version.number
    )
    state = "failed" if failed else "attention" if needy else ""
    return Live(
        url=_poll_url(request, version),
        seconds=_pace(is_moving=is_moving or has_moved, is_over=is_over),
        title=f"({failed} failed) {title}" if failed else title,
        state=state or ("running" if is_running else "quiet"),
        workers=version.workers,
        attention_count=needy,
    )


def live_of_run(
    request: SignedInRequest, version: PageVersion, run: ImportRun, *, is_over: bool
) -> Live:
    """How the page of one run goes on: its title and icon tell of that run."""
    unfollowed = run.why_not_followed(version.workers)
    is_followed = unfollowed is None
    # the page's own notice says it already, and since when
    is_told = unfollowed is not None and unfollowed.why.lies_with_workers
    state = STATE_OF_RUN.get(RunStatus(run.status), "quiet")
    word = run.get_status_display() + ("" if is_followed else ", not followed")
    return Live(
        url=_poll_url(request, version),
        seconds=_pace(is_moving=run.is_active and is_followed, is_over=is_over),
        title=f"{word}: {spoken(run.shown_name)} · mcdash",
        state=state if is_followed else "attention",
        workers=WorkerState() if is_over else version.workers,
        has_notice=is_told,
        attention_count=_state(request.user)[1],
    )


def _poll_url(request: SignedInRequest, version: PageVersion) -> str:
    query = request.GET.copy()
    query["since"] = str(version)
    query.pop("seen", None)
    return f"{request.path}?{query.urlencode()}"


def _pace(*, is_moving: bool, is_over: bool) -> int:
    return 0 if is_over else FAST_SECONDS if is_moving else QUIET_SECONDS


def any_moves(runs: Iterable[ImportRun], workers: WorkerState) -> bool:
    """Whether something can change on a page with `runs`, their accounts known: one is
    under way and somebody looks at it.
    """
    return any(run.is_active and not run.why_not_followed(workers) for run in runs)


def _state(user: User) -> tuple[int, int, bool]:
    """How many runs failed and how much needs the reader; whether anything runs."""
    failed = Count("pk", filter=Q(status=RunStatus.FAILED))
    runs = runs_in_need(user).order_by().aggregate(failed=failed, all=Count("pk"))
    troubles = accounts_in_trouble(user).count()
    is_running = ImportRun.objects.visible_to(user).active().exists()
    return runs["failed"], runs["all"] + troubles, is_running


def answer(
    request: SignedInRequest, page: str, parts: str, context: dict[str, Any]
) -> HttpResponse:
    """The whole page, or for a poll what changed of its parts since the page last
    heard, with what happened in sentences.
    """
    if "since" not in request.GET or not request.htmx:
        return render(request, page, context | {"parts": Parts()})
    response = news(request, parts, context)
    sentences = _sentences(request)
    if sentences:
        trigger_client_event(response, "mcdash:announce", {"sentences": sentences})
    return response


def news(
    request: SignedInRequest, parts: str, context: dict[str, Any], status: int = 200
) -> HttpResponse:
    """What the asking page lacks of its parts, out of band."""
    shown = Parts.seen_by(request.GET.get("seen", ""))
    context = context | {"parts": shown, "oob": True}
    return render(request, parts, context, status=status)


def dialog(
    request: SignedInRequest,
    *,
    page: str,
    partial: str,
    context: dict[str, Any],
    status: int = 200,
) -> HttpResponse:
    """A question: `page` without a script, else `partial` in the page's own dialog."""
    if not request.htmx:
        return render(request, page, context, status=status)
    response = render(request, partial, context, status=status)
    # wherever the form that was sent stands
    return reswap(retarget(response, "#dialog-slot"), "innerHTML")


def _sentences(request: SignedInRequest) -> list[str]:
    since = re.match(r"\d{1,18}", request.GET["since"])
    if since is None:
        return []
    runs = (
        ImportRun.objects.visible_to(request.user)
        .filter(revision__gt=int(since.group()), status__in=ENDED)
        .select_related("definition")
        .order_by("-revision")[:MOST_SENTENCES]
    )
    return [_sentence(run) for run in runs]


def _sentence(run: ImportRun) -> str:
    words = [run.get_status_display()]
    words += [problem_text(run.counts)] if run.are_counts_open else []
    return f"{spoken(run.shown_name)}: {', '.join(words)}."


# The page to come back to after a form that works without a script.


def way_back(request: SignedInRequest) -> str:
    """The page the form was sent from, if it is one of ours."""
    wanted = request.POST.get("next", "")
    # anything else would be taken for the name of a route
    if wanted.startswith("/") and url_has_allowed_host_and_scheme(
        wanted, allowed_hosts={request.get_host()}, require_https=request.is_secure()
    ):
        return wanted
    return reverse("imports:definition_list")


# What a page says to whoever sees no account: that there is none at all, or that none


MOST_NAMED = 3


@dataclass(frozen=True, kw_only=True, slots=True)
class NoAccount:
    """An empty page's words, and where its button leads, if it has one."""

    fact: str
    reason: str
    link: str = ""
    link_text: str = ""
    icon: str = ""


def no_account(user: User) -> NoAccount:
    """Why `user` sees no account. Of accounts that are not theirs it only tells that
    there are some.
    """
    if Account.objects.exists():
        return _none_of_theirs(user)
    if user.is_staff and user.has_perm("imports.add_account"):
        return NoAccount(
            fact="No account is connected yet",
            reason="Add a Marketing Cloud account and give a group access to it. Its "
            "definitions then appear here.",
            link=reverse("admin:imports_account_add"),
            link_text="Add an account",
            icon="plus",
        )
    return NoAccount(
        fact="No account is connected yet",
        reason=f"{_whom_to_ask()} to connect a Marketing Cloud account. Imports then "
        "appear here by themselves.",
    )


def _none_of_theirs(user: User) -> NoAccount:
    fact = "You don’t have access to any account yet"
    some = "mcdash has accounts, but none of your groups has access to one."
    link, link_text = _way_to_access(user)
    if link:
        return NoAccount(
            fact=fact,
            reason=f"{some} Give a group access to an account, and put yourself into "
            "that group.",
            link=link,
            link_text=link_text,
            icon="key",
        )
    return NoAccount(
        fact=fact,
        reason=f"{some} {_whom_to_ask()} for access. Imports then appear here by "
        "themselves.",
    )


def _way_to_access(user: User) -> tuple[str, str]:
    """Where in the administration `user` can give themselves access, and its button."""
    if not user.is_staff:
        return "", ""
    if user.has_perms(("imports.change_account", "imports.add_accountaccess")):
        pks = list(Account.objects.order_by("pk").values_list("pk", flat=True)[:2])
        if len(pks) == 1:
            page = reverse("admin:imports_account_change", args=pks)
            return f"{page}#accesses-group", "Give a group access"
        return reverse("admin:imports_account_changelist"), "Give a group access"
    if user.has_perms(("auth.change_group", "imports.add_accountaccess")):
        return reverse("admin:auth_group_changelist"), "Give a group access"
    if user.has_perm("imports.change_user"):
        own = reverse("admin:imports_user_change", args=[user.pk])
        return own, "Choose your groups"
    return "", ""


def _whom_to_ask() -> str:
    """ "Ask an administrator (Ana Ruiz)": by full names alone, since a bare login name
    is half of a sign-in.
    """
    people = User.objects.filter(is_active=True, is_superuser=True).order_by("pk")
    names = [name for person in people[:MOST_NAMED] if (name := person.get_full_name())]
    named = f" ({' or '.join(names)})" if names else ""
    return f"Ask an administrator{named}"
