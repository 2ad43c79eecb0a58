"""Pages keep themselves fresh, politely: what they ask, and when they stop."""

from __future__ import annotations

import re

import pytest
from playwright.sync_api import Page, Request, Response, Route, expect

from tests.browser.conftest import Visit
from tests.browser.driving import (
    Watch,
    ask_at_once,
    no_navigation,
    polls_of,
    sign_in,
)
from tests.browser.people import MARKETER
from tests.browser.stack import Stack
from tests.browser.starting import confirm, open_dialog, row_of

pytestmark = pytest.mark.browser

FAST_POLL_MS, A_MINUTE_MS, SOON_MS = 3_000, 60_000, 2_000


def test_a_run_that_was_started_outside_appears_by_itself(
    stack: Stack, visit: Visit
) -> None:
    page = visit("/")
    row = page.locator("#active-runs tr, #ended-runs tr", has_text="Gift cards weekly")
    expect(row).to_have_count(0)
    with no_navigation(page):
        stack.start_outside("gift-cards-weekly", account="Nordlicht SE")
        expect(row).to_contain_text("Completed")
    expect(row).to_contain_text("Outside")


def test_while_updates_are_paused_nothing_is_asked(visit: Visit) -> None:
    page, polls = watched_page(visit)
    switch = page.get_by_role("button", name="Pause updates")
    switch.click()
    expect(switch).to_have_attribute("aria-pressed", "true")
    page.clock.run_for(A_MINUTE_MS)
    page.wait_for_load_state("networkidle")
    assert polls == []
    with page.expect_request(is_poll, timeout=SOON_MS):
        switch.click()


def test_in_a_hidden_tab_nothing_is_asked_and_on_return_at_once(visit: Visit) -> None:
    page, polls = watched_page(visit)
    hide(page, hidden=True)
    page.clock.run_for(A_MINUTE_MS)
    page.wait_for_load_state("networkidle")
    assert polls == []
    with page.expect_request(is_poll, timeout=SOON_MS):
        hide(page, hidden=False)


def test_a_page_with_a_run_under_way_asks_with_one_request_for_all(
    visit: Visit,
) -> None:
    page, polls = watched_page(visit)
    with page.expect_response(is_poll):
        page.clock.run_for(FAST_POLL_MS)
    assert len(polls) == 1


def test_a_page_that_is_called_while_it_swaps_its_news_in_goes_on_asking(
    visit: Visit,
) -> None:
    page, polls = watched_page(visit)
    page.route(re.compile("since="), with_all_the_news)
    page.evaluate(CALL_AFTER_THE_NEXT_ANSWER)
    for _ in range(3):
        with page.expect_response(is_poll):
            page.clock.run_for(FAST_POLL_MS)
    assert len(polls) >= 3


@pytest.mark.parametrize(
    ("status", "header"), [(204, "Poll-After"), (503, "Retry-After")]
)
def test_the_page_waits_as_long_as_the_server_says_and_then_goes_on(
    visit: Visit, watch: Watch, status: int, header: str
) -> None:
    watch.foresee("503")
    page, polls = watched_page(visit)
    answers = iter([{"status": status, "headers": {header: "40"}}])
    page.route(
        re.compile("since="),
        lambda route: route.fulfill(**next(answers, {"status": 204})),
    )
    with page.expect_response(is_poll):
        page.clock.run_for(FAST_POLL_MS)
    page.clock.run_for(39_000)
    page.wait_for_load_state("networkidle")
    assert len(polls) == 1
    with page.expect_response(is_poll):
        page.clock.run_for(50_000)
    # once is no reason to worry anybody
    expect(page.locator("#live-note")).to_be_hidden()


def test_pages_that_lost_the_network_together_do_not_come_back_together(
    visit: Visit,
) -> None:
    page, polls = watched_page(visit)
    page.evaluate("Math.random = () => 0.5")
    page.evaluate("dispatchEvent(new Event('online'))")
    page.clock.run_for(1_000)
    page.wait_for_load_state("networkidle")
    assert polls == []
    with page.expect_response(is_poll):
        page.clock.run_for(1_000)


def test_when_the_session_ends_the_page_stops_and_shows_one_way_back(
    stack: Stack, visit: Visit, watch: Watch
) -> None:
    watch.foresee("401")
    page = visit("/login/", person=None)
    page.clock.install()
    sign_in(page, MARKETER, stack.passwords[MARKETER])
    expect(page.locator("#needs")).to_be_visible()
    page.goto("/runs/")
    other = page.context.new_page()
    other.goto("/profile/")
    other.locator("#user-menu summary").click()
    with no_navigation(page):
        other.get_by_role("button", name="Sign out", exact=True).click()
        expect(other).to_have_url(re.compile("/login/"))
        page.clock.run_for(FAST_POLL_MS)
        note = page.locator("#live-note")
        expect(note).to_contain_text("You are signed out")
        expect(page.get_by_role("link", name="Sign in again")).to_have_count(1)
        assert page.locator("input[type=password]").count() == 0
        expect(page.locator("table.runs")).to_be_visible()
        polls = polls_of(page)
        ask_at_once(page)
        page.clock.run_for(SOON_MS)
        page.wait_for_load_state("networkidle")
        assert polls == []
    page.bring_to_front()
    page.get_by_role("link", name="Sign in again").click()
    sign_in(page, MARKETER, stack.passwords[MARKETER])
    expect(page).to_have_url(f"{stack.url}/runs/")


def test_without_a_worker_a_start_waits_under_a_banner_until_one_comes(
    stack: Stack, visit: Visit
) -> None:
    definition = stack.definition("unsubscribes-daily")
    page = visit("/definitions/?q=unsubscribes")
    banner = page.locator("#banner")
    expect(banner).to_be_empty()
    stack.stop_worker()
    try:
        with no_navigation(page):
            open_dialog(page, definition)
            confirm(page)
            expect(banner).to_contain_text("The worker hasn’t responded for a minute")
            expect(row_of(page, definition)).to_contain_text("Queued")
            stack.restart_worker()
            ask_at_once(page)
            expect(banner).to_be_empty()
    finally:
        if stack.worker is None:
            stack.restart_worker()
    assert stack.starts_of("unsubscribes-daily") == 1


# The moment at which a #live that was just swapped in is not yet htmx's.
CALL_AFTER_THE_NEXT_ANSWER = """() => document.addEventListener(
  "htmx:afterRequest", () => dispatchEvent(new Event("online")), { once: true }
)"""
HIDE = """
(hidden) => {
  Object.defineProperty(document, "hidden", { configurable: true, value: hidden });
  document.dispatchEvent(new Event("visibilitychange"));
}
"""


def watched_page(visit: Visit) -> tuple[Page, list[str]]:
    """The dashboard, which has a run under way, with a clock that is ours, and a list
    that grows with every poll.
    """
    page = visit("/accounts/")
    page.clock.install()
    page.goto("/")
    expect(page.locator("#active tr[data-row]").first).to_be_visible()
    return page, polls_of(page)


def with_all_the_news(route: Route) -> None:
    route.continue_(url=re.sub(r"since=\d+", "since=0", route.request.url))


def is_poll(message: Request | Response) -> bool:
    return "since=" in message.url


def hide(page: Page, *, hidden: bool) -> None:
    """What the browser tells a page when another tab is shown in its place.

    Playwright keeps every page visible, so the answer is given in its stead.
    """
    page.evaluate(HIDE, hidden)
