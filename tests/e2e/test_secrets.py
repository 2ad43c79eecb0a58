"""No secret is said, shown or stored in the clear, whatever happens.

The whole journey with marked secrets: real worker, real web server, real commands,
and a Marketing Cloud that echoes requests in its faults. Then everything that was
printed, shown and stored is searched for each secret in every writing.

Not looked at: the process's own memory and environment, the wire to Marketing Cloud
(there the secrets belong), `Set-Cookie`, and Django's `diffsettings`, which prints all
settings and is for whoever holds them. The key of a session stands in the database:
Django finds the session by it. See SECURITY.md on backups.
"""

from __future__ import annotations

import json
import secrets
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import pytest
from cryptography.fernet import Fernet

from imports.management import commands
from imports.management.commands.run_sandbox import WSDL
from imports.sandbox.nordlicht import API_USER, DE, SE, nordlicht
from imports.sandbox.server import SandboxServer
from imports.sandbox.world import World
from tests.browser.stack import Stack
from tests.e2e.browsing import Browser
from tests.e2e.echoing import Echo
from tests.e2e.leaks import Evidence, Leak, forms_of
from tests.e2e.site import wait_until

ROOT, MARKETER = "root", "maria"
ENDED = "('completed', 'completed_with_errors', 'failed', 'not_started', 'unknown')"
# The sandbox is the other side, and prints its credentials; the demo prints its
# passwords, which it made for that; the worker is one of the processes.
TOLD_BY_DESIGN = {"run_sandbox", "demo", "run_worker", "add_sandbox_accounts"}


def marked() -> str:
    """A secret of its own that is written otherwise in HTML, XML, JSON and URLs, in
    its telling parts too.
    """
    one, two, three = (secrets.token_hex(4) for _ in range(3))
    return f"{one[:5]}&<'\"é{one[5:]}{two}{three[:5]}+/%\\ >{three[5:]}"


@dataclass(kw_only=True)
class Journey(Stack):
    """mcdash with marked secrets, and all that it says."""

    marks: dict[str, str]
    evidence: Evidence = field(default_factory=Evidence)
    commands: set[str] = field(default_factory=set)

    def start_web(self) -> None:
        """gunicorn as the README says, with a line for each request."""
        self.web = self.start_program(
            "web",
            *("-m", "gunicorn", "-c", "python:mcdash.gunicorn", "mcdash.wsgi"),
            *("--no-control-socket", "--bind", "127.0.0.1:0", "--workers", "1"),
            *("--threads", "8", "--graceful-timeout", "1"),
        )

    def manage(self, *arguments: str) -> Any:
        done = super().manage(*arguments)
        self.commands.add(arguments[0])
        self.evidence.add(f"command {' '.join(arguments)}", done.stdout + done.stderr)
        return done

    def settled(self) -> None:
        """Until no run of ours is under way."""
        under_way = (
            "SELECT count(*) FROM imports_importrun WHERE origin != 'outside' "
            f"AND status NOT IN {ENDED}"
        )
        wait_until(lambda: self.ask(under_way)[0][0] == 0, "the runs' ends", seconds=60)


@pytest.fixture
def marks() -> dict[str, str]:
    names = (
        *("client secret", "api password", "wrong client secret", "secret key"),
        *("password of root", "password of maria", "new password of maria"),
        "wrong password",
    )
    return {name: marked() for name in names} | {
        "field key": Fernet.generate_key().decode(),
        "older field key": Fernet.generate_key().decode(),
        "metrics token": secrets.token_hex(16),
    }


@pytest.fixture
def echo(marks: dict[str, str]) -> Iterator[Echo]:
    """The sandbox in this process, so that its tokens can be noted down."""
    known = nordlicht()
    catalogue = replace(
        known,
        accounts=tuple(
            replace(one, client_secret=marks["client secret"]) for one in known.accounts
        ),
        users=(replace(API_USER, password=marks["api password"]),),
    )
    world = World(catalogue=catalogue, pace_seconds=0.3, history_days=1)
    with SandboxServer(WSDL, world=world) as server:
        yield Echo(server)


@pytest.fixture
def site(tmp_path: Path, marks: dict[str, str], echo: Echo) -> Iterator[Journey]:
    extra = {
        "MCDASH_SECRET_KEY": marks["secret key"],
        "MCDASH_FIELD_KEYS": f"{marks['field key']},{marks['older field key']}",
        "MCDASH_METRICS_TOKEN": marks["metrics token"],
        "MCDASH_CLIENT_SECRET": marks["client secret"],
        "MCDASH_PASSWORD": marks["api password"],
        "DJANGO_SETTINGS_MODULE": "tests.e2e.loud",
        "MCDASH_LOG_LEVEL": "DEBUG",
        "MCDASH_ACCESS_LOG": "1",
        "MCDASH_TYPE_NAME_ROWS": "10000000",
        "DJANGO_SUPERUSER_PASSWORD": marks["password of root"],
    }
    with Journey(folder=tmp_path / "var", extra=extra, marks=marks) as journey:
        journey.sandbox_url = echo.server.url
        yield journey


