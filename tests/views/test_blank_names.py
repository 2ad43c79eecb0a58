"""No link, title or option is empty, whatever something is called."""

from __future__ import annotations

import json
import re

import pytest
from django.test import Client

from imports.models import Account, ImportDefinition, ImportRun, User
from tests.factories import (
    AccountFactory,
    GroupFactory,
    ImportDefinitionFactory,
    ImportRunFactory,
    UserFactory,
)

from .reading import a_worker_beats, client_of, content

pytestmark = pytest.mark.django_db
UNSEEN = [
    "\u200b\u2060",
    *(
        pytest.param(text, marks=pytest.mark.exhaustive)
        for text in ("\u3164", "\u00a0", "\u2800", "\u202e")
    ),
]
NO_WORDS = re.compile(r"<(a|h1|h2|title|option|button|summary)\b[^>]*>(.*?)</\1>", re.S)


@pytest.fixture(params=UNSEEN, ids=ascii)
def blank(request: pytest.FixtureRequest) -> str:
    return str(request.param)


@pytest.fixture
def run(blank: str) -> ImportRun:
    """Of a definition without any name, in an account without one, by nobody."""
    a_worker_beats()
    account = AccountFactory.create(name=blank, label=blank)
    AccountFactory.create(name=blank * 2, mid="")
    definition = ImportDefinitionFactory.create(
        account=account, name=blank, customer_key=blank, update_type=blank
    )
    made: ImportRun = ImportRunFactory.create(
        failed=True, definition=definition, started_by_name=blank
    )
    ImportDefinition.objects.update(last_run=made)
    ImportRunFactory.create(running=True, definition=None, account=account)
    return made


@pytest.fixture
def boss(client: Client, run: ImportRun, blank: str) -> Client:
    person = UserFactory.create(is_superuser=True, is_staff=True)
    User.objects.filter(pk=person.pk).update(first_name=blank, last_name=blank)
    return client_of(User.objects.get(pk=person.pk))


def unnamed(page: str) -> list[str]:
    """Links, headings, titles, options and buttons in which nothing can be read."""
    found = []
    for match in NO_WORDS.finditer(page):
        text = re.sub(r"<[^>]*>|&[a-z]+;", "", match[2])
        labelled = re.search(r'(aria-label|value)="[^"]*\w[^"]*"', match[0])
        if not re.search(r"[A-Za-z0-9–]", text) and not labelled:
            found.append(match[0])
    return found


@pytest.mark.parametrize(
    "url",
    [
        *("/", "/definitions/", "/runs/", "/accounts/", "/runs/{run}/"),
        *("/definitions/{definition}/", "/definitions/{definition}/start/"),
        *("/runs/?account={account}&definition={definition}", "/profile/"),
        "/definitions/?account={account}",
    ],
)
def test_every_link_can_be_read(
    boss: Client, run: ImportRun, blank: str, url: str
) -> None:
    GroupFactory.create(name=blank)
    address = url.format(
        run=run.pk, definition=run.definition_id, account=run.account_id
    )
    response = boss.get(address)
    assert response.status_code == 200
    assert unnamed(content(response).split("<body")[-1]) == []
    title = re.search(r"<title>(.*?)</title>", content(response), re.S)
    assert title
    assert re.search(r"\w", title[1])


@pytest.mark.parametrize("model", ["imports/account", "imports/user", "auth/group"])
def test_every_row_of_the_administration_can_be_opened(
    boss: Client, blank: str, model: str
) -> None:
    GroupFactory.create(name=blank)
    User.objects.filter(is_superuser=True).update(username=blank)
    page = content(boss.get(f"/admin/{model}/"))
    links = re.findall(r'<th class="field-\w+"><a [^>]*>(.*?)</a>', page)
    assert links
    assert all(re.search(r"[A-Za-z]", words) for words in links)


def test_an_export_keeps_what_marketing_cloud_said(
    boss: Client, run: ImportRun, blank: str
) -> None:
    response = boss.get("/runs/export.json")
    body = b"".join(response.streaming_content)  # type: ignore[attr-defined]  # it streams
    named = next(row for row in json.loads(body) if row["id"] == run.pk)
    told = [named[name] for name in ("account", "definition", "customer_key")]
    assert told == [blank] * 3


@pytest.mark.parametrize(
    ("model", "fields"),
    [
        ("imports/account", ("name", "label")),
        ("imports/user", ("username",)),
        ("auth/group", ("name",)),
    ],
)
def test_the_administration_takes_no_name_that_nobody_can_see(
    boss: Client, blank: str, model: str, fields: tuple[str, ...]
) -> None:
    before = Account.objects.count(), User.objects.count()
    response = boss.post(f"/admin/{model}/add/", dict.fromkeys(fields, blank))
    assert response.status_code == 200
    errors = response.context["adminform"].form.errors
    assert "name" in errors or "username" in errors
    assert (Account.objects.count(), User.objects.count()) == before
