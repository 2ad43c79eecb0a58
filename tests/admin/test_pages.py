"""Every page of the administration: it opens, keeps secrets, obeys the CSP."""

from __future__ import annotations

from collections.abc import Callable
from html.parser import HTMLParser
from typing import Any

import pytest
from django.db import connection
from django.test import Client
from django.test.utils import CaptureQueriesContext

from imports.models import Account, ImportDefinition, User
from tests.factories import (
    AccountAccessFactory,
    AccountFactory,
    AccountTokenFactory,
    AuditEntryFactory,
    DefinitionVersionFactory,
    GroupFactory,
    ImportDefinitionFactory,
    ImportRunFactory,
    RunEventFactory,
    UserFactory,
    WorkerFactory,
)

SECRET, TOKEN = "s3cret-of-nordlicht", "t0ken-of-nordlicht"
HOSTILE = "<script>alert(1)</script>"
MODELS = (
    "auth/group",
    "imports/account",
    "imports/auditentry",
    "imports/definitionversion",
    "imports/importdefinition",
    "imports/importrun",
    "imports/user",
    "imports/worker",
)


def fill(name: str = "Nordlicht") -> Account:
    """One of everything, with `name` wherever a text from outside may stand."""
    account = AccountFactory.create(name=name, label=name, secret=SECRET)
    AccountTokenFactory.create(account=account, token=TOKEN)
    person = UserFactory.create(first_name=name, username=name)
    group = GroupFactory.create(name=name)
    person.groups.add(group)
    AccountAccessFactory.create(account=account, group=group)
    definition = ImportDefinitionFactory.create(
        account=account,
        name=name,
        customer_key=name,
        file_spec=name,
        facts={name: name},
    )
    DefinitionVersionFactory.create(definition=definition)
    run = ImportRunFactory.create(
        definition=definition, completed=True, message=name, phase=name
    )
    RunEventFactory.create(run=run, actor_name=name, details={name: name})
    AuditEntryFactory.create(
        account=account, actor=person, object_label=name, details={name: name}
    )
    WorkerFactory.create(host=name)
    return account


def first_pk(client: Client, model: str) -> Any:
    return client.get(f"/admin/{model}/").context["cl"].result_list[0].pk


def every_page(client: Client) -> dict[str, Any]:
    """All pages by address, with the forms as they stand."""
    urls = ["/admin/", "/admin/imports/", "/admin/password_change/"]
    for model in MODELS:
        pk = first_pk(client, model)
        urls += [f"/admin/{model}/", f"/admin/{model}/?q=x"]
        urls += [f"/admin/{model}/{pk}/change/", f"/admin/{model}/{pk}/history/"]
        if model in {"auth/group", "imports/account", "imports/user"}:
            urls += [f"/admin/{model}/add/", f"/admin/{model}/{pk}/delete/"]
    urls.append(f"/admin/imports/user/{first_pk(client, 'imports/user')}/password/")
    return {url: client.get(url) for url in urls}


def test_every_page_opens_and_none_shows_a_secret(admin: Client) -> None:
    account = fill()
    sealed = account.secret.ciphertext, account.token.token.ciphertext
    for url, response in every_page(admin).items():
        assert response.status_code == 200, url
        page = response.content.decode()
        for secret in (SECRET, TOKEN, *sealed):
            assert secret not in page, url


def test_who_may_only_look_sees_no_secret_either(staff: Callable[..., Client]) -> None:
    account = fill()
    client = staff("view_account")
    page = client.get(f"/admin/imports/account/{account.pk}/change/").content.decode()
    assert account.name in page
    assert SECRET not in page
    assert account.secret.ciphertext not in page


def test_html_in_names_is_shown_as_text_on_every_page(admin: Client) -> None:
    fill(HOSTILE)
    pages = {u: r.content.decode() for u, r in every_page(admin).items()}
    assert sum("&lt;script&gt;alert(1)" in page for page in pages.values()) > 15
    for url, page in pages.items():
        assert HOSTILE not in page, url


def test_html_in_a_name_is_shown_as_text_in_messages(admin: Client) -> None:
    account = AccountFactory.create(name=HOSTILE)
    data = {"action": "pause_starts", "_selected_action": [account.pk]}
    page = admin.post("/admin/imports/account/", data, follow=True).content.decode()
    assert "starts are paused now" in page
    assert HOSTILE not in page


class Inline(HTMLParser):
    """Collects what a strict Content-Security-Policy would forbid."""

    def __init__(self, page: str) -> None:
        super().__init__()
        self.found: list[str] = []
        self.feed(page)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        given = dict(attrs)
        if tag == "style" or (tag == "script" and not given.get("src")):
            self.found.append(tag)
        for name, value in attrs:
            target = (name in {"src", "href", "action"} and value) or ""
            foreign = target.startswith(
                ("http:", "https:", "//", "data:", "javascript:")
            )
            if name == "style" or name.startswith("on") or foreign:
                self.found.append(f"{tag} {name}={value}")


def test_no_page_needs_what_the_content_security_policy_forbids(admin: Client) -> None:
    fill()
    for url, response in every_page(admin).items():
        policy = response["Content-Security-Policy"]
        assert "default-src 'none'" in policy
        assert "unsafe" not in policy
        assert Inline(response.content.decode()).found == [], url


def test_the_sign_in_page_obeys_the_policy_too(client: Client, db: None) -> None:
    response = client.get("/admin/login/")
    assert "mcdash administration" in response.content.decode()
    assert Inline(response.content.decode()).found == []


def queries_of(client: Client, url: str) -> int:
    client.get(url)
    with CaptureQueriesContext(connection) as queries:
        assert client.get(url).status_code == 200
    return len(queries)


@pytest.mark.parametrize("model", MODELS)
def test_lists_ask_as_often_for_many_rows_as_for_few(admin: Client, model: str) -> None:
    for number in range(3):
        fill(f"Nordlicht {number}")
    few = queries_of(admin, f"/admin/{model}/")
    for number in range(3, 8):
        fill(f"Nordlicht {number}")
    assert queries_of(admin, f"/admin/{model}/") == few


@pytest.mark.parametrize(
    ("page", "add"),
    [
        ("account", lambda account: AccountAccessFactory.create(account=account)),
        (
            "importrun",
            lambda account: RunEventFactory.create(
                run=account.runs.get(), actor=User.objects.get(username="root")
            ),
        ),
    ],
)
def test_pages_ask_as_often_for_many_inner_rows_as_for_few(
    admin: Client, page: str, add: Callable[[Account], object]
) -> None:
    account = fill()
    url = f"/admin/imports/{page}/{first_pk(admin, f'imports/{page}')}/change/"
    add(account)
    few = queries_of(admin, url)
    for _ in range(15):
        add(account)
    assert queries_of(admin, url) == few


def test_definitions_are_found_and_those_not_seen_are_told_apart(
    admin: Client,
) -> None:
    url = "/admin/imports/importdefinition/"
    gone = ImportDefinitionFactory.create(name="Prices", file_spec="prices_%%.csv")
    gone.not_seen_since = gone.last_seen_at
    gone.save()
    there = ImportDefinitionFactory.create(name="Stores")

    def found(**query: str) -> set[ImportDefinition]:
        return set(admin.get(url, query).context["cl"].result_list)

    assert found(seen="no") == {gone}
    assert found(seen="yes") == {there}
    assert found(seen="nonsense") == {gone, there}
    assert found(q="PRICE") == {gone}
    assert found(q="prices_%%") == {gone}
    assert found(q=there.customer_key) == {there}
