"""In every layout: pages with styles and scripts, sign-in, start, polls, sign-out."""

from __future__ import annotations

import html
import re
from urllib.parse import urljoin

import pytest

from tests.browser.people import ADMINISTRATOR, MARKETER
from tests.browser.stack import Stack
from tests.proxy.front import Front
from tests.proxy.visitor import Answer, Visitor

pytestmark = pytest.mark.services

STYLES_AND_SCRIPTS = 28
KEY = "customers-daily"
HTMX = {"HX-Request": "true"}


@pytest.fixture
def visitor(front: Front) -> Visitor:
    return Visitor(front=front)


@pytest.fixture
def marketer(visitor: Visitor, stack: Stack) -> Visitor:
    visitor.sign_in(MARKETER, stack.passwords[MARKETER])
    return visitor


def files_of(visitor: Visitor, page: Answer) -> list[Answer]:
    """Styles, scripts and icons of a page, and what the styles name."""
    wanted = page.addresses("href", "src", "data-failed", "data-running")
    files = [visitor.send("GET", url) for url in wanted if "/static/" in url]
    for style in [file for file in files if file.url.endswith(".css")]:
        for name in re.findall(r'url\("?([^")]+)"?\)', style.text):
            if not name.startswith("data:"):
                files.append(visitor.send("GET", urljoin(style.url, name)))
    return files


@pytest.mark.parametrize("path", ["/login/", "/nowhere/", "/admin/login/"])
def test_every_style_and_script_loads(visitor: Visitor, path: str) -> None:
    page = visitor.get(path)
    files = files_of(visitor, page)
    assert len(files) >= (5 if "admin" in path else STYLES_AND_SCRIPTS - 4)
    assert {file.url: file.status for file in files if file.status != 200} == {}
    kinds = {file.headers["Content-Type"].partition(";")[0] for file in files}
    assert kinds <= {"text/css", "text/javascript", "image/svg+xml", "image/x-icon"}
    assert all(file.url.startswith(visitor.front.base) for file in files)
    assert "default-src 'none'" in page.headers["Content-Security-Policy"]


def test_one_signs_in_and_every_link_leads_on(marketer: Visitor) -> None:
    seen = []
    for path in ("/", "/definitions/", "/runs/", "/accounts/", "/profile/"):
        page = marketer.get(path)
        assert page.status == 200
        assert "Sign out" in page.text
        links = page.addresses("href", "action", "hx-get", "hx-post", "data-home")
        assert len(links) > 20
        assert [url for url in links if not url.startswith(marketer.front.base)] == []
        seen += [url for url in links if "/static/" not in url and "out" not in url]
    for url in list(dict.fromkeys(seen))[::6]:
        assert marketer.get(url).status in (200, 204, 405), url


def test_a_page_of_a_stranger_leads_back_after_the_sign_in(
    visitor: Visitor, stack: Stack
) -> None:
    answer = visitor.sign_in(
        MARKETER,
        stack.passwords[MARKETER],
        at="/login/?next=" + visitor.front.layout.path + "/runs/%3Fq=x",
    )
    assert answer.url == f"{visitor.front.base}/runs/?q=x"


def test_a_start_by_form_runs_to_its_end_and_polls_follow_it(
    marketer: Visitor, stack: Stack
) -> None:
    definition = stack.definition(KEY)
    form = f"/definitions/{definition}/start/"
    asked = re.search(r'data-must-equal="([^"]+)"', marketer.get(form).text)
    page = marketer.submit(
        form, {"confirm_name": html.unescape(asked[1])} if asked else {}
    )
    assert page.status == 200
    assert "queued" in page.text or "Running" in page.text
    stack.wait_for_end(KEY)
    assert stack.performed_of(KEY) == stack.starts_of(KEY)
    page = marketer.get("/")
    polled = re.search(r'id="live"[^>]*hx-get="([^"]+)"', page.text)
    assert polled
    url = urljoin(page.url, html.unescape(polled[1]))
    assert url.startswith(f"{marketer.front.base}/?")
    assert marketer.send("GET", url, **HTMX).status in (200, 204)
    old = re.sub(r"since=\d+", "since=0", url)
    assert 'id="live"' in marketer.send("GET", old, **HTMX).text


def test_an_export_comes_whole_through_the_proxy(marketer: Visitor) -> None:
    answer = marketer.get("/runs/export.csv")
    assert answer.status == 200
    assert answer.headers["Content-Type"].startswith("text/csv")
    assert len(answer.text.splitlines()) > 10


def test_after_signing_out_the_pages_are_closed(marketer: Visitor) -> None:
    answer = marketer.submit("/logout/", {}, at="/")
    assert answer.url == f"{marketer.front.base}/login/"
    assert marketer.get("/runs/").url.startswith(f"{marketer.front.base}/login/?next=")
    live = marketer.send("GET", f"{marketer.front.base}/runs/?since=1", **HTMX)
    assert live.status == 401


def test_an_administrator_signs_in_and_saves(visitor: Visitor, stack: Stack) -> None:
    page = visitor.sign_in(
        ADMINISTRATOR, stack.passwords[ADMINISTRATOR], at="/admin/login/"
    )
    assert "Site administration" in page.text or "Imports" in page.text
    listed = visitor.get("/admin/imports/importrun/?status__exact=completed")
    assert listed.status == 200
    home = {visitor.front.base, f"{visitor.front.base}/"}
    assert home & set(page.addresses("href")), "the link to the dashboard"
    saved = visitor.submit("/admin/auth/group/1/change/", {})
    assert "was changed successfully" in saved.text


def test_cookies_are_of_this_host_alone_and_named_for_this_installation(
    marketer: Visitor,
) -> None:
    is_plain = marketer.front.layout.scheme == "http"
    prefix = "" if is_plain else "__Host-"
    names = sorted(marketer.jar)
    assert re.fullmatch(rf"{prefix}csrftoken-[0-9a-f]{{8}}", names[0])
    assert re.fullmatch(rf"{prefix}sessionid-[0-9a-f]{{8}}", names[1])
    assert len(names) == 2
    for line in marketer.set_cookies:
        told = {part.strip().partition("=")[0] for part in line.split(";")}
        assert {"HttpOnly", "SameSite"} <= told
        assert "Path=/;" in f"{line};"
        assert "Domain" not in told
        assert ("Secure" in told) is not is_plain


def test_the_client_is_known_by_its_own_address(
    marketer: Visitor, stack: Stack
) -> None:
    sql = (
        "SELECT ip FROM imports_auditentry WHERE action = 'signed_in' ORDER BY id DESC"
    )
    told = {"fields that disagree": "192.0.2.1"}
    assert stack.ask(sql)[0][0] == told.get(marketer.front.layout.name, "127.0.0.1")


def test_machines_are_answered_and_other_names_are_not(front: Front) -> None:
    visitor = Visitor(front=front)
    assert visitor.get("/healthz").status == 200
    assert visitor.get("/metrics").status == 404
    if front.layout.name in ("another name", "the name in a header of its own"):
        return  # nginx makes up the name there
    answer = visitor.send("GET", f"{front.base}/login/", Host="evil.example")
    assert answer.status == 400
    assert "MCDASH_HOSTS" in answer.text
    assert "Refused a request for the host 'evil.example" in front.log.read_text()


def test_nothing_went_wrong_on_the_way(front: Front) -> None:
    assert "Traceback" not in front.log.read_text()
    assert " [error] " not in (front.log.parent / "error.log").read_text()
