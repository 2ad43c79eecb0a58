"""The frame of every page, its partials, and what the style sheets promise."""

from __future__ import annotations

import json
import re
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
from django.conf import settings
from django.contrib.auth.models import AnonymousUser
from django.template.loader import render_to_string
from django.test import RequestFactory
from django.urls import resolve

from imports.models import Account, ImportDefinition, ImportRun, User
from imports.templatetags.mcdash import initials

pytestmark = pytest.mark.urls("tests.ui.urls")
STATIC = Path(settings.BASE_DIR) / "static"
SHEETS = sorted((STATIC / "css").glob("*.css"))
SCRIPTS = sorted((STATIC / "js").glob("*.js"))


@pytest.fixture(autouse=True)
def _plain_static_files(settings: Any) -> None:
    backend = "django.contrib.staticfiles.storage.StaticFilesStorage"
    settings.STORAGES = settings.STORAGES | {"staticfiles": {"BACKEND": backend}}


def frame(path: str = "/", user: User | AnonymousUser | None = None) -> str:
    request = RequestFactory().get(path)
    request.user = user or User(username="ana", first_name="Ana", last_name="Ruiz")
    request.resolver_match = resolve(path)
    return render_to_string("base.html", {"user": request.user}, request)


def a_run(**facts: Any) -> ImportRun:
    account = facts.pop("account", Account(name="Nordlicht DE"))
    definition = ImportDefinition(pk=3, name="Customers <daily>", account=account)
    began = datetime.now(UTC) - timedelta(minutes=4)
    facts = {"status": "running", "phase": "IOWork", "origin": "dashboard"} | facts
    times = {"occurred_at": began, "started_at": began}
    return ImportRun(pk=9, account=account, definition=definition, **times, **facts)


def row(run: ImportRun) -> str:
    return render_to_string("imports/_shared/_run_rows.html", {"runs": [run]})


def test_the_frame_obeys_a_policy_without_inline_script_or_style() -> None:
    html = frame()
    assert " style=" not in html
    assert "<style" not in html
    assert not re.search(r"\son\w+=", html)
    assert not re.search(r"<script(?![^>]*\ssrc=)", html)
    assert not re.search(r'(?:src|href)="(?:https?:)?//', html)


def test_htmx_may_not_evaluate_nor_keep_pages() -> None:
    found = re.search(r"name=\"htmx-config\"\s+content='([^']+)'", frame())
    assert found
    config = json.loads(found[1])
    assert config["allowEval"] is False
    assert config["includeIndicatorStyles"] is False
    assert config["historyCacheSize"] == 0
    assert config["responseHandling"][0] == {"code": "204", "swap": False}


@pytest.mark.parametrize(
    ("path", "word"),
    [
        ("/", "Dashboard"),
        ("/definitions/5/", "Definitions"),
        ("/runs/5/", "History"),
        ("/accounts/", "Accounts"),
    ],
)
def test_the_place_one_is_at_is_marked_in_both_bars(path: str, word: str) -> None:
    marked = r'aria-current="page">\s*(?:<svg.*?</svg>)?(\w+)'
    current = re.findall(marked, frame(path), re.DOTALL)
    assert current == [word, word]


def test_a_chosen_theme_is_on_the_page_and_the_systems_is_not() -> None:
    assert 'data-theme="dark"' in frame(user=User(username="a", theme="dark"))
    assert "data-theme" not in frame(user=User(username="a"))


def test_single_keys_turned_off_are_off_in_the_page() -> None:
    html = frame(user=User(username="a", shortcuts_on=False))
    assert 'data-keys="off"' in html
    assert "<kbd" not in html


def test_signing_out_is_a_post_and_administration_is_for_staff() -> None:
    html = frame()
    assert '<form method="post" action="/logout/">' in html
    assert "Administration" not in html
    assert "Administration" in frame(user=User(username="a", is_staff=True))