# the journey, step by step


def set_up(site: Journey) -> None:
    site.must("migrate", "--verbosity", "0")
    site.must("collectstatic", "--no-input", "--verbosity", "0")
    soap = ("--soap-url", f"{site.sandbox_url}/Service.asmx")
    site.must(
        *("add_account", DE.name, "--mid", str(DE.mid), "--client-id", DE.client_id),
        *("--auth-url", site.sandbox_url, *soap, "--json"),
    )
    site.must(
        *("add_account", SE.name, "--mid", str(SE.mid)),
        *("--username", API_USER.username, *soap),
    )
    again = site.manage(
        *("add_account", DE.name, "--client-id", DE.client_id),
        *("--auth-url", site.sandbox_url, *soap),
    )
    assert again.returncode == 1
    site.must(
        *("createsuperuser", "--no-input", "--username", ROOT),
        *("--email", "root@nordlicht.example"),
    )
    for name in ("check_account", "sync_definitions", "adopt_runs"):
        for account in (DE.name, SE.name):
            site.must(name, account)


def sign_in(site: Journey, name: str, password: str) -> Browser:
    browser = Browser(base=site.url)
    given = {"username": name, "password": password}
    browser.post("/login/", given)
    browser.get("/accounts/")
    return browser


def administrate(site: Journey, root: Browser) -> None:
    """People, access, a secret that is refused, and the right one again."""
    root.post(
        "/admin/imports/user/add/",
        {
            "username": MARKETER,
            "password1": site.marks["password of maria"],
            "password2": site.marks["password of maria"],
            "usable_password": "true",
        },
    )
    access = {
        "accesses-TOTAL_FORMS": "2",
        **{f"accesses-{n}-account": str(n + 1) for n in (0, 1)},
        **{f"accesses-{n}-level": "start" for n in (0, 1)},
    }
    root.post("/admin/auth/group/add/", {"name": "Marketing", **access})
    for person in (1, 2):
        root.post(f"/admin/imports/user/{person}/change/", {"groups": ["1"]})
    change_secret(site, root, site.marks["wrong client secret"])
    assert "the test failed" in do(root, "test_connection")
    # a form with an error is shown again, without what was typed
    page = "/admin/imports/account/1/change/"
    again = root.post(page, {"secret": site.marks["client secret"], "client_id": ""})
    assert "errornote" in again
    change_secret(site, root, site.marks["client secret"])
    assert "connected." in do(root, "test_connection")


def change_secret(site: Journey, root: Browser, secret: str) -> None:
    root.post("/admin/imports/account/1/change/", {"secret": secret})


def do(root: Browser, action: str) -> str:
    """An action on both accounts; what the list says of it."""
    listed = "/admin/imports/account/"
    return root.post(listed, {"action": action, "_selected_action": ["1", "2"]})


def start(site: Journey, browser: Browser, key: str, account: str = DE.name) -> str:
    url = f"/definitions/{site.definition(key, account)}/start/"
    return browser.post(url, {})


def start_well(site: Journey, browser: Browser, *keys: str) -> None:
    for key in keys:
        assert "is queued" in start(site, browser, key)
    site.settled()


def misbehave(site: Journey, echo: Echo, browser: Browser) -> None:
    """Faults that echo, refusals, and connections that end in the middle."""
    keys = iter(("customers-daily", "price-list-full", "sms-opt-ins-daily"))
    for kind in ("client", "not_authorized", "server"):
        echo.kind = kind
        start_well(site, browser, next(keys))
    site.manage("check_account", DE.name)
    for kind in ("database", "maintenance"):
        echo.kind = kind
        assert "is queued" in start(site, browser, "customers-daily", SE.name)
        site.settled()
        assert site.manage("sync_definitions", SE.name).returncode == 1
    echo.kind = ""
    for account in (DE.name, SE.name):
        site.must("check_account", account)
    for what in ("reset", "truncated", "html"):
        echo.server.misbehave(what, when="after", operation="Perform")
    start_well(
        site, browser, "birthday-club-weekly", "test-import-2019", "returns-daily"
    )
    site.must("reconcile_runs")
    site.settled()


def refuse_sign_in(site: Journey, echo: Echo, browser: Browser) -> None:
    """The token endpoint echoes the client's secret, SOAP the API user's password."""
    echo.kind = "token"
    assert site.manage("check_account", DE.name).returncode == 1
    echo.kind = "login_failed"
    assert site.manage("check_account", SE.name, "--json").returncode == 1
    for account in (DE.name, SE.name):
        refused = start(site, browser, "vouchers-daily", account)
        assert "refused this account" in refused
    for path in ("/", "/accounts/"):
        assert "refused" in browser.get(path)
    echo.kind = ""
    for account in (DE.name, SE.name):
        site.must("check_account", account)


