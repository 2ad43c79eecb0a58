"""Whatever an address asks a page for, the page answers without an error of ours."""

from __future__ import annotations

from typing import Any
from urllib.parse import urlencode

import pytest
from django.test import Client

from imports.models import AccessLevel
from tests.factories import ImportDefinitionFactory, ImportRunFactory

from .reading import HTMX, reader

# A query may fail in the database itself, and PostgreSQL then ends the transaction.
pytestmark = [pytest.mark.django_db(transaction=True), pytest.mark.exhaustive]

HUGE = "9" * 40
VALUES = (
    *(
        "-1",
        HUGE,
        "abc",
        "%",
        "a\x00b",
        "1,2",
        "0000-00-00",
        "0001-01-01",
        "9999-12-31",
    ),
    *("2026-03-12T00:00:00+00:00_1", f"0001-01-01T00:00:00+00:00_{HUGE}"),
    *("1" * 4500, "\udcff", "٣", "live:0,found:0"),
)
PAGES = {
    "/": "since seen scope",
    "/definitions/": "q account status update kind show sort page since seen",
    "/definitions/{definition}/": "before after since seen",
    "/definitions/{definition}/start/": "again_of next",
    "/definitions/{definition}/strip/": "next",
    "/definitions/start/": "definition",
    "/runs/": "q status account definition origin person from to sort before after",
    "/runs/{run}/": "since seen",
    "/runs/?status=failed": "since seen",
    "/runs/export.csv": "q status account from to sort",
    "/accounts/": "since seen",
    "/profile/": "next",
    "/login/": "next",
}


def address(path: str, name: str, *values: str) -> str:
    pairs = [
        (name.encode(), value.encode("utf-8", "surrogatepass")) for value in values
    ]
    return f"{path}{'&' if '?' in path else '?'}{urlencode(pairs)}"


@pytest.fixture
def paths() -> tuple[Client, dict[str, str]]:
    definition = ImportDefinitionFactory.create()
    run = ImportRunFactory.create(definition=definition, completed=True)
    client = reader(definition.account, level=AccessLevel.START)
    client.raise_request_exception = False
    return client, {"definition": str(definition.pk), "run": str(run.pk)}


@pytest.mark.parametrize("page", PAGES)
def test_no_parameter_of_a_page_is_an_error_of_ours(
    paths: tuple[Client, dict[str, str]], page: str
) -> None:
    client, numbers = paths
    path, names = page.format(**numbers), PAGES[page].split()
    urls = [address(path, name, value) for name in names for value in VALUES]
    urls += [address(path, name, *VALUES) for name in [*names, "\x00", "nonsense"]]
    asked = {}
    for url in urls:
        answer: Any = client.get(url, headers=HTMX if "since" in url else {})
        asked[url] = answer.status_code
        if answer.streaming:
            assert list(answer.streaming_content)
    assert {url: status for url, status in asked.items() if status >= 500} == {}


@pytest.mark.parametrize("number", ["0", HUGE, f"-{HUGE}", "9" * 18, "%00", "x", "٣"])
def test_no_number_in_an_address_is_an_error_of_ours(
    paths: tuple[Client, dict[str, str]], number: str
) -> None:
    client, _ = paths
    for path in ("definitions/{}/", "definitions/{}/start/", "runs/{}/", "runs/{}/x/"):
        assert client.get(f"/{path.format(number)}").status_code == 404
