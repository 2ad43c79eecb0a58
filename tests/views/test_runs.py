"""The history: filters, search, keyset paging, and whatever an address may say."""

from __future__ import annotations

import html
import re
from datetime import UTC, datetime, timedelta
from typing import Any
from urllib.parse import quote

import pytest
import time_machine
from django.test import Client
from django.utils import timezone

from imports.models import AccessLevel, Account, ImportDefinition, bump_revision
from tests.factories import (
    AccountFactory,
    ImportDefinitionFactory,
    ImportRunFactory,
    UserFactory,
    grant,
)

from .histories import ids, link, some_runs
from .reading import (
    client_of,
    content,
    part,
    poll,
    poll_seconds,
    reader,
    words,
)

pytestmark = pytest.mark.django_db


def test_the_history_has_the_runs_of_all_my_accounts_and_of_no_other(
    definition: ImportDefinition,
) -> None:
    second = ImportDefinitionFactory.create()
    hidden = ImportRunFactory.create(completed=True)
    runs = [
        ImportRunFactory.create(completed=True, definition=one)
        for one in (definition, second)
    ]
    page = reader(definition.account, second.account).get("/runs/")
    assert sorted(ids(page)) == sorted(run.pk for run in runs)
    assert hidden.shown_name not in content(page)


@pytest.mark.parametrize(
    ("query", "trait"),
    [
        ("status=failed", {"failed": True}),
        ("status=failed&status=lost", {"lost": True}),
        ("origin=outside", {"outside": True, "completed": True}),
        ("person=ana+ruiz", {"completed": True, "started_by_name": "Ana Ruiz"}),
        ("q=129900", {"completed": True, "task_id": "129900"}),
        ("q=loyalty+points", {"completed": True, "customer_key": "x"}),
    ],
)
def test_each_filter_keeps_what_fits_and_nothing_else(
    client: Client, account: Account, query: str, trait: dict[str, Any]
) -> None:
    wanted = ImportDefinitionFactory.create(account=account, name="Loyalty points")
    other = ImportDefinitionFactory.create(account=account, name="Gift cards")
    fits = ImportRunFactory.create(definition=wanted, **trait)
    ImportRunFactory.create(definition=other, completed=True, started_by_name="Tom")
    assert ids(client.get(f"/runs/?{query}")) == [fits.pk]


def test_the_history_of_one_account_or_definition(
    definition: ImportDefinition,
) -> None:
    second = ImportDefinitionFactory.create()
    run = ImportRunFactory.create(completed=True, definition=definition)
    ImportRunFactory.create(completed=True, definition=second)
    both = reader(definition.account, second.account)
    assert ids(both.get(f"/runs/?account={definition.account_id}")) == [run.pk]
    page = both.get(f"/runs/?definition={definition.pk}")
    assert ids(page) == [run.pk]
    assert "Definition: Customers daily" in words(page)


def test_days_are_the_readers_and_a_run_over_midnight_belongs_to_both(
    account: Account, definition: ImportDefinition
) -> None:
    person = UserFactory.create(time_zone="America/New_York")
    grant(person, account, AccessLevel.VIEW)
    # 23:50 to 00:10 in New York, and 12:00 the day after
    began = datetime(2026, 3, 12, 3, 50, tzinfo=UTC)
    over = ImportRunFactory.create(
        completed=True,
        definition=definition,
        occurred_at=began,
        finished_at=began + timedelta(minutes=20),
    )
    noon = ImportRunFactory.create(
        completed=True, definition=definition, occurred_at=began + timedelta(hours=12)
    )
    with time_machine.travel(began + timedelta(days=1)):
        client = client_of(person)
        assert ids(client.get("/runs/?from=2026-03-11&to=2026-03-11")) == [over.pk]
        assert ids(client.get("/runs/?from=2026-03-12")) == [noon.pk, over.pk]
        assert ids(client.get("/runs/?from=2026-03-13")) == []
        assert ids(client.get("/runs/?to=2026-03-10")) == []
        assert "America" not in words(client.get("/runs/"))
        assert "Time zone: New York" in words(client.get("/runs/"))


