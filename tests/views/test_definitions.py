"""`/definitions/`: found as one types, filtered by the address, nothing unseen."""

from __future__ import annotations

from datetime import timedelta
from typing import Any
from urllib.parse import urlencode

import pytest
from django.db import connection
from django.test import Client
from django.test.utils import CaptureQueriesContext
from django.utils import timezone

from imports.models import AccessLevel, Account, ImportDefinition
from tests.factories import (
    AccountFactory,
    FavouriteFactory,
    ImportDefinitionFactory,
    ImportRunFactory,
    UserFactory,
    grant,
)

from .reading import (
    HTMX,
    a_worker_beats,
    client_of,
    content,
    poll,
    poll_seconds,
    poll_url,
    reader,
    triggers,
    viewer,
    words,
)

pytestmark = pytest.mark.django_db
URL = "/definitions/"
TYPED = HTMX | {"HX-Target": "results"}


@pytest.fixture
def account() -> Account:
    a_worker_beats()
    return AccountFactory.create(name="Nordlicht DE", last_synced_at=timezone.now())


def define(account: Account, name: str, **facts: Any) -> ImportDefinition:
    made: ImportDefinition = ImportDefinitionFactory.create(
        account=account, name=name, **facts
    )
    return made


def with_last(definition: ImportDefinition, **trait: Any) -> ImportDefinition:
    ImportRunFactory.create(definition=definition, **trait)
    definition.redraw()
    return definition


def names(response: Any) -> list[str]:
    return [row.definition.name for row in response.context["rows"]]


def ask(client: Client, **query: Any) -> Any:
    return client.get(URL, query)


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


def test_start_is_offered_only_where_one_may_start(account: Account) -> None:
    other = AccountFactory.create(name="Only to look at")
    mine, theirs = define(account, "Mine"), define(other, "Theirs")
    person = UserFactory.create()
    grant(person, account, AccessLevel.START)
    grant(person, other, AccessLevel.VIEW)
    page = content(ask(client_of(person)))
    assert f'hx-get="/definitions/{mine.pk}/start/"' in page
    assert f"/definitions/{theirs.pk}/start/" not in page
    assert f'id="pick-{mine.pk}"' in page
    assert f'id="pick-{theirs.pk}"' not in page


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
    assert [bar["status"] for bar in row.bars] == ["running"]


@pytest.mark.parametrize(
    ("words_searched", "found"),
    [
        ("customers", ["Customers daily"]),
        ("CUSTOMERS", ["Customers daily"]),
        ("daily cust", ["Customers daily"]),
        ("prices_%%", ["Prices"]),
        ("%", ["Customers daily", "Prices"]),
        ("full-key", ["Prices"]),
        ("for the shops", ["Prices"]),
        ("_", ["Prices"]),
        ("\\", []),
        ("customers prices", []),
    ],
)
def test_every_word_is_looked_for_in_name_key_pattern_and_description(
    account: Account, words_searched: str, found: list[str]
) -> None:
    facts: dict[str, Any] = {"customer_key": "a", "file_spec": "c%%Day%%.csv"}
    define(account, "Customers daily", **facts)
    define(
        account,
        "Prices",
        customer_key="full-key",
        file_spec="prices_%%Year%%.csv",
        description="Prices for the shops",
    )
    assert names(ask(reader(account), q=words_searched)) == found


def test_letters_beyond_ascii_are_found_in_either_case(account: Account) -> None:
    define(account, "Kunden Süd")
    define(account, "ÖSTERREICH")
    client = reader(account)
    assert names(ask(client, q="SÜD")) == ["Kunden Süd"]
    assert names(ask(client, q="österreich")) == ["ÖSTERREICH"]


@pytest.mark.parametrize(
    "text",
    [
        "\x00",
        "cu\x00st",
        "%",
        "%%",
        "'",
        '"',
        "';--",
        "<b>x</b>",
        "🦊",
        "\u202e",
        "a " * 90,
    ],
)
def test_any_text_can_be_searched_for(account: Account, text: str) -> None:
    define(account, "Customers")
    response = ask(reader(account), q=text)
    assert response.status_code == 200
    assert "<b>x</b>" not in content(response)


def test_a_nul_inside_a_word_is_looked_over(account: Account) -> None:
    define(account, "Customers")
    assert names(ask(reader(account), q="cu\x00st")) == ["Customers"]


def test_a_search_of_5000_characters_is_told_to_be_too_long(account: Account) -> None:
    define(account, "Customers")
    response = ask(reader(account), q="x" * 5000)
    assert response.status_code == 400
    assert "A search has at most 200 characters." in words(response)
    assert names(response) == []