def command_everything(site: Journey) -> None:
    """What no step has called yet."""
    for arguments in (
        ("refresh_runs",),
        ("reconcile_runs", "--json"),
        ("list_runs", "--limit", "100"),
        ("list_runs", "--json"),
        ("start_import", DE.name, "wish-lists-daily", "--wait"),
        ("start_import", SE.name, "no-such-key", "--json"),
        ("rotate_field_keys",),
        ("rotate_field_keys", "--check", "--json"),
        ("rebuild_strips",),
        ("check", "--deploy"),
    ):
        site.manage(*arguments)
    folder = Path(commands.__path__[0])
    ours = {path.stem for path in folder.glob("[!_]*.py")}
    assert ours - TOLD_BY_DESIGN <= site.commands


def change_password(site: Journey, maria: Browser) -> None:
    new = site.marks["new password of maria"]
    maria.post(
        "/password_change/",
        {
            "old_password": site.marks["password of maria"],
            "new_password1": new,
            "new_password2": new,
        },
    )


def look_at_everything(site: Journey, root: Browser, maria: Browser) -> None:
    bearer = f"Bearer {site.marks['metrics token']}"
    assert "mcdash_" in maria.get("/metrics", Authorization=bearer)
    seen = root.crawl("/", "/admin/", "/healthz", "/metrics")
    seen |= maria.crawl("/", "/runs/?status=failed", "/definitions/?q=a")
    wanted = ("account", "auditentry", "importrun", "importdefinition", "user")
    for model in wanted:
        assert any(
            path.startswith(f"/admin/imports/{model}/") and path.endswith("/change/")
            for path in seen
        ), model
    assert {"/", "/runs/", "/definitions/", "/accounts/", "/profile/"} <= seen


@pytest.mark.slow
def test_no_secret_is_said_shown_or_stored_in_the_clear(
    site: Journey, echo: Echo, marks: dict[str, str]
) -> None:
    set_up(site)
    site.start_web()
    wait_until(site.serves, "the sign-in page")
    site.restart_worker()
    root = sign_in(site, ROOT, marks["password of root"])
    stranger = sign_in(site, ROOT, marks["wrong password"])
    administrate(site, root)
    maria = sign_in(site, MARKETER, marks["password of maria"])
    start_well(site, maria, "newsletter-subscribers-daily")
    assert len(echo.server.world.performed()) == 1
    misbehave(site, echo, maria)
    refuse_sign_in(site, echo, maria)
    change_password(site, maria)
    command_everything(site)
    look_at_everything(site, root, maria)
    collect(site, root, maria, stranger)
    judge(site, echo, (root, maria, stranger))


def collect(site: Journey, *browsers: Browser) -> None:
    """All that there is, once every process has ended."""
    evidence = site.evidence
    for browser in browsers:
        evidence.texts += browser.seen
    # while the database is open: its -wal and -shm are files of their own
    evidence.add_folder(site.folder)
    with site._database() as database:
        evidence.add("file dump", "\n".join(database.iterdump()))
    site.__exit__()
    for number, part in enumerate(site.parts):
        evidence.add(f"log {number}", part.said)


def judge(site: Journey, echo: Echo, browsers: tuple[Browser, ...]) -> None:
    evidence = site.evidence
    assert len(echo.tokens) >= 5
    assert len(evidence.texts) > 150
    assert any(b"you sent" in text for _, text in evidence.texts), "nothing echoed"
    for log in ("web.log", "run_worker.log"):
        (said,) = [text for where, text in evidence.texts if where.endswith(log)]
        assert b" DEBUG " in said, log
    tokens = {f"token {number}": token for number, token in enumerate(echo.tokens)}
    leaks = evidence.leaks(site.marks | tokens)
    cookies = {n: v for one in browsers for n, v in one.cookies_seen.items()}
    named = ("sessionid", "csrftoken")
    hidden = {n: v for n, v in cookies.items() if n.startswith(named)}
    assert len(hidden) >= 5
    leaks += evidence.leaks(hidden, but="file mcdash.sqlite3")
    leaks = [leak for leak in leaks if not _is_session_row(leak)]
    assert leaks == [], told_of(leaks)
    assert evidence.tokens_by_shape() == []


def told_of(leaks: list[Leak]) -> str:
    """Which secret was found where, once each, with one look at its surroundings."""
    places: dict[str, dict[str, str]] = {}
    for leak in leaks:
        places.setdefault(leak.secret, {})[leak.where] = f"{leak.form}: {leak.near}"
    return json.dumps(places, indent=1)


def _is_session_row(leak: Leak) -> bool:
    return leak.where == "file dump" and leak.secret.startswith("sessionid")


@pytest.mark.parametrize("wrap", [str, json.dumps, repr])
def test_the_search_finds_a_secret_in_any_writing(wrap: Callable[[str], str]) -> None:
    secret = marked()
    for form, needle in forms_of(secret):
        evidence = Evidence()
        evidence.add("here", b"some text " + needle + b" and more")
        (leak, *_) = evidence.leaks({"x": secret})
        assert leak.where == "here", form
    evidence = Evidence()
    evidence.add("here", wrap(f"… {secret} …"))
    assert evidence.leaks({"x": secret})
    assert not evidence.leaks({"another": marked()})
