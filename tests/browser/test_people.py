"""Who may do what, and how each of them likes to read."""

from __future__ import annotations

import pytest
from playwright.sync_api import Page, expect

from tests.browser.conftest import Visit
from tests.browser.people import ADMINISTRATOR, VIEWER
from tests.browser.stack import Stack
from tests.browser.starting import row_of

pytestmark = pytest.mark.browser


def test_a_viewer_sees_no_start_and_a_forced_one_is_forbidden(
    stack: Stack, visit: Visit
) -> None:
    definition = stack.definition("wish-lists-daily")
    performed = stack.performed_of("wish-lists-daily")
    page = visit("/definitions/?q=wish", person=VIEWER)
    expect(row_of(page, definition)).to_be_visible()
    expect(page.get_by_text("Start…")).to_have_count(0)
    page.goto(f"/definitions/{definition}/")
    expect(page.get_by_role("heading", level=1)).to_have_text("Wish lists daily")
    expect(page.get_by_text("Start…")).to_have_count(0)
    token = page.locator("input[name=csrfmiddlewaretoken]").first.input_value()
    answer = page.request.post(
        f"/definitions/{definition}/start/",
        form={"csrfmiddlewaretoken": token},
        headers={"Referer": page.url},
    )
    assert answer.status == 403
    assert "view-only access" in answer.text()
    assert stack.performed_of("wish-lists-daily") == performed


def test_a_viewer_of_one_account_meets_the_other_nowhere(visit: Visit) -> None:
    page = visit("/accounts/", person=VIEWER)
    expect(page.get_by_role("heading", name="Nordlicht DE")).to_be_visible()
    for path in ("/", "/definitions/", "/runs/", "/accounts/"):
        page.goto(path)
        expect(page.locator("body")).not_to_contain_text("Nordlicht SE")


def test_an_administrator_tests_a_connection_and_reads_what_happened(
    visit: Visit,
) -> None:
    page = visit("/", person=ADMINISTRATOR)
    page.locator("#user-menu summary").click()
    page.get_by_role("link", name="Administration").click()
    page.get_by_role("link", name="Accounts", exact=True).click()
    row = page.locator("#result_list tr", has_text="Nordlicht SE")
    row.get_by_role("checkbox").check()
    page.get_by_label("Action:").select_option(label="Test connection")
    page.get_by_role("button", name="Go").click()
    message = page.locator(".messagelist li")
    expect(message).to_have_count(1)
    expect(message).to_contain_text("Nordlicht SE")
    expect(message).to_have_class("success")


def test_the_dark_theme_of_the_profile_is_on_every_page(visit: Visit) -> None:
    page = visit("/profile/", person=VIEWER, color_scheme="light")
    light = ground_of(page)
    page.get_by_label("Dark").check()
    page.get_by_role("button", name="Save").click()
    expect(page.locator("html")).to_have_attribute("data-theme", "dark")
    dark = ground_of(page)
    assert dark != light
    page.goto("/")
    assert ground_of(page) == dark


def ground_of(page: Page) -> str:
    """The colour that is painted behind the page."""
    colour: str = page.evaluate(
        "getComputedStyle(document.documentElement).backgroundColor + "
        "getComputedStyle(document.body).backgroundColor"
    )
    return colour
