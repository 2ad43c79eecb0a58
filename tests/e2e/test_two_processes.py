"""Two processes of one gunicorn, each with drawings of its own, are one mcdash."""

from __future__ import annotations

import os
import re
import signal
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from html import unescape
from pathlib import Path

import pytest

from tests.e2e.browsing import Browser
from tests.e2e.site import PYTHON, Part, Site, wait_until

pytestmark = pytest.mark.slow

PASSWORD = "a long enough one"
LIVE = re.compile(r'id="live"[^>]*hx-get="([^"]+)"')


@pytest.fixture
def site(make_site: Callable[..., Site]) -> Site:
    site = make_site(DJANGO_SUPERUSER_PASSWORD=PASSWORD)
    site.start_sandbox("--pace", "0.5")
    site.prepare()
    site.must("sync_definitions")
    site.must("collectstatic", "--no-input", "--verbosity", "0")
    site.must("createsuperuser", "--no-input", "--username=root", "--email=r@test.test")
    return site


@pytest.fixture
def web(site: Site) -> Part:
    return site.start_command(
        *(PYTHON, "-m", "gunicorn", "-c", "python:mcdash.gunicorn", "mcdash.wsgi"),
        *("--no-control-socket", "--bind", "127.0.0.1:0", "--workers", "2"),
        *("--graceful-timeout", "1"),
    )


@pytest.fixture
def browser(web: Part) -> Browser:
    """Signed in, once both processes serve."""
    wait_until(lambda: web.said.count("Booting worker") == 2, "two processes")
    address = re.search(r"Listening at: (http://127\.0\.0\.1:\d+)", web.said)
    assert address
    browser = Browser(base=address[1])
    wait_until(lambda: browser.get("/login/") and browser.status == 200, "a page")
    browser.post("/login/", {"username": "root", "password": PASSWORD})
    return browser


@contextmanager
def asleep(process: int) -> Iterator[None]:
    """While one of the two processes sleeps, the other one answers."""
    os.kill(process, signal.SIGSTOP)
    try:
        yield
    finally:
        os.kill(process, signal.SIGCONT)


def poll(browser: Browser, address: str) -> str:
    return browser.get(address, **{"HX-Request": "true"})


def address_in(answer: str) -> str:
    found = LIVE.search(answer)
    assert found
    return unescape(found[1])


def test_what_one_process_drew_another_compares_and_each_sees_a_change_at_once(
    site: Site, web: Part, browser: Browser
) -> None:
    path = Path(f"/proc/{web.process.pid}/task/{web.process.pid}/children")
    one, other = map(int, path.read_text().split())
    with asleep(other):
        address = address_in(browser.get("/"))
    with asleep(one):
        poll(browser, address)
        assert browser.status == 204
        # as if the version were another: all parts are compared, and none is sent
        news = poll(browser, re.sub(r"since=\d+", "since=0", address))
        assert browser.status == 200
        assert news.count("hx-swap-oob") == 1
        assert address_in(news) == address
    site.must("start_import", "Nordlicht DE", "customers-daily")
    for process in (one, other):
        with asleep(process):
            news = poll(browser, address)
            assert browser.status == 200
            assert 'id="run-' in news
            assert "customers" in news.lower()
