"""What a marketer does to start a definition, as steps that tests share."""

from __future__ import annotations

from playwright.sync_api import Locator, Page, expect


def row_of(page: Page, definition: int) -> Locator:
    """The definition's row in the list."""
    return page.locator(f"#definition-{definition}")


def open_dialog(page: Page, definition: int) -> Locator:
    """Press Start… in the definition's row; the dialog, once it is there."""
    row_of(page, definition).get_by_role("link", name="Start…").click()
    return the_dialog(page)


def the_dialog(page: Page) -> Locator:
    """The dialog, once htmx is done with it: it sets the focus as its last deed."""
    dialog = page.get_by_role("dialog")
    expect(dialog).to_be_visible()
    expect(page.locator("#dialog-slot.htmx-settling")).to_have_count(0)
    return dialog


def confirm(page: Page) -> None:
    """Type the name if it is asked for, and press the dialog's Start; it closes and a
    message says what was done.
    """
    dialog = the_dialog(page)
    asked = dialog.locator("[data-must-equal]")
    if asked.count():
        asked.fill(asked.get_attribute("data-must-equal") or "")
    start_button(dialog).click()
    expect(page.get_by_role("dialog")).to_have_count(0)
    expect(page.locator(".toast").last).to_contain_text("is queued")


def start_button(dialog: Locator) -> Locator:
    return dialog.locator("button[type=submit]")


def card(page: Page, label: str) -> Locator:
    """The figure on one of the dashboard's cards."""
    return page.locator("#summary a", has_text=label).locator(".figure")