def test_what_is_filtered_stands_in_chips_each_with_its_way_out(
    client: Client, definition: ImportDefinition
) -> None:
    page = client.get("/runs/?status=failed&status=lost&q=card")
    found = re.findall(r'class="chip chosen" href="([^"]+)"', content(page))
    assert [html.unescape(url) for url in found] == [
        "/runs/?status=lost&q=card",
        "/runs/?status=failed&q=card",
        "/runs/?status=failed&status=lost",
    ]


def test_searching_keeps_the_other_filters(client: Client) -> None:
    source = content(client.get("/runs/?status=failed&from=2026-03-01&before=&q=a"))
    form = source[source.index('<div class="list-tools">') :]
    form = form[: form.index("</form>")]
    assert '<input type="hidden" name="status" value="failed">' in form
    assert '<input type="hidden" name="from" value="2026-03-01">' in form
    assert 'name="before"' not in form


def test_pages_follow_each_other_without_gap_or_double(
    client: Client, definition: ImportDefinition
) -> None:
    runs = some_runs(definition, 120)
    first = client.get("/runs/")
    second = client.get(link(first, "next"))
    third = client.get(link(second, "next"))
    seen = [*ids(first), *ids(second), *ids(third)]
    assert sorted(seen) == sorted(run.pk for run in runs)
    assert len(ids(first)) == len(ids(second)) == 50
    assert 'rel="next"' not in content(third)
    assert 'rel="prev"' not in content(first)
    assert ids(client.get(link(third, "prev"))) == ids(second)


def test_paging_stays_right_while_runs_arrive_at_the_top(
    client: Client, definition: ImportDefinition
) -> None:
    some_runs(definition, 60)
    first = client.get("/runs/")
    older = link(first, "next")
    expected = ids(client.get(older))
    arrived = ImportRunFactory.create(completed=True, definition=definition)
    bump_revision(runs=[arrived])
    assert ids(client.get(older)) == expected
    assert ids(poll(client, client.get(older))) == []
    top = client.get(link(client.get(older), "prev"))
    assert ids(top) == ids(first)
    newest = client.get(link(top, "prev"))
    assert ids(newest) == [arrived.pk, *ids(first)[:49]]


def test_filters_stay_in_the_address_of_the_next_page(
    client: Client, definition: ImportDefinition
) -> None:
    some_runs(definition, 51)
    ImportRunFactory.create(failed=True, definition=definition)
    page = client.get("/runs/?status=completed")
    assert "status=completed" in link(page, "next")
    assert len(ids(client.get(link(page, "next")))) == 1


def test_a_run_that_arrives_appears_by_the_poll(
    client: Client, definition: ImportDefinition
) -> None:
    page = client.get("/runs/?status=completed")
    failed = ImportRunFactory.create(failed=True, definition=definition)
    done = ImportRunFactory.create(completed=True, definition=definition)
    bump_revision(runs=[failed, done])
    assert ids(poll(client, page)) == [done.pk]


@pytest.mark.parametrize(
    ("query", "sentence"),
    [
        ("status=exploded", "That status does not exist"),
        ("account=zzz", "That account does not exist"),
        ("account=99999999999999999999999", "That account does not exist"),
        ("definition=-1", "That definition does not exist"),
        ("definition=%00", "That definition does not exist"),
        ("origin=mars", "That origin does not exist"),
        ("from=someday", "“From” isn’t a date"),
        ("from=99999-days-ago", "“From” isn’t a date"),
        ("sort=size", "That order does not exist"),
        ("to=2026-02-31", "“To” isn’t a date"),
        ("before=2026", "place in the history"),
        ("before=x_1", "place in the history"),
        ("before=2026-03-12T00:00:00_1", "place in the history"),
        ("before=0001-01-01T00:00:00%2B14:00_1", "place in the history"),
        ("before=9999-12-31T23:59:59-14:00_1", "place in the history"),
        ("after=2026-03-12T00:00:00Z_" + "9" * 19, "place in the history"),
        ("before=2026-03-12T00:00:00Z_%C2%B2", "place in the history"),
        ("q=" + "a" * 201, "at most 200 letters"),
        ("q=%00", "no control characters"),
        ("person=%00", "no control characters"),
    ],
)
def test_a_filter_that_cannot_be_read_is_said_and_nothing_is_lost(
    client: Client, definition: ImportDefinition, query: str, sentence: str
) -> None:
    ImportRunFactory.create(completed=True, definition=definition)
    page = client.get(f"/runs/?{query}&status=completed")
    assert page.status_code == 400
    assert sentence in words(page)
    assert 'href="/runs/">Clear the filters' in content(page)
    assert ids(page) == []
    assert poll_seconds(page) == 0


