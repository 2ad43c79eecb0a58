"""Texts from outside are shown and never obeyed: not by a page, a title, a header, a
toast, an export or a database.
"""

from __future__ import annotations

import json
import uuid
from collections import Counter
from html.parser import HTMLParser
from typing import Any

import pytest
from django.utils import timezone

from imports.models import ImportRun, bump_revision
from imports.text import visible
from tests.factories import DIGEST
from tests.outside import NASTY, World, harmless

from .reading import HTMX, content, poll, triggers

pytestmark = [pytest.mark.django_db, pytest.mark.slow]


class _Structure(HTMLParser):
    """The elements of a page with the names of their attributes, and its addresses."""

    def __init__(self) -> None:
        super().__init__()
        self.elements: Counter[tuple[str, ...]] = Counter()
        self.addresses: list[str] = []
        self.text = ""

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.elements[(tag, *sorted(name for name, _ in attrs))] += 1
        names = ("href", "src", "action", "formaction", "hx-get", "hx-post")
        self.addresses += [value or "" for name, value in attrs if name in names]

    def handle_data(self, data: str) -> None:
        self.text += data


def structure(source: str) -> _Structure:
    parser = _Structure()
    parser.feed(source)
    parser.close()
    return parser


@pytest.fixture
def pair(request: pytest.FixtureRequest) -> tuple[World, World]:
    text = NASTY[request.param]
    return World(text=text), World(text=harmless(text))


every_text = pytest.mark.parametrize("pair", NASTY, indirect=True)


# These answer htmx with a part of the page.
IN_A_DIALOG = ("start", "start several", "choose", "definitions")


@every_text
def test_a_text_adds_no_element_no_attribute_and_no_address_to_any_page(
    pair: tuple[World, World],
) -> None:
    nasty, plain = pair
    for (name, path), other in zip(
        nasty.paths().items(), plain.paths().values(), strict=True
    ):
        if name in ("found", "searched"):
            continue  # what is found is marked, see below
        for headers in ({}, HTMX)[: 2 if name in IN_A_DIALOG else 1]:
            page, same = (
                world.client.get(one, headers=headers)
                for world, one in ((nasty, path), (plain, other))
            )
            assert page.status_code == same.status_code, name
            shown, expected = structure(content(page)), structure(content(same))
            assert shown.elements == expected.elements, name
            assert not [a for a in shown.addresses if not a.startswith(("/", "?", "#"))]


@every_text
def test_a_search_for_a_text_shows_it_and_adds_nothing_but_marks(
    pair: tuple[World, World],
) -> None:
    nasty, plain = pair
    known = set(structure(content(plain.client.get("/definitions/"))).elements)
    known |= set(structure(content(plain.client.get("/runs/"))).elements)
    for name in ("found", "searched"):
        page = nasty.client.get(nasty.paths()[name])
        assert page.status_code in (200, 400, 422), name
        names = {one[0] for one in structure(content(page)).elements}
        allowed = {one[0] for one in known} | {"mark", "span", "form", "input", "p"}
        assert not names & {"img", "script"} - allowed, name
        events = [one for one in structure(content(page)).elements if _has_event(one)]
        assert not events, name


def _has_event(element: tuple[str, ...]) -> bool:
    return any(name.startswith("on") for name in element[1:])


@every_text
def test_a_text_is_on_the_page_as_it_came(pair: tuple[World, World]) -> None:
    world, _ = pair
    text = structure(content(world.client.get("/definitions/"))).text
    # browsers and parsers make one line end of both kinds
    for part in (world.text[:40], world.text[-14:]):
        assert part.replace("\r\n", "\n") in text.replace("\r\n", "\n")


@every_text
def test_a_title_is_one_line_that_turns_nothing(pair: tuple[World, World]) -> None:
    world, _ = pair
    run = world.runs["running"]
    for path in (f"/runs/{run.pk}/", f"/definitions/{world.definition.pk}/"):
        source = content(world.client.get(path))
        title = structure(source[source.index("<title>") : source.index("</title>")])
        assert visible(world.text[:80]) in title.text
        assert visible(title.text) == title.text


def start(world: World, headers: dict[str, str]) -> Any:
    definition = world.runs["failed"].definition
    assert definition is not None
    wanted = {"request_token": str(uuid.uuid4()), "digest": DIGEST}
    wanted["confirm_name"] = definition.name
    path = f"/definitions/{definition.pk}/start/"
    return world.client.post(path, wanted, headers=headers)


