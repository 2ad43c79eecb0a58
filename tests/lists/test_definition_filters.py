"""Finding definitions: by words as one types, by filters, all in the address."""

from __future__ import annotations

from datetime import timedelta
from typing import Any
from urllib.parse import urlencode

import pytest
from django.utils import timezone

from imports.models import AccessLevel, Account
from imports.wording.formats import clock_text
from tests.factories import (
    AccountFactory,
    FavouriteFactory,
    UserFactory,
    grant,
)
from tests.views.defining import ask, define, names, with_last
from tests.views.reading import (
    HTMX,
    client_of,
    content,
    reader,
    triggers,
    words,
)

pytestmark = pytest.mark.django_db
URL = "/definitions/"
NO_ACCOUNT = "That account does not exist, or you don’t have access to it."
TYPED = HTMX | {"HX-Target": "results"}


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
        ({"account": "99999999"}, NO_ACCOUNT),
        ({"account": "abc"}, NO_ACCOUNT),
        ({"account": "9" * 400}, NO_ACCOUNT),
        ({"account": "1\x00"}, NO_ACCOUNT),
        ({"status": "fine"}, "There is no such status."),
        ({"update": "x" * 201}, "There is no such update type."),
        ({"update": "\x00"}, "There is no such update type."),
        ({"show": "all"}, "There is no such filter."),
        ({"kind": "table"}, "There is no such kind of destination."),
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
    counts = {c.word: int(c.count) for g in page.context["groups"] for c in g.items}
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
        "Data extension": 2,
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
    query: dict[str, Any] = {
        "q": "xyz",
        "account": account.pk,
        "status": "failed",
        "update": "Merge",
    }
    page = ask(reader(account), **query)
    current = {c.word: c for g in page.context["groups"] for c in g.items[1:]} | {
        c.word: c for g in page.context["groups"][1:] for c in g.items
    }
    assert set(current) == {"Nordlicht DE", "Failed", "Merge"}
    assert all(choice.is_current for choice in current.values())
    assert "status" not in current["Failed"].url
    assert "q=xyz" in current["Failed"].url


def test_what_is_believed_gone_is_left_out_until_asked_for(account: Account) -> None:
    define(account, "Here")
    define(account, "Gone", not_seen_since=timezone.now())
    client = reader(account)
    assert names(ask(client)) == ["Here"]
    gone = ask(client, show="gone")
    assert names(gone) == ["Gone"]
    assert "data-start" in content(gone)
    assert "No longer in Marketing Cloud" in words(ask(client))


def test_what_was_missed_once_stays_in_the_list_and_says_so(account: Account) -> None:
    define(account, "Here")
    since = timezone.now()
    define(account, "Missed", not_listed_since=since)
    page = ask(reader(account))
    assert names(page) == ["Here", "Missed"]
    assert page.context["total"] == 2
    assert words(page).count(f"Not listed since {clock_text(since)}") == 1
    assert content(page).count("data-start") == 2
    assert content(page).count("data-pick ") == 2


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


def test_the_most_and_the_fewest_rows_can_come_first(account: Account) -> None:
    for name, rows in (("Few", 10), ("Many", 900), ("Some", 50)):
        with_last(define(account, name), completed=True, total_rows=rows)
    define(account, "Never")
    client = reader(account)
    assert names(ask(client, sort="-rows")) == ["Many", "Some", "Few", "Never"]
    assert names(ask(client, sort="rows")) == ["Few", "Some", "Many", "Never"]


def test_the_kind_of_destination_is_told_by_its_id_else_by_the_last_run(
    account: Account,
) -> None:
    guid = "745d66b0-683e-5d6c-8cd1-d7188cde494b"
    define(account, "Extension", destination=guid)
    define(account, "List", destination="1942714")
    define(account, "Nobody knows", destination="")
    texts = define(account, "Texts", destination="")
    with_last(texts, completed=True, import_type="SMS", destination_id="")
    old = define(account, "Old list", destination="")
    with_last(old, completed=True, import_type="Subscriber List")
    client = reader(account)
    assert names(ask(client, kind="extension")) == ["Extension"]
    assert names(ask(client, kind="list")) == ["List", "Old list"]
    assert names(ask(client, kind="other")) == ["Texts"]


@pytest.mark.slow
@pytest.mark.parametrize(
    "chosen",
    [
        {},
        {"q": "a"},
        {"update": "OVERWRITE"},
        {"status": "failed"},
        {"kind": "list"},
        {"show": "gone"},
        {"show": "never", "kind": "extension"},
        {"show": "failing", "update": "Overwrite", "q": "a"},
    ],
)
def test_every_count_is_what_its_filter_then_finds(
    account: Account, chosen: dict[str, str]
) -> None:
    other = AccountFactory.create(name="Nordlicht SE")
    guid = "745d66b0-683e-5d6c-8cd1-d7188cde494b"
    ends = ("completed", "failed", "lost", "running", None)
    ways = ("Overwrite", "overwrite", "AddAndUpdate", "")
    for number in range(24):
        made = define(
            (account, other)[number % 2],
            f"{'abc'[number % 3]} {number}",
            update_type=ways[number % 4],
            destination=(guid, "77", "")[number % 3],
            not_seen_since=timezone.now() if number % 11 == 3 else None,
        )
        if end := ends[number % 5]:
            with_last(made, **{end: True})
    client = reader(account, other)
    page = ask(client, **chosen)
    choices = [choice for group in page.context["groups"] for choice in group.items]
    assert len(choices) > 4
    for choice in choices:
        if not choice.is_current:
            found = client.get(URL + choice.url).context["page"].paginator.count
            assert (choice.word, found) == (choice.word, int(choice.count))


def test_typing_swaps_the_results_and_keeps_the_address(account: Account) -> None:
    define(account, "Customers")
    query: dict[str, Any] = {"q": "cust", "sort": "", "account": account.pk}
    response = reader(account).get(URL, query, headers=TYPED)
    assert response.status_code == 200
    assert response.headers["HX-Replace-Url"] == f"{URL}?q=cust&account={account.pk}"
    page = content(response)
    assert page.lstrip().startswith('<div id="results">')
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
    assert "No definition matches “custmers”" in seen
    assert "1 definition is hidden by this search." in seen
    assert "Clear search" in seen
    filtered = words(ask(client, q="x", account=account.pk))
    assert "hidden by this search and these filters." in filtered
    assert "Clear all" in filtered
