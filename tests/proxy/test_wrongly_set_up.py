"""A proxy that says too little: a sentence for the reader, and one for the operator."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from tests.browser.people import MARKETER
from tests.browser.stack import Stack
from tests.proxy.front import standing
from tests.proxy.layouts import NAME, Layout, Place
from tests.proxy.visitor import Visitor

pytestmark = pytest.mark.services


def says(headers: str) -> Layout:
    """nginx by https that passes on the host without its port, and `headers`."""

    def nginx(place: Place) -> str:
        location = f"proxy_pass http://{place.upstream}; proxy_set_header Host $host;"
        return place.server(f"location / {{ {location} {headers} }}")

    settings = {"MCDASH_HOSTS": NAME, "MCDASH_TRUSTED_PROXIES": "127.0.0.1"}
    return Layout(name="says too little", nginx=nginx, settings=settings)


@pytest.mark.parametrize(
    ("headers", "proxies", "told"),
    [
        ("", "127.0.0.1", "The proxy 127.0.0.1 does not say whether a browser came by"),
        (
            "proxy_set_header X-Forwarded-Proto https;",
            "",
            "127.0.0.1 says how a browser",
        ),
        ("proxy_set_header X-Forwarded-Proto tls;", "127.0.0.1", "was 'tls', which is"),
    ],
)
def test_a_browser_by_https_is_told_and_not_sent_in_a_circle(
    stack: Stack, tmp_path: Path, headers: str, proxies: str, told: str
) -> None:
    with standing(
        stack, says(headers), tmp_path / "run", MCDASH_TRUSTED_PROXIES=proxies
    ) as front:
        visitor = Visitor(front=front)
        answer = visitor.send(
            "GET", f"{front.base}/login/", **{"Sec-Fetch-Site": "none"}
        )
        assert answer.status == 400
        assert "the proxy in front of mcdash doesn" in answer.text
        assert "MCDASH_TRUSTED_PROXIES" in answer.text
        assert told in front.log.read_text()
        assert visitor.get("/healthz").status == 200


def test_a_sign_in_at_another_port_names_both_origins(
    stack: Stack, tmp_path: Path
) -> None:
    layout = says("proxy_set_header X-Forwarded-Proto $scheme;")
    with standing(stack, layout, tmp_path / "run") as front:
        visitor = Visitor(front=front)
        answer = visitor.sign_in(MARKETER, stack.passwords[MARKETER])
        assert answer.status == 403
        for text in (answer.text, front.log.read_text()):
            assert front.origin in text
            assert re.search(rf"https://{re.escape(NAME)}(?!:)", text)
            assert "MCDASH_TRUSTED_ORIGINS" in text
        assert len(visitor.jar) == 1, "nobody is signed in"


def test_two_installations_on_one_host_do_not_sign_each_other_out(
    stack: Stack, tmp_path: Path
) -> None:
    layout = says(
        "proxy_set_header X-Forwarded-Proto $scheme;"
        "proxy_set_header X-Forwarded-Port $server_port;"
    )
    other_key = {"MCDASH_SECRET_KEY": "another installation's " + "k" * 40}
    with (
        standing(stack, layout, tmp_path / "one") as one,
        standing(stack, layout, tmp_path / "two", **other_key) as two,
    ):
        first = Visitor(front=one)
        second = Visitor(front=two, jar=first.jar)  # cookies know no ports
        password = stack.passwords[MARKETER]
        assert first.sign_in(MARKETER, password).url == f"{one.base}/"
        assert second.get("/").url.startswith(f"{two.base}/login/")
        assert second.sign_in(MARKETER, password).url == f"{two.base}/"
        assert first.get("/runs/").url == f"{one.base}/runs/"
        second.submit("/logout/", {}, at="/")
        assert first.get("/runs/").url == f"{one.base}/runs/"
        assert second.get("/runs/").url.startswith(f"{two.base}/login/")
    with standing(stack, layout, tmp_path / "again") as again:
        first.front = again
        assert first.get("/runs/").url == f"{again.base}/runs/", "names stay"
