"""What one does oneself: large Overwrites are typed, toasts stay until dismissed, and
the other tabs of the browser hear of it.
"""

from __future__ import annotations

import pytest
from playwright.sync_api import expect

from tests.browser.conftest import Visit
from tests.browser.driving import ask_at_once, no_navigation
from tests.browser.stack import Stack
from tests.browser.starting import confirm, open_dialog, row_of, start_button

pytestmark = pytest.mark.browser
LARGE = "customers-daily"
CALM = "loyalty-points-daily"
# From its next question on the page would ask again after an hour, whatever it hears.
ASK_EVERY_HOUR = """
const slow = () => (document.getElementById("live").dataset.seconds = "3600");
document.addEventListener("htmx:oobAfterSwap", slow, true);
slow();
"""


def test_a_large_overwrite_is_off_until_its_name_fits(
    stack: Stack, visit: Visit
) -> None:
    page = visit("/definitions/?q=customers_de")
    definition = stack.definition(LARGE)
    dialog = open_dialog(page, definition)
    button, name = start_button(dialog), dialog.get_by_label("Type Customers daily")
    expect(dialog.get_by_role("button", name="Cancel")).to_be_focused()
    expect(button).to_be_disabled()
    name.fill("customers daily")
    expect(button).to_be_disabled()
    expect(dialog.get_by_text("That doesn’t match yet.")).to_be_visible()
    name.press("Enter")
    expect(dialog).to_be_visible()
    name.fill(" Customers  daily ")
    expect(button).to_be_enabled()
    expect(dialog.get_by_text("That doesn’t match yet.")).to_be_hidden()
    dialog.get_by_role("button", name="Cancel").click()
    expect(row_of(page, definition).locator(":focus")).to_have_count(1)
    assert stack.starts_of(LARGE) == 0


def test_a_start_is_seen_in_the_other_tab_and_its_toast_stays_until_dismissed(
    stack: Stack, visit: Visit
) -> None:
    page = visit("/definitions/?q=loyalty")
    other = page.context.new_page()
    other.goto("/")
    other.evaluate(ASK_EVERY_HOUR)
    ask_at_once(other)
    page.bring_to_front()
    with no_navigation(page), no_navigation(other):
        open_dialog(page, stack.definition(CALM))
        confirm(page)
        toast = page.locator(".toast")
        address = toast.get_by_role("link", name="Open run").get_attribute("href")
        expect(other.locator(f'main a[href="{address}"]').first).to_be_visible()
    stack.wait_for_end(CALM)
    ask_at_once(page)
    expect(row_of(page, stack.definition(CALM))).to_contain_text("Completed")
    expect(toast).to_have_count(1)
    toast.get_by_role("button", name="Dismiss").focus()
    page.keyboard.press("Escape")
    expect(toast).to_have_count(0)
