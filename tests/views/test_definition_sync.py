"""How fresh the list of definitions is, and asking for them now."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

import pytest
from django.db import connection
from django.test import Client
from django.test.utils import CaptureQueriesContext
from django.utils import timezone

from imports.models import Account
from imports.models.account import BREAKER_OPENS_AT
from imports.wording.formats import clock_text
from tests.factories import AccountFactory, LeaseFactory

from .defining import ask, define
from .reading import (
    HTMX,
    a_worker_beats,
    content,
    part,
    poll_seconds,
    reader,
    something_changed,
    triggers,
    viewer,
    words,
)

pytestmark = pytest.mark.django_db
URL = "/definitions/sync/"
SYNCED = timedelta(minutes=39)


@pytest.fixture
def account() -> Account:
    a_worker_beats()
    synced = timezone.now() - SYNCED
    return AccountFactory.create(name="Nordlicht DE", last_synced_at=synced)


def being_read(account: Account, **pages: int | None) -> None:
    Account.objects.filter(pk=account.pk).update(sync_wanted_at=timezone.now(), **pages)
    LeaseFactory.create(name=f"sync:{account.pk}")


def synced(client: Client, **query: Any) -> str:
    """What the list says beside its title."""
    source = content(ask(client, **query)).split('id="synced"')[1]
    return " ".join(source.split("</div>")[0].split())


def test_the_list_tells_when_it_was_synced_and_offers_it_to_whoever_sees_it(
    account: Account,
) -> None:
    AccountFactory.create(name="Elsewhere", last_synced_at=None)
    told = synced(viewer(account))
    assert "Synced <time" in told
    assert "39 min ago" in told
    assert f'hx-post="{URL}"' in told
    assert "Elsewhere" not in told


def test_pressing_it_queues_the_sync_and_lets_the_page_follow(account: Account) -> None:
    client = viewer(account)
    answer = client.post(URL, headers=HTMX)
    assert answer.status_code == 200
    assert "Waiting for the worker: Nordlicht DE" in words(answer)
    assert "Sync now" not in words(answer)
    assert "mcdash:changed" in triggers(answer)
    assert Account.objects.get().is_sync_awaited
    assert poll_seconds(ask(client)) == 3


def test_pressing_it_again_within_a_minute_says_so(account: Account) -> None:
    client = viewer(account)
    Account.objects.update(
        sync_wanted_at=timezone.now() - timedelta(seconds=30),
        last_synced_at=timezone.now() - timedelta(seconds=20),
    )
    answer = client.post(URL, headers=HTMX)
    assert "Already asked less than a minute ago, synced 20 s ago" in words(answer)


def test_without_a_script_it_leads_back_to_where_it_was_pressed(
    account: Account,
) -> None:
    client = viewer(account)
    for asked in range(2):
        answer = client.post(URL, {"next": "/definitions/?q=cust"}, follow=True)
        assert answer.redirect_chain == [("/definitions/?q=cust", 302)]
        told = "This was asked for less than a minute ago." in words(answer)
        assert told == bool(asked)
    assert client.post(URL, {"next": "//evil.example"})["Location"] == "/definitions/"


def test_only_accounts_that_one_may_see_are_asked(account: Account) -> None:
    hidden = AccountFactory.create(last_synced_at=timezone.now())
    client = viewer(account)
    client.post(URL)
    client.post(URL, {"account": hidden.pk})
    client.post(URL, {"account": "x" * 400})
    hidden.refresh_from_db()
    assert hidden.sync_wanted_at is None


def test_a_list_of_one_account_asks_for_that_account_only(account: Account) -> None:
    other = AccountFactory.create(name="Nordlicht SE", last_synced_at=timezone.now())
    client = reader(account, other)
    assert f'name="account" value="{other.pk}"' in synced(client, account=other.pk)
    client.post(URL, {"account": other.pk})
    account.refresh_from_db()
    other.refresh_from_db()
    assert (account.is_sync_awaited, other.is_sync_awaited) == (False, True)
    assert "Nordlicht SE" in synced(client, account=other.pk)
    assert "Nordlicht SE" not in synced(client, account=account.pk)


@pytest.mark.parametrize(
    ("pages", "told"),
    [
        ({"sync_pages_read": 0, "sync_pages": 5}, "Reading Nordlicht DE<"),
        (
            {"sync_pages_read": 2, "sync_pages": 5},
            "Reading Nordlicht DE: 2 of about 5 pages<",
        ),
        (
            {"sync_pages_read": 1, "sync_pages": 1},
            "Reading Nordlicht DE: 1 of about 1 page<",
        ),
        (
            {"sync_pages_read": 1, "sync_pages": None},
            "Reading Nordlicht DE: 1 page so far<",
        ),
        (
            {"sync_pages_read": 6, "sync_pages": 5},
            "Reading Nordlicht DE: 6 pages so far<",
        ),
    ],
)
def test_the_pages_read_so_far_are_told(
    account: Account, pages: dict[str, int | None], told: str
) -> None:
    being_read(account, **pages)
    seen = synced(viewer(account))
    assert told in seen
    assert "Sync now" not in seen


def test_many_accounts_are_told_in_one_sentence(account: Account) -> None:
    others = [
        AccountFactory.create(name=name, last_synced_at=timezone.now())
        for name in ("Nordlicht SE", "Nordlicht US")
    ]
    for one in (account, *others):
        being_read(one, sync_pages_read=2, sync_pages=4)
    waiting = AccountFactory.create(name="Nordlicht AT")
    seen = synced(viewer(account, *others, waiting))
    assert "Reading 3 accounts: 6 of about 12 pages" in seen
    assert "Waiting for the worker: Nordlicht AT" in seen


def test_an_account_that_does_not_answer_is_not_promised_for_now(
    account: Account,
) -> None:
    Account.objects.update(
        failures_in_row=BREAKER_OPENS_AT, sync_wanted_at=timezone.now()
    )
    page = ask(viewer(account))
    assert "Nordlicht DE isn’t responding and will be read later" in words(page)
    assert poll_seconds(page) == 20


def test_an_account_whose_credentials_are_refused_is_not_offered(
    account: Account,
) -> None:
    Account.objects.update(credentials_refused_at=timezone.now())
    seen = synced(viewer(account))
    assert "39 min ago" in seen
    assert "Sync now" not in seen


def test_a_sync_of_the_workers_own_hour_is_not_told(account: Account) -> None:
    LeaseFactory.create(name=f"sync:{account.pk}")
    assert "Reading" not in synced(viewer(account))


def test_only_a_post_asks(account: Account) -> None:
    assert viewer(account).get(URL).status_code == 405
    assert Client().post(URL).status_code == 302


def test_asking_costs_the_same_number_of_queries_however_much_is_listed(
    account: Account,
) -> None:
    client = viewer(account)

    def queries() -> int:
        Account.objects.update(sync_wanted_at=None)
        with CaptureQueriesContext(connection) as found:
            client.post(URL, headers=HTMX)
        return len(found)

    define(account, "One")
    queries()
    few = queries()
    for number in range(20):
        define(account, f"Another {number}")
    assert queries() == few


def test_what_came_lately_is_marked_but_not_all_of_a_new_account(
    account: Account,
) -> None:
    now = timezone.now()
    old = define(account, "Old", first_seen_at=now - timedelta(days=30))
    new = define(account, "Lately", first_seen_at=now - timedelta(days=2))
    fresh = AccountFactory.create(name="Fresh", last_synced_at=now)
    first = [define(fresh, f"First {n}", first_seen_at=now) for n in range(2)]
    page = ask(viewer(account, fresh))
    shown = [row["definition"] for row in page.context["rows"]]
    marked = {definition for definition in shown if definition.is_new}
    assert marked == {new}
    assert content(page).count('class="mark-new"') == 1
    assert not marked.intersection([old, *first])


def test_what_vanished_is_marked_with_the_time_since_when(account: Account) -> None:
    gone = timezone.now() - timedelta(days=3)
    define(account, "Gone", not_seen_since=gone)
    define(account, "Here")
    client = viewer(account)
    sentence = f"Gone from Marketing Cloud since {clock_text(gone)}"
    assert sentence in words(ask(client, show="gone"))
    assert sentence not in words(ask(client))
    assert part(ask(client, show="gone"), "live")


def test_a_list_that_may_be_wrong_is_told_by_account(account: Account) -> None:
    since = timezone.now()
    other = AccountFactory.create(name="Another")
    Account.objects.filter(pk=account.pk).update(
        listing_doubted_since=since, unlisted_count=328, last_synced_at=since
    )
    client = viewer(account, other)
    sentence = f"328 definitions have been missing since {clock_text(since)} ."
    told = words(ask(client))
    assert f"list for {account} may be incomplete: {sentence}" in told
    assert "asks for the list again within the hour" in told
    assert sentence not in words(ask(client, account=other.pk))
    soon = since + timedelta(minutes=5)
    Account.objects.filter(pk=account.pk).update(sync_again_at=soon)
    something_changed()
    assert "asks for the list again in a few minutes" in words(ask(client))
    assert "328 not listed in Marketing Cloud" in words(client.get("/accounts/"))
    Account.objects.update(listing_doubted_since=None, unlisted_count=0)
    something_changed()
    assert "may be incomplete" not in words(ask(client))
    assert "not listed" not in words(client.get("/accounts/"))
