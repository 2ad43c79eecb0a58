"""One mcdash and one Chromium for all browser tests; a fresh visitor for each."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import ExitStack
from typing import Any, Protocol

import pytest
from playwright.sync_api import Browser, Page, StorageState

from tests.browser.driving import (
    DESKTOP,
    NO_CHROMIUM,
    Watch,
    find_chromium,
    sign_in,
    started_chromium,
)
from tests.browser.people import MARKETER
from tests.browser.stack import Stack


class Visit(Protocol):
    """Opens a page as a person who is signed in, or as a stranger (None)."""

    def __call__(
        self, path: str = "/", person: str | None = MARKETER, **options: Any
    ) -> Page: ...


# The package is the scope, not the session: while Playwright runs, its event loop
# makes Django refuse the database to the tests of other rooms in the same process.
@pytest.fixture(scope="package")
def chromium() -> Iterator[Browser]:
    path = find_chromium()
    if path is None:
        pytest.skip(NO_CHROMIUM)
    with started_chromium(path) as browser:
        yield browser


@pytest.fixture(scope="package")
def stack(
    chromium: Browser, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[Stack]:
    with Stack(folder=tmp_path_factory.mktemp("browser") / "var") as stack:
        stack.start_all()
        yield stack


@pytest.fixture(scope="package")
def sessions() -> dict[str, StorageState]:
    """Cookies of those who have signed in already."""
    return {}


@pytest.fixture
def watch(stack: Stack) -> Iterator[Watch]:
    watch = Watch(home=stack.url)
    yield watch
    watch.require_calm(stack.said_by_web)


@pytest.fixture
def visit(
    stack: Stack, chromium: Browser, watch: Watch, sessions: dict[str, StorageState]
) -> Iterator[Visit]:
    with ExitStack() as open_contexts:

        def visit(
            path: str = "/", person: str | None = MARKETER, **options: Any
        ) -> Page:
            if person and person not in sessions:
                sessions[person] = _cookies_of(chromium, stack, person)
            context = chromium.new_context(
                base_url=stack.url,
                storage_state=sessions[person] if person else None,
                **{"viewport": DESKTOP, "reduced_motion": "reduce"} | options,
            )
            open_contexts.callback(context.close)
            watch.over(context)
            page = context.new_page()
            page.goto(path)
            return page

        yield visit


def _cookies_of(chromium: Browser, stack: Stack, person: str) -> StorageState:
    with chromium.new_context(base_url=stack.url) as context:
        page = context.new_page()
        page.goto("/login/")
        sign_in(page, person, stack.passwords[person])
        page.wait_for_url(f"{stack.url}/")
        return context.storage_state()
