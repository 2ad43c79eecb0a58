"""A browser without JavaScript that keeps every page it was shown."""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass, field
from html import unescape
from http.cookiejar import CookieJar
from typing import Any
from urllib.error import HTTPError
from urllib.parse import urlencode, urljoin, urlsplit
from urllib.request import HTTPCookieProcessor, Request, build_opener

from tests.admin.forms import FormReader

MOST_OF_A_KIND = 3


@dataclass(kw_only=True)
class Browser:
    """Somebody's browser: its cookies, and all that it was sent."""

    base: str
    seen: list[tuple[str, bytes]] = field(default_factory=list)
    cookies_seen: dict[str, str] = field(default_factory=dict)
    status: int = 0  # of the last answer

    def __post_init__(self) -> None:
        self.jar = CookieJar()
        self._opener = build_opener(HTTPCookieProcessor(self.jar))

    def get(self, path: str, **headers: str) -> str:
        """The page at `path`, whatever its status."""
        return self._send(Request(urljoin(self.base, path), headers=headers))

    def post(self, path: str, changes: dict[str, Any], *, at: str = "") -> str:
        """Fill the forms of the page at `path` (or `at`) and send them to `path`."""
        page = FormReader(self.get(at or path)).fields
        fields = {n: v for n, v in {**page, **changes}.items() if v is not None}
        body = urlencode(fields, doseq=True).encode()
        url = urljoin(self.base, path)
        return self._send(Request(url, data=body, headers={"Referer": url}))

    def crawl(self, *starts: str) -> set[str]:
        """Follow every link, a few of each kind, and give the paths that were seen."""
        waiting, kinds, done = list(starts), dict[str, int](), set[str]()
        while waiting:
            path = waiting.pop(0)
            kind = re.sub(r"\d+", "0", path)
            if path in done or kinds.get(kind, 0) >= MOST_OF_A_KIND:
                continue
            kinds[kind] = kinds.get(kind, 0) + 1
            done.add(path)
            waiting += self._links(self.get(path), path)
        return done

    def _links(self, page: str, path: str) -> Iterator[str]:
        for href in re.findall(r'(?:href|hx-get)="([^"]+)"', page):
            url = urlsplit(urljoin(urljoin(self.base, path), unescape(href)))
            is_ours = f"{url.scheme}://{url.netloc}" == self.base
            if is_ours and not url.path.startswith(("/static/", "/logout/")):
                yield url.path

    def _send(self, request: Request) -> str:
        try:
            answer = self._opener.open(request, timeout=60)
        except HTTPError as error:
            answer = error
        with answer:
            body: bytes = answer.read()
        told = [f"{n}: {v}" for n, v in answer.headers.items() if n != "Set-Cookie"]
        where = f"page {request.get_method()} {answer.url}"
        self.status = answer.status or 0
        self.seen.append((where, "\n".join(told).encode() + b"\n\n" + body))
        for cookie in self.jar:
            self.cookies_seen[f"{cookie.name} {cookie.value}"] = str(cookie.value)
        return body.decode("utf-8", "replace")
