"""A browser without scripts that knows where it is, and never leaves the dashboard."""

from __future__ import annotations

import re
from contextlib import closing
from dataclasses import dataclass, field
from html import unescape
from http.cookies import SimpleCookie
from typing import Any
from urllib.parse import urlencode, urljoin, urlsplit

from tests.admin.forms import FormReader
from tests.proxy.front import Front, connect

MOST_REDIRECTS = 3


@dataclass(frozen=True, kw_only=True, slots=True)
class Answer:
    """What came back, from which address."""

    url: str
    status: int
    headers: dict[str, str]
    body: bytes

    @property
    def text(self) -> str:
        return self.body.decode()

    def addresses(self, *names: str) -> list[str]:
        """What attributes of these names hold, as whole addresses."""
        found = re.findall(rf'[\s](?:{"|".join(names)})="([^"#]+)"', self.text)
        return [urljoin(self.url, unescape(one)) for one in dict.fromkeys(found)]


@dataclass(kw_only=True)
class Visitor:
    """One browser; `jar` may be shared, as cookies know no ports."""

    front: Front
    jar: dict[str, str] = field(default_factory=dict)
    set_cookies: list[str] = field(default_factory=list)

    def get(self, path: str, **headers: str) -> Answer:
        """The page at the end of all redirects."""
        return self._follow(self.send("GET", self._whole(path), **headers))

    def submit(self, path: str, changes: dict[str, Any], *, at: str = "") -> Answer:
        """Fill the form of the page `at` as a browser does, and send it to `path`."""
        page = self.get(at or path)
        fields = {**FormReader(page.text).fields, **changes}
        answer = self.send(
            "POST",
            self._whole(path),
            urlencode(fields, doseq=True),
            **{
                "Content-Type": "application/x-www-form-urlencoded",
                "Origin": self.front.origin,
                "Referer": page.url,
            },
        )
        return self._follow(answer)

    def sign_in(self, name: str, password: str, *, at: str = "/login/") -> Answer:
        return self.submit(at, {"username": name, "password": password})

    def send(self, method: str, url: str, body: str = "", **headers: str) -> Answer:
        """One request, with the cookies of this browser."""
        parts = urlsplit(url)
        own = f"{parts.scheme}://{parts.netloc}"
        assert own == self.front.origin, f"led away from {self.front.base}: {url}"
        cookies = "; ".join(f"{name}={value}" for name, value in self.jar.items())
        target = parts.path + (f"?{parts.query}" if parts.query else "")
        given = {"Host": parts.netloc, "Cookie": cookies} | headers
        with closing(connect(self.front)) as connection:
            connection.request(method, target, body or None, given)
            response = connection.getresponse()
            answered = {name.title(): value for name, value in response.getheaders()}
            for line in response.headers.get_all("Set-Cookie", []):
                self._keep(line)
            return Answer(
                url=url,
                status=response.status,
                headers=answered,
                body=response.read(),
            )

    def _whole(self, path: str) -> str:
        is_whole = path.startswith(self.front.origin)
        return path if is_whole else f"{self.front.base}{path}"

    def _follow(self, answer: Answer) -> Answer:
        for _ in range(MOST_REDIRECTS):
            if answer.status not in (301, 302):
                return answer
            url = urljoin(answer.url, answer.headers["Location"])
            assert url.startswith(f"{self.front.base}/"), f"led away: {url}"
            answer = self.send("GET", url)
        raise AssertionError(f"too many redirects, the last from {answer.url}")

    def _keep(self, line: str) -> None:
        self.set_cookies.append(line)
        for name, cookie in SimpleCookie(line).items():
            if cookie["max-age"] == "0" or not cookie.value:
                self.jar.pop(name, None)
            else:
                self.jar[name] = cookie.value
