"""Asking for a sync: noted for the worker, not at every press, told as it goes on."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

import pytest
from django.db import DatabaseError
from django.utils import timezone

from imports.marketingcloud.errors import UnavailableError
from imports.models import Account, AuditEntry, Lease, User, bump_revision, database_now
from imports.usecases import sync as syncing
from imports.usecases.sync import SyncReport, sync_definitions, want_sync
from tests.factories import AccountFactory, UserFactory
from tests.fakes import FakeMarketingCloud

pytestmark = pytest.mark.django_db
HOUR_AGO = timedelta(hours=1)


@pytest.fixture
def account() -> Account:
    return AccountFactory.create(last_synced_at=database_now() - HOUR_AGO)


@pytest.fixture
def ana() -> User:
    return UserFactory.create()


def test_a_wish_is_noted_published_and_kept_in_the_audit(
    account: Account, ana: User, cloud: FakeMarketingCloud
) -> None:
    assert want_sync(accounts=[account], by=ana, ip="192.0.2.1") == [account]
    account.refresh_from_db()
    assert account.is_sync_awaited
    assert account.revision > 0
    entry = AuditEntry.objects.get(action="sync_wanted")
    assert (entry.actor, entry.account, entry.ip) == (ana, account, "192.0.2.1")
    assert cloud.calls == {}


def test_a_second_wish_within_a_minute_changes_nothing(
    account: Account, ana: User
) -> None:
    want_sync(accounts=[account], by=ana)
    wanted_at = Account.objects.get().sync_wanted_at
    assert want_sync(accounts=[account], by=ana) == []
    assert Account.objects.get().sync_wanted_at == wanted_at
    assert AuditEntry.objects.count() == 1
    Account.objects.update(sync_wanted_at=database_now() - timedelta(seconds=61))
    assert want_sync(accounts=[account], by=ana) == [account]


@pytest.mark.parametrize(
    "state", [{"is_active": False}, {"credentials_refused_at": timezone.now()}]
)
def test_what_cannot_be_asked_is_not_wished_for(
    account: Account, ana: User, state: dict[str, Any]
) -> None:
    Account.objects.update(**state)
    assert want_sync(accounts=[account], by=ana) == []
    assert Account.objects.get().sync_wanted_at is None


def test_who_waits_is_told_each_page_and_then_the_end(
    account: Account,
    ana: User,
    cloud: FakeMarketingCloud,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    seen: list[tuple[int | None, int, bool]] = []

    def look(*_: object) -> None:
        now = Account.objects.get()
        held = Lease.objects.filter(
            name=f"sync:{account.pk}", expires_at__gt=database_now()
        )
        seen.append((now.sync_pages_read, now.revision, held.exists()))

    store = syncing.store_listing

    def look_and_store(*what: Any) -> SyncReport:
        look()
        return store(*what)

    monkeypatch.setattr(syncing, "store_listing", look_and_store)
    cloud.before["list_definitions"] = look
    want_sync(accounts=[account], by=ana)
    account.refresh_from_db()
    sync_definitions(account=account, holder="worker")
    (begun, first, is_held), (read, second, _) = seen
    assert (begun, read, is_held) == (0, 1, True)
    after = Account.objects.get()
    assert first < second < after.revision
    assert after.sync_pages == 1
    assert not after.is_sync_awaited


def test_a_sync_that_nobody_waits_for_disturbs_no_page(
    account: Account, cloud: FakeMarketingCloud
) -> None:
    sync_definitions(account=account, holder="worker")
    after = Account.objects.get()
    assert (after.revision, after.sync_pages_read) == (0, None)
    assert after.sync_pages == 1


def test_a_wish_outlives_a_sync_that_failed(
    account: Account, ana: User, cloud: FakeMarketingCloud
) -> None:
    want_sync(accounts=[account], by=ana)
    account.refresh_from_db()
    cloud.fail("list_definitions", UnavailableError("No."))
    with pytest.raises(UnavailableError):
        sync_definitions(account=account, holder="worker")
    assert Account.objects.get().is_sync_awaited


def test_progress_that_cannot_be_kept_does_not_end_the_sync(
    ana: User,
    account: Account,
    cloud: FakeMarketingCloud,
    monkeypatch: pytest.MonkeyPatch,
    caplog: pytest.LogCaptureFixture,
) -> None:
    want_sync(accounts=[account], by=ana)
    account.refresh_from_db()
    failures = [DatabaseError("locked"), DatabaseError("no")]

    def fail_twice(**told: Any) -> int:
        if failures:
            raise failures.pop()
        return bump_revision(**told)

    monkeypatch.setattr(syncing, "bump_revision", fail_twice)
    sync_definitions(account=account, holder="worker")
    assert caplog.text.count("progress was not kept") == 2
    assert not Account.objects.get().is_sync_awaited
