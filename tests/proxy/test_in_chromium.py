"""Under a path by https, as a real browser takes it: styles, scripts, policy, polls."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from playwright.sync_api import expect

from tests.browser.driving import (
    DESKTOP,
    NO_CHROMIUM,
    Watch,
    ask_at_once,
    find_chromium,
    polls_of,
    sign_in,
    started_chromium,
)
from tests.browser.people import MARKETER
from tests.browser.stack import SLOW, Stack
from tests.browser.starting import confirm, open_dialog, row_of
from tests.proxy.front import standing
from tests.proxy.layouts import LAYOUTS, NAME

pytestmark = [pytest.mark.services, pytest.mark.browser]

LAYOUT = next(one for one in LAYOUTS if one.name == "as documented, under a path")


def test_under_a_path_a_browser_starts_an_import_and_sees_it_end(
    stack: Stack, tmp_path: Path
) -> None:
    path = find_chromium()
    if path is None:
        pytest.skip(NO_CHROMIUM)
    resolve = f"--host-resolver-rules=MAP {NAME} 127.0.0.1"
    with (
        standing(stack, LAYOUT, tmp_path / "run") as front,
        started_chromium(path, resolve) as browser,
    ):
        watch = Watch(home=front.base)
        options: Any = {"viewport": DESKTOP, "ignore_https_errors": True}
        context = browser.new_context(**options)
        watch.over(context)
        page = context.new_page()
        page.goto(f"{front.base}/definitions/?q=catalogue")
        sign_in(page, MARKETER, stack.passwords[MARKETER])
        page.wait_for_url(f"{front.base}/definitions/?q=catalogue")
        polls = polls_of(page)
        open_dialog(page, stack.definition(SLOW))
        confirm(page)
        expect(row_of(page, stack.definition(SLOW))).to_contain_text("Completed")
        ask_at_once(page)
        assert polls
        assert all(url.startswith(f"{front.base}/definitions/?") for url in polls)
        page.get_by_role("searchbox").fill("customers")
        page.wait_for_url(f"{front.base}/definitions/?q=customers**")
        page.get_by_role("link", name="History").first.click()
        page.wait_for_url(f"{front.base}/runs/")
        context.close()
    watch.require_calm(front.log.read_text)
