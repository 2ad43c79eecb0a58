"""A page whose session had ended wakes when its reader signs in again elsewhere."""

from __future__ import annotations

import re

import pytest
from playwright.sync_api import Page, expect

from tests.browser.conftest import Visit
from tests.browser.driving import Watch, ask_at_once, no_navigation, polls_of, sign_in
from tests.browser.people import MARKETER, VIEWER
from tests.browser.stack import Stack
from tests.browser.starting import open_dialog

pytestmark = pytest.mark.browser
# With a name to type, and nothing else of the tests' starts it.
LARGE = "customers-daily"
TYPED = "Customers da"


def signed_in(stack: Stack, visit: Visit, person: str, path: str) -> Page:
    """A page in a session of its own, which the test may end."""
    page = visit("/login/", person=None)
    sign_in(page, person, stack.passwords[person])
    expect(page.locator("#needs")).to_be_visible()
    page.goto(path)
    return page


def sign_out_elsewhere(page: Page) -> Page:
    other = page.context.new_page()
    other.goto("/profile/")
    other.locator("#user-menu summary").click()
    other.get_by_role("button", name="Sign out", exact=True).click()
    expect(other).to_have_url(re.compile("/login/"))
    return other


def sign_in_elsewhere(other: Page, stack: Stack, person: str) -> None:
    sign_in(other, person, stack.passwords[person])
    expect(other.locator("#needs")).to_be_visible()


def note_of(page: Page) -> str:
    return page.locator("#live-note").inner_text()


def test_it_goes_on_with_all_that_was_open_and_typed_and_its_forms_work(
    stack: Stack, visit: Visit, watch: Watch
) -> None:
    watch.foresee("401")
    page = signed_in(stack, visit, MARKETER, "/definitions/?q=customers_de")
    definition = stack.definition(LARGE)
    dialog = open_dialog(page, definition)
    name = dialog.get_by_label("Type Customers daily")
    name.fill(TYPED)
    with no_navigation(page):
        other = sign_out_elsewhere(page)
        ask_at_once(page)
        expect(page.locator("#live-note")).to_contain_text("You are signed out")
        sign_in_elsewhere(other, stack, MARKETER)
        expect(page.locator("#live-note")).to_be_hidden()
        expect(name).to_have_value(TYPED)
        polls = polls_of(page)
        ask_at_once(page)
        page.wait_for_timeout(500)
        assert polls
        dialog.get_by_role("button", name="Cancel").click()
        star = page.locator(f"#definition-{definition} .star")
        before = star.get_attribute("aria-pressed")
        star.click()
        after = "false" if before == "true" else "true"
        expect(star).to_have_attribute("aria-pressed", after)
        star.click()
        expect(star).to_have_attribute("aria-pressed", before or "false")
    assert stack.starts_of(LARGE) == 0


def test_a_press_while_signed_out_says_so_and_works_after_the_sign_in(
    stack: Stack, visit: Visit, watch: Watch
) -> None:
    watch.foresee("401")
    page = signed_in(stack, visit, MARKETER, "/definitions/?q=loyalty")
    key = "loyalty-points-daily"
    before = stack.starts_of(key)
    dialog = open_dialog(page, stack.definition(key))
    press = dialog.get_by_role("button", name=re.compile("^Start"))
    with no_navigation(page):
        other = sign_out_elsewhere(page)
        press.click()
        expect(dialog.get_by_text("You are signed out, so nothing was")).to_be_visible()
        assert stack.starts_of(key) == before
        sign_in_elsewhere(other, stack, MARKETER)
        expect(page.locator("#live-note")).to_be_hidden()
        press.click()
        expect(page.locator(".toast")).to_have_count(1)
    stack.wait_for_end(key)
    assert stack.starts_of(key) == before + 1


def test_a_page_that_does_not_ask_gets_its_new_token_too(
    stack: Stack, visit: Visit
) -> None:
    """A profile has no polls: nothing tells it that its session ended meanwhile."""
    page = signed_in(stack, visit, MARKETER, "/profile/")
    with no_navigation(page):
        other = sign_out_elsewhere(page)
        sign_in_elsewhere(other, stack, MARKETER)
        newer = other.locator("html").get_attribute("data-session")
        assert newer
        expect(page.locator("html")).to_have_attribute("data-session", newer)
    page.get_by_role("button", name="Save").click()
    expect(page.locator(".toast")).to_have_count(1)


def test_a_page_of_one_person_is_loaded_anew_for_another(
    stack: Stack, visit: Visit, watch: Watch
) -> None:
    watch.foresee("401|409")
    page = signed_in(stack, visit, MARKETER, "/definitions/?q=customers_de")
    open_dialog(page, stack.definition(LARGE))
    expect(page.locator("#user-menu .name")).to_have_text("Maria Lindqvist")
    other = sign_out_elsewhere(page)
    ask_at_once(page)
    expect(page.locator("#live-note")).to_contain_text("You are signed out")
    sign_in_elsewhere(other, stack, VIEWER)
    expect(page.locator("#user-menu .name")).to_have_text("Viktor Blom")
    expect(page.locator("dialog[open]")).to_have_count(0)
    expect(page).to_have_url(re.compile(r"/definitions/\?q=customers_de"))


def test_a_sign_in_where_no_page_tells_of_it_is_noticed_on_return(
    stack: Stack, visit: Visit, watch: Watch
) -> None:
    """By the administration's own form, whose pages have none of our scripts."""
    watch.foresee("401")
    page = signed_in(stack, visit, MARKETER, "/runs/")
    sign_out_elsewhere(page)
    ask_at_once(page)
    expect(page.locator("#live-note")).to_contain_text("You are signed out")
    with no_navigation(page):
        answer = page.context.request.get("/login/")
        token = re.search(r'csrfmiddlewaretoken" value="([^"]+)"', answer.text())
        assert token
        fields: dict[str, str | float | bool] = {
            "username": MARKETER,
            "password": stack.passwords[MARKETER],
            "csrfmiddlewaretoken": token[1],
            "next": "/profile/",
        }
        page.context.request.post(
            "/login/",
            form=fields,
            headers={"Referer": f"{stack.url}/login/"},
        )
        page.evaluate("dispatchEvent(new Event('focus'))")
        expect(page.locator("#live-note")).to_be_hidden()
