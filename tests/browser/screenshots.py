"""Pictures of every page: `python -m tests.browser.screenshots OUT_DIR`.

Each page at 1440, 768 and 390 CSS pixels, in light and in dark, of the same processes
that the browser tests use: with runs of every kind, and without anything.
"""

from __future__ import annotations

import sys
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from playwright.sync_api import Browser, Page, ViewportSize, expect

from tests.browser.driving import (
    DESKTOP,
    NO_CHROMIUM,
    PHONE,
    TABLET,
    find_chromium,
    sign_in,
    started_chromium,
)
from tests.browser.people import ADMINISTRATOR, MARKETER, NEWCOMER
from tests.browser.stack import Stack
from tests.browser.starting import the_dialog
from tests.e2e.site import wait_until

SIZES = {"1440": DESKTOP, "768": TABLET, "390": PHONE}
THEMES = ("light", "dark")
EMPTY_PAGES = {
    "dashboard": "/",
    "definitions": "/definitions/",
    "history": "/runs/",
    "accounts": "/accounts/",
}
ENDED = ("customers-daily", "customer-consents-daily", "price-list-full")
STAYS_UNKNOWN, STILL_RUNNING = "vouchers-daily", "product-catalogue-full"


def main(folder: Path) -> None:
    path = find_chromium()
    if path is None:
        sys.exit(NO_CHROMIUM)
    folder.mkdir(parents=True, exist_ok=True)
    with (
        tempfile.TemporaryDirectory(prefix="mcdash-pictures-") as data,
        Stack(folder=Path(data) / "var", history_days=30, pace_seconds=3) as stack,
        started_chromium(path) as browser,
    ):
        stack.start_all()
        start_some(stack)
        for size in SIZES:
            for theme in THEMES:
                take(browser, stack, folder, size, theme)
        # last, since nothing goes on afterwards
        stack.stop_worker()
        let_grace_end(stack)
        for size in SIZES:
            for theme in THEMES:
                take_stopped(browser, stack, folder, size, theme)


def let_grace_end(stack: Stack) -> None:
    """A run that got no answer was sent long ago: a person can settle it."""
    stack.change(
        "UPDATE imports_importrun SET claim_expires_at = NULL,"
        " answered_at = datetime(sent_at, '-3 hours')"
        " WHERE status = 'unknown'"
    )


def start_some(stack: Stack) -> None:
    """Runs of every kind, the one under way last."""
    stack.order(
        rule={
            "what": "close",
            "when": "instead",
            "operation": "Perform",
            "customer_key": STAYS_UNKNOWN,
            "times": 1,
        }
    )
    for key in (*ENDED, "outlet-stock-nightly", STAYS_UNKNOWN):
        stack.must("start_import", "Nordlicht DE", key, "--as", MARKETER)
    for key in ENDED:
        stack.wait_for_end(key)
    stack.must("start_import", "Nordlicht DE", STILL_RUNNING, "--as", MARKETER)
    wanted = {"running", "unknown"}
    wait_until(lambda: wanted <= set(stack.statuses()), "a run of each kind")


def pages_of(stack: Stack) -> dict[str, str]:
    """The pages for a marketer: the picture's name and the path."""
    definition = stack.definition("customers-daily")
    return {
        "dashboard": "/",
        "definitions": "/definitions/",
        "definitions-found": "/definitions/?q=daily",
        "definitions-nothing": "/definitions/?q=nothing+like+it",
        "definition": f"/definitions/{definition}/",
        "history": "/runs/",
        "history-found": "/runs/?status=failed&status=completed_with_errors",
        "history-nothing": "/runs/?q=nothing+like+it",
        "run-running": f"/runs/{stack.last_run('running')}/",
        "run-completed": f"/runs/{stack.last_run('completed')}/",
        "run-with-errors": f"/runs/{stack.last_run('completed_with_errors')}/",
        "run-failed": f"/runs/{stack.last_run('failed')}/",
        "run-unknown": f"/runs/{stack.last_run('unknown')}/",
        "run-not-started": f"/runs/{stack.last_run('not_started')}/",
        "accounts": "/accounts/",
        "profile": "/profile/",
        "password": "/password_change/",
        "password-changed": "/password_change/done/",
        "not-allowed": "/styleguide/",
        "not-there": "/runs/999999/",
        "start-without-script": f"/definitions/{definition}/start/",
    }


def take(browser: Browser, stack: Stack, folder: Path, size: str, theme: str) -> None:
    """Every page at one size in one theme."""

    def picture(page: Page, name: str, *, whole: bool = True) -> None:
        save(page, folder / f"{name}-{size}-{theme}.png", size, whole=whole)

    with visitor(browser, stack, size, theme, MARKETER) as page:
        for name, path in pages_of(stack).items():
            page.goto(path)
            picture(page, name)
        page.goto(f"/definitions/{stack.definition('customers-daily')}/")
        page.get_by_role("link", name="Start…").click()
        the_dialog(page)
        picture(page, "start-dialog", whole=False)
    with visitor(browser, stack, size, theme, None) as page:
        page.goto("/login/")
        picture(page, "sign-in")
    with visitor(browser, stack, size, theme, NEWCOMER) as page:
        for name, path in EMPTY_PAGES.items():
            page.goto(path)
            picture(page, f"{name}-empty")
    with visitor(browser, stack, size, theme, ADMINISTRATOR) as page:
        page.goto("/admin/imports/account/")
        picture(page, "admin-accounts")
        page.goto("/styleguide/")
        picture(page, "styleguide")


def take_stopped(
    browser: Browser, stack: Stack, folder: Path, size: str, theme: str
) -> None:
    """What pages say where no worker runs, and the question that settles a run."""
    with visitor(browser, stack, size, theme, MARKETER) as page:
        page.goto("/")
        save(page, folder / f"no-worker-{size}-{theme}.png", size)
        page.goto(f"/runs/{stack.last_run('unknown')}/")
        page.get_by_role("link", name="Mark as not started…").click()
        the_dialog(page)
        dialog = folder / f"declare-dialog-{size}-{theme}.png"
        save(page, dialog, size, whole=False)


def save(page: Page, file: Path, size: str, *, whole: bool = True) -> None:
    """The `whole` page in a tall window, so that what is fixed stands at its edge."""
    if whole:
        height = page.evaluate("document.documentElement.scrollHeight")
        page.set_viewport_size({"width": SIZES[size]["width"], "height": height})
    page.screenshot(path=file, animations="disabled")
    page.set_viewport_size(window(size))


def window(size: str) -> ViewportSize:
    return {"width": SIZES[size]["width"], "height": SIZES[size]["height"]}


@contextmanager
def visitor(
    browser: Browser, stack: Stack, size: str, theme: str, person: str | None
) -> Iterator[Page]:
    """A page of somebody who has signed in, or of a stranger (None)."""
    context = browser.new_context(
        base_url=stack.url,
        viewport=window(size),
        color_scheme="dark" if theme == "dark" else "light",
        reduced_motion="reduce",
    )
    with context:
        page = context.new_page()
        if person is not None:
            page.goto("/login/")
            sign_in(page, person, stack.passwords[person])
            expect(page.locator("#needs")).to_be_visible()
        yield page


if __name__ == "__main__":
    main(Path(sys.argv[1]))
