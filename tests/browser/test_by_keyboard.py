"""Everything can be done without a mouse."""

from __future__ import annotations

import pytest
from playwright.sync_api import expect

from tests.browser.conftest import Visit
from tests.browser.driving import ask_at_once
from tests.browser.people import MARKETER
from tests.browser.stack import Stack
from tests.browser.starting import row_of, start_button, the_dialog

pytestmark = pytest.mark.browser


def test_the_whole_path_from_signing_in_to_completed_goes_by_keyboard(
    stack: Stack, visit: Visit
) -> None:
    definition = stack.definition("newsletter-subscribers-daily")
    page = visit("/login/", person=None)
    keys = page.keyboard
    keys.type(MARKETER)
    keys.press("Tab")
    keys.type(stack.passwords[MARKETER])
    keys.press("Enter")
    expect(page.locator("#needs")).to_be_visible()
    keys.press("/")
    expect(page.get_by_role("searchbox")).to_be_focused()
    keys.type("nl_subscribers_%")
    keys.press("Enter")
    expect(page.locator("[data-row]")).to_have_count(1)
    keys.press("j")
    row = row_of(page, definition)
    expect(row.locator("[data-row-link]")).to_be_focused()
    keys.press("s")
    dialog = the_dialog(page)
    expect(dialog.get_by_role("button", name="Cancel")).to_be_focused()
    keys.press("Escape")
    expect(page.get_by_role("dialog")).to_have_count(0)
    expect(row.locator(":focus")).to_have_count(1)
    keys.press("s")
    dialog = the_dialog(page)
    keys.press("Tab")
    expect(start_button(dialog)).to_be_focused()
    keys.press("Enter")
    expect(page.locator(".toast")).to_contain_text("is queued")
    keys.press("j")
    expect(row.locator("[data-row-link]")).to_be_focused()
    keys.press("Enter")
    expect(page.get_by_role("heading", level=1)).to_have_text(
        "Newsletter subscribers daily"
    )
    stack.wait_for_end("newsletter-subscribers-daily")
    ask_at_once(page)
    expect(page.locator("#definition-head")).to_contain_text("Completed")
    assert stack.starts_of("newsletter-subscribers-daily") == 1


def test_single_keys_rest_while_one_types_and_question_mark_lists_them(
    visit: Visit,
) -> None:
    page = visit("/definitions/")
    page.get_by_role("searchbox").press_sequentially("s?j")
    expect(page.get_by_role("searchbox")).to_have_value("s?j")
    expect(page.get_by_role("dialog")).to_have_count(0)
    page.locator("#main").focus()
    page.keyboard.press("?")
    expect(page.get_by_role("dialog")).to_contain_text("Search")
    page.keyboard.press("Escape")
    expect(page.get_by_role("dialog")).to_have_count(0)