def test_a_visitor_sees_no_navigation() -> None:
    html = frame("/login/", AnonymousUser())
    assert "<nav" not in html
    assert "data-login" not in html


def test_a_page_has_one_live_region_and_a_way_past_the_bar() -> None:
    html = frame()
    assert html.count("aria-live") == 1
    assert html.index('href="#main"') < html.index("<header")


@pytest.mark.parametrize(
    ("name", "letters"),
    [("Ana Ruiz", "AR"), ("ana", "A"), ("a.b.ruiz", "AR"), ("", "?")],
)
def test_a_person_is_shown_by_initials(name: str, letters: str) -> None:
    assert initials(name) == letters


def test_a_running_row_ticks_and_shows_unknown_counts_as_dashes() -> None:
    html = row(a_run())
    assert 'id="run-9"' in html
    assert "data-since=" in html
    assert "IOWork" in html
    assert html.count(">–<") >= 2
    assert "Customers &lt;daily&gt;" in html


def test_a_row_of_a_silent_account_says_so_and_is_not_shown_as_fresh() -> None:
    silent = Account(
        name="Nordlicht SE", not_answering_since=datetime.now(UTC), failures_in_row=2
    )
    html = row(a_run(account=silent, last_checked_at=datetime.now(UTC)))
    assert "as-of" in html
    assert "hasn’t answered since" in html
    assert "data-since" not in html
    assert "ink-blue" not in html


def test_an_ended_row_shows_how_long_it_took_and_no_phase() -> None:
    run = a_run(status="failed", phase="Error", errors=12, total_rows=90)
    run.finished_at = run.occurred_at + timedelta(minutes=4)
    html = row(run)
    assert ">4:00<" in html
    assert "Error<" not in html
    assert "count-errors" in html


def test_a_run_that_never_ran_took_no_time() -> None:
    html = row(a_run(status="not_started", settled_at=datetime.now(UTC)))
    assert "data-since" not in html
    assert 'class="numeric time">–<' in html


def test_the_start_dialog_names_object_and_effect_and_can_be_sent_once() -> None:
    account = Account(name="Nordlicht DE")
    html = render_to_string(
        "imports/start/_one_dialog.html",
        {
            "definition": ImportDefinition(pk=3, name="Customers", account=account),
            "effect": {
                "sentence": "Overwrite: replaces every row of Customers.",
                "is_careful": True,
            },
            "wanted": {"words": "Customers", "is_name": True},
            "form": {"request_token": {"value": "abc"}},
        },
    )
    assert "Start <bdi>Customers</bdi>?" in html
    assert "data-once" in html
    assert 'data-must-equal="Customers"' in html
    assert 'name="request_token" value="abc"' in html
    assert re.search(r"data-focus autofocus>Cancel", html)


@pytest.mark.parametrize("sheet", SHEETS, ids=lambda path: path.name)
def test_a_style_sheet_asks_no_other_server_for_anything(sheet: Path) -> None:
    css = sheet.read_text()
    wanted = re.findall(r"@import[^;]*|url\([^)]*\)", css)
    assert [address for address in wanted if "//" in address] == []


@pytest.mark.parametrize("sheet", SHEETS, ids=lambda path: path.name)
def test_every_colour_of_a_style_sheet_follows_the_theme(sheet: Path) -> None:
    """One written in place stays as it is when a reader chooses the other theme."""
    css = re.sub(r"/\*.*?\*/", "", sheet.read_text(), flags=re.DOTALL)
    css = re.sub(r"light-dark\((?:[^()]|\([^()]*\))*\)", "", css)
    fixed = re.findall(r"(?:#[0-9a-f]{3,8}\b|\b(?:rgb|hsl|oklch)a?\([^)]*\))", css)
    assert fixed == []


def test_the_frame_loads_every_sheet_and_script_there_is() -> None:
    html = frame()
    of_one_page = {"styleguide.css"}
    for file in [*SHEETS, *SCRIPTS]:
        if file.name in of_one_page:
            continue
        assert f"/{file.name}" in html