def test_an_account_that_i_may_not_see_is_no_filter(client: Client) -> None:
    other = AccountFactory.create(name="Secret unit")
    page = client.get(f"/runs/?account={other.pk}")
    assert page.status_code == 400
    assert "Secret unit" not in content(page)


@pytest.mark.parametrize("day", ["0001-01-01", "1970-01-01", "9999-12-31"])
@pytest.mark.parametrize("name", ["from", "to"])
def test_days_at_the_ends_of_time_are_answered(
    client: Client, name: str, day: str
) -> None:
    assert client.get(f"/runs/?{name}={day}").status_code == 200


@pytest.mark.parametrize(
    "text",
    [
        "%",
        "_",
        "\\",
        "'",
        '"',
        "' OR 1=1 --",
        "<script>alert(1)</script>",
        "Größe 🎈",
        "\udce9",
        "{{ 7 }}",
        "z " * 100,
        "\t",
        "%%Year%%",
    ],
)
def test_any_text_can_be_searched_for_and_is_shown_as_text(
    client: Client, definition: ImportDefinition, text: str
) -> None:
    ImportRunFactory.create(completed=True, definition=definition)
    page = client.get("/runs/?q=" + quote(text, errors="surrogateescape"))
    assert page.status_code == 200
    assert "<script>alert" not in content(page)
    if text.strip():
        assert ids(page) == []
        assert "No runs match" in words(page)


def test_an_empty_history_says_what_will_appear(client: Client) -> None:
    assert "No runs yet" in words(client.get("/runs/"))


def test_names_with_html_are_text_and_long_ones_are_cut_in_the_middle(
    client: Client, account: Account
) -> None:
    name = "<b>" + "Kundinnen und Kunden " * 40 + "Ende der Namen"
    definition = ImportDefinitionFactory.create(account=account, name=name)
    ImportRunFactory.create(completed=True, definition=definition)
    source = part(client.get("/runs/"), "found")
    assert "<b>Kundinnen" not in source
    assert 'class="middle"' in source


def test_a_list_page_of_fifty_runs_is_light(
    client: Client, definition: ImportDefinition
) -> None:
    import gzip

    some_runs(definition, 50)
    assert len(gzip.compress(client.get("/runs/").content)) < 15_000


def test_quiet_days_are_no_empty_search(
    client: Client, account: Account, definition: ImportDefinition
) -> None:
    ImportRunFactory.create(
        completed=True,
        definition=definition,
        occurred_at=timezone.now() - timedelta(days=9),
    )
    Account.objects.update(last_contact_at=timezone.now() - timedelta(minutes=3))
    quiet = words(client.get("/runs/?from=today"))
    assert "All quiet: nothing ran on these days" in quiet
    assert "Marketing Cloud last answered 3 min ago" in quiet
    assert "No runs match" in words(client.get("/runs/?from=today&status=failed"))


def test_an_order_is_kept_by_filters_and_is_none(
    client: Client, definition: ImportDefinition
) -> None:
    ImportRunFactory.create(failed=True, definition=definition)
    page = client.get("/runs/?sort=oldest&status=failed")
    assert 'name="sort" value="oldest"' in content(page)
    assert 'href="/runs/?sort=oldest"' in content(page)
    assert "Order:" not in words(page)
    assert "Filters (1)" in words(page)


def test_those_who_may_start_here_are_suggested_as_starters(account: Account) -> None:
    page = content(reader(account).get("/runs/"))
    stranger = content(reader(AccountFactory.create()).get("/runs/"))
    assert '<option value="Ana Ruiz">' in page
    assert page.count("<option") == stranger.count("<option") == 1
