"""Readers of pages for tests: signed-in clients, polls, and text without tags."""

from __future__ import annotations

import html
import json
import re
from typing import Any

from django.test import Client

from imports.models import AccessLevel, Account, User, bump_revision
from tests.factories import UserFactory, WorkerFactory, grant

HTMX = {"HX-Request": "true"}
PARTS = (
    *("live", "banner", "attention-tally", "needs", "cards", "active", "ended"),
    *(
        "rail",
        "rail-foot",
        "found",
        "run-head",
        "run-following",
        "run-figures",
        "run-advice",
        "run-timeline",
    ),
    *("run-facts", "toasts"),
)


def reader(*accounts: Account, level: AccessLevel = AccessLevel.START) -> Client:
    """A client of a person who may start in (or, with `level`, see) `accounts`."""
    person = UserFactory.create(first_name="Ana", last_name="Ruiz")
    for account in accounts:
        grant(person, account, level)
    return client_of(person)


def viewer(*accounts: Account) -> Client:
    return reader(*accounts, level=AccessLevel.VIEW)


def client_of(person: User) -> Client:
    client = Client()
    client.force_login(person)
    return client


def a_worker_beats() -> None:
    WorkerFactory.create()


def something_changed() -> None:
    """What use cases do after a change; till then a page may show what it showed."""
    bump_revision(accounts=Account.objects.all())


def content(response: Any) -> str:
    return str(response.content.decode())


def words(response: Any) -> str:
    """What a reader sees: no tags, one space between words."""
    source = re.sub(r"</?bdi>", "", content(response))
    return " ".join(html.unescape(re.sub(r"<[^>]*>", " ", source)).split())


def part(response: Any, element_id: str) -> str:
    """The source from the element with `element_id` to the next part of the page."""
    source = content(response)
    start = source.index(f'id="{element_id}"')
    others = "|".join(name for name in PARTS if name != element_id)
    end = re.compile(rf'<\w+ [^>]*id="(?:{others})"|</main>').search(source, start)
    return source[start : end.start() if end else None]


def poll_url(response: Any) -> str:
    """Where the page's #live asks next."""
    found = re.search(r'id="live"[^>]*hx-get="([^"]+)"', content(response))
    assert found, "the page has no #live"
    return html.unescape(found[1])


def poll_seconds(response: Any) -> int:
    found = re.search(r'id="live"[^>]*data-seconds="(\d+)"', content(response))
    assert found, "the page has no #live"
    return int(found[1])


def poll(client: Client, response: Any) -> Any:
    """What the page's next poll answers."""
    return client.get(poll_url(response), headers=HTMX)


def triggers(response: Any) -> dict[str, Any]:
    """The events that the answer makes htmx fire."""
    found: dict[str, Any] = json.loads(response.headers.get("HX-Trigger", "{}"))
    return found
