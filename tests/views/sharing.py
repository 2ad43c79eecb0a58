"""What tests of shared drawings compare: an answer with the one that the same reader
would get if nobody else had ever asked, and an open page with the page drawn anew.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any
from unittest import mock

import lxml.html
from django.core.cache.backends.dummy import DummyCache
from django.test import Client

from imports.ui.drawings import Drawings
from imports.ui.partials import slot

from .reading import HTMX, content, poll_url

_TOKEN = re.compile(r'(name="csrfmiddlewaretoken" value="|"X-CSRFToken": ")\w{64}"')
# Who can start what the reader can see: names may be some seconds old.
_PEOPLE = re.compile(r"(?s)(<datalist[^>]*>).*?</datalist>")
_OUT_OF_BAND = "hx-swap-oob"


@contextmanager
def drawn_by(drawings: Drawings) -> Iterator[None]:
    """As another process would answer, whose drawings these are."""
    with mock.patch("imports.views.live.DRAWINGS", drawings):
        yield


@contextmanager
def drawn_alone() -> Iterator[None]:
    """As if nothing had been drawn or counted for anybody before."""
    counted = mock.patch("imports.lists.counts.cache", DummyCache("", {}))
    with drawn_by(Drawings()), counted:
        yield


def text_of(response: Any) -> str:
    """An answer without what must differ: its CSRF tokens."""
    source = content(response) if response.content else ""
    assert slot("csrf") not in source, "a placeholder was sent"
    assert slot("part") not in source, "a placeholder was sent"
    source = _PEOPLE.sub(r"\1", _TOKEN.sub(r"\1", source))
    return f"{response.status_code} {source}"


def ask(client: Client, url: str, *, is_poll: bool = False) -> Any:
    """The answer to a reader, which must be the one drawn for them alone."""
    headers = HTMX if is_poll else {}
    response = client.get(url, headers=headers)
    with drawn_alone():
        alone = client.get(url, headers=headers)
    assert text_of(response) == text_of(alone), url
    told, told_alone = (each.headers.get("HX-Trigger") for each in (response, alone))
    assert told == told_alone, url
    return response


def is_as_alone(client: Client, url: str) -> bool:
    """Whether the page is as drawn for its reader alone, and is a page at all."""
    try:
        return bool(ask(client, url).status_code == 200)
    except (AssertionError, LookupError):
        return False


def _tree(html: str) -> Any:
    return lxml.html.fromstring(html)


class OpenPage:
    """A page in a browser, which its polls keep up to date."""

    def __init__(self, client: Client, path: str) -> None:
        self.client, self.path, self.poll_url = client, path, ""
        response = ask(client, path)
        # those who are signed out, or can't see it, have no page that polls
        self.is_open = response.status_code == 200
        if self.is_open:
            self.tree = _tree(content(response))
            self.poll_url = poll_url(response)

    def poll(self) -> Any:
        """Ask what is new, put it in place, and be what a page drawn anew is."""
        response = ask(self.client, self.poll_url, is_poll=True)
        self.is_open = response.status_code in (200, 204)
        if response.status_code == 200:
            self._apply(content(response))
            self.poll_url = poll_url(response)
        if self.is_open:
            with drawn_alone():
                anew = _tree(content(self.client.get(self.path)))
            assert _parts(self.tree) == _parts(anew), f"{self.path} after a poll"
        return response

    def _apply(self, html: str) -> None:
        """As htmx does it with what is sent out of band."""
        news = _tree(f"<div>{html}</div>").xpath(f"//*[@{_OUT_OF_BAND}]")
        for new in news:
            del new.attrib[_OUT_OF_BAND]
            (old,) = self.tree.xpath("//*[@id=$id]", id=new.get("id"))
            new.tail = old.tail
            old.getparent().replace(old, new)


def _parts(tree: Any) -> dict[str, str]:
    """The parts of a page, without what ticks in the browser by itself."""
    (live,) = tree.xpath("//*[@id='live']")
    memory = live.get("hx-get").partition("seen=")[2]
    parts = {}
    for name in (each.partition(".")[0] for each in memory.split("~")):
        (part,) = tree.xpath("//*[@id=$id]", id=name)
        source = lxml.html.tostring(part, encoding="unicode", with_tail=False)
        source = re.sub(r"(<time[^>]*)>[^<]*", r"\1", source)
        source = re.sub(r'( data-since="[^"]*"[^>]*)>[^<]*', r"\1", source)
        source = re.sub(r'(name="csrfmiddlewaretoken" value=")\w*"', r"\1", source)
        parts[name] = " ".join(source.split())
    return parts
