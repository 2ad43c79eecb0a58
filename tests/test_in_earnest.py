"""What browsers are told where mcdash runs in earnest, by https behind a proxy."""

from __future__ import annotations

import hmac
import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
from cryptography.fernet import Fernet

pytestmark = pytest.mark.slow

ROOT = Path(__file__).resolve().parent.parent
SETTINGS = {
    "DJANGO_SETTINGS_MODULE": "mcdash.settings",
    "MCDASH_SECRET_KEY": "k" * 50,
    "MCDASH_FIELD_KEYS": Fernet.generate_key().decode(),
    "MCDASH_HOSTS": "dash.example.com",
    "MCDASH_TRUSTED_PROXIES": "10.0.0.1",
    "MCDASH_HSTS_SECONDS": "31536000",
}
KEY = SETTINGS["MCDASH_SECRET_KEY"].encode()
SUFFIX = hmac.new(KEY, b"mcdash.cookies", "sha256").hexdigest()[:8]
SESSION, CSRF = f"__Host-sessionid-{SUFFIX}", f"__Host-csrftoken-{SUFFIX}"
VISITS = """
import django, json, re, sys
django.setup()
from django.core.management import call_command
call_command("migrate", verbosity=0)
from django.conf import settings
settings.STATIC_ROOT.mkdir(exist_ok=True)
settings.STORAGES["staticfiles"] = {
    "BACKEND": "django.contrib.staticfiles.storage.StaticFilesStorage"
}
from django.test import Client
from imports.models import User
User.objects.create_user("ana", password="a long pass phrase")

client = Client(
    enforce_csrf_checks=True, headers={"host": "dash.example.com"},
    REMOTE_ADDR="10.0.0.1",
)
PROXY = {"X-Forwarded-Proto": "https", "X-Forwarded-For": "203.0.113.9"}
told = {}

def note(name, answer):
    told[name] = {
        "status": answer.status_code,
        "headers": dict(answer.headers),
        "cookies": {
            key: {k: v for k, v in cookie.items() if v} | {"value": bool(cookie.value)}
            for key, cookie in answer.cookies.items()
        },
    }
    return answer

note("plain", client.get("/login/?next=/runs/"))
note("lied", client.get("/login/", headers=PROXY, REMOTE_ADDR="203.0.113.9"))
page = note("page", client.get("/login/", headers=PROXY))
token = re.search(r'csrfmiddlewaretoken" value="(\\w+)"', page.content.decode())[1]
fields = {
    "username": "ana", "password": "a long pass phrase", "csrfmiddlewaretoken": token
}
for origin in ("https://evil.example", "null", "http://dash.example.com"):
    answer = client.post("/login/", fields, headers=PROXY | {"Origin": origin})
    note(origin, answer)
ours = PROXY | {"Origin": "https://dash.example.com"}
note("signed in", client.post("/login/", fields, headers=ours))
note("dashboard", client.get("/", headers=PROXY))
note("other host", client.get("/", headers=PROXY | {"host": "evil.example"}))
print(json.dumps(told))
"""


@pytest.fixture(scope="module")
def told(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Any]:
    """Answers by name, of one process with the settings of a deployment."""
    inherited = {
        name: value
        for name, value in os.environ.items()
        if not name.startswith(("MCDASH_", "DATABASE_URL", "DJANGO_"))
    }
    folder = {"MCDASH_DATA_DIR": str(tmp_path_factory.mktemp("var"))}
    done = subprocess.run(
        [sys.executable, "-c", VISITS],
        cwd=ROOT,
        env=inherited | SETTINGS | folder,
        capture_output=True,
        text=True,
        timeout=120,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    answers: dict[str, Any] = json.loads(done.stdout)
    return answers


def test_plain_http_is_sent_to_https(told: dict[str, Any]) -> None:
    assert told["plain"]["status"] == 301
    location = told["plain"]["headers"]["Location"]
    assert location == "https://dash.example.com/login/?next=/runs/"
    assert told["plain"]["cookies"] == {}


def test_only_a_trusted_proxy_may_say_that_it_was_https(told: dict[str, Any]) -> None:
    assert told["lied"]["status"] == 301


@pytest.mark.parametrize(
    ("answer", "name"),
    [("page", CSRF), ("signed in", SESSION)],
)
def test_cookies_are_of_this_host_by_https_and_not_for_scripts(
    told: dict[str, Any], answer: str, name: str
) -> None:
    cookie = told[answer]["cookies"][name]
    assert cookie["value"] is True
    assert cookie["secure"] is True
    assert cookie["httponly"] is True
    assert cookie["samesite"] == "Lax"
    assert cookie["path"] == "/"
    assert "domain" not in cookie


def test_there_are_no_other_cookies(told: dict[str, Any]) -> None:
    names = {name for answer in told.values() for name in answer["cookies"]}
    assert names == {CSRF, SESSION}


def test_a_session_lives_a_week_in_the_browser(told: dict[str, Any]) -> None:
    cookie = told["signed in"]["cookies"][SESSION]
    assert cookie["max-age"] == 7 * 24 * 3600


@pytest.mark.parametrize(
    "origin", ["https://evil.example", "null", "http://dash.example.com"]
)
def test_a_form_from_elsewhere_is_refused(told: dict[str, Any], origin: str) -> None:
    assert told[origin]["status"] == 403
    assert SESSION not in told[origin]["cookies"]


def test_our_own_form_is_taken(told: dict[str, Any]) -> None:
    assert told["signed in"]["status"] == 302
    assert told["dashboard"]["status"] == 200


def test_another_name_for_this_host_is_refused(told: dict[str, Any]) -> None:
    assert told["other host"]["status"] == 400


@pytest.mark.parametrize("answer", ["page", "dashboard", "null"])
@pytest.mark.parametrize(
    ("header", "value"),
    [
        ("Strict-Transport-Security", "max-age=31536000"),
        ("X-Frame-Options", "DENY"),
        ("X-Content-Type-Options", "nosniff"),
        ("Referrer-Policy", "same-origin"),
        ("Cross-Origin-Opener-Policy", "same-origin"),
        ("Cross-Origin-Resource-Policy", "same-origin"),
    ],
)
def test_every_answer_says_what_browsers_may_do_with_it(
    told: dict[str, Any], answer: str, header: str, value: str
) -> None:
    assert told[answer]["headers"][header] == value


@pytest.mark.parametrize("answer", ["page", "dashboard", "null", "signed in"])
def test_no_answer_may_be_kept_and_none_may_use_the_device(
    told: dict[str, Any], answer: str
) -> None:
    headers = told[answer]["headers"]
    assert "no-store" in headers["Cache-Control"]
    assert "private" in headers["Cache-Control"]
    assert "camera=()" in headers["Permissions-Policy"]
    assert "default-src 'none'" in headers["Content-Security-Policy"]
    assert "unsafe" not in headers["Content-Security-Policy"]
