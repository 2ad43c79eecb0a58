"""How fresh the definitions are, and asking for them now."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime

from django.contrib import messages
from django.db.models import CharField, Exists, OuterRef, Value
from django.db.models.functions import Cast, Concat, Now
from django.http import HttpResponse
from django.shortcuts import redirect, render
from django.views.decorators.http import require_POST
from django_htmx.http import trigger_client_event

from imports.models import Account, AccountQuerySet, Lease, User
from imports.usecases.want_sync import want_sync
from imports.views.access import SignedInRequest, signed_in
from imports.views.audit import address_of
from imports.views.ways_back import way_back

NAMED = 2
ALREADY = "This was asked for less than a minute ago."


@dataclass(frozen=True, kw_only=True, slots=True)
class Syncing:
    """The accounts whose definitions a list shows: how many there are, how many were
    never read, since when the oldest stands, what is being done about it, and which
    were last read so that what they lack may be there all the same.
    """

    n: int
    unsynced: int
    synced_at: datetime | None
    sentences: list[str]
    is_moving: bool
    may_ask: bool
    account: str
    doubted: list[Account]


def syncing(user: User, account: str = "") -> Syncing:
    """Of all accounts that `user` may see, or of the one with that id, in one query."""
    seen = list(_with_reading(Account.objects.visible_to(user)))
    of_list = [one for one in seen if str(one.pk) == account] or seen
    active = [one for one in of_list if one.is_active]
    awaited = [one for one in active if _is_awaited(one)]
    synced = [one.last_synced_at for one in active if one.last_synced_at]
    return Syncing(
        n=len(seen),
        unsynced=sum(one.last_synced_at is None for one in active),
        synced_at=min(synced, default=None),
        sentences=_sentences(awaited),
        is_moving=any(not one.is_breaker_open for one in awaited),
        may_ask=not awaited and any(not one.credentials_refused_at for one in active),
        account=account if len(of_list) < len(seen) else "",
        doubted=[one for one in active if one.listing_doubted_since],
    )


def _with_reading(accounts: AccountQuerySet) -> AccountQuerySet:
    """Each account with `is_reading`: whether a worker reads its definitions now."""
    name = Concat(Value("sync:"), Cast(OuterRef("pk"), CharField()))
    held = Lease.objects.filter(name=name, expires_at__gt=Now())
    return accounts.annotate(is_reading=Exists(held)).defer("secret")


def _is_awaited(account: Account) -> bool:
    return account.is_sync_awaited and account.credentials_refused_at is None


def _sentences(awaited: list[Account]) -> list[str]:
    reading = [one for one in awaited if getattr(one, "is_reading", False)]
    waiting = [one for one in awaited if one not in reading]
    silent = [one for one in waiting if one.is_breaker_open]
    next_up = [one for one in waiting if one not in silent]
    told = [f"Reading {_names(reading)}{_pages(reading)}"] if reading else []
    if next_up:
        told.append(f"Waiting for the worker: {_names(next_up)}")
    if silent:
        verb = "does" if len(silent) == 1 else "do"
        told.append(f"{_names(silent)} {verb} not answer and will be read later")
    return told


def _names(accounts: list[Account]) -> str:
    if len(accounts) > NAMED:
        return f"{len(accounts)} accounts"
    return " and ".join(one.shown_name[:60] for one in accounts)


def _pages(reading: list[Account]) -> str:
    """ ": 2 of about 5 pages", as far as an earlier sync tells how many there are."""
    read = sum(one.sync_pages_read or 0 for one in reading)
    before = [one.sync_pages for one in reading]
    if not read:
        return ""
    about = sum(pages or 0 for pages in before)
    if None in before or about < read:
        return f": {read} page{'' if read == 1 else 's'} so far"
    return f": {read} of about {about} page{'' if about == 1 else 's'}"


@signed_in
@require_POST
def definition_sync(request: SignedInRequest) -> HttpResponse:
    """Ask for the definitions of all visible accounts, or of `account`. Whoever may
    see an account may ask: it only reads.
    """
    account = request.POST.get("account", "")
    wanted = Account.objects.visible_to(request.user)
    if account.isdecimal() and len(account) < 19:
        wanted = wanted.filter(pk=account)
    taken = want_sync(
        accounts=wanted.defer("secret"), by=request.user, ip=address_of(request)
    )
    if not request.htmx:
        if not taken:
            messages.info(request, ALREADY)
        return redirect(way_back(request))
    context = {
        "syncing": syncing(request.user, account),
        "refused": not taken,
        "here": way_back(request),
    }
    response = render(request, "imports/_definitions_synced.html", context)
    return trigger_client_event(response, "mcdash:changed", {})