@every_text
def test_toasts_and_announcements_say_it_in_ascii_headers(
    pair: tuple[World, World],
) -> None:
    world, plain = pair
    page = world.client.get("/runs/")
    ImportRun.objects.filter(pk=world.runs["running"].pk).update(
        status="failed", settled_at=timezone.now()
    )
    bump_revision(runs=[ImportRun.objects.get(pk=world.runs["running"].pk)])
    news: Any = poll(world.client, page)
    said = triggers(news)["mcdash:announce"]["sentences"]
    assert f"{visible(world.text[:80])}: Failed." in said
    toast, other = start(world, HTMX), start(plain, HTMX)
    assert toast.status_code == other.status_code == 200
    shown = structure(content(toast))
    assert shown.elements == structure(content(other)).elements
    assert visible(world.text[:79]) in shown.text
    for answer in (news, toast):
        assert all(value.isascii() for value in answer.headers.values())
        assert not any(set("\r\n") & set(value) for value in answer.headers.values())


@every_text
def test_without_a_script_the_toast_comes_with_the_next_page(
    pair: tuple[World, World],
) -> None:
    pages = []
    for world in pair:
        answer = start(world, {})
        assert answer.status_code == 302
        assert answer["Location"].isascii()
        pages.append(structure(content(world.client.get(answer["Location"]))))
    shown, expected = pages
    assert f"{visible(pair[0].text[:80])} is queued." in shown.text
    assert shown.elements == expected.elements


@every_text
def test_exports_hold_it_in_one_cell_and_one_string(pair: tuple[World, World]) -> None:
    world, _ = pair
    answers = [world.client.get(f"/runs/export.{form}") for form in ("csv", "json")]
    table, document = (
        b"".join(answer.streaming_content).decode()  # type: ignore[attr-defined]  # it streams
        for answer in answers
    )
    assert all(answer.headers.values() for answer in answers)
    assert {row["message"] for row in json.loads(document)} == {world.text}
    assert visible(table.removeprefix("\ufeff"), kept="\t\r\n") == table.removeprefix(
        "\ufeff"
    )
    assert '"=cmd' not in table
    assert ",=cmd" not in table


ASKED_FOR = {
    "/": ("since",),
    "/definitions/": (
        *("q", "account", "status", "update", "show", "sort", "page", "since", "seen"),
        "destination",
    ),
    "/definitions/start/": ("definition",),
    "/runs/": (
        *("q", "status", "account", "definition", "origin", "person"),
        *("from", "to", "sort", "since", "before", "after", "seen"),
    ),
    "/runs/export.csv": ("q", "person", "status", "from"),
    "/accounts/": ("since", "q"),
    "/login/": ("next",),
}


@pytest.mark.parametrize("headers", [{}, HTMX])
def test_a_nul_in_an_address_is_answered_and_breaks_no_database(
    headers: dict[str, str],
) -> None:
    world = World(text="plain")
    for page, names in ASKED_FOR.items():
        for name in names:
            path = f"{page}?{name}=a%00b"
            assert world.client.get(path, headers=headers).status_code < 500, path


def test_a_nul_in_a_form_is_answered_and_breaks_no_database() -> None:
    world = World(text="plain")
    unknown, failed = world.runs["unknown"], world.runs["failed"]
    nul = "a\x00b"
    forms: dict[str, dict[str, str]] = {
        f"/definitions/{failed.definition_id}/start/": {
            "request_token": nul,
            "digest": nul,
            "confirm_name": nul,
            "again_of": nul,
        },
        "/definitions/start/": {"definition": nul, "request_token": nul},
        f"/definitions/{world.definition.pk}/favourite/": {"wanted": nul, "next": nul},
        "/definitions/sync/": {"account": nul},
        f"/runs/{unknown.pk}/choose/": {"task": nul},
        f"/runs/{unknown.pk}/not-started/": {"looked": nul},
        "/profile/": {"time_zone": nul, "theme": nul},
        "/login/": {"username": nul, "password": nul},
        "/password_change/": {"old_password": nul, "new_password1": nul},
    }
    for path, form in forms.items():
        for headers in ({}, HTMX):
            answer = world.client.post(path, form, headers=headers)
            assert answer.status_code < 500, path


def test_a_long_text_is_cut_where_it_would_swell_a_page() -> None:
    world = World(text=NASTY["long"])
    for name in ("dashboard", "definitions", "history", "accounts"):
        assert len(world.client.get(world.paths()[name]).content) < 400_000, name
