"""`/definitions/`: what a row tells, stars, polls; nothing unseen."""

from __future__ import annotations

from typing import Any

import pytest
from django.core.cache import cache
from django.db import connection
from django.test.utils import CaptureQueriesContext
from django.utils import timezone

from imports.models import AccessLevel, Account, ImportDefinition
from imports.models.account import BREAKER_OPENS_AT
from tests.factories import (
    AccountFactory,
    ImportRunFactory,
    UserFactory,
    grant,
)

from .defining import ask, define, names, with_last
from .reading import (
    HTMX,
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
URL = "/definitions/"
TYPED = HTMX | {"HX-Target": "results"}


def test_a_row_tells_name_account_pattern_destination_and_how(account: Account) -> None:
    with_last(
        define(account, "Customers", file_spec="customers.csv"),
        completed=True,
        destination_id="customers_de",
        total_rows=412006,
    )
    seen = words(ask(reader(account)))
    for word in ("Customers", "Nordlicht DE", "customers.csv", "customers_de"):
        assert word in seen
    assert "Overwrite" in seen
    assert "Completed" in seen
    assert "412,006" in seen


def test_what_never_ran_says_so_and_shows_no_count(account: Account) -> None:
    define(account, "Influencers", destination="")
    seen = words(ask(reader(account)))
    assert "Never run" in seen
    assert " 0 " not in seen.split("Influencers")[1]


def test_a_destination_that_is_only_an_id_is_told_by_its_kind(account: Account) -> None:
    guid = "745d66b0-683e-5d6c-8cd1-d7188cde494b"
    define(account, "Prices", destination=guid)
    define(account, "Newsletter", destination="1942714")
    seen = words(ask(reader(account)))
    assert "Data extension" in seen
    assert "List 1942714" in seen
    assert guid not in seen


def test_definitions_of_other_accounts_are_neither_listed_nor_counted(
    account: Account,
) -> None:
    define(account, "Mine")
    define(AccountFactory.create(name="Elsewhere"), "Theirs")
    page = ask(reader(account))
    assert names(page) == ["Mine"]
    assert page.context["total"] == 1
    assert "Elsewhere" not in content(page)


@pytest.mark.parametrize(
    "reason",
    [
        {"starts_paused": True},
        {"credentials_refused_at": timezone.now()},
        {"failures_in_row": BREAKER_OPENS_AT},
    ],
)
def test_start_is_not_offered_where_nobody_can_start_now(
    account: Account, reason: dict[str, Any]
) -> None:
    mine = define(account, "Mine")
    Account.objects.update(**reason)
    person = UserFactory.create()
    grant(person, account, AccessLevel.START)
    page = ask(client_of(person))
    assert f"/definitions/{mine.pk}/start/" not in content(page)
    assert f'value="{mine.pk}" form="several"' not in content(page)
    assert "can’t start now" in words(page)


def test_start_is_offered_only_where_one_may_start(account: Account) -> None:
    other = AccountFactory.create(name="Only to look at")
    mine, theirs = define(account, "Mine"), define(other, "Theirs")
    person = UserFactory.create()
    grant(person, account, AccessLevel.START)
    grant(person, other, AccessLevel.VIEW)
    page = content(ask(client_of(person)))
    assert f'hx-get="/definitions/{mine.pk}/start/"' in page
    assert f"/definitions/{theirs.pk}/start/" not in page
    assert f'value="{mine.pk}" form="several"' in page
    assert f'value="{theirs.pk}" form="several"' not in page


def test_who_may_only_look_is_offered_nothing_to_select(account: Account) -> None:
    define(account, "Mine")
    page = content(ask(viewer(account)))
    assert "data-pick" not in page
    assert "data-start" not in page


@pytest.mark.parametrize("trait", ["queued", "starting", "running", "unknown"])
def test_what_is_under_way_offers_its_run_instead_of_start(
    account: Account, trait: str
) -> None:
    definition = define(account, "Mine")
    run = ImportRunFactory.create(definition=definition, **{trait: True})
    page = content(ask(reader(account)))
    assert f'href="/runs/{run.pk}/"' in page
    assert f"/definitions/{definition.pk}/start/" not in page
    assert "data-pick " not in page


def test_a_run_under_way_is_the_last_bar_of_the_strip(account: Account) -> None:
    definition = with_last(define(account, "Mine"), running=True)
    assert definition.strip == []
    (row,) = ask(reader(account)).context["rows"]
    assert [bar["status"] for bar in row["definition"].bars] == ["running"]


def test_an_account_that_is_not_synced_yet_says_so() -> None:
    a_worker_beats()
    page = words(ask(reader(AccountFactory.create())))
    assert "No definitions yet" in page
    assert "Waiting for the worker: Nordlicht" in page


def test_texts_from_outside_are_shown_as_text_and_cut_in_the_middle(
    account: Account,
) -> None:
    bad = "<script>alert(1)</script>" + "x" * 500 + " END-OF-THE-NAME"
    define(account, bad, file_spec="<img src=x>", update_type="<i>New</i>")
    page = content(ask(reader(account), q="alert"))
    for source in ("<script>alert", "<img src=x", "<i>New"):
        assert source not in page
    assert "&lt;script&gt;" in page
    assert "<span>ND-OF-THE-NAME</span>" in page


def test_a_poll_without_news_is_an_empty_204_of_three_queries(account: Account) -> None:
    with_last(define(account, "Customers"), running=True)
    client = reader(account)
    page = ask(client, q="cust")
    assert poll_seconds(page) == 3
    with CaptureQueriesContext(connection) as queries:
        answer = poll(client, page)
    assert answer.status_code == 204
    assert answer.content == b""
    assert len(queries) <= 3


def test_a_poll_with_news_brings_the_parts_out_of_band(account: Account) -> None:
    definition = with_last(define(account, "Customers"), completed=True)
    client = reader(account)
    page = ask(client, q="cust")
    assert poll_seconds(page) == 20
    Account.objects.update(revision=7)
    ImportRunFactory.create(definition=definition, running=True)
    ImportDefinition.objects.get().refresh_recent_runs()
    answer = poll(client, page)
    source = content(answer)
    assert answer.status_code == 200
    for part in (f"definition-{definition.pk}", "filters-fold", "live"):
        assert f'id="{part}"' in source
    for part in ("<html", 'id="results"', 'id="hits"', 'id="total"', 'id="synced"'):
        assert part not in source
    assert "open run" in words(answer)
    assert poll_url(answer).startswith(f"{URL}?q=cust&since=7-")


def test_the_number_of_queries_does_not_grow_with_the_rows(account: Account) -> None:
    client = reader(account)

    def queries() -> int:
        cache.clear()
        something_changed()
        with CaptureQueriesContext(connection) as found:
            assert ask(client).status_code == 200
        return len(found)

    with_last(define(account, "A"), completed=True)
    few = queries()
    for number in range(12):
        other = AccountFactory.create(name=f"B{number}")
        ImportRunFactory.create(definition=define(account, f"C{number}"), running=True)
        with_last(define(other, f"D{number}"), completed_with_errors=True)
    # while something moves nobody asks what changed meanwhile
    assert queries() <= few


def test_the_star_keeps_and_lets_go_and_a_repeat_changes_nothing(
    account: Account,
) -> None:
    definition = define(account, "Customers")
    person = UserFactory.create()
    grant(person, account, AccessLevel.VIEW)
    client = client_of(person)
    url = f"{URL}{definition.pk}/favourite/"
    for wanted, kept in (("1", 1), ("1", 1), ("0", 0), ("0", 0)):
        response = client.post(url, {"wanted": wanted}, headers=HTMX)
        pressed = "true" if kept else "false"
        assert f'aria-pressed="{pressed}"' in content(response)
        assert person.favourites.count() == kept


def test_the_star_without_a_script_leads_back_to_where_it_was_pressed(
    account: Account,
) -> None:
    definition = define(account, "Customers")
    client = reader(account)
    url = f"{URL}{definition.pk}/favourite/"
    back = client.post(url, {"wanted": "1", "next": f"{URL}?q=cust"})
    assert back.headers["Location"] == f"{URL}?q=cust"
    for evil in ("https://evil.example/", "//evil.example", "javascript:alert(1)", ""):
        back = client.post(url, {"wanted": "1", "next": evil})
        assert back.headers["Location"] == URL


def test_the_star_of_what_one_may_not_see_is_a_404_and_a_get_a_405(
    account: Account,
) -> None:
    theirs = define(AccountFactory.create(), "Theirs")
    mine = define(account, "Mine")
    client = reader(account)
    assert client.post(f"{URL}{theirs.pk}/favourite/").status_code == 404
    assert client.get(f"{URL}{mine.pk}/favourite/").status_code == 405


def test_a_silent_worker_is_told_on_the_page() -> None:
    page = ask(reader(AccountFactory.create()))
    assert "The worker hasn’t responded" in words(page)
