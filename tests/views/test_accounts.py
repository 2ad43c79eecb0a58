"""`/accounts/`: what is connected, how it fares, and nothing of other people's."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

import pytest
import time_machine
from django.db import connection
from django.test.utils import CaptureQueriesContext
from django.utils import timezone

from imports.models import AccessLevel, Account
from tests.factories import (
    AccountFactory,
    ImportDefinitionFactory,
    ImportRunFactory,
    UserFactory,
    grant,
)

from .reading import (
    a_worker_beats,
    client_of,
    content,
    poll,
    poll_seconds,
    poll_url,
    reader,
    something_changed,
    viewer,
    words,
)

pytestmark = pytest.mark.django_db
URL = "/accounts/"


@pytest.fixture
def account() -> Account:
    a_worker_beats()
    now = timezone.now()
    made: Account = AccountFactory.create(
        name="Nordlicht DE", mid="510001", last_contact_at=now, last_synced_at=now
    )
    return made


def figures(response: Any) -> dict[str, str]:
    (card,) = response.context["cards"]
    return {figure["label"]: figure["figure"] for figure in card["figures"]}


def test_a_card_names_the_account_its_definitions_and_its_last_contact(
    account: Account,
) -> None:
    ImportDefinitionFactory.create_batch(2, account=account)
    ImportDefinitionFactory.create(account=account, not_seen_since=timezone.now())
    Account.objects.update(last_contact_at=timezone.now() - timedelta(minutes=3.5))
    page = reader(account).get(URL)
    seen = words(page)
    for text in ("Nordlicht DE", "MID 510001", "Answering.", "2 definitions", "synced"):
        assert text in seen
    assert "Last contact 3 min ago" in seen
    assert f'href="/definitions/?account={account.pk}"' in content(page)


def test_the_figures_are_of_today_and_of_this_account(account: Account) -> None:
    now = timezone.now()
    definition = ImportDefinitionFactory.create(account=account)
    create = ImportRunFactory.create
    create(definition=definition, running=True)
    create(definition=definition, completed=True, finished_at=now)
    create(definition=definition, completed_with_errors=True, finished_at=now, errors=7)
    long_ago = now - timedelta(days=2)
    create(definition=definition, failed=True, finished_at=long_ago, settled_at=now)
    create(failed=True)  # of another account
    assert figures(reader(account).get(URL)) == {
        "Running": "1",
        "Completed": "1",
        "With errors": "1",
        "Failed": "0",
        "Row errors": "7",
    }


def test_row_errors_that_nobody_counted_are_a_dash_and_not_nought(
    account: Account,
) -> None:
    definition = ImportDefinitionFactory.create(account=account)
    ImportRunFactory.create(
        definition=definition, failed=True, finished_at=timezone.now()
    )
    found = figures(reader(account).get(URL))
    assert found["Failed"] == "1"
    assert found["Row errors"] == "–"


def test_each_figure_leads_to_the_runs_behind_it(account: Account) -> None:
    (card,) = reader(account).get(URL).context["cards"]
    urls = {figure["label"]: figure["url"] for figure in card["figures"]}
    today = timezone.localdate().isoformat()
    assert urls["Failed"] == (f"/runs/?account={account.pk}&status=failed&from={today}")
    assert "status=queued" in urls["Running"]
    assert "from=" not in urls["Running"]


@pytest.mark.parametrize(
    ("facts", "sentences"),
    [
        (
            {"failures_in_row": 3, "not_answering_since": "now"},
            (
                "Not answering since",
                "Running imports are shown as they were then.",
                "no response since",
            ),
        ),
        (
            {"credentials_refused_at": "now"},
            ("Credentials refused since", "an administrator"),
        ),
        (
            {"starts_paused": True},
            ("Starts are paused.", "An administrator paused them."),
        ),
        ({"is_active": False}, ("Disabled.", "running imports aren’t followed")),
        ({"last_contact_at": None}, ("Not contacted yet", "Last contact –")),
    ],
)
def test_trouble_is_told_in_a_sentence_that_says_what_it_means(
    account: Account, facts: dict[str, Any], sentences: tuple[str, ...]
) -> None:
    now = timezone.now()
    Account.objects.update(**{k: now if v == "now" else v for k, v in facts.items()})
    page = reader(account).get(URL)
    for sentence in sentences:
        assert sentence in words(page)
    (card,) = page.context["cards"]
    assert (card["words"].hue == "green") is ("last_contact_at" in facts)


def test_one_failed_look_is_no_trouble_yet(account: Account) -> None:
    Account.objects.update(failures_in_row=1, not_answering_since=timezone.now())
    assert reader(account).get(URL).context["cards"][0]["words"].hue == "green"


def test_a_clock_that_is_not_the_documented_one_is_told(account: Account) -> None:
    assert "its clock is" not in words(reader(account).get(URL))
    Account.objects.update(clock_offset_minutes=-300)
    something_changed()
    assert "its clock is 60 minutes ahead of UTC−6" in words(reader(account).get(URL))


def test_one_reads_whether_one_may_start_or_only_look(account: Account) -> None:
    assert "Can start imports" in words(reader(account).get(URL))
    assert "View only" in words(viewer(account).get(URL))


def test_other_peoples_accounts_are_not_there(account: Account) -> None:
    AccountFactory.create(name="Elsewhere")
    assert "Elsewhere" not in content(reader(account).get(URL))


def test_administration_is_offered_to_staff_only(account: Account) -> None:
    change = f"/admin/imports/account/{account.pk}/change/"
    assert change not in content(reader(account).get(URL))
    boss = UserFactory.create(is_staff=True)
    grant(boss, account, AccessLevel.VIEW)
    assert change in content(client_of(boss).get(URL))


def test_names_are_shown_as_text(account: Account) -> None:
    Account.objects.update(name="<script>alert(1)</script>", label="<b>x</b>")
    page = content(reader(account).get(URL))
    assert "<script>alert" not in page
    assert "<b>x</b>" not in page


def test_no_secret_is_on_the_page(account: Account) -> None:
    page = content(reader(account).get(URL))
    assert account.client_id not in page
    assert "a client secret" not in page


@time_machine.travel("2026-03-12 12:00Z", tick=False)
@pytest.mark.parametrize(
    ("zone", "completed"), [("UTC", "1"), ("Pacific/Kiritimati", "0")]
)
def test_today_begins_at_the_readers_midnight(
    account: Account, zone: str, completed: str
) -> None:
    definition = ImportDefinitionFactory.create(account=account)
    nine = timezone.now() - timedelta(hours=3)
    ImportRunFactory.create(definition=definition, completed=True, finished_at=nine)
    person = UserFactory.create(time_zone=zone)
    grant(person, account, AccessLevel.VIEW)
    page = client_of(person).get(URL)
    assert figures(page)["Completed"] == completed
    assert f"from midnight in {zone}" in words(page)


def test_a_poll_without_news_is_an_empty_204_of_three_queries(account: Account) -> None:
    client = reader(account)
    page = client.get(URL)
    assert poll_seconds(page) == 20
    with CaptureQueriesContext(connection) as queries:
        answer = poll(client, page)
    assert (answer.status_code, answer.content) == (204, b"")
    assert len(queries) <= 3


def test_a_poll_with_news_brings_the_cards_and_the_frame(account: Account) -> None:
    client = reader(account)
    page = client.get(URL)
    definition = ImportDefinitionFactory.create(account=account)
    ImportRunFactory.create(definition=definition, running=True)
    Account.objects.update(revision=4)
    answer = poll(client, page)
    assert answer.status_code == 200
    assert '<div id="accounts" hx-swap-oob="true">' in content(answer)
    assert figures(answer)["Running"] == "1"
    assert poll_seconds(answer) == 3
    assert poll_url(answer) != poll_url(page)


def test_a_new_contact_is_news(account: Account) -> None:
    client = reader(account)
    page = client.get(URL)
    Account.objects.update(last_contact_at=timezone.now() + timedelta(minutes=1))
    assert poll(client, page).status_code == 200


def test_the_number_of_queries_does_not_grow_with_the_accounts(
    account: Account,
) -> None:
    person = UserFactory.create()
    grant(person, account, AccessLevel.START)
    client = client_of(person)

    def queries() -> int:
        with CaptureQueriesContext(connection) as found:
            client.get(URL)
        return len(found)

    few = queries()
    for _ in range(5):
        other = AccountFactory.create()
        definition = ImportDefinitionFactory.create(account=other)
        ImportRunFactory.create(definition=definition, completed=True)
        grant(person, other, AccessLevel.START)
    assert queries() == few


def test_other_ends_of_today_are_counted_where_there_are_any(account: Account) -> None:
    client = reader(account)
    assert "not started today" not in words(client.get(URL))
    definition = ImportDefinitionFactory.create(account=account)
    ImportRunFactory.create(definition=definition, not_started=True)
    something_changed()
    page = client.get(URL)
    assert "1 not started today" in words(page)
    today = timezone.localdate().isoformat()
    url = f"/runs/?account={account.pk}&amp;status=not_started&amp;from={today}"
    assert url in content(page)