@pytest.mark.parametrize(
    ("query", "sentence"),
    [
        ({"account": "99999999"}, "There is no such account among yours."),
        ({"account": "abc"}, "There is no such account among yours."),
        ({"account": "9" * 400}, "There is no such account among yours."),
        ({"account": "1\x00"}, "There is no such account among yours."),
        ({"status": "fine"}, "There is no such status."),
        ({"update": "x" * 201}, "There is no such update type."),
        ({"update": "\x00"}, "There is no such update type."),
        ({"show": "all"}, "There is no such filter."),
        ({"sort": "-password"}, "There is no such order."),
    ],
)
def test_a_filter_that_means_nothing_is_a_sentence_and_a_400(
    account: Account, query: dict[str, str], sentence: str
) -> None:
    define(account, "Customers")
    response = ask(reader(account), **query)
    assert response.status_code == 400
    assert sentence in words(response)
    assert "Show all definitions" in words(response)


def test_an_account_that_one_may_not_see_cannot_be_asked_for(account: Account) -> None:
    other = define(AccountFactory.create(), "Theirs").account
    assert ask(reader(account), account=other.pk).status_code == 400


@pytest.mark.parametrize("page", ["0", "-1", "x", "9" * 5000, "1e9", "\x00", "3"])
def test_a_page_that_is_not_there_shows_one_that_is(
    account: Account, page: str
) -> None:
    define(account, "Customers")
    response = ask(reader(account), page=page)
    assert response.status_code == 200
    assert names(response) == ["Customers"]


def test_pages_are_of_fifty_and_keep_the_filters_in_their_addresses(
    account: Account,
) -> None:
    for number in range(51):
        define(account, f"Customers {number:03}")
    client = reader(account)
    first = ask(client, q="customers", sort="name")
    assert "1 to 50 of 51" in words(first)
    query = urlencode({"q": "customers", "sort": "name", "page": 2})
    assert first.context["older_url"] == f"?{query}"
    second = client.get(URL + first.context["older_url"])
    assert names(second) == ["Customers 050"]
    assert second.context["newer_url"].endswith("&page=1")


def test_the_filters_narrow_and_say_how_many_each_would_leave(account: Account) -> None:
    other = AccountFactory.create(name="Nordlicht SE")
    with_last(define(account, "Good", update_type="AddAndUpdate"), completed=True)
    with_last(define(account, "Bad"), failed=True)
    with_last(define(other, "Refused"), not_started=True)
    define(other, "New")
    client = reader(account, other)
    page = ask(client)
    counts = {c.word: c.count for g in page.context["groups"] for c in g.items}
    assert counts == {
        "All": 4,
        "Failing": 2,
        "Never run": 1,
        "Nordlicht DE": 2,
        "Nordlicht SE": 2,
        "Completed": 1,
        "Failed": 1,
        "Not started": 1,
        "Overwrite": 3,
        "Add and update": 1,
    }
    assert names(ask(client, show="failing")) == ["Bad", "Refused"]
    assert names(ask(client, show="never")) == ["New"]
    assert names(ask(client, status="completed")) == ["Good"]
    assert names(ask(client, update="addandupdate")) == ["Good"]
    assert names(ask(client, account=other.pk)) == ["New", "Refused"]


def test_a_chosen_filter_stays_with_nothing_left_and_lets_itself_go(
    account: Account,
) -> None:
    define(account, "Customers")
    query = {"q": "xyz", "account": account.pk, "status": "failed", "update": "Merge"}
    page = ask(reader(account), **query)
    current = {c.word: c for g in page.context["groups"] for c in g.items[1:]} | {
        c.word: c for g in page.context["groups"][1:] for c in g.items
    }
    assert set(current) == {"Nordlicht DE", "Failed", "Merge"}
    assert all(choice.is_current for choice in current.values())
    assert "status" not in current["Failed"].url
    assert "q=xyz" in current["Failed"].url


def test_what_is_not_seen_any_more_is_left_out_until_asked_for(
    account: Account,
) -> None:
    define(account, "Here")
    define(account, "Gone", not_seen_since=timezone.now())
    client = reader(account)
    assert names(ask(client)) == ["Here"]
    gone = ask(client, show="gone")
    assert names(gone) == ["Gone"]
    assert "data-start" not in content(gone)
    assert "Not seen any more" in words(ask(client))


