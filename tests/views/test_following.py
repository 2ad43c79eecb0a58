"""Pages while nobody looks: they say so, why and since when, and stop ticking."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

import pytest
from django.contrib.auth.models import Permission
from django.test import Client
from django.utils import timezone

from imports.models import AccessLevel, Account, ImportRun, RunStatus
from imports.usecases.accounts import save_account
from imports.wording.formats import clock_text
from imports.worker import Loop
from tests.factories import (
    AccountFactory,
    FavouriteFactory,
    ImportDefinitionFactory,
    ImportRunFactory,
    UserFactory,
    WorkerFactory,
    grant,
)
from tests.fakes import FakeMarketingCloud

from .reading import (
    a_worker_beats,
    client_of,
    content,
    part,
    poll,
    poll_seconds,
    reader,
    something_changed,
    words,
)

pytestmark = pytest.mark.django_db
SINCE = timezone.now() - timedelta(minutes=20)
NOBODY = "mcdash isn’t following this run"
TROUBLES: dict[str, tuple[dict[str, Any], str]] = {
    "disabled": ({"is_active": False, "disabled_at": SINCE}, "disabled since"),
    "refused": ({"credentials_refused_at": SINCE}, "refused the account’s credentials"),
    "silent": (
        {"failures_in_row": 5, "not_answering_since": SINCE},
        "hasn’t answered since",
    ),
}
EVERY_TROUBLE = pytest.mark.parametrize("trouble", TROUBLES)


@pytest.fixture
def account() -> Account:
    made: Account = AccountFactory.create(name="Shop DE")
    return made


def a_run(account: Account, status: str = "running", **facts: Any) -> ImportRun:
    definition = ImportDefinitionFactory.create(account=account, name="Customers")
    seen = {} if status == "queued" else {"last_checked_at": timezone.now()}
    made: ImportRun = ImportRunFactory.create(
        definition=definition, **{status: True} | seen | facts
    )
    type(definition).objects.filter(pk=definition.pk).update(last_run=made)
    return made


def befall(account: Account, trouble: str) -> str:
    facts, said = TROUBLES[trouble]
    Account.objects.filter(pk=account.pk).update(**facts, revision=77)
    return said


@EVERY_TROUBLE
@pytest.mark.parametrize("status", ["running", "unknown"])
def test_a_runs_page_says_that_nobody_looks_and_stands_still(
    account: Account, trouble: str, status: str
) -> None:
    a_worker_beats()
    run, client = a_run(account, status), reader(account)
    before = client.get(f"/runs/{run.pk}/")
    assert NOBODY not in words(before)
    assert "data-since" in content(before)
    assert poll_seconds(before) == 3
    said = befall(account, trouble)
    news = poll(client, before)
    notice = words(client.get(f"/runs/{run.pk}/"))
    assert said in notice
    assert f"since {clock_text(SINCE)}" in notice
    assert "in Marketing Cloud" in notice
    for page in (news, client.get(f"/runs/{run.pk}/")):
        assert "data-since" not in content(page)
        assert poll_seconds(page) == 20
        assert "not followed: Customers" in content(page)
        assert 'data-state="attention"' in content(page)
    head = part(client.get(f"/runs/{run.pk}/"), "run-head")
    assert "ink-grey still" in head
    assert 'class="when"' not in head.split("Last checked")[1].split("</p>")[0]


def test_a_disabled_account_whose_moment_is_not_known_is_told_of_without_one(
    account: Account,
) -> None:
    a_worker_beats()
    run = a_run(account)
    Account.objects.update(is_active=False)
    page = words(reader(account).get(f"/runs/{run.pk}/"))
    assert f"{NOBODY}: the account is disabled." in page


@EVERY_TROUBLE
@pytest.mark.parametrize(
    "url", ["/", "/runs/", "/definitions/", "/definitions/{definition}/"]
)
def test_no_list_ticks_for_a_run_that_nobody_looks_at(
    account: Account, trouble: str, url: str
) -> None:
    a_worker_beats()
    person = UserFactory.create()
    grant(person, account, AccessLevel.START)
    run = a_run(account)
    FavouriteFactory.create(user=person, definition=run.definition)
    client, url = client_of(person), url.format(definition=run.definition_id)
    page = client.get(url)
    assert "data-since" in content(page)
    assert poll_seconds(page) == 3
    befall(account, trouble)
    Account.objects.update(last_synced_at=timezone.now())
    page = client.get(url)
    assert "data-since" not in content(page)
    assert "status ink-grey still" in content(page)
    assert poll_seconds(page) == 20


@pytest.mark.parametrize("url", ["/", "/runs/", "/accounts/", "/runs/{run}/"])
def test_without_a_worker_pages_stand_still_too(account: Account, url: str) -> None:
    old = timezone.now() - timedelta(minutes=5)
    WorkerFactory.create(seen_at=old)
    run = a_run(account, last_checked_at=old)
    page = reader(account).get(url.format(run=run.pk))
    assert "data-since" not in content(page)
    assert poll_seconds(page) == 20
    # once, in the page's banner or in the run's own notice
    assert f"{NOBODY}: no worker has responded since " in words(page) or "acc" in url
    # a run's own page says it once, in its notice
    banner = "The worker hasn’t responded for a minute, so imports"
    assert (banner in words(page)) is ("{run}" not in url)


@pytest.mark.parametrize("path", ["/", "/runs/", "/runs/{run}/"])
def test_a_worker_that_lives_but_does_not_get_on_is_told_of(
    account: Account, path: str
) -> None:
    WorkerFactory.create(started_at=timezone.now() - timedelta(hours=1))
    old = timezone.now() - timedelta(hours=1)
    run = a_run(account, last_checked_at=old, next_check_at=timezone.now())
    client, url = reader(account), path.format(run=run.pk)
    page = client.get(url)
    assert "The worker is running, but" not in words(page)
    assert NOBODY not in words(page)
    ImportRun.objects.update(next_check_at=old)
    news = poll(client, page)
    told = words(news)
    assert f"{NOBODY}: the worker is running but late" in told
    banner = "The worker is running, but work has been waiting"
    assert (banner in told) is ("{run}" not in path)
    assert "data-since" not in content(client.get(url))


def test_a_queued_start_without_a_worker_says_that_nothing_was_sent(
    account: Account,
) -> None:
    run = a_run(account, "queued")
    page = words(reader(account).get(f"/runs/{run.pk}/"))
    assert "This start isn’t being sent: no worker has ever responded." in page
    assert "Nothing has been sent to Marketing Cloud yet." in page


@pytest.mark.parametrize(
    ("permission", "is_led"), [("change_account", True), ("", False)]
)
def test_administrators_are_led_to_the_account(
    account: Account, permission: str, is_led: bool
) -> None:
    a_worker_beats()
    run = a_run(account)
    Account.objects.update(is_active=False)
    boss = UserFactory.create(is_staff=True)
    grant(boss, account, AccessLevel.VIEW)
    if permission:
        boss.user_permissions.add(Permission.objects.get(codename=permission))
    page = part(client_of(boss).get(f"/runs/{run.pk}/"), "run-following")
    assert (f"/admin/imports/account/{account.pk}/change/" in page) is is_led
    assert ("Enable the account" in page) is is_led


def test_a_disabled_account_with_runs_under_way_needs_attention(
    account: Account,
) -> None:
    a_worker_beats()
    client = reader(account)
    account.is_active = False
    save_account(account=account, fields=["is_active"])
    assert "Disabled since" not in part(client.get("/"), "needs")
    a_run(account)
    something_changed()
    page = client.get("/")
    assert "Disabled since" in words(page)
    assert "running imports aren’t followed; they may have ended" in words(page)
    assert page.context["live"]["attention_count"] == 1


def test_nobody_is_told_to_wait_for_a_look_that_will_not_come(account: Account) -> None:
    a_worker_beats()
    run, client = a_run(account, "unknown", sent_at=timezone.now()), reader(account)
    assert "Wait: mcdash looks for it" in words(client.get(f"/runs/{run.pk}/"))
    befall(account, "disabled")
    page = words(client.get(f"/runs/{run.pk}/"))
    assert "mcdash looks for it" not in page
    assert "mcdash keeps looking" not in page
    assert "See in Marketing Cloud whether it is running" in page


def test_paused_starts_change_nothing_for_what_runs(account: Account) -> None:
    a_worker_beats()
    run = a_run(account)
    Account.objects.update(starts_paused=True)
    page = reader(account).get(f"/runs/{run.pk}/")
    assert NOBODY not in words(page)
    assert "data-since" in content(page)


@pytest.mark.django_db(transaction=True)
def test_once_the_account_is_enabled_again_everything_goes_on_by_itself(
    account: Account, cloud: FakeMarketingCloud
) -> None:
    client = Client()
    a_worker_beats()
    task = cloud.add_task("customers", step=1)
    old = timezone.now() - timedelta(hours=2)
    run = a_run(account, task_id=task.task_id, next_check_at=old, last_checked_at=old)
    Account.objects.update(
        last_synced_at=timezone.now(), last_adopted_at=timezone.now()
    )
    account.refresh_from_db()
    account.is_active = False
    save_account(account=account, fields=["is_active"])
    client.force_login(UserFactory.create(is_superuser=True))
    page = client.get(f"/runs/{run.pk}/")
    assert NOBODY in words(page)
    look()
    run.refresh_from_db()
    assert run.last_checked_at == old
    account.is_active = True
    save_account(account=account, fields=["is_active"])
    news = poll(client, page)
    assert news.status_code == 200
    assert NOBODY not in words(news)
    assert poll_seconds(news) == 3
    cloud.finish()
    look()
    run.refresh_from_db()
    assert run.status == RunStatus.COMPLETED


def look() -> None:
    """As the worker does once a second, until the looks are through."""
    loop = Loop()
    loop.turn()
    # what goes on after a test would be found by others
    assert all(pool.join(20) for pool in loop.pools.values())
