"""Starting an import and seeing it end, as a marketer does it."""

from __future__ import annotations

import re

import pytest
from playwright.sync_api import expect

from tests.browser.conftest import Visit
from tests.browser.driving import PHONE, Watch, ask_at_once, no_navigation, sign_in
from tests.browser.people import FULL_NAMES, MARKETER
from tests.browser.stack import NEVER_ENDS_EITHER, SLOW, Stack
from tests.browser.starting import (
    card,
    confirm,
    open_dialog,
    row_of,
    start_button,
    the_dialog,
)

pytestmark = pytest.mark.browser


def test_from_signing_in_to_completed_with_counts_and_no_reload(
    stack: Stack, visit: Visit
) -> None:
    stack.wait_for_calm()
    page = visit(person=None)
    sign_in(page, MARKETER, stack.passwords[MARKETER])
    dashboard = page.context.new_page()
    dashboard.goto("/")
    running = int(card(dashboard, "Running").inner_text())
    completed = int(card(dashboard, "Completed today").inner_text())
    page.bring_to_front()
    page.get_by_role("link", name="Definitions").click()
    row = row_of(page, stack.definition(SLOW))
    with no_navigation(page), no_navigation(dashboard):
        page.get_by_role("searchbox").press_sequentially("catalogue_full")
        expect(page.locator("[data-row]")).to_have_count(1)
        dialog = open_dialog(page, stack.definition(SLOW))
        expect(dialog).to_contain_text("Start Product catalogue full?")
        expect(dialog.get_by_role("button", name="Cancel")).to_be_focused()
        confirm(page)
        expect(row).to_contain_text("Running")
        expect(card(dashboard, "Running")).to_have_text(str(running + 1))
        expect(dashboard.locator("#active")).to_contain_text("Product catalogue full")
        expect(row).to_contain_text("Completed")
        expect(row.locator("td.numeric").first).to_contain_text(",")
        expect(card(dashboard, "Running")).to_have_text(str(running))
        expect(card(dashboard, "Completed today")).to_have_text(str(completed + 1))
        expect(dashboard.locator("#ended")).to_contain_text("Product catalogue full")
    assert stack.starts_of(SLOW) == 1


def test_an_import_that_ends_with_errors_says_how_many_and_what_to_do(
    stack: Stack, visit: Visit
) -> None:
    definition = stack.definition("customer-consents-daily")
    page = visit(f"/definitions/{definition}/")
    page.get_by_role("link", name="Start…").click()
    confirm(page)
    page.locator(".toast").get_by_role("link", name="Open run").click()
    with no_navigation(page):
        stack.wait_for_end("customer-consents-daily")
        ask_at_once(page)
        title = page.locator("#run-head h1")
        expect(title).to_have_text("Completed with errors")
        expect(page).to_have_title(
            "Completed with errors: Customer consents daily · mcdash"
        )
        expect(page.locator("#run-advice")).to_contain_text("What to check")
        errors = page.locator("#run-figures div", has_text="Errors").first
        expect(errors).to_contain_text(re.compile(r"[1-9]\d* .*%"))


def test_an_import_that_is_refused_says_why_and_that_nothing_ran(
    stack: Stack, visit: Visit
) -> None:
    definition = stack.definition("outlet-stock-nightly")
    page = visit("/definitions/?q=outlet")
    with no_navigation(page):
        open_dialog(page, definition)
        confirm(page)
        stack.wait_for_end("outlet-stock-nightly")
        ask_at_once(page)
        expect(row_of(page, definition)).to_contain_text("Not started")
    page.locator(".toast").get_by_role("link", name="Open run").click()
    expect(page.locator("#run-head h1")).to_have_text("Not started")
    expect(page.locator("#run-advice .their-words")).not_to_be_empty()


def test_a_double_click_starts_it_once(stack: Stack, visit: Visit) -> None:
    definition = stack.definition("vouchers-daily")
    page = visit("/definitions/?q=vouchers")
    dialog = open_dialog(page, definition)
    start_button(dialog).dblclick()
    expect(page.get_by_role("dialog")).to_have_count(0)
    expect(page.locator(".toast")).to_have_count(1)
    assert stack.starts_of("vouchers-daily") == 1


def test_in_two_tabs_the_second_learns_whose_run_is_under_way(
    stack: Stack, visit: Visit, watch: Watch
) -> None:
    watch.foresee("409")
    definition = stack.definition(NEVER_ENDS_EITHER)
    first = visit("/definitions/?q=returns")
    second = first.context.new_page()
    second.goto("/definitions/?q=returns")
    first.bring_to_front()
    open_dialog(first, definition)
    second.bring_to_front()
    dialog = open_dialog(second, definition)
    first.bring_to_front()
    confirm(first)
    second.bring_to_front()
    start_button(dialog).click()
    expect(dialog).to_contain_text("Nothing was started a second time")
    expect(dialog).to_contain_text(" ".join(FULL_NAMES[MARKETER]))
    assert stack.starts_of(NEVER_ENDS_EITHER) == 1


def test_on_a_phone_an_import_is_started_with_a_thumb(
    stack: Stack, visit: Visit
) -> None:
    definition = stack.definition("stores-weekly")
    page = visit("/definitions/?q=stores", viewport=PHONE, has_touch=True)
    row_of(page, definition).get_by_role("link", name="Start…").tap()
    dialog = the_dialog(page)
    wide = page.evaluate("document.documentElement.scrollWidth")
    assert wide <= PHONE["width"]
    start_button(dialog).tap()
    expect(page.locator(".toast")).to_contain_text("is queued")
    assert stack.starts_of("stores-weekly") == 1


def test_without_javascript_an_import_is_started_and_seen(
    stack: Stack, visit: Visit
) -> None:
    page = visit(person=None, java_script_enabled=False)
    sign_in(page, MARKETER, stack.passwords[MARKETER])
    page.get_by_role("searchbox").first.fill("wish lists")
    page.get_by_role("searchbox").first.press("Enter")
    page.get_by_role("link", name="Start…").click()
    page.get_by_role("button", name="Start", exact=True).click()
    expect(page.get_by_text("Wish lists daily is queued.")).to_be_visible()
    stack.wait_for_end("wish-lists-daily")
    page.reload()
    expect(page.locator("#run-head h1")).to_have_text("Completed")


def test_a_name_with_html_in_it_is_shown_as_text(stack: Stack, visit: Visit) -> None:
    definition = stack.definition("kundinnen-grossstaedte")
    name = 'Kundinnen & Kunden <b>Großstädte</b> "Süd"'
    page = visit(f"/definitions/{definition}/")
    expect(page.get_by_role("heading", level=1)).to_have_text(name)
    page.get_by_role("link", name="Start…").click()
    expect(the_dialog(page)).to_contain_text(f"Start {name}?")
    confirm(page)
    expect(page.locator(".toast p")).to_have_text(f"{name} is queued.")
    page.goto("/definitions/?q=<b>Großstädte")
    expect(row_of(page, definition)).to_contain_text("<b>Großstädte</b>")
    assert page.locator("b", has_text="Großstädte").count() == 0
