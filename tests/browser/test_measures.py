"""What can be measured of a page: its weight, its calm, its reach."""

from __future__ import annotations

import re

import pytest
from axe_playwright_python.sync_playwright import Axe
from playwright.sync_api import Page, Route, expect

from tests.browser.conftest import Visit
from tests.browser.driving import DESKTOP, PHONE, Watch
from tests.browser.people import ADMINISTRATOR, NEWCOMER
from tests.browser.stack import Stack
from tests.browser.starting import start_button, the_dialog
from tests.browser.test_accessibility import complaints, told

pytestmark = [pytest.mark.browser, pytest.mark.slow]

MOST_BYTES = 120_000
FAST_POLL_MS, POLLS = 3_000, 10
# 1280 CSS pixels at 400 %: WCAG 2.2, 1.4.10 Reflow.
ZOOMED = {"width": 320, "height": 256}
FAILS = "price-list-full"
TELL_SHIFTS = """
window.shifts = 0;
new PerformanceObserver((list) => {
  for (const entry of list.getEntries()) window.shifts += entry.value;
}).observe({ type: "layout-shift", buffered: true });
"""


def addresses(stack: Stack) -> list[str]:
    definition = stack.definition("customers-daily")
    return [
        "/",
        "/definitions/",
        f"/definitions/{definition}/",
        "/runs/",
        f"/runs/{stack.last_run('completed_with_errors')}/",
        "/accounts/",
        "/profile/",
        f"/definitions/{definition}/start/",
    ]


def test_no_page_weighs_more_than_120_kb_with_nothing_kept(
    stack: Stack, visit: Visit
) -> None:
    page = visit("/profile/")
    network = page.context.new_cdp_session(page)
    network.send("Network.enable")
    network.send("Network.setCacheDisabled", {"cacheDisabled": True})
    sizes: list[int] = []
    network.on(
        "Network.loadingFinished", lambda told: sizes.append(told["encodedDataLength"])
    )
    heavy = {}
    for address in addresses(stack):
        sizes.clear()
        page.goto(address, wait_until="networkidle")
        assert len(sizes) > 3
        heavy[address] = sum(sizes)
    assert max(heavy.values()) < MOST_BYTES, heavy


@pytest.mark.parametrize("address", ["/", "/runs/"])
def test_nothing_moves_while_ten_polls_bring_all_anew(
    visit: Visit, address: str
) -> None:
    page = visit("/accounts/")
    page.context.add_init_script(TELL_SHIFTS)
    page.clock.install()
    page.goto(address, wait_until="networkidle")
    page.evaluate("window.shifts = 0")
    page.route(re.compile("since="), with_all_the_news)
    for _ in range(POLLS):
        with page.expect_response(lambda answer: "since=" in answer.url):
            page.clock.run_for(FAST_POLL_MS)
        expect(page.locator(".htmx-settling")).to_have_count(0)
    # "9 s ago" that becomes "10 s ago" moves its own beginning: some 0.00005
    assert round(page.evaluate("window.shifts"), 3) == 0


def with_all_the_news(route: Route) -> None:
    """The page seems to know nothing: every part is sent."""
    url = re.sub(r"since=[^&]*", "since=0", route.request.url)
    route.continue_(url=re.sub(r"seen=[^&]*", "seen=", url))


def test_at_400_percent_every_page_is_read_by_scrolling_in_one_direction(
    stack: Stack, visit: Visit
) -> None:
    page = visit("/login/", person=None, viewport=ZOOMED)
    wide = {"/login/": overhang(page)}
    page = visit("/", viewport=ZOOMED)
    for address in addresses(stack):
        page.goto(address)
        wide[address] = overhang(page)
    assert max(wide.values()) <= 0, wide


def overhang(page: Page) -> int:
    """How many pixels the page is wider than its window."""
    found: int = page.evaluate(
        "document.documentElement.scrollWidth - document.documentElement.clientWidth"
    )
    return found


@pytest.mark.parametrize("viewport", [DESKTOP, PHONE], ids=["laptop", "phone"])
def test_every_target_can_be_hit(
    stack: Stack, visit: Visit, viewport: dict[str, int]
) -> None:
    """WCAG 2.2, 2.5.8: 24 CSS pixels, or room around."""
    page = visit("/", viewport=viewport)
    found = []
    for address in addresses(stack):
        page.goto(address)
        results = Axe().run(page, options={"runOnly": ["target-size"]})
        found += told(page, results)
    assert not found, "\n".join(found)


def test_axe_finds_nothing_on_pages_in_other_states(
    stack: Stack, visit: Visit, watch: Watch
) -> None:
    watch.foresee("status of 40[04]")
    page = visit("/", person=NEWCOMER)
    found = complaints(page)
    for address in ("/definitions/", "/runs/", "/accounts/"):
        page.goto(address)
        found += complaints(page)
    page = visit("/")
    for address in (
        "/definitions/?q=nothing+like+it",
        "/runs/?q=nothing+like+it",
        "/runs/?status=nonsense",
        f"/runs/{stack.last_run('failed')}/",
        f"/runs/{stack.last_run('running')}/",
        "/runs/999999999/",
    ):
        page.goto(address)
        found += complaints(page)
    page = visit("/styleguide/", person=ADMINISTRATOR)
    found += complaints(page)
    assert not found, "\n".join(found)


def test_the_failed_import_is_found_and_started_again_by_keyboard(
    stack: Stack, visit: Visit
) -> None:
    stack.must("start_import", "Nordlicht DE", FAILS)
    stack.wait_for_end(FAILS)
    before = stack.starts_of(FAILS)
    page = visit("/")
    tab_to(page, "Price list full")
    page.keyboard.press("Enter")
    expect(page.locator("#cause-known")).to_be_visible()
    expect(page.locator("#cause-check")).to_be_visible()
    tab_to(page, "Start again…")
    page.keyboard.press("Enter")
    dialog = the_dialog(page)
    expect(dialog.get_by_role("button", name="Cancel")).to_be_focused()
    page.keyboard.press("Tab")
    expect(start_button(dialog)).to_be_focused()
    page.keyboard.press("Enter")
    expect(page.locator(".toast")).to_contain_text("is queued")
    stack.wait_for_end(FAILS)
    assert stack.starts_of(FAILS) == before + 1


def tab_to(page: Page, words: str, most: int = 60) -> None:
    """Press Tab until something with these words has the focus, outside the frame."""
    page.locator("#main").focus()
    for _ in range(most):
        page.keyboard.press("Tab")
        if words in page.evaluate("document.activeElement.textContent"):
            return
    raise AssertionError(f"{words!r} was not reached by Tab")


def test_nothing_turns_for_those_who_want_no_motion(visit: Visit) -> None:
    turning = "document.getAnimations().filter((a) => a.playState === 'running').length"
    page = visit("/", reduced_motion="no-preference")
    expect(page.locator("#active tr[data-row]").first).to_be_visible()
    assert page.evaluate(turning) > 0
    calm = visit("/")
    expect(calm.locator("#active tr[data-row]").first).to_be_visible()
    assert calm.evaluate(turning) == 0