def test_favourites_come_first_and_other_orders_can_be_asked_for(
    account: Account,
) -> None:
    now = timezone.now()
    old = with_last(define(account, "B old"), completed=True, occurred_at=now)
    earlier = now - timedelta(days=3)
    with_last(define(account, "a older"), completed=True, occurred_at=earlier)
    kept = define(account, "C kept")
    person = UserFactory.create()
    grant(person, account, AccessLevel.VIEW)
    FavouriteFactory.create(user=person, definition=kept)
    FavouriteFactory.create(definition=old)  # somebody else's
    client = client_of(person)
    assert names(ask(client)) == ["C kept", "a older", "B old"]
    assert names(ask(client, sort="name")) == ["a older", "B old", "C kept"]
    assert names(ask(client, sort="-last")) == ["B old", "a older", "C kept"]
    assert names(ask(client, sort="last")) == ["a older", "B old", "C kept"]
    assert names(ask(client, show="favourites")) == ["C kept"]


def test_typing_swaps_the_results_and_keeps_the_address(account: Account) -> None:
    define(account, "Customers")
    query = {"q": "cust", "sort": "", "account": account.pk}
    response = reader(account).get(URL, query, headers=TYPED)
    assert response.status_code == 200
    assert response.headers["HX-Replace-Url"] == f"{URL}?q=cust&account={account.pk}"
    page = content(response)
    assert page.startswith('<div id="results">')
    assert "<html" not in page
    for part in ("filters-fold", "hits", "live", "banner"):
        assert f'id="{part}" ' in page
    assert page.count('hx-swap-oob="true"') >= 4
    assert triggers(response)["mcdash:announce"]["sentences"] == ["1 definition found."]
    assert "<mark>Cust</mark>omers" in page


def test_an_emptied_search_leaves_a_clean_address(account: Account) -> None:
    response = reader(account).get(URL, {"q": "", "sort": ""}, headers=TYPED)
    assert response.headers["HX-Replace-Url"] == URL


def test_typing_too_much_is_shown_in_the_results(account: Account) -> None:
    response = reader(account).get(URL, {"q": "x" * 201}, headers=TYPED)
    assert response.status_code == 422
    assert "A search has at most 200 characters." in words(response)


def test_the_search_works_as_a_plain_form_that_keeps_the_filters(
    account: Account,
) -> None:
    define(account, "Customers")
    page = content(ask(reader(account), account=account.pk, show="never"))
    assert f'action="{URL}" method="get"' in page
    assert f'<input type="hidden" name="account" value="{account.pk}">' in page
    assert '<input type="hidden" name="show" value="never">' in page
    assert 'form="definition-search"' in page


def test_nothing_found_says_what_is_hidden_and_how_to_come_back(
    account: Account,
) -> None:
    define(account, "Customers")
    client = reader(account)
    seen = words(ask(client, q="custmers"))
    assert "Nothing matches “custmers”" in seen
    assert "1 definition is hidden by this search." in seen
    assert "Clear search" in seen
    filtered = words(ask(client, q="x", account=account.pk))
    assert "hidden by this search and these filters." in filtered
    assert "Clear all" in filtered


def test_the_first_use_names_the_one_thing_to_do() -> None:
    a_worker_beats()
    assert "Ask an administrator to give you one." in words(ask(reader()))
    boss = UserFactory.create(is_staff=True)
    page = ask(client_of(boss))
    assert "Connect an account" in words(page)
    assert "/admin/imports/account/add/" in content(page)


def test_an_account_that_is_not_synced_yet_says_so() -> None:
    a_worker_beats()
    page = words(ask(reader(AccountFactory.create())))
    assert "No definitions yet" in page
    assert "1 account not synced yet" in page


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
    ImportDefinition.objects.get().redraw()
    answer = poll(client, page)
    source = content(answer)
    assert answer.status_code == 200
    for part in ("results", "filters-fold", "hits", "live", "total", "synced"):
        assert f'id="{part}"' in source
    assert source.count("<html") == 0
    assert '<div id="results" hx-swap-oob="true">' in source
    assert "under way" in words(answer)
    assert poll_url(answer).startswith(f"{URL}?q=cust&since=7-")


def test_the_number_of_queries_does_not_grow_with_the_rows(account: Account) -> None:
    client = reader(account)

    def queries() -> int:
        with CaptureQueriesContext(connection) as found:
            assert ask(client).status_code == 200
        return len(found)

    with_last(define(account, "A"), completed=True)
    few = queries()
    for number in range(12):
        other = AccountFactory.create(name=f"B{number}")
        ImportRunFactory.create(definition=define(account, f"C{number}"), running=True)
        with_last(define(other, f"D{number}"), completed_with_errors=True)
    assert queries() == few


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
    assert "No worker was heard of" in words(page)
