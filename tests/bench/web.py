"""gunicorn on this process's data, and requests to it."""

from __future__ import annotations

import gzip
import re
import socket
import subprocess
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from html import unescape
from http.client import HTTPConnection
from pathlib import Path

from tests.bench.here import PRODUCT, ROOT, settings_given
from tests.e2e.site import PYTHON, Site, wait_until

HOST = "127.0.0.1"
LIVE = re.compile(r'<div id="live"[^>]* hx-get="([^"]+)"')


@dataclass(frozen=True)
class Web:
    """gunicorn's first process, the port it listens at, and how long it took from
    its start to the first page.
    """

    pid: int
    port: int
    ready_seconds: float


@dataclass(frozen=True, kw_only=True)
class Page:
    """An answer, with the seconds until its first byte and its bytes on the wire."""

    status: int
    body: str
    seconds: float
    head_bytes: int = 0
    body_bytes: int = 0


@contextmanager
def web(folder: Path, *, workers: int = 1, threads: int = 32) -> Iterator[Web]:
    """The web side as it is run in earnest, static files collected before."""
    site = Site(folder=folder, root=PRODUCT, extra=settings_given())
    if PRODUCT == ROOT:
        site.env["DJANGO_SETTINGS_MODULE"] = "tests.bench.site_settings"
    site.must("collectstatic", "--no-input", "--verbosity", "0")
    began = time.perf_counter()
    with (folder / "web.log").open("wb") as log:
        process = subprocess.Popen(
            [
                *(
                    PYTHON,
                    "-m",
                    "gunicorn",
                    "-c",
                    "python:mcdash.gunicorn",
                    "mcdash.wsgi",
                ),
                *("--bind", f"{HOST}:0"),
                *("--workers", str(workers), "--threads", str(threads)),
                *("--log-level", "info", "--no-control-socket"),
            ],
            cwd=PRODUCT,
            env=site.env,
            stdin=subprocess.DEVNULL,
            stdout=log,
            stderr=subprocess.STDOUT,
        )
    try:
        port = wait_until(lambda: _port(folder), "gunicorn's port", seconds=60)
        wait_until(lambda: get(port, "/login/").status == 200, "a page")
        yield Web(process.pid, port, time.perf_counter() - began)
    finally:
        process.terminate()
        process.wait(60)  # it gives requests that are under way 30 s


def _port(folder: Path) -> int:
    told = re.search(
        rf"Listening at: http://{re.escape(HOST)}:(\d+)",
        (folder / "web.log").read_text(errors="replace"),
    )
    return int(told[1]) if told else 0


def session_of(username: str) -> str:
    """The cookie of a new session of that person."""
    from django.conf import settings
    from django.test import Client

    from imports.models import User

    client = Client()
    client.force_login(User.objects.get(username=username))
    name = settings.SESSION_COOKIE_NAME
    return f"{name}={client.cookies[name].value}"


def get(port: int, path: str, cookie: str = "", *, is_poll: bool = False) -> Page:
    """One request over a connection of its own, as a browser's first one."""
    connection = HTTPConnection(HOST, port, timeout=60)
    try:
        connection.connect()
        began = time.perf_counter()
        connection.request("GET", path, headers=_headers(cookie, is_poll=is_poll))
        response = connection.getresponse()
        seconds = time.perf_counter() - began
        body = response.read().decode()
    finally:
        connection.close()
    return Page(status=response.status, body=body, seconds=seconds)


def weigh(port: int, path: str, cookie: str, *, is_poll: bool = False) -> Page:
    """As `get`, packed as for a browser, with the bytes counted as they came."""
    headers = _headers(cookie, is_poll=is_poll) | {
        "Host": HOST,
        "Connection": "close",
        "Accept-Encoding": "gzip",
    }
    lines = [f"GET {path} HTTP/1.1", *(f"{n}: {v}" for n, v in headers.items())]
    with socket.create_connection((HOST, port), timeout=60) as connection:
        began = time.perf_counter()
        connection.sendall("\r\n".join([*lines, "", ""]).encode())
        answer = connection.recv(65536)
        seconds = time.perf_counter() - began
        while piece := connection.recv(65536):
            answer += piece
    head, _, body = answer.partition(b"\r\n\r\n")
    return Page(
        status=int(head.split()[1]),
        body=_unpacked(head, body).decode(),
        seconds=seconds,
        head_bytes=len(head) + 4,
        body_bytes=len(body),
    )


def _unpacked(head: bytes, body: bytes) -> bytes:
    return gzip.decompress(body) if b"Content-Encoding: gzip" in head else body


def poll_of(page: Page) -> str:
    """The address that the page asks for what is new."""
    found = LIVE.search(page.body)
    if found is None:
        raise RuntimeError("The page does not poll.")
    return unescape(found[1])


def _headers(cookie: str, *, is_poll: bool) -> dict[str, str]:
    sent = {"Cookie": cookie} if cookie else {}
    return sent | ({"HX-Request": "true"} if is_poll else {})
