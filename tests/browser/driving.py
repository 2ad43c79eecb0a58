"""Driving Debian's Chromium: finding it, starting it, and watching what it meets.

Whatever a reader's browser would complain about fails the test: an error on the
console, a script that breaks, a violated policy, a request to a foreign host.
"""

from __future__ import annotations

import re
import shutil
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field

from playwright.sync_api import (
    Browser,
    BrowserContext,
    ConsoleMessage,
    Page,
    Request,
    WebError,
    expect,
    sync_playwright,
)

NAMES = ("chromium", "chromium-browser", "google-chrome")
NO_CHROMIUM = f"no Chromium on PATH: none of {', '.join(NAMES)}"
OPTIONS = (
    "--no-sandbox",
    "--disable-gpu",
    "--disable-dev-shm-usage",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
    "--no-first-run",
)
DESKTOP = {"width": 1440, "height": 900}
TABLET = {"width": 768, "height": 1024}
PHONE = {"width": 390, "height": 844}
PATIENCE_MS = 20_000
# Chromium tells of a violated policy on the console too, but not of every kind.
TELL_VIOLATIONS = """
document.addEventListener("securitypolicyviolation", (event) => {
  const { violatedDirective, blockedURI, sourceFile, lineNumber } = event;
  console.error("policy:", violatedDirective, blockedURI, sourceFile, lineNumber);
});
"""


def find_chromium() -> str | None:
    """The path of a Chromium that is installed here."""
    return next((path for name in NAMES if (path := shutil.which(name))), None)


@contextmanager
def started_chromium(path: str, *more: str) -> Iterator[Browser]:
    """A browser without a window, with `more` options; it ends with the block."""
    expect.set_options(timeout=PATIENCE_MS)
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(
            executable_path=path, args=[*OPTIONS, *more]
        )
        try:
            yield browser
        finally:
            browser.close()


# A page drops a question of its own for a newer one (hx-sync), which htmx tells as an
# error: of a slow server and slow typing. What breaks is named in a line of its own.
DROPPED = r"^error: htmx:(sendAbort|afterRequest),"


@dataclass
class Watch:
    """What the browser complained about, but for what a test foresees."""

    home: str
    complaints: list[str] = field(default_factory=list)
    foreseen: list[str] = field(default_factory=lambda: [DROPPED])

    def over(self, context: BrowserContext) -> None:
        context.add_init_script(TELL_VIOLATIONS)
        context.on("console", self._console)
        context.on("weberror", self._error)
        context.on("request", self._request)

    def foresee(self, pattern: str) -> None:
        """Complaints that match `pattern` belong to what the test shows."""
        self.foreseen.append(pattern)

    def require_calm(self, server_said: Callable[[], str]) -> None:
        """Raise `AssertionError` with every complaint that was not foreseen, and with
        what the web server said.
        """
        unforeseen = [
            text
            for text in self.complaints
            if not any(re.search(pattern, text) for pattern in self.foreseen)
        ]
        assert not unforeseen, "\n".join(
            ["The browser complained:", *unforeseen, "The server:", server_said()]
        )

    def _console(self, message: ConsoleMessage) -> None:
        if message.type in ("error", "warning"):
            where = message.location.get("url", "")
            self.complaints.append(f"{message.type}: {message.text} ({where})")

    def _error(self, error: WebError) -> None:
        self.complaints.append(f"script: {error.error}")

    def _request(self, request: Request) -> None:
        if not request.url.startswith(f"{self.home}/"):
            self.complaints.append(f"foreign host: {request.url}")


def sign_in(page: Page, name: str, password: str) -> None:
    """Fill the sign-in form that is shown and press its button."""
    page.get_by_label("User name").fill(name)
    page.get_by_label("Password", exact=True).fill(password)
    page.get_by_role("button", name="Sign in").click()


@contextmanager
def no_navigation(page: Page) -> Iterator[None]:
    """The page must stay the same document all through the block."""
    page.evaluate("window.isTheSameDocument = true")
    loads: list[str] = []

    def note(request: Request) -> None:
        if request.is_navigation_request():
            loads.append(request.url)

    page.on("request", note)
    yield
    page.remove_listener("request", note)
    assert loads == []
    assert page.evaluate("window.isTheSameDocument === true")


def polls_of(page: Page) -> list[str]:
    """A list that grows with every poll that the page sends from now on."""
    polls: list[str] = []

    def note(request: Request) -> None:
        if "since=" in request.url:
            polls.append(request.url)

    page.on("request", note)
    return polls


def ask_at_once(page: Page) -> None:
    """Something was just done here: the page asks without waiting for its pause."""
    page.evaluate("document.dispatchEvent(new Event('mcdash:changed'))")
