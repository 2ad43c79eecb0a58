"""Somebody who starts imports: opens the dialog of a definition and confirms it."""

from __future__ import annotations

import asyncio
import re
import time
from collections.abc import Iterable
from dataclasses import dataclass, field
from urllib.parse import urlencode

from tests.bench.asking import FAILURES, Browser

LONGEST_SECONDS = 60.0
FIELD = re.compile(r'<input type="hidden" name="([\w-]+)" value="([^"]*)"')
CSRF_COOKIE = re.compile(rb"\r\nSet-Cookie: *(csrftoken[^;]+)", re.IGNORECASE)
DONE = b"mcdash:close-dialog"


@dataclass(kw_only=True)
class Clicks:
    """Seconds until the dialog was there, and until it said that the run is queued."""

    dialogs: list[float] = field(default_factory=list)
    starts: list[float] = field(default_factory=list)
    errors: list[str] = field(default_factory=list)


async def click_on_start(
    browser: Browser, definitions: Iterable[int], *, seconds: float, every: float
) -> Clicks:
    """Start one definition after the other, one every so many seconds, whether or not
    the answers for those before have come.
    """
    clicks, until = Clicks(), time.monotonic() + seconds
    async with asyncio.TaskGroup() as group:
        for pk in definitions:
            if time.monotonic() >= until:
                break
            group.create_task(_start(browser, pk, clicks))
            await asyncio.sleep(every)
    return clicks


async def _start(browser: Browser, pk: int, clicks: Clicks) -> None:
    path, began = f"/definitions/{pk}/start/", time.monotonic()
    try:
        dialog = await browser.get(path, LONGEST_SECONDS, is_htmx=True)
        opened = time.monotonic()
        fields = dict(FIELD.findall(dialog.body.decode()))
        cookie = CSRF_COOKIE.search(dialog.head)
        if dialog.status != 200 or not cookie or "request_token" not in fields:
            clicks.errors.append(f"dialog: HTTP {dialog.status}, nothing to confirm")
            return
        clicks.dialogs.append(opened - began)
        cookies = f"{browser.cookie}; {cookie[1].decode()}"
        person = Browser(port=browser.port, cookie=cookies)
        form = urlencode(fields).encode()
        done = await person.post(path, LONGEST_SECONDS, form)
    except FAILURES as error:
        clicks.errors.append(f"{type(error).__name__}: {error}")
        return
    if done.status != 200 or DONE not in done.head:
        clicks.errors.append(f"start: HTTP {done.status}")
        return
    clicks.starts.append(time.monotonic() - opened)
