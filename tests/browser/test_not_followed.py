"""A run that mcdash does not follow: its page stands still, says why, and wakes."""

from __future__ import annotations

import pytest
from playwright.sync_api import Page, expect

from tests.browser.conftest import Visit
from tests.browser.driving import ask_at_once, no_navigation
from tests.browser.people import ADMINISTRATOR
from tests.browser.stack import NEVER_ENDS, Stack
from tests.browser.test_accessibility import complaints

pytestmark = pytest.mark.browser


def test_the_page_of_a_disabled_account_stands_still_and_wakes_with_it(
    stack: Stack, visit: Visit
) -> None:
    ((run, account),) = stack.ask(
        "SELECT id, account_id FROM imports_importrun "
        f"WHERE status = 'running' AND customer_key = '{NEVER_ENDS}'"
    )
    page = visit(f"/runs/{run}/", person=ADMINISTRATOR)
    notice, ticking = page.locator("#run-following"), page.locator("[data-since]")
    expect(ticking).not_to_have_count(0)
    expect(notice).to_be_empty()
    admin = visit(f"/admin/imports/account/{account}/change/", person=ADMINISTRATOR)
    columns = lefts(page)
    try:
        with no_navigation(page):
            switch(admin, is_active=False)
            ask_at_once(page)
            expect(notice).to_contain_text("mcdash isn’t following this run: the acc")
            expect(ticking).to_have_count(0)
            expect(page.locator("#run-head .status-title > .still")).to_be_visible()
            assert lefts(page) == columns
            assert not complaints(page)
        way = page.get_by_role("link", name="Enable the account")
        page.get_by_role("button", name="Copy for support").focus()
        page.keyboard.press("Tab")
        expect(way).to_be_focused()
        assert f"/account/{account}/" in (way.get_attribute("href") or "")
    finally:
        admin.goto(f"/admin/imports/account/{account}/change/")
        switch(admin, is_active=True)
    with no_navigation(page):
        ask_at_once(page)
        expect(notice).to_be_empty()
        expect(ticking).not_to_have_count(0)


def switch(admin: Page, *, is_active: bool) -> None:
    admin.get_by_label("Is active").set_checked(is_active)
    admin.locator("input[name=_save]").click()
    expect(admin.locator(".messagelist .success")).to_be_visible()


def lefts(page: Page) -> list[float]:
    """Where columns and counts begin: a notice may push them down, no more."""
    places = page.locator("#run-head h1, .columns > div, #run-figures dd").all()
    return [box["x"] for place in places if (box := place.bounding_box())]
