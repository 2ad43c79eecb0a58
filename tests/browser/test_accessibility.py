"""axe-core finds nothing on any page, in light and in dark."""

from __future__ import annotations

import pytest
from axe_playwright_python.base import AxeResults
from axe_playwright_python.sync_playwright import Axe
from playwright.sync_api import Page

from tests.browser.conftest import Visit
from tests.browser.stack import Stack
from tests.browser.starting import the_dialog

pytestmark = [pytest.mark.browser, pytest.mark.slow]


def test_axe_finds_no_violation_on_any_page_in_light_and_dark(
    stack: Stack, visit: Visit
) -> None:
    found = complaints(visit("/login/", person=None))
    definition = stack.definition("customers-daily")
    page = visit("/")
    for path in (
        "/",
        "/definitions/?q=customer",
        f"/definitions/{definition}/",
        "/runs/?status=completed_with_errors",
        f"/runs/{stack.last_run('completed_with_errors')}/",
        "/accounts/",
        "/profile/",
    ):
        page.goto(path)
        found += complaints(page)
    page.goto(f"/definitions/{definition}/")
    page.get_by_role("link", name="Start…").click()
    the_dialog(page)
    found += complaints(page)
    assert not found, "\n".join(found)


def complaints(page: Page) -> list[str]:
    """What axe says of the page as it stands: all in light, the colours in dark."""
    page.emulate_media(color_scheme="light")
    found = told(page, Axe().run(page))
    page.emulate_media(color_scheme="dark")
    return found + told(page, Axe().run(page, options={"runOnly": ["color-contrast"]}))


def told(page: Page, results: AxeResults) -> list[str]:
    """Each violation with its places."""
    return [
        f"{page.url} {one['id']}: "
        + "; ".join(str(node["target"]) for node in one["nodes"][:5])
        for one in results.response["violations"]
    ]
