"""Relative times read the same from the server as from times.js, which keeps them
ticking: a word that changed when the script took over would look like news.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from django.conf import settings
from django.utils import timezone
from playwright.sync_api import Browser

from imports.wording.formats import relative_text

pytestmark = pytest.mark.browser

SCRIPT = (Path(settings.BASE_DIR) / "static/js/times.js").read_text()
A_MINUTE, AN_HOUR, A_DAY = 60, 3600, 86_400
AGES = [
    *(0, 1, 2, 59, A_MINUTE, 119, AN_HOUR - 1, AN_HOUR, 6 * AN_HOUR - 1, 6 * AN_HOUR),
    *(n * AN_HOUR for n in range(7, 50, 3)),
    *(n * A_DAY for n in (3, 6, 7, 8, 30, 60, 90, 120, 170, 180, 364, 366, 800)),
    *(-1, -59, -A_MINUTE, -AN_HOUR, -A_DAY + 1, -A_DAY, -30 * A_DAY, -400 * A_DAY),
]
NOWS = [
    datetime(2026, 3, 12, 14, 8, 59, tzinfo=UTC),
    datetime(2026, 1, 1, 0, 20, tzinfo=UTC),
    # in London the clock was put forward some hours ago
    datetime(2026, 3, 29, 5, 0, tzinfo=UTC),
]


@pytest.fixture(params=["Europe/London", "Pacific/Auckland", "America/St_Johns"])
def in_browser(
    request: pytest.FixtureRequest, chromium: Browser
) -> Iterator[Callable[[datetime, datetime], str]]:
    """What the script shows, for a reader in a zone."""
    with chromium.new_context() as context, timezone.override(request.param):
        page = context.new_page()
        page.set_content(f'<html data-time-zone="{request.param}"></html>')
        shown = f"{SCRIPT}\nwindow.relativeText = relativeText;"
        page.add_script_tag(content=shown, type="module")
        page.wait_for_function("window.relativeText")
        yield lambda moment, now: str(
            page.evaluate(
                "([moment, now]) => relativeText(new Date(moment), new Date(now))",
                [moment.isoformat(), now.isoformat()],
            )
        )


@pytest.mark.parametrize("now", NOWS)
def test_a_time_reads_the_same_before_and_after_the_script_takes_over(
    in_browser: Callable[[datetime, datetime], str], now: datetime
) -> None:
    moments = [now - timedelta(seconds=age) for age in AGES]
    by_server = [relative_text(moment, now) for moment in moments]
    assert [in_browser(moment, now) for moment in moments] == by_server
