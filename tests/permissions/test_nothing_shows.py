"""What one may not see does not exist: pages, parts, exports and deeds are those of a
world without it.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import Any
from urllib.parse import urlencode

import pytest
import time_machine
from django.db import transaction
from django.test import Client
from django.utils import timezone

from imports.models import Origin, RunStatus
from tests.views.reading import HTMX, content

from .hidden import REVISION, WORD, hide
from .table import DOORS, EXPORT, LOOK_AT_IT, MACHINE
from .world import World, make_world

pytestmark = [pytest.mark.django_db, pytest.mark.slow]
Seen = dict[str, tuple[int, str, str]]
# They differ from one answer to the next, whoever asks.
CHANGING = re.compile(
    r'(csrfmiddlewaretoken" value="|X-CSRFToken": ")\w+'
    r"|[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}"
)
# Asked for as a page only: the parts are narrowed by the same filters.
NO_PART = re.compile(r"\?(status|origin|sort|show|from)=")
UNTOLD = {"Expires", "X-Request-ID", "Set-Cookie"}
# Health is of the whole installation, in two words; it names nothing.
PAGES = [route for route, door in DOORS.items() if not door.on and door is not MACHINE]
LISTS = [route for route in PAGES if DOORS[route] in (LOOK_AT_IT, EXPORT)]
ROWS = [route for route, door in DOORS.items() if door.on]


@pytest.fixture(autouse=True)
def no_chance(monkeypatch: pytest.MonkeyPatch) -> None:
    """When a page may ask again differs by chance; here by what it shows alone."""
    monkeypatch.setattr("imports.views.pace.LEAST_OF_PAUSE", 1)


@pytest.fixture
def world(db: None) -> Iterator[World]:
    with time_machine.travel(timezone.now(), tick=False):
        yield make_world()


def fixed(answer: Any) -> tuple[int, str, str]:
    """Status, headers and body, without what differs from answer to answer."""
    told = {k: v for k, v in answer.headers.items() if k not in UNTOLD}
    if getattr(answer, "streaming", False):
        body = b"".join(answer.streaming_content).decode()
    else:
        body = content(answer)
    return answer.status_code, str(sorted(told.items())), CHANGING.sub("", body)


def queries(hidden: dict[str, list[Any]]) -> list[dict[str, Any]]:
    """Every parameter of the lists, alone and aimed at what is hidden."""
    account, person = hidden["account"][0], hidden["person"][0]
    definition, run = hidden["definition"][0], hidden["run"][0]
    today = timezone.localdate().isoformat()
    searched = (WORD, WORD[:4].lower(), "key", "987654", run.task_id or "129")
    statuses = (RunStatus.FAILED, RunStatus.RUNNING, RunStatus.UNKNOWN)
    return [
        {},
        *({"q": text} for text in searched),
        *({"status": str(status)} for status in statuses),
        *({"origin": str(origin)} for origin in (Origin.OUTSIDE, Origin.DASHBOARD)),
        *({"sort": order} for order in ("name", "-last", "errors", "duration")),
        *({"show": kind} for kind in ("favourites", "failing", "never")),
        {"account": account.pk},
        {"account": account.name},
        {"definition": definition.pk},
        {"definition": definition.customer_key},
        {"person": run.started_by_name},
        {"person": person.pk},
        {"update": f"{WORD}Type"},
        {"from": today},
        {"from": "2020-01-01", "to": today},
        {"since": str(REVISION)},
        {"since": "1"},
        {"page": "2"},
        {"again_of": run.pk},
        {"status": "failed", "account": account.pk, "sort": "errors"},
    ]


def look(client: Client, urls: list[str]) -> Seen:
    plain = {url: fixed(client.get(url)) for url in urls}
    parts = [url for url in urls if not NO_PART.search(url)]
    return plain | {
        f"{url} (part)": fixed(client.get(url, headers=HTMX)) for url in parts
    }


def with_and_without(client: Client, urls_of: Any) -> tuple[Seen, Seen]:
    """What `client` sees beside the hidden account, and in a world without it."""
    with transaction.atomic():
        urls = urls_of(hide())
        beside = look(client, urls)
        transaction.set_rollback(True)
    return beside, look(client, urls)


def compare(beside: Seen, without: Seen) -> None:
    for url, (status, headers, body) in beside.items():
        assert (status, headers) == without[url][:2], url
        assert body == without[url][2], url
        if WORD not in url:  # where the reader typed it, it may be repeated
            assert WORD not in body + headers, url
            assert str(REVISION) not in body + headers or "since" in url, url


@pytest.mark.parametrize("route", LISTS)
def test_no_list_search_count_title_or_export_tells_of_it(
    world: World, route: str
) -> None:
    def urls_of(hidden: dict[str, list[Any]]) -> list[str]:
        return [f"/{route}?{urlencode(query)}" for query in queries(hidden)]

    beside, without = with_and_without(world.client("viewer"), urls_of)
    assert len(beside) > 40
    compare(beside, without)


@pytest.mark.parametrize("role", ["viewer", "starter elsewhere", "no group"])
@pytest.mark.parametrize("route", PAGES)
def test_no_page_tells_of_it_to_anybody(world: World, route: str, role: str) -> None:
    def urls_of(hidden: dict[str, list[Any]]) -> list[str]:
        return [f"/{route}", f"/{route}?account={hidden['account'][0].pk}"]

    compare(*with_and_without(world.client(role), urls_of))


@pytest.mark.parametrize("route", ROWS)
def test_its_own_addresses_are_those_of_nothing(world: World, route: str) -> None:
    kind = "definition" if route.startswith("definitions/") else "run"
    client = world.client("starter")

    def urls_of(hidden: dict[str, list[Any]]) -> list[str]:
        rows = [row.pk for row in hidden[kind]]
        urls = [f"/{route.replace('<id:pk>', str(pk))}" for pk in rows]
        return urls + [f"{url}?since=1" for url in urls]

    beside, without = with_and_without(client, urls_of)
    assert {status for status, _, _ in beside.values()} <= {404, 405}
    compare(beside, without)


@pytest.mark.parametrize("route", ROWS)
def test_the_rows_one_may_see_tell_nothing_of_it(world: World, route: str) -> None:
    client, door = world.client("starter"), DOORS[route]

    def urls_of(hidden: dict[str, list[Any]]) -> list[str]:
        url, run = door.url(route, world), hidden["run"][0]
        return [url, f"{url}?since={REVISION}", f"{url}?again_of={run.pk}"]

    compare(*with_and_without(client, urls_of))


@pytest.mark.parametrize("headers", [{}, HTMX])
@pytest.mark.parametrize("route", [*ROWS, "definitions/start/", "definitions/sync/"])
def test_a_deed_aimed_at_it_is_answered_as_if_it_were_not(
    world: World, route: str, headers: dict[str, str]
) -> None:
    client, door = world.client("starter"), DOORS[route]
    kind = "definition" if route.startswith("definitions/") else "run"

    def send(row: int, account: int) -> tuple[int, str, str]:
        aimed = {"chosen": f"{row}:{'0' * 64}", "account": account}
        url = f"/{route.replace('<id:pk>', str(row))}"
        return fixed(client.post(url, door.send(world) | aimed, headers=headers))

    with transaction.atomic():
        hidden = hide()
        target = hidden[kind][0].pk, hidden["account"][0].pk
        beside = send(*target)
        transaction.set_rollback(True)
    without = send(*target)
    assert beside == without
    assert WORD not in beside[2]
